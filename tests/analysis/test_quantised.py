from __future__ import annotations

from dataclasses import replace
from math import ceil, log2

import pytest

from analysis.energy.quantised import (
    PUBLISHED_CROSSINGS,
    Workload,
    YanPrices,
    bit_matched,
    crossing_rate,
    mac_pj,
    matched_bits,
    qnn_pj,
    snn_pj,
    workload,
)
from analysis.energy.synapses import SpikesPerSynapse, spikes_per_synapse
from analysis.records import LayerShape, Moments, NeuronRecord, Run, SiteKey, SiteRecord

# 2 samples, 4 steps, 10 -> 4 features: 24 spikes come in, 96 synops; 40 synapses * 8 = 320 MACs.
FC = SiteRecord(
    key=SiteKey(name="fc"),
    role="spiking",
    op="linear",
    operand="spike",
    origin="spikes",
    static=False,
    executions=4,
    dense_macs=320,
    inside_macs=320,
    synops=96,
    nonzeros=24,
    elements=80,
    synops_by_step=(24, 24, 24, 24),
    weights=40,
    shape=LayerShape(channels_in=10, channels_out=4),
)
# 1 -> 1 channel, 3x3, padding 1, 4x4 -> 4x4: 16 outputs * 9 = 144 MACs per step and sample, 100
# of them inside; a spike in the middle meets 9 weights: 10 spikes, 90 synops.
CONV = replace(
    FC,
    key=SiteKey(name="conv"),
    op="conv2d",
    dense_macs=144 * 8,
    inside_macs=100 * 8,
    synops=90,
    nonzeros=10,
    elements=16 * 8,
    weights=9,
    shape=LayerShape(channels_in=1, channels_out=1, kernel=(3, 3), stride=(1, 1)),
)
LIF = NeuronRecord(site="lif", call=0, neurons=4, spikes=8, outputs=32)
FETCH = 20.0
PRICES = YanPrices()


def run_of(*sites, neurons=(LIF,)):
    return Run(
        samples=2,
        steps=4,
        sites=sites,
        neurons=neurons,
        elementwise=(),
        moments=Moments(columns=(), mean=(), scatter=()),
    )


def spyx(steps):
    """256 -> 128 -> 10 features, the network of spyx, pull request 76."""
    return Workload(
        steps=steps,
        synapses=256 * 128 + 128 * 10,
        synops=0,
        neurons=128,
        spikes=0,
        states=128 + 10,
        activations=256 + 128 + 10,
    )


@pytest.mark.parametrize("steps", range(1, 40))
def test_bits_are_the_logarithm_rounded_up(steps):
    assert matched_bits(steps) == ceil(log2(steps + 1))


def test_one_matrix_by_hand():
    # Per sample: 12 spikes in, 48 synops, 4 neurons, 4 spikes out; 40 synapses, 10 + 4 values.
    work = workload(run_of(FC))
    assert work == Workload(
        steps=4, synapses=40, synops=48, neurons=4, spikes=4, states=4, activations=14
    )
    accumulate = 0.05448  # also a compare and a subtract
    fetched = 48 * 8 * 20  # 8 bits per synop at 20 pJ
    state = 2 * 4 * 4 * 8 * 0.25  # twice 4 steps, 4 neurons, 8 bits
    expected = (48 + 4 * 4 + 4) * accumulate + fetched + state
    assert snn_pj(work, FETCH, PRICES) == pytest.approx(expected)
    # 5 counts fit in 3 bits: 3.7 * 9 / 1024 + 0.9 * 3 / 32 pJ per MAC
    mac = 3.7 * 9 / 1024 + 2.7 / 32
    expected = 40 * mac + 40 * 3 * 20 + 2 * 4 * accumulate + 14 * 3 * 0.25
    assert qnn_pj(work, FETCH, PRICES) == pytest.approx(expected)


def test_one_convolution_by_hand():
    # Unrolled: 100 synapses per step; 45 synops per sample; 16 values in, 16 out.
    work = workload(run_of(CONV))
    assert (work.synapses, work.synops, work.activations) == (100, 45, 32)
    found = bit_matched(run_of(CONV))
    assert found.in_rate == 45 / (4 * 100) == spikes_per_synapse(run_of(CONV)).value / 4
    fetches = 45 * 8 * 20, 100 * 3 * 20  # what outweighs all else
    assert found.snn_pj.nominal == pytest.approx(fetches[0], rel=0.02)
    assert found.qnn_pj.nominal == pytest.approx(fetches[1], rel=0.02)
    assert found.ratio.nominal == pytest.approx(found.snn_pj.nominal / found.qnn_pj.nominal)


def test_the_reference_network_crosses_where_spyx_says_it_does():
    crossings = [crossing_rate(spyx(steps), FETCH, PRICES) for steps in range(5, 11)]
    assert 100 * sum(crossings) / 6 == pytest.approx(5.99, abs=0.005)


@pytest.mark.parametrize("steps", range(5, 11))
def test_the_crossing_is_near_the_bits_over_eight_times_the_steps(steps):
    found = crossing_rate(spyx(steps), FETCH, PRICES)
    assert found == pytest.approx(matched_bits(steps) / (8 * steps), rel=0.02)


def test_the_short_form_is_near_one_published_crossing_and_far_from_the_other():
    found = {steps: crossing_rate(spyx(steps), FETCH, PRICES) for steps in range(5, 11)}
    mean = sum(found.values()) / 6
    assert mean == pytest.approx(PUBLISHED_CROSSINGS["v3, T = 5 to 10"], abs=0.005)
    # The later version of the paper has more terms than the short form: 5.7 % against 7.5 %.
    assert found[5] > PUBLISHED_CROSSINGS["v4, T = 5"] + 0.015


def test_at_the_crossing_both_cost_the_same():
    work = workload(run_of(FC))
    even = work.at_rate(crossing_rate(work, FETCH, PRICES))
    assert snn_pj(even, FETCH, PRICES) == pytest.approx(qnn_pj(work, FETCH, PRICES))


def test_weights_that_stay_on_the_chip_change_the_ratio():
    found = bit_matched(run_of(FC))
    assert found.snn_pj.low < found.snn_pj.nominal < found.snn_pj.high
    assert found.ratio.low <= found.ratio.nominal < found.ratio.high


def test_sites_on_real_values_are_in_neither_and_named():
    stem = replace(FC, key=SiteKey(name="stem"), operand="real", origin="image")
    found = bit_matched(run_of(stem, FC))
    assert found.snn_pj == bit_matched(run_of(FC)).snn_pj
    assert "the gate, and sites that are no layers on spikes: stem" in found.leaves_out
    assert bit_matched(run_of(stem)) is None


def test_the_gate_has_no_part_in_the_comparison():
    gate = replace(FC, key=SiteKey(name="gate"), role="gate")
    assert workload(run_of(FC, gate)) == workload(run_of(FC))


def test_a_mac_of_full_width_is_that_of_horowitz():
    assert mac_pj(32) == pytest.approx(4.6)


def test_spikes_per_synapse_count_spiking_sites_and_whole_inferences():
    # 96 + 90 synops over 40 * 2 + 100 * 2 synapses of two samples
    stem = replace(FC, operand="real", origin="image")
    assert spikes_per_synapse(run_of(FC, CONV, stem)).value == pytest.approx(186 / 280)
    assert spikes_per_synapse(run_of(stem)) is None


def test_what_ran_once_for_all_steps_has_the_figures_of_every_step():
    once = replace(
        FC, executions=1, stands_for=4, dense_macs=80, inside_macs=80, synops=24, nonzeros=6,
        elements=20, synops_by_step=None,
    )  # fmt: skip
    assert workload(run_of(once)) == workload(run_of(FC))
    assert bit_matched(run_of(once)) == bit_matched(run_of(FC))
    assert spikes_per_synapse(run_of(once)) == spikes_per_synapse(run_of(FC))


def test_a_layer_that_ran_once_has_all_its_synapses():
    # 96 synops at 320 / 2 synapses per sample, each of which was there once
    once = replace(FC, executions=1)
    assert spikes_per_synapse(run_of(once)).value == pytest.approx(48 / 160)


def test_a_silent_site_has_synapses_too():
    silent = replace(FC, operand="silent", synops=0, nonzeros=0)
    assert spikes_per_synapse(run_of(FC, silent)).value == pytest.approx(96 / 160)


@pytest.mark.parametrize(
    ("value", "band", "other"),
    [
        (0.14, "below", "below"),
        (0.15, "inside", "below"),
        (1.38, "inside", "below"),
        (1.5, "above", "below"),
        (1.72, "above", "not below"),
    ],
)
def test_spikes_per_synapse_are_laid_beside_published_thresholds(value, band, other):
    found = SpikesPerSynapse(value, synapses=1)
    assert found.band == band
    assert f"{band} 0.15 to 1.38" in found.words
    assert f"; {other} 1.72 (Davidson & Furber, 2021)" in found.words
