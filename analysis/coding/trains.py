"""Spike trains as arrays: checks, symbols, durations, periods, correlation. Needs no torch."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.coding.periods import constant_trains
from analysis.errors import InputError

MOST_STEPS = 62  # a train is one symbol, a 64-bit integer


def as_array(values: Any) -> NDArray[Any]:
    """Numbers as a numpy array, also those of a torch tensor on any device.

    Raises:
        InputError: If there is none, or one is NaN or infinite.
    """
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        if values.is_floating_point() and values.element_size() == 2:
            values = values.float()  # numpy has no bfloat16
        values = values.numpy()
    array = np.asarray(values)
    if array.dtype.kind not in "buif":
        raise InputError(f"expected numbers, got {array.dtype}")
    if not array.size:
        raise InputError(f"nothing to analyse: an empty batch, shape {array.shape}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InputError("expected finite numbers, got NaN or infinity")
    return array


def as_outputs(values: Any, *, steps: int = 1) -> NDArray[Any]:
    """Outputs over time, ``(B, T, *neurons)`` -> ``(B, T, N)``.

    Args:
        values: Any finite numbers.
        steps: The fewest steps that will do.

    Raises:
        InputError: If there are fewer steps or axes, nothing at all, NaN or infinity.
    """
    array = as_array(values)
    if array.ndim < 2:
        raise InputError(f"expected (B, T, *neurons), got shape {array.shape}")
    if array.shape[1] < steps:
        raise InputError(f"needs at least {steps} steps, got {array.shape[1]}: nothing changes")
    return array.reshape(*array.shape[:2], -1)


def as_trains(values: Any, *, steps: int = 1) -> NDArray[np.uint8]:
    """Spike trains, ``(B, T, *neurons)`` -> ``(B, T, N)``, zeros and ones.

    Raises:
        InputError: As `as_outputs`, if a value is neither 0 nor 1, or the steps are too many
            for one symbol.
    """
    array = as_outputs(values, steps=steps)
    if array.shape[1] > MOST_STEPS:
        raise InputError(f"trains of at most {MOST_STEPS} steps, got {array.shape[1]}")
    other = array[(array != 0) & (array != 1)]
    if other.size:
        raise InputError(
            f"spike trains hold 0 and 1 only, got {other[0]:g}; of an encoder with graded "
            "outputs take the trains of the first neuron behind it"
        )
    return array.astype(np.uint8)


def symbols(trains: Any) -> NDArray[Any]:
    """Each train as one number, its first step the lowest bit: ``(B, T, *n)`` -> ``(B, N)``.

    The smallest unsigned type that holds T bits: short ones are sorted several times faster.

    Examples:
        >>> symbols([[[0], [1], [1]]]).tolist()
        [[6]]
    """
    array = as_trains(trains)
    steps = array.shape[1]
    found = np.zeros((array.shape[0], array.shape[2]), np.min_scalar_type(2**steps - 1))
    for step in range(steps):
        found |= array[:, step].astype(found.dtype) << found.dtype.type(step)
    return found


def firing_rate(trains: Any) -> float:
    """Spikes per neuron and step."""
    return float(as_trains(trains).mean())


def dynamic_duration(outputs: Any, tolerance: float = 0.0) -> NDArray[np.int64]:
    """The last step at which each neuron gives out something new: its T_E.

    T_E = max{t : min over s < t of abs(y[t] - y[s]) > tolerance}; the first step counts as new.
    A neuron that always fires or never does has T_E = 1. One under constant current has its
    period n if 1 < n <= T, else 1: direct coding says nothing new after its first spike.

    Args:
        outputs: ``(B, T, *neurons)``, spikes or graded values.
        tolerance: Differences up to this one are none.

    Returns:
        ``(B, N)``, from 1 to T.

    Raises:
        InputError: If there are less than two steps, or anything is not finite.

    Examples:
        >>> dynamic_duration([[[0], [0], [1], [0]]]).tolist()
        [[3]]
    """
    array = as_outputs(outputs, steps=2)
    found = np.ones((array.shape[0], array.shape[2]), np.int64)
    for step in range(1, array.shape[1]):
        found[_is_new(array, step, tolerance)] = step + 1
    return found


def layer_duration(outputs: Any, tolerance: float = 0.0) -> NDArray[np.int64]:
    """T_E of a whole layer: the last step at which some neuron breaks with every earlier state.

    It is no measure of an encoder: a layer is at its old state only if all of its neurons are,
    so that with some thousand neurons of different periods it is T for about anything, noise
    included. `dynamic_duration` is per neuron for that.

    Returns:
        ``(B,)``, from 1 to T.
    """
    array = as_outputs(outputs, steps=2)
    found = np.ones(array.shape[0], np.int64)
    for step in range(1, array.shape[1]):
        distances = np.stack([_apart(array[:, step], array[:, s]).max(1) for s in range(step)])
        found[distances.min(0) > tolerance] = step + 1
    return found


def distinct_states(trains: Any) -> NDArray[np.int64]:
    """How many different states of the whole layer each sample shows over its steps.

    Returns:
        ``(B,)``, from 1 to T.

    Examples:
        >>> distinct_states([[[0, 0], [1, 0], [0, 0]]]).tolist()
        [2]
    """
    return np.array([len(np.unique(steps, axis=0)) for steps in as_trains(trains)])


def train_periods(trains: Any) -> NDArray[np.float64]:
    """The period of each train: n if it fires at exactly n, 2n, ..., inf if never, else NaN.

    Returns:
        ``(B, N)``.

    Examples:
        >>> train_periods([[[0, 0, 1], [1, 0, 1], [0, 0, 0]]]).tolist()
        [[2.0, inf, nan]]
    """
    array = as_trains(trains)
    periodic = symbols(constant_trains(array.shape[1])[:, :, None])[:, 0]
    values = np.append(np.inf, np.arange(1.0, array.shape[1] + 1))
    order = np.argsort(periodic)
    found = symbols(array)
    place = np.searchsorted(periodic[order], found).clip(max=len(order) - 1)
    return np.where(periodic[order][place] == found, values[order][place], np.nan)


def period_shares(trains: Any) -> dict[str, float]:
    """Shares of the trains with each period, of silent ones and of those without a period.

    Examples:
        >>> period_shares([[[0, 0, 1, 1], [1, 0, 1, 0]]])
        {'1': 0.25, '2': 0.25, 'silent': 0.25, 'aperiodic': 0.25}
    """
    periods = train_periods(trains)
    steps = as_trains(trains).shape[1]
    shares = {str(n): float((periods == n).mean()) for n in range(1, steps + 1)}
    return shares | {
        "silent": float(np.isinf(periods).mean()),
        "aperiodic": float(np.isnan(periods).mean()),
    }


def temporal_correlation(trains: Any) -> NDArray[np.float64]:
    """Pearson correlation of the spikes at two steps, over all samples and neurons.

    Returns:
        ``(T, T)``; NaN where nothing, or everything, fires at a step.

    Raises:
        InputError: If there are less than two steps.
    """
    array = as_trains(trains, steps=2)
    flat = array.transpose(1, 0, 2).reshape(array.shape[1], -1).astype(np.float64)
    centred = flat - flat.mean(1, keepdims=True)
    covariance = centred @ centred.T
    scale = np.sqrt(np.diag(covariance))
    with np.errstate(invalid="ignore", divide="ignore"):
        return covariance / np.outer(scale, scale)


def neighbour_correlation(trains: Any) -> float:
    """Mean of `temporal_correlation` over neighbouring steps; NaN without a defined one."""
    neighbours = np.diag(temporal_correlation(trains), k=1)
    known = neighbours[np.isfinite(neighbours)]
    return float(known.mean()) if known.size else float("nan")


def _is_new(array: NDArray[Any], step: int, tolerance: float) -> NDArray[np.bool_]:
    new = np.ones((array.shape[0], array.shape[2]), bool)
    for earlier in range(step):
        new &= _apart(array[:, step], array[:, earlier]) > tolerance
    return new


def _apart(one: NDArray[Any], other: NDArray[Any]) -> NDArray[np.float64]:
    return np.abs(one.astype(np.float64) - other.astype(np.float64))
