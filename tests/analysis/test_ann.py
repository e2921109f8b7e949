from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import analysis
import gac
from analysis.energy.ann import comparison, counterpart
from analysis.energy.technology import technology
from analysis.records import Moments, Run, SiteKey, SiteRecord

# 2 samples, 3 steps; dense MACs: 100 per sample and step, 1,000 in the body
STEM = SiteRecord(
    key=SiteKey(name="stem"),
    role="stem",
    op="conv2d",
    operand="real",
    origin="image",
    static=False,
    executions=1,
    stands_for=3,
    dense_macs=200,
    inside_macs=180,
    synops=180,
    nonzeros=20,
    elements=20,
    synops_by_step=None,
)
BODY = replace(
    STEM, key=SiteKey(name="body"), role="spiking", operand="spike", origin="spikes",
    executions=3, stands_for=1, dense_macs=6000,
)  # fmt: skip
GATE = replace(STEM, key=SiteKey(name="gate"), role="gate", origin="current", dense_macs=9000)
RUN = Run(
    samples=2,
    steps=3,
    sites=(STEM, GATE, BODY),
    neurons=(),
    elementwise=(),
    moments=Moments(columns=(), mean=(), scatter=()),
)


def test_the_counterpart_runs_one_step_without_the_gate():
    found = counterpart(RUN)
    assert found.dense_macs == found.macs == 100 + 1000
    assert [site.name for site in found.sites] == ["stem", "body"]
    assert "the gate: gate" in found.leaves_out
    assert any("accuracy" in text for text in found.leaves_out)


@pytest.mark.parametrize(
    "changes",
    [
        {"executions": 1, "dense_macs": 2000},  # behind a mean over time
        {"executions": 1.5, "dense_macs": 3000},  # one of two samples ended after the first step
        {"executions": 1, "mixes_steps": True},  # all three steps in one execution
    ],
)
def test_a_layer_counts_with_one_step_of_it_however_often_it_ran(changes):
    body = replace(BODY, **changes)
    assert counterpart(replace(RUN, sites=(STEM, body))).dense_macs == 100 + 1000


def test_zero_activations_spare_all_but_the_image():
    assert counterpart(RUN, zeros=0.5).macs == 100 + 500


def test_macs_are_priced_by_the_technology():
    assert counterpart(RUN).energy_pj(technology("45nm-fp32")) == pytest.approx(1100 * 4.6)


def test_bit_matched_macs_have_the_bits_of_a_spike_count():
    found = counterpart(RUN)
    assert found.matched_bits == 2  # 0 to 3 spikes
    # 3.7 * (2/32)^2 + 0.9 * 2/32 pJ
    assert found.bit_matched_pj == pytest.approx(1100 * (3.7 / 256 + 0.9 / 16))


@pytest.mark.parametrize("zeros", [-0.1, 1.1, float("nan")])
def test_a_share_outside_zero_to_one_is_refused(zeros):
    with pytest.raises(analysis.InputError, match="zero activations from 0 to 1"):
        counterpart(RUN, zeros=zeros)


@pytest.mark.parametrize(
    ("ours", "other", "expected"),
    [
        (1.0, 2.0, "cheaper in counted operations under eq17: 0.5 times B"),
        (3.0, 2.0, "dearer in counted operations under eq17: 1.5 times B"),
        (2.0, 2.0, "as dear in counted operations under eq17 as B"),
        (2.0, 0.0, "dearer in counted operations under eq17: B costs nothing"),
    ],
)
def test_a_comparison_speaks_of_counted_operations(ours, other, expected):
    assert comparison(ours, other, other="B", under="eq17") == expected


def test_a_mac_without_a_price_leaves_the_counterpart_unpriced():
    prices = technology("45nm-fp32")
    unpriced = replace(prices, operations={"ac": prices.operations["ac"]})
    assert counterpart(RUN).energy_pj(unpriced) is None


def test_the_counterpart_of_the_cifar_network_has_the_macs_of_its_layers():
    model = gac.build("msresnet18-cifar", classes=100, steps=2, encoder="gac")
    found = counterpart(analysis.analyze(model, [torch.zeros(1, 3, 32, 32)]).run)
    stem, head = 3 * 64 * 9 * 32 * 32, 512 * 100
    # A stage doubles channels and, but for the first, halves the picture: all convolutions cost
    # the same, the first of each stage (3) half of that, its shortcut an eighteenth.
    conv = 128 * 128 * 9 * 32 * 32
    assert found.dense_macs == stem + 13 * conv + 3 * conv // 2 + 3 * conv // 18 + head
