"""Durations, periods and correlation of trains that can be checked by eye."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from analysis.coding import (
    constant_trains,
    distinct_states,
    dynamic_duration,
    firing_rate,
    layer_duration,
    lif_period,
    period_shares,
    temporal_correlation,
    train_periods,
)
from analysis.coding.trains import as_trains, neighbour_correlation, symbols
from analysis.errors import InputError


def trains_of(*rows):
    """One sample whose neurons are the rows: ``(1, T, N)``."""
    return np.array(rows).T[None]


def direct(current, steps):
    """Trains of constant currents ``(B, N)`` by their periods, ``(B, T, N)``."""
    times = np.arange(1, steps + 1)[:, None, None]
    with np.errstate(invalid="ignore"):
        spikes = times % lif_period(current) == 0
    return spikes.swapaxes(0, 1).astype(int)


def test_a_train_is_read_with_its_first_step_as_the_lowest_bit():
    assert symbols(trains_of([1, 0, 0], [0, 0, 1], [1, 1, 1])).tolist() == [[1, 4, 7]]


def test_durations_by_hand():
    found = dynamic_duration(
        trains_of([0, 0, 0, 0], [1, 1, 1, 1], [0, 1, 0, 1], [1, 1, 0, 1], [0, 0, 0, 1])
    )
    assert found.tolist() == [[1, 1, 2, 3, 4]]


def test_the_duration_of_a_direct_coded_neuron_is_its_period_within_t_else_1():
    current = np.random.default_rng(0).normal(0, 1, (50, 400))
    for steps in (2, 4, 6, 8):
        period = lif_period(current)
        expected = np.where(period <= steps, period, 1)
        assert np.array_equal(dynamic_duration(direct(current, steps)), expected)


def test_graded_outputs_that_differ_at_every_spike_last_to_the_last_spike():
    output = trains_of([0.0, 0.6, 0.0, 0.7], [0.3, 0.31, 0.3, 0.3])
    assert dynamic_duration(output).tolist() == [[4, 2]]
    assert dynamic_duration(output, tolerance=0.05).tolist() == [[4, 1]]


def test_the_layer_wide_duration_is_t_for_about_anything_so_it_says_nothing():
    generator = np.random.default_rng(0)
    steps, shape = 6, (5, 6, 2_000)
    noise = (generator.random(shape) < 0.2).astype(int)
    flat = direct(generator.normal(0, 1, (5, 2_000)), steps)
    assert layer_duration(noise).tolist() == layer_duration(flat).tolist() == [steps] * 5
    assert dynamic_duration(flat).mean() < 2 < dynamic_duration(noise).mean()
    assert distinct_states(flat).tolist() == [steps] * 5
    # a single neuron is its own layer
    assert layer_duration(trains_of([0, 1, 0, 1])).tolist() == [2]
    assert distinct_states(trains_of([0, 1, 0, 1])).tolist() == [2]


def test_periods_and_their_shares_by_hand():
    trains = trains_of([1, 1, 1], [0, 1, 0], [0, 0, 1], [0, 0, 0], [1, 0, 0], [0, 1, 1])
    assert np.array_equal(
        train_periods(trains), [[1, 2, 3, np.inf, np.nan, np.nan]], equal_nan=True
    )
    shares = period_shares(trains)
    assert shares == pytest.approx(
        {"1": 1 / 6, "2": 1 / 6, "3": 1 / 6, "silent": 1 / 6, "aperiodic": 2 / 6}
    )


@pytest.mark.parametrize("steps", [1, 2, 7, 20])
def test_every_train_of_a_constant_current_has_its_period(steps):
    trains = constant_trains(steps)[:, :, None]
    assert train_periods(trains)[:, 0].tolist() == [np.inf, *range(1, steps + 1)]


def test_the_correlation_of_steps_is_that_of_numpy():
    trains = (np.random.default_rng(0).random((40, 4, 30)) < 0.3).astype(int)
    trains[:, 1] = trains[:, 0]
    trains[:, 2] = 1 - trains[:, 0]
    found = temporal_correlation(torch.from_numpy(trains))
    expected = np.corrcoef(trains.transpose(1, 0, 2).reshape(4, -1))
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert found[0, 1:3].tolist() == pytest.approx([1, -1])


def test_a_step_without_any_spike_has_no_correlation():
    trains = trains_of([0, 1, 1], [0, 0, 0])
    found = temporal_correlation(trains)
    assert np.isnan(found[0]).all()
    assert found[1, 2] == pytest.approx(1)
    assert neighbour_correlation(trains) == pytest.approx(1)
    assert np.isnan(neighbour_correlation(trains_of([0, 0])))


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.bfloat16, torch.float64])
def test_tensors_of_every_type_are_taken_and_left_as_they_were(dtype):
    trains = torch.tensor([[[0, 1], [1, 1]]]).to(dtype)
    assert firing_rate(trains) == 0.75
    assert trains.dtype == dtype
    assert firing_rate(torch.ones(1, 2, 3, 4, 4, requires_grad=True)) == 1


@pytest.mark.parametrize(
    ("trains", "message"),
    [
        (np.zeros((0, 4, 3)), r"an empty batch, shape \(0, 4, 3\)"),
        (np.zeros(4), r"expected \(B, T, \*neurons\), got shape \(4,\)"),
        (np.full((1, 2, 1), 0.5), "hold 0 and 1 only, got 0.5; of an encoder with graded outputs"),
        (np.full((1, 2, 1), -1), "hold 0 and 1 only, got -1"),
        (np.full((1, 2, 1), np.nan), "expected finite numbers, got NaN or infinity"),
        (np.array([[["a"]]]), "expected numbers, got <U1"),
        (np.zeros((1, 63, 1)), "trains of at most 62 steps, got 63"),
    ],
)
def test_what_is_no_spike_train_is_refused(trains, message):
    with pytest.raises(InputError, match=message):
        as_trains(trains)


@pytest.mark.parametrize(
    "measure", [dynamic_duration, layer_duration, temporal_correlation, neighbour_correlation]
)
def test_one_step_has_no_dynamics(measure):
    with pytest.raises(InputError, match="needs at least 2 steps, got 1: nothing changes"):
        measure(np.zeros((3, 1, 2)))
