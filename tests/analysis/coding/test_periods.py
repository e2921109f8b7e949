"""R1 and R2: when a neuron fires under constant current, and how many trains there are."""

from __future__ import annotations

import math
from fractions import Fraction
from statistics import NormalDist

import numpy as np
import pytest
import torch

from analysis.coding import (
    alphabet_size,
    constant_trains,
    lif_period,
    max_bits,
    period_interval,
    silent_threshold,
    train_probabilities,
)
from analysis.errors import InputError
from gac.config import CIFAR_NEURON, IMAGENET_NEURON
from gac.neurons import LIF

CIFAR, IMAGENET = (1.0, 0.5), (0.5, 0.25)


def simulated(current, threshold, decay, steps, *, soft=False):
    """Spikes ``(steps, N)`` by stepping the membrane, in whatever numbers come in."""
    membrane, spikes = current * 0, []
    for _ in range(steps):
        membrane = decay * membrane + current
        fired = membrane > threshold
        spikes.append(fired)
        membrane = membrane - threshold * fired if soft else membrane * (1 - fired)
    return np.array(spikes)


def first_spike(spikes):
    return np.where(spikes.any(0), spikes.argmax(0) + 1.0, np.inf)


@pytest.mark.parametrize(("threshold", "decay"), [CIFAR, IMAGENET, (0.7, 0.9), (1.3, 1.0)])
def test_the_closed_form_is_the_simulation_for_60_000_random_currents_each(threshold, decay):
    generator = np.random.default_rng(1)
    current = generator.normal(0, 1.5 * threshold, 60_000)
    steps = 48
    spikes = simulated(current, threshold, decay, steps)
    periods = lif_period(current, threshold, decay)
    times = np.arange(1, steps + 1)[:, None]
    with np.errstate(invalid="ignore"):
        expected = times % np.where(periods <= steps, periods, np.inf) == 0
    assert np.array_equal(spikes, expected)


def test_the_closed_form_is_the_simulation_for_100_000_random_neurons():
    generator = np.random.default_rng(2)
    threshold, decay = generator.uniform(0.1, 3, 1_000), generator.uniform(0.01, 1, 1_000)
    for bound, kept in zip(threshold, decay, strict=True):
        current = generator.uniform(-0.2, 1.5, 100) * bound
        periods = lif_period(current, float(bound), float(kept))
        found = first_spike(simulated(current, bound, kept, 40))
        assert np.array_equal(np.where(periods > 40, np.inf, periods), found)


def test_the_closed_form_is_the_neuron_of_the_networks():
    generator = torch.Generator().manual_seed(3)
    current = torch.randn(20_000, generator=generator, dtype=torch.float64)
    for config in (CIFAR_NEURON, IMAGENET_NEURON):
        spikes = LIF(config)(current.expand(1, 12, -1))[0].numpy() == 1
        periods = lif_period(current.numpy(), config.threshold, config.decay)
        assert np.array_equal(np.where(periods > 12, np.inf, periods), first_spike(spikes))


@pytest.mark.parametrize(
    ("threshold", "decay", "ends"),
    [
        (1.0, 0.5, [1.0, 0.6667, 0.5714, 0.5333, 0.5161, 0.5079]),
        (0.5, 0.25, [0.5, 0.4, 0.3810, 0.3765]),
    ],
)
def test_the_ends_of_the_intervals_are_those_worked_out_by_hand(threshold, decay, ends):
    for period, low in enumerate(ends, start=1):
        below, above = period_interval(period, threshold, decay)
        assert float(below) == pytest.approx(low, abs=5e-5)
        assert above == (
            math.inf if period == 1 else period_interval(period - 1, *(threshold, decay))[0]
        )
    assert period_interval(3) == (Fraction(4, 7), Fraction(2, 3))
    assert silent_threshold(threshold, decay) == threshold * (1 - decay)


@pytest.mark.parametrize(("threshold", "decay"), [CIFAR, IMAGENET, (1.0, 1.0), (0.7, 0.9)])
def test_at_the_very_ends_the_period_is_that_of_rational_arithmetic(threshold, decay):
    exact = (Fraction(threshold), Fraction(decay))
    for period in range(1, 31):
        end = float(period_interval(period, threshold, decay)[0])
        for current in (np.nextafter(end, 0), end, np.nextafter(end, 9)):
            spikes = simulated(np.array([Fraction(float(current))]), *exact, steps=64)
            first = float(np.argmax(spikes[:, 0])) + 1 if spikes.any() else math.inf
            found = lif_period(current, threshold, decay)
            assert found == first or (first == math.inf and found > 64)


def test_a_current_on_an_end_has_the_longer_period_as_the_threshold_is_strict():
    assert lif_period(1.0) == 2
    assert lif_period(np.nextafter(1.0, 2)) == 1
    assert lif_period(0.5) == math.inf
    assert lif_period(0.375, threshold=0.5, decay=0.25) == math.inf
    assert lif_period(0.5, threshold=0.5, decay=0.25) == 2
    assert lif_period(0.4, 0.5, 0.25) == (2 if Fraction(0.4) > Fraction(2, 5) else 3)
    assert lif_period(0.25, threshold=1.0, decay=1.0) == 5  # 4 x 0.25 only reaches it


def test_long_periods_are_exact_too():
    # 0.5 + 2**-53: m[n] = (1 + 2**-52) * (1 - 2**-n) > 1 from n = 53 on
    assert lif_period(0.5 + 2**-53) == 53
    assert lif_period(1e-300, threshold=1.0, decay=1.0) == pytest.approx(1e300)
    assert lif_period(5e-324, threshold=1.0, decay=1.0) == math.inf  # more than a double holds
    # 1 - exp(-n * 1e-9) first exceeds 1 / 1.0000001: n = ln(1e7 + 1) * 1e9
    assert lif_period(1.0000001e-9, 1.0, 1 - 1e-9) == pytest.approx(16.118e9, rel=0.05)


def test_shapes_scalars_and_infinite_currents():
    assert lif_period(2.0).shape == ()
    assert lif_period(np.zeros((2, 0))).shape == (2, 0)
    assert lif_period([[1.5, -1.0], [math.inf, -math.inf]]).tolist() == [[1, math.inf]] * 2
    assert lif_period(torch.tensor([0.6, 2.0]).numpy()).tolist() == [3, 1]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: lif_period([0.5, math.nan]), "the current must be a number, got NaN"),
        (lambda: lif_period(1.0, threshold=0.0), "threshold must be positive and finite, got 0.0"),
        (lambda: lif_period(1.0, decay=1.5), r"decay must lie in \(0, 1\], got 1.5"),
        (lambda: lif_period(1.0, decay=math.nan), r"decay must lie in \(0, 1\], got nan"),
        (lambda: period_interval(0), "period must be a whole number from 1, got 0"),
        (lambda: alphabet_size(0), "steps must be a whole number from 1, got 0"),
        (lambda: alphabet_size(4, reset="none"), "unknown reset 'none'; known: hard, soft"),
        (lambda: constant_trains(1.5), "steps must be a whole number from 1, got 1.5"),
        (lambda: train_probabilities(lambda x: -x, 2), "a cumulative distribution rises"),
    ],
)
def test_what_is_outside_the_domain_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()


@pytest.mark.parametrize(("threshold", "decay"), [CIFAR, IMAGENET])
@pytest.mark.parametrize(
    ("steps", "trains", "bits"), [(2, 3, 1.585), (4, 5, 2.322), (6, 7, 2.807), (8, 9, 3.170)]
)
def test_constant_currents_make_t_plus_1_trains(threshold, decay, steps, trains, bits):
    current = np.random.default_rng(0).normal(0, 1, 200_000)
    seen = np.unique(simulated(current, threshold, decay, steps).T, axis=0)
    assert len(seen) == alphabet_size(steps) == trains
    assert np.array_equal(seen, np.unique(constant_trains(steps), axis=0).astype(bool))
    assert max_bits(steps) == pytest.approx(bits, abs=5e-4)


@pytest.mark.parametrize("decay", [1.0, 0.5, 0.25])
@pytest.mark.parametrize(("steps", "farey"), [(4, 7), (6, 13), (8, 23)])
def test_with_a_subtractive_reset_the_trains_are_as_many_as_farey_fractions(decay, steps, farey):
    current = np.random.default_rng(0).uniform(0, 1.2, 300_000)
    seen = np.unique(simulated(current, 1.0, decay, steps, soft=True).T, axis=0)
    assert len(seen) == alphabet_size(steps, reset="soft") == farey


@pytest.mark.parametrize(
    ("threshold", "decay", "bits", "rates"),
    [
        (1.0, 0.5, [1.06, 1.34, 1.42, 1.44], [0.206, 0.218, 0.220, 0.218]),
        (0.5, 0.25, [1.09, 1.17, 1.17, 1.18], [0.326, 0.330, 0.330, 0.329]),
    ],
)
def test_normal_currents_give_the_listed_entropies_and_rates(threshold, decay, bits, rates):
    for steps, entropy, rate in zip((2, 4, 6, 8), bits, rates, strict=True):
        likely = train_probabilities(NormalDist().cdf, steps, threshold, decay)
        assert likely.sum() == pytest.approx(1)
        assert -(likely * np.log2(likely)).sum() == pytest.approx(entropy, abs=0.01)
        assert likely @ constant_trains(steps).mean(1) == pytest.approx(rate, abs=0.004)
