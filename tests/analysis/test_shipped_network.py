"""The demo's numbers, from other directions: brute force, batch sizes, a repeated stem."""

from __future__ import annotations

import pytest
import torch

import analysis
import gac
from gac.checkpoint import shipped_checkpoint
from gac.data import load_data


@pytest.fixture(scope="module")
def network():
    return gac.load(shipped_checkpoint())


@pytest.fixture(scope="module")
def images(network):
    samples = load_data("digits", preprocessing=network.metadata.preprocessing)
    return torch.stack([samples[i][0] for i in range(24)])


def test_every_count_is_that_of_convolving_non_zero_masks_with_ones(network, images, brute_force):
    sites = analysis.analyze(network.model, [images]).run.sites
    expected = brute_force(network.model, images)
    found = {(s.key.name, s.key.call): s.synops for s in sites}
    assert found == expected


def test_the_batch_size_changes_no_count(network, images):
    model = network.model.double()
    runs = [
        analysis.analyze(model, images.double().split(size), per_sample=True).run
        for size in (1, 7, 24)
    ]
    for run in runs:
        assert run.sites == runs[0].sites
        assert run.neurons == runs[0].neurons
        assert run.elementwise == runs[0].elementwise
        assert run.per_sample == runs[0].per_sample


def test_running_stem_and_gate_at_every_step_changes_no_count(network, images):
    model, still = network.model.double(), images.double()
    clip = still.unsqueeze(1).expand(-1, model.steps, -1, -1, -1)
    once, repeated = (analysis.analyze(model, [x]).run for x in (still, clip))
    assert once.neurons == repeated.neurons
    assert once.at_every_step.elementwise == repeated.at_every_step.elementwise
    for a, b in zip(once.at_every_step.sites, repeated.sites, strict=True):
        assert (a.key, a.synops, a.dense_macs, a.inside_macs, a.static) == (
            b.key, b.synops, b.dense_macs, b.inside_macs, b.static,
        )  # fmt: skip
        assert a.synops_by_step == b.synops_by_step
    executed = {s.key.name: s.executions for s in repeated.sites}
    assert executed["encoder.stem.conv"] == executed["encoder.gate.spatial.conv1"] == model.steps


def test_steps_that_differ_can_not_be_charged_once(network, images):
    clip = torch.stack([images, images.flip(3), images, images], dim=1).to(
        next(network.model.parameters()).dtype
    )
    report = analysis.analyze(network.model, [clip])
    refused = {rule.name: isinstance(e, analysis.InputError) for rule, e in report.side_by_side()}
    assert [name for name, no in refused.items() if no] == ["operand-once", "sew-table"]
