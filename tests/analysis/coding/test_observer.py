"""The observer of the first t steps, and gates, on codes whose content is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from analysis.coding import (
    accuracies,
    gate_quantities,
    information_by_step,
    readout_hits,
    steps_for_share,
    steps_within,
)
from analysis.errors import InputError
from gac.attention import Gate
from gac.config import CIFAR_NEURON
from gac.neurons import LIF


def code_of(labels, steps, told_at, classes=4):
    """One neuron per class; the right one fires from step ``told_at`` (from 1) on."""
    trains = np.zeros((len(labels), steps, classes), int)
    for sample, label in enumerate(labels):
        trains[sample, told_at - 1 :, label] = 1
    return trains


def test_the_read_out_knows_the_class_from_the_step_it_is_told():
    labels = np.arange(80) % 4
    found = accuracies(readout_hits(code_of(labels, steps=4, told_at=3), labels))
    assert [round(estimate.value, 3) for estimate in found[2:]] == [1, 1]
    assert all(estimate.value < 0.5 for estimate in found[:2])
    assert found[3].low == pytest.approx(80 / (80 + 1.96**2), abs=1e-3)  # Wilson at 100 %


def test_the_read_out_is_held_out_so_noise_is_at_chance():
    labels = np.arange(200) % 4
    noise = np.random.default_rng(0).integers(0, 2, (200, 2, 500))
    for estimate in accuracies(readout_hits(noise, labels)):
        assert estimate.value == pytest.approx(0.25, abs=0.1)


def test_the_read_out_sees_times_not_only_counts():
    labels = np.arange(80) % 2
    trains = np.zeros((80, 2, 1), int)
    trains[np.arange(80), labels] = 1  # one spike each, early or late
    assert readout_hits(trains, labels)[:, 1].all()


def test_information_grows_with_the_steps():
    labels = np.arange(64) % 4
    found = information_by_step(code_of(labels, steps=3, told_at=2)[None])
    assert found[0] == 0
    assert found[1] == pytest.approx(found[2])
    assert steps_for_share(found) == 2


@pytest.mark.parametrize(
    ("values", "share", "within"),
    [
        ([1.0], 1, 1),
        ([0.94, 0.95, 1.0], 2, 3),
        ([0.2, 0.9951, 1.0], 2, 2),
        ([0.2, 0.9949, 1.0], 2, 3),
        ([0.5, 0.5, 0.4], 1, 1),
    ],
)
def test_the_smallest_steps_by_hand(values, share, within):
    assert steps_for_share(values) == share
    assert steps_within(values) == within


def test_without_any_information_no_step_has_a_share_of_it():
    assert steps_for_share([0.0, 0.0]) is None


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: steps_within([]), "expected one number per step"),
        (lambda: steps_for_share([0.1, np.nan]), "expected one number per step"),
        (
            lambda: readout_hits(np.zeros((6, 2, 1)), [0, 0, 0, 0, 0, 1]),
            "needs 5 samples of every class, got 1 of one",
        ),
        (lambda: readout_hits(np.full((2, 2, 1), 0.3), [0, 1]), "hold 0 and 1 only, got 0.3"),
    ],
)
def test_what_cannot_be_observed_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_gate_quantities_by_hand():
    odds = np.array([[[1.0, -1.0], [2.0, -2.0]]])  # (1, T=2, N=2), rank 1
    spikes = np.array([[[1, 1], [1, 0]]])
    found = gate_quantities(odds, spikes)
    assert found.rank == 1
    assert found.closed.value == 0.5  # the second neuron, at both steps
    assert found.gated_off.value == pytest.approx(1 / 3)
    one, two = 1 / (1 + np.exp(-1)), 1 / (1 + np.exp(-2))
    assert found.variation.value == pytest.approx((two - one) / 2)
    assert gate_quantities([[[1.0, 0.0], [0.0, 1.0]]], spikes).rank == 2
    imagenet = gate_quantities(odds, spikes, threshold=0.5, decay=0.25)
    assert imagenet.closed.value == 0.5  # closed below 0.375: sigmoid(-1) = 0.269


def test_a_dead_temporal_attention_closes_the_gate_of_a_neuron_with_threshold_1():
    odds, spikes = np.zeros((2, 3, 4)), np.ones((2, 3, 4))
    found = gate_quantities(odds, spikes)
    assert (found.rank, found.closed.value, found.gated_off.value) == (0, 1, 1)
    assert (found.variation.value, found.spread) == (0, 0)
    gated = torch.full((2, 50, 4), 0.5)
    assert LIF(CIFAR_NEURON)(gated).sum() == 0


def test_a_closed_gate_stops_whatever_comes_and_an_open_one_a_steady_input_not():
    torch.manual_seed(0)
    gate = torch.rand(1, 1, 500)
    fired = LIF(CIFAR_NEURON)(gate.expand(1, 60, 500)).any(1).flatten().numpy()
    odds = torch.logit(gate.double()).expand(1, 60, 500)
    found = gate_quantities(odds, np.ones((1, 60, 500)))
    assert found.gated_off.value == pytest.approx(1 - fired.mean())


def test_the_gate_of_the_networks_has_rank_one_in_float32_too():
    torch.manual_seed(0)
    gate = Gate(6, 8, 4, 2)
    gate.temporal.squeeze.weight.data.abs_()
    with torch.no_grad():
        odds = gate.log_odds(torch.rand(3, 1, 8, 8, 8))
    assert gate_quantities(odds, torch.ones_like(odds)).rank == 1


@pytest.mark.parametrize(
    ("odds", "spikes", "message"),
    [
        (np.zeros((1, 1, 2)), np.ones((1, 1, 2)), "needs at least 2 steps, got 1"),
        (np.zeros((1, 2, 2)), np.ones((1, 2, 3)), "the shapes differ"),
        (np.zeros((1, 2, 2)), np.full((1, 2, 2), 2.0), "hold 0 and 1 only, got 2"),
        (np.full((1, 2, 2), np.inf), np.ones((1, 2, 2)), "expected finite numbers"),
        (np.zeros((0, 2, 2)), np.ones((0, 2, 2)), "an empty batch"),
    ],
)
def test_what_is_no_gate_is_refused(odds, spikes, message):
    with pytest.raises(InputError, match=message):
        gate_quantities(odds, spikes)


def test_without_spikes_no_share_of_them_is_gated_off():
    assert np.isnan(gate_quantities(np.ones((1, 2, 1)), np.zeros((1, 2, 1))).gated_off.value)
