"""Values with their intervals. Needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import cos, pi, sin, sqrt, tan
from statistics import NormalDist, fmean, stdev

Z95 = 1.959963984540054  # two-sided 95 % quantile of the standard normal distribution
_FEW = 1000  # degrees of freedom up to which the distribution is summed exactly


@dataclass(frozen=True)
class Estimate:
    """A value and its 95 % interval over samples (none from a single sample)."""

    value: float
    low: float = float("nan")
    high: float = float("nan")


def proportion(part: int, whole: int) -> Estimate:
    """A proportion with its 95 % Wilson interval.

    Example:
        >>> found = proportion(9, 10)
        >>> found.value, round(found.low, 3), round(found.high, 3)
        (0.9, 0.596, 0.982)
    """
    z2 = Z95**2
    share = part / whole
    centre = (share + z2 / (2 * whole)) / (1 + z2 / whole)
    spread = sqrt(z2 * (share * (1 - share) / whole + z2 / (4 * whole**2))) / (1 + z2 / whole)
    return Estimate(share, centre - spread, centre + spread)


def mean_interval(mean: float, variance: float, number: int) -> Estimate:
    """A mean with its 95 % interval, normal approximation; never below 0, as counts are."""
    margin = Z95 * sqrt(variance / number)
    return Estimate(mean, max(mean - margin, 0.0), mean + margin)  # NaN stays NaN


@cache
def student(degrees: int, level: float = 0.95) -> float:
    """The two-sided quantile of Student's t distribution at a level.

    Args:
        degrees: Of freedom, at least 1.
        level: Between 0 and 1, both excluded.

    Example:
        >>> round(student(4), 3)
        2.776
    """
    if degrees > _FEW:
        return _by_expansion(degrees, level)
    low, high = 0.0, pi / 2  # the angle atan(t / sqrt(degrees)): its share rises from 0 to 1
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if _within(middle, degrees) > level else (middle, high)
    return sqrt(degrees) * tan((low + high) / 2)


def _by_expansion(degrees: int, level: float) -> float:
    """The same for many degrees, off by less than 1e-9 of it at levels up to 0.9999.

    Source: Abramowitz and Stegun, 26.7.5.
    """
    z = NormalDist().inv_cdf((1 + level) / 2)
    return (
        z
        + (z**3 + z) / (4 * degrees)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * degrees**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * degrees**3)
    )


def _within(angle: float, degrees: int) -> float:
    """The probability that T lies within ± sqrt(degrees) tan(angle): a sum of `degrees / 2` terms.

    Source: Abramowitz and Stegun, Handbook of Mathematical Functions (1964), 26.7.3 and 26.7.4.
    """
    odd, square = degrees % 2, cos(angle) ** 2
    term = total = cos(angle) if odd else 1.0
    for k in range(2 + odd, degrees, 2):
        term *= square * (k - 1) / k
        total += term
    if not odd:
        return sin(angle) * total
    return (angle + sin(angle) * (total if degrees > 1 else 0.0)) * 2 / pi


def mean_of_few(values: Sequence[float], level: float = 0.95) -> Estimate:
    """The mean of a few numbers, such as one per training seed, with its t interval.

    Args:
        values: Independent of each other.
        level: Of the interval.

    Example:
        >>> found = mean_of_few([1.0, 2.0, 3.0])
        >>> found.value, round(found.high, 3)
        (2.0, 4.484)
    """
    mean = fmean(values)
    if len(values) < 2:
        return Estimate(mean)
    reach = student(len(values) - 1, level) * stdev(values) / sqrt(len(values))
    return Estimate(mean, mean - reach, mean + reach)
