"""Everything that is measured on the trains of one encoder, as one record. Needs no torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.code_records import Coding, CodingValue
from analysis.coding.entropies import neuron_entropy, train_entropy
from analysis.coding.gates import gate_quantities
from analysis.coding.information import (
    Information,
    class_information,
    image_information,
    information_by_step,
)
from analysis.coding.observer import accuracies, readout_hits, steps_for_share, steps_within
from analysis.coding.periods import max_bits
from analysis.coding.resampling import jackknife
from analysis.coding.trains import (
    as_array,
    as_trains,
    distinct_states,
    dynamic_duration,
    layer_duration,
    neighbour_correlation,
    period_shares,
)
from analysis.errors import InputError
from analysis.estimates import Estimate

TRAIN = "bits/train"


def measure(
    trains: Any,
    *,
    encoder: str = "encoder",
    labels: Any = None,
    gate: tuple[Any, Any] | None = None,
    threshold: float = 1.0,
    decay: float = 0.5,
    energy_pj: float | None = None,
    priced: str = "",
    layer: int | None = None,
    seed: int = 0,
) -> Coding:
    """Measures the trains of the first neuron behind an encoder.

    Args:
        trains: Zeros and ones, ``(R, B, T, *neurons)``: R independent draws of each of B images;
            R = 1 of a code without noise.
        encoder: Its name.
        labels: Classes of the images, ``(B,)``; without them nothing is said of classes.
        gate: Log-odds of a gate and the spikes it multiplies, both ``(B, T, *neurons)``.
        threshold: Of the neuron behind the encoder.
        decay: Of the same.
        energy_pj: What the encoder spends per image, for the bits per picojoule.
        priced: By what convention and prices, in words.
        layer: Neurons of the whole layer, if the trains are those of some.
        seed: Of shuffles and of the parts of the read-out.

    Raises:
        InputError: If there are less than two steps, or anything given is not what it should be.
    """
    array = as_array(trains)
    if array.ndim < 4:
        raise InputError(f"expected (draws, B, T, *neurons), got shape {array.shape}")
    array = np.stack([as_trains(draw, steps=2) for draw in array])
    if energy_pj is not None and not energy_pj > 0:
        raise InputError(f"energy_pj must be positive, got {energy_pj}")
    draws, samples, steps, neurons = array.shape
    whole = layer or neurons
    values = [
        *_of_spikes(array),
        *_of_information(array, whole, energy_pj, seed),
        *_of_time(array[0]),
    ]
    if labels is not None:
        values += _of_classes(array[0], labels, seed)
    if gate is not None:
        values += _of_gate(gate, threshold, decay)
    return Coding(
        encoder=encoder,
        samples=samples,
        draws=draws,
        steps=steps,
        neurons=neurons,
        layer=whole,
        threshold=threshold,
        decay=decay,
        priced="" if energy_pj is None else priced,
        measured=tuple(values),
    )


def _of_spikes(trains: NDArray[np.uint8]) -> Iterator[CodingValue]:
    steps = trains.shape[2]
    pooled = trains.transpose(1, 0, 3, 2).reshape(trains.shape[1], -1, steps).swapaxes(1, 2)
    rate = jackknife(pooled.mean((1, 2)), lambda rows: float(rows.mean()))
    entropy = train_entropy(pooled)
    yield _value("firing_rate", "spikes/neuron/step", rate)
    yield _value("train_entropy", TRAIN, entropy)
    yield _value("alphabet_use", "of log2(T+1) bits", _scaled(entropy, 1 / max_bits(steps)))
    yield _value("neuron_entropy", TRAIN, neuron_entropy(_one_after_the_other(trains)))


def _of_information(
    trains: NDArray[np.uint8], layer: int, energy_pj: float | None, seed: int
) -> Iterator[CodingValue]:
    steps, spikes = trains.shape[2], float(trains.mean()) * trains.shape[2]
    about = image_information(trains, seed=seed)
    yield from _beside("image_information", about)
    yield _value("information_per_step", "bits/step", _scaled(about.estimate, 1 / steps))
    if spikes:
        yield _value("information_per_spike", "bits/spike", _scaled(about.estimate, 1 / spikes))
    if energy_pj is not None:
        per_pj = _scaled(about.estimate, layer / energy_pj)
        yield _value("information_per_pj", "bits/pJ", per_pj)
    by_step = information_by_step(trains)
    for step, bits in enumerate(by_step, start=1):
        yield CodingValue(quantity="information_up_to", unit=TRAIN, value=bits, step=step)
    needed = steps_for_share(by_step)
    if needed is not None:
        yield CodingValue(quantity="steps_for_95_percent", unit="steps", value=needed)


def _of_time(trains: NDArray[np.uint8]) -> Iterator[CodingValue]:
    for name, found in (
        ("dynamic_duration", dynamic_duration(trains).mean(1)),
        ("layer_duration", layer_duration(trains)),
        ("distinct_states", distinct_states(trains)),
    ):
        yield _value(name, "steps", jackknife(found, lambda rows: float(rows.mean())))
    correlation = neighbour_correlation(trains)
    if np.isfinite(correlation):
        yield CodingValue(quantity="neighbour_correlation", unit="1", value=correlation)
    for period, share in period_shares(trains).items():
        yield CodingValue(quantity=f"period_{period}", unit="of trains", value=share)


def _of_classes(trains: NDArray[np.uint8], labels: Any, seed: int) -> Iterator[CodingValue]:
    yield from _beside("class_information", class_information(trains, labels, seed=seed))
    found = accuracies(readout_hits(trains, labels, seed=seed))
    for step, accuracy in enumerate(found, start=1):
        yield _value("readout_accuracy", "of samples", accuracy, step)
    needed = steps_within([accuracy.value for accuracy in found])
    yield CodingValue(quantity="steps_within_half_point", unit="steps", value=needed)


def _of_gate(gate: tuple[Any, Any], threshold: float, decay: float) -> Iterator[CodingValue]:
    found = gate_quantities(*gate, threshold=threshold, decay=decay)
    yield CodingValue(quantity="gate_rank", unit="1", value=found.rank)
    yield _value("gate_closed", "of neurons and steps", found.closed)
    if np.isfinite(found.gated_off.value):
        yield _value("gated_off_spikes", "of spikes", found.gated_off)
    yield _value("gate_variation", "1", found.variation)
    yield CodingValue(quantity="gate_spread", unit="1", value=found.spread)


def _beside(name: str, about: Information) -> Iterator[CodingValue]:
    """An information and what is found of it after shuffling."""
    yield _value(name, TRAIN, about.estimate)
    yield CodingValue(
        quantity=f"{name}_shuffled", unit=TRAIN, value=about.shuffled, high=about.shuffled_high
    )


def _one_after_the_other(trains: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """All draws as samples, those of one image together: ``(R, B, T, N)`` -> ``(B*R, T, N)``."""
    return trains.swapaxes(0, 1).reshape(-1, *trains.shape[2:])


def _value(quantity: str, unit: str, found: Estimate, step: int | None = None) -> CodingValue:
    low, high = (None if np.isnan(end) else float(end) for end in (found.low, found.high))
    return CodingValue(
        quantity=quantity, unit=unit, value=float(found.value), low=low, high=high, step=step
    )


def _scaled(found: Estimate, factor: float) -> Estimate:
    return Estimate(found.value * factor, found.low * factor, found.high * factor)
