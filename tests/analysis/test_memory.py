from __future__ import annotations

from dataclasses import replace

import pytest

import analysis
from analysis.energy.memory import Widths, bytes_moved
from analysis.records import LayerShape, Moments, NeuronRecord, Run, SiteKey, SiteRecord

# One sample, 2 steps, 10 -> 4 features: 6 spikes come in, 24 synops, 80 dense MACs.
FC = SiteRecord(
    key=SiteKey(name="fc"),
    role="spiking",
    op="linear",
    operand="spike",
    origin="spikes",
    static=False,
    executions=2,
    dense_macs=80,
    inside_macs=80,
    synops=24,
    nonzeros=6,
    elements=20,
    synops_by_step=(12, 12),
    weights=40,
    shape=LayerShape(channels_in=10, channels_out=4),
)
REAL = replace(FC, operand="real", origin="current")
LIF = NeuronRecord(site="lif", call=0, neurons=4, spikes=3, outputs=8)
BYTES = Widths(weight=8, activation=8, potential=8, spike=8, message=8)


def moved(*sites, reuse="none", widths=BYTES, neurons=()):
    run = Run(
        samples=1,
        steps=2,
        sites=sites,
        neurons=neurons,
        elementwise=(),
        moments=Moments(columns=(), mean=(), scatter=()),
    )
    found = bytes_moved(run, reuse, widths)
    return [(x.weights, x.inputs, x.potentials, x.outputs) for x in found.layers], found


@pytest.mark.parametrize(
    ("site", "reuse", "expected"),
    [
        (FC, "none", (24, 6, 48, 0)),  # a weight and a potential, twice, for each synop
        (FC, "step", (80, 20, 0, 0)),  # 40 weights and 10 inputs at each of 2 steps
        (FC, "inference", (40, 20, 0, 0)),
        (REAL, "none", (80, 80, 0, 8)),  # a weight and an input for each MAC; 4 outputs per step
        (REAL, "step", (80, 20, 0, 8)),
        (REAL, "inference", (40, 20, 0, 8)),
    ],
)
def test_a_layer_moves_what_one_counts_by_hand(site, reuse, expected):
    assert moved(site, reuse=reuse)[0] == [expected]


@pytest.mark.parametrize("reuse", ["none", "step", "inference"])
@pytest.mark.parametrize("site", [FC, REAL])
def test_what_ran_once_for_both_steps_moves_as_much_as_if_it_had_run_twice(site, reuse):
    once = replace(
        site, executions=1, stands_for=2, dense_macs=40, inside_macs=40, synops=12, nonzeros=3,
        elements=10, synops_by_step=None,
    )  # fmt: skip
    assert moved(once, reuse=reuse)[0] == moved(site, reuse=reuse)[0]


def test_a_layer_that_ran_once_moves_its_weights_once():
    # behind a mean over both steps: 40 weights, 10 inputs, 4 outputs
    once = replace(REAL, executions=1, dense_macs=40, elements=10)
    assert moved(once, reuse="step")[0] == [(40, 10, 0, 4)]


def test_neurons_that_ran_at_one_of_two_steps_move_half_as_much():
    assert moved(neurons=(replace(LIF, outputs=4),))[0] == [(0, 0, 8, 3)]


def test_neurons_move_potentials_both_ways_and_their_spikes():
    assert moved(neurons=(LIF,))[0] == [(0, 0, 16, 3)]  # 4 neurons * 2 steps * 2; 3 messages
    assert moved(neurons=(LIF,), reuse="step")[0] == [(0, 0, 16, 8)]  # a map of 4, twice


def test_widths_are_bits():
    narrow = moved(FC, reuse="step", widths=Widths(weight=4, spike=1))[0]
    assert narrow == [(40, 2.5, 0, 0)]  # 80 * 4 bits, 20 * 1 bit


def test_energy_is_a_range_over_the_memories_it_could_be():
    found = moved(FC)[1]
    assert found.total == 78
    energy = found.energy_pj  # 64-bit accesses of 10, 100 and 1,300 pJ
    ends = (energy.low, energy.nominal, energy.high)
    assert ends == pytest.approx((78 * 1.25, 78 * 12.5, 78 * 162.5))


def test_a_site_whose_sizes_are_not_known_is_named():
    found = moved(replace(FC, shape=None))[1]
    assert not found.layers
    assert "sizes not known: fc" in found.leaves_out


def test_the_frame_adds_up():
    found = moved(FC, REAL, neurons=(LIF,))[1]
    assert found.frame["total"].sum() == found.total


def test_an_unknown_reuse_is_told_with_the_known_ones():
    with pytest.raises(analysis.InputError, match=r"'some' .* allowed: none, step, inference"):
        moved(FC, reuse="some")
