"""Closed forms for a leaky integrate-and-fire neuron under constant current.

Our reconstruction of the observer-model analysis: the theorem text of the GAC paper is not
known, and nothing here quotes it.

The neuron is that of the released code, m[t] = decay * m[t-1] * (1 - S[t-1]) + current with
S[t] = 1 where m[t] > threshold (strictly). Assumed throughout: the current is the same at every
step, the membrane starts at 0, the reset is hard (to 0). With a subtractive reset or event data
the periods do not hold. Without a spike m[n] = current * (1 - decay^n) / (1 - decay), so that a
neuron fires at exactly n, 2n, 3n, ... where n is the first step with m[n] > threshold.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.errors import InputError

Reset = Literal["hard", "soft"]

# Currents this close to an interval's end, relatively, are decided in exact arithmetic.
_DOUBTFUL = 1e-9
# No double lies on an end of a period longer than that: the end's denominator is 2 to a power
# above 4,000, which no quotient of three doubles has.
_LONGEST_TIE = 4_000
_DIGITS = 80


def lif_period(current: ArrayLike, threshold: float = 1.0, decay: float = 0.5) -> Any:
    """Steps between the spikes of a neuron under constant current; inf where it is silent.

    Exact for the doubles that come in, also at the ends of the intervals, where a simulation in
    floating point may round across the threshold. The released neurons are (1.0, 0.5) for CIFAR
    and (0.5, 0.25) for ImageNet.

    Args:
        current: Any shape, in units of the membrane.
        threshold: Positive.
        decay: Share of the membrane that survives a step, in (0, 1].

    Returns:
        Whole numbers from 1, or inf: an array in the shape of the current, or a float. Periods
        above 2^53 are rounded to the nearest double.

    Raises:
        InputError: If a current is NaN, or threshold or decay are outside their domain.

    Examples:
        >>> lif_period([1.5, 1.0, 0.6, 0.55, 0.5]).tolist()
        [1.0, 2.0, 3.0, 4.0, inf]
        >>> float(lif_period(0.41, threshold=0.5, decay=0.25))
        2.0
    """
    _check_neuron(threshold, decay)
    currents = np.asarray(current, dtype=np.float64)
    if np.isnan(currents).any():
        raise InputError("the current must be a number, got NaN")
    flat = currents.ravel()
    periods, doubtful = _rounded(flat, threshold, decay)
    for place in np.flatnonzero(doubtful):
        periods[place] = exact_period(float(flat[place]), threshold, decay)
    return periods.reshape(currents.shape)[()]


def exact_period(current: float, threshold: float, decay: float) -> float:
    """The period of one current in rational arithmetic; inf where it never fires."""
    if math.isinf(current):
        return 1.0 if current > 0 else math.inf
    level, bound, kept = Fraction(current), Fraction(threshold), Fraction(decay)
    if level <= bound * (1 - kept):
        return math.inf
    if kept == 1:
        count = bound // level + 1
        return float(count) if count < 2**1023 else math.inf
    rest = 1 - bound * (1 - kept) / level  # fires at the first n with kept^n < rest
    with localcontext() as context:
        context.prec = _DIGITS
        logarithm = (Decimal(rest.numerator) / rest.denominator).ln()
        ratio = logarithm / Decimal(decay).ln()
    first = int(ratio) + 1
    if first > _LONGEST_TIE:
        return float(first)
    candidates = (n for n in range(max(first - 1, 1), first + 2) if kept**n < rest)
    return float(next(candidates))


def period_interval(
    period: int, threshold: float = 1.0, decay: float = 0.5
) -> tuple[Fraction, Fraction | float]:
    """The currents with a given period: above the first number, up to the second and with it.

    Returns:
        Exact ends; the upper one of period 1 is inf.

    Raises:
        InputError: If the period is not at least 1, or the neuron is outside its domain.

    Examples:
        >>> period_interval(3)
        (Fraction(4, 7), Fraction(2, 3))
    """
    _check_neuron(threshold, decay)
    _check_count("period", period)
    if period == 1:
        return Fraction(threshold), math.inf
    return _end(period, threshold, decay), _end(period - 1, threshold, decay)


def silent_threshold(threshold: float = 1.0, decay: float = 0.5) -> Fraction:
    """The largest constant current under which a neuron never fires: threshold * (1 - decay).

    Examples:
        >>> silent_threshold(0.5, 0.25)
        Fraction(3, 8)
    """
    _check_neuron(threshold, decay)
    return Fraction(threshold) * (1 - Fraction(decay))


def alphabet_size(steps: int, reset: Reset = "hard") -> int:
    """How many different spike trains constant currents can make in T steps.

    Hard reset: one per period from 1 to T, and silence. Soft (subtractive) reset: the length of
    the Farey sequence of order T, 1 + sum of Euler's phi(1..T); observed, not proven, for decays
    of 1, 0.5 and 0.25.

    Raises:
        InputError: If there is no step, or the reset is unknown.

    Examples:
        >>> alphabet_size(6), alphabet_size(6, reset="soft"), 2**6
        (7, 13, 64)
    """
    _check_count("steps", steps)
    if reset == "hard":
        return steps + 1
    if reset != "soft":
        raise InputError(f"unknown reset {reset!r}; known: hard, soft")
    coprime = (math.gcd(k, n) == 1 for n in range(1, steps + 1) for k in range(1, n + 1))
    return 1 + sum(coprime)


def max_bits(steps: int, reset: Reset = "hard") -> float:
    """The most bits that one spike train of a constant current can carry, log2 of the alphabet.

    Examples:
        >>> round(max_bits(6), 3)
        2.807
    """
    return math.log2(alphabet_size(steps, reset))


def constant_trains(steps: int) -> NDArray[np.uint8]:
    """All trains of constant currents under a hard reset: silence, then periods 1 to T.

    Returns:
        ``(T + 1, T)``, zeros and ones.

    Examples:
        >>> constant_trains(2).tolist()
        [[0, 0], [1, 1], [0, 1]]
    """
    _check_count("steps", steps)
    times, periods = np.arange(1, steps + 1), np.arange(1, steps + 1)[:, None]
    fires = times % periods == 0
    return np.vstack([np.zeros((1, steps), bool), fires]).astype(np.uint8)


def train_probabilities(
    cdf: Callable[[float], float], steps: int, threshold: float = 1.0, decay: float = 0.5
) -> NDArray[np.float64]:
    """How likely each train of `constant_trains` is under a distribution of currents.

    Args:
        cdf: Probability of a current up to a number; ``cdf(inf)`` is not called.
        steps: Simulation steps T.
        threshold: Of the neuron.
        decay: Of the neuron.

    Returns:
        ``(T + 1,)`` in the order of `constant_trains`; periods above T count as silence.

    Raises:
        InputError: If there is no step, the neuron is outside its domain, or the function
            falls.

    Examples:
        >>> from statistics import NormalDist
        >>> p = train_probabilities(NormalDist().cdf, steps=2)
        >>> [round(float(x), 3) for x in p]
        [0.748, 0.159, 0.094]
    """
    _check_neuron(threshold, decay)
    _check_count("steps", steps)
    ends = [float(_end(n, threshold, decay)) for n in range(1, steps + 1)]
    below = np.array([1.0, *(cdf(end) for end in ends)])
    likely = np.append(below[-1], below[:-1] - below[1:])
    if not (likely >= 0).all():
        raise InputError(f"a cumulative distribution rises from 0 to 1, got {below[::-1]}")
    return likely


def _end(period: int, threshold: float, decay: float) -> Fraction:
    """The current at which the membrane reaches the threshold exactly at step ``period``."""
    kept = Fraction(decay)
    if kept == 1:
        return Fraction(threshold) / period
    return Fraction(threshold) * (1 - kept) / (1 - kept**period)


def _rounded(currents: NDArray[np.float64], threshold: float, decay: float) -> Any:
    """Periods in floating point, and where rounding may have decided."""
    positive = np.where(currents > 0, currents, np.nan)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if decay == 1:
            length = slope = threshold / positive
            doubtful = np.isinf(length)
        else:
            rest = 1 - threshold * (1 - decay) / positive
            length = np.log(rest) / math.log(decay)
            slope = (1 / rest - 1) / -math.log(decay)
            doubtful = np.abs(rest) <= _DOUBTFUL
        # The slope is how far a relative error of the current moves the length.
        doubtful |= np.abs(length - np.round(length)) <= _DOUBTFUL * (1 + np.abs(slope))
    return np.where(np.isfinite(length), np.floor(length) + 1, math.inf), doubtful


def _check_neuron(threshold: float, decay: float) -> None:
    if not (0 < threshold < math.inf):
        raise InputError(f"threshold must be positive and finite, got {threshold}")
    if not (0 < decay <= 1):
        raise InputError(f"decay must lie in (0, 1], got {decay}")


def _check_count(name: str, value: Any) -> None:
    if not isinstance(value, int | np.integer) or value < 1:
        raise InputError(f"{name} must be a whole number from 1, got {value!r}")
