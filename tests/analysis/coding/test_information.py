"""Entropy and information on distributions whose values are known, with their bias."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest

from analysis.coding import (
    class_information,
    entropy,
    image_information,
    lif_period,
    neuron_entropy,
    train_entropy,
)
from analysis.errors import InputError

POISSON = 6 * -(0.2 * np.log2(0.2) + 0.8 * np.log2(0.8))  # 4.33 bits at rate 0.2, T = 6


def bits(trains):
    """Whole numbers ``(B, N)`` as trains of 3 steps, ``(B, 3, N)``."""
    return np.stack([trains >> step & 1 for step in range(3)], axis=1)


@pytest.mark.parametrize(
    ("counts", "known"),
    [([1], 0.0), ([2, 2], 1.0), ([1, 1, 2], 1.5), ([4, 2, 1, 1], 1.75), ([1] * 8, 3.0)],
)
def test_the_plug_in_entropy_by_hand_and_what_the_correction_adds(counts, known):
    symbols = np.repeat(np.arange(len(counts)), counts)
    assert entropy(symbols, "none") == pytest.approx(known, abs=1e-12)
    added = (len(counts) - 1) / (2 * sum(counts) * np.log(2))
    assert entropy(symbols) == pytest.approx(known + added, abs=1e-12)


def test_every_column_has_its_own_entropy():
    table = np.array([[0, 5, 1], [0, 5, 2], [0, 7, 3], [0, 7, 4]])
    assert entropy(table, "none").tolist() == [0, 1, 2]
    assert entropy(table.reshape(4, 3, 1), "none").shape == (3, 1)


@pytest.mark.parametrize(("draws", "left"), [(50, 0.04), (100, 0.008), (400, 0.001)])
def test_the_bias_of_few_draws_is_as_predicted_and_mostly_removed(draws, left):
    table = np.random.default_rng(0).integers(0, 16, (draws, 20_000))  # truly 4 bits each
    plug_in, corrected = (float(entropy(table, how).mean()) for how in ("none", "miller-madow"))
    predicted = -15 / (2 * draws * np.log(2))
    assert plug_in - 4 == pytest.approx(predicted, rel=0.15)
    assert abs(corrected - 4) < left
    assert abs(corrected - 4) < 0.2 * abs(plug_in - 4)


def test_the_interval_covers_the_true_entropy_19_times_in_20():
    generator = np.random.default_rng(0)
    likely = np.array([0.5, 0.2, 0.2, 0.1])
    true = float(-(likely * np.log2(likely)).sum())
    inside = 0
    for _ in range(400):
        found = train_entropy(bits(generator.choice(4, (200, 1), p=likely)))
        inside += found.low <= true <= found.high
    assert 0.92 <= inside / 400 <= 0.98


def test_neurons_that_move_together_widen_the_pooled_interval():
    generator = np.random.default_rng(0)
    apart = generator.integers(0, 2, (100, 50))
    together = np.repeat(apart[:, :1], 50, axis=1)
    narrow, wide = (train_entropy(bits(trains)) for trains in (apart, together))
    assert wide.high - wide.low > 3 * (narrow.high - narrow.low)


def test_the_pooled_entropy_of_direct_coding_of_normal_currents_is_the_listed_one():
    current = np.random.default_rng(0).normal(0, 1, (200, 1_000))
    times = np.arange(1, 7)[:, None, None]
    with np.errstate(invalid="ignore"):
        trains = (times % lif_period(current) == 0).swapaxes(0, 1)
    assert train_entropy(trains).value == pytest.approx(1.42, abs=0.01)


def test_pooled_and_per_neuron_entropy_tell_place_from_image():
    place = np.tile(np.arange(8), (200, 1))  # every neuron always says where it stands
    assert train_entropy(bits(place)).value == pytest.approx(3, abs=0.01)
    assert neuron_entropy(bits(place)).value == 0
    image = np.repeat(np.arange(8).repeat(25)[:, None], 8, axis=1)
    assert neuron_entropy(bits(image), "none").value == pytest.approx(3, abs=1e-12)


def test_one_sample_has_no_interval():
    found = train_entropy(bits(np.zeros((1, 5), int)))
    assert found.value == 0
    assert np.isnan(found.low)


def test_poisson_noise_has_4_33_bits_of_nothing():
    noise = (np.random.default_rng(0).random((64, 100, 6, 20)) < 0.2).astype(int)
    assert train_entropy(noise.reshape(-1, 6, 20)).value == pytest.approx(POISSON, abs=0.01)
    found = image_information(noise)
    # Nothing of it is about the image; what is left of the bias, shuffling shows as well.
    assert abs(found.estimate.value) < 0.05
    assert found.estimate.value == pytest.approx(found.shuffled, abs=0.02)


@pytest.mark.parametrize(("rate", "left"), [(0.02, 0.05), (0.08, 0.12), (0.2, 0.25)])
def test_with_32_draws_at_most_this_much_noise_is_taken_for_information(rate, left):
    noise = (np.random.default_rng(0).random((32, 100, 6, 40)) < rate).astype(int)
    assert abs(image_information(noise).estimate.value) < left


def test_without_noise_the_information_is_the_entropy_of_each_neuron():
    trains = bits(np.random.default_rng(0).integers(0, 8, (300, 5)))
    found = image_information(trains[None])
    assert found.estimate == neuron_entropy(trains)
    assert (found.shuffled, found.shuffled_high) == (0, 0)


def test_a_binary_symmetric_channel_passes_what_it_is_known_to_pass():
    generator = np.random.default_rng(1)
    flip = 0.1
    capacity = 1 + flip * np.log2(flip) + (1 - flip) * np.log2(1 - flip)
    sent = np.arange(400) % 2
    received = sent[None, :, None] ^ (generator.random((200, 400, 10)) < flip)
    found = image_information(received[:, :, None, :].astype(int))
    assert found.estimate.value == pytest.approx(capacity, abs=0.01)
    assert found.estimate.low < capacity < found.estimate.high
    labels = np.arange(400) % 2
    about_class = class_information(received[0, :, None, :].astype(int), labels)
    assert about_class.estimate.value == pytest.approx(capacity, abs=0.05)
    assert about_class.shuffled == pytest.approx(0, abs=0.01)


def test_too_few_draws_show_in_the_shuffled_value():
    noise = (np.random.default_rng(0).random((2, 100, 6, 20)) < 0.2).astype(int)
    found = image_information(noise)
    assert found.estimate.value > 1  # all of it bias
    assert found.shuffled == pytest.approx(found.estimate.value, abs=0.05)


def test_trains_that_know_the_class_have_all_of_it_and_shuffled_labels_none():
    labels = np.arange(400) % 4
    trains = bits(np.stack([labels, np.zeros(400, int)], axis=1))
    found = class_information(trains, labels)
    assert found.estimate.value == pytest.approx(1, abs=0.01)  # 2 bits of one neuron of two
    assert found.shuffled == pytest.approx(0, abs=0.01)
    assert found.shuffled_high < 0.02


def test_trains_without_a_clue_are_below_the_shuffled_baseline_about_always():
    generator = np.random.default_rng(0)
    labels = np.arange(300) % 10
    found = class_information(bits(generator.integers(0, 8, (300, 100))), labels)
    assert found.estimate.value <= found.shuffled_high + 0.01
    assert abs(found.shuffled) < 0.05


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: entropy([0.5, 1.0]), "symbols are an array of whole numbers, got float64"),
        (lambda: entropy([]), "an empty batch"),
        (lambda: entropy([1, 2], "jack"), "unknown correction 'jack'; known: miller-madow, none"),
        (lambda: train_entropy(np.full((1, 2, 1), 0.5)), "hold 0 and 1 only, got 0.5"),
        (lambda: image_information(np.zeros((2, 3, 4))), r"expected \(draws, B, T, \*neurons\)"),
        (lambda: image_information(np.zeros((0, 2, 3, 4))), "an empty batch"),
        (
            lambda: class_information(np.zeros((3, 2, 1)), [0, 1]),
            r"expected one whole number per sample, \(3,\), got int64 \(2,\)",
        ),
        (lambda: class_information(np.zeros((2, 2, 1)), [0.0, 1.0]), "one whole number per"),
        (lambda: class_information(np.zeros((2, 2, 1)), [1, 1]), "labels of a single class"),
    ],
)
def test_what_cannot_be_measured_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_entropy_needs_no_normal_distribution_but_agrees_with_one():
    """The estimator against the closed form of R3, from a sample of the same currents."""
    from analysis.coding import train_probabilities

    likely = train_probabilities(NormalDist().cdf, 4)
    current = np.random.default_rng(3).normal(0, 1, 100_000)
    period = lif_period(current)
    found = entropy(np.where(period <= 4, period, 0).astype(int))
    assert found == pytest.approx(float(-(likely * np.log2(likely)).sum()), abs=0.01)
