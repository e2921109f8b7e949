"""Values with their intervals. Needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, stdev

Z95 = 1.959963984540054  # two-sided 95 % quantile of the standard normal distribution


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


def student(degrees: int, level: float = 0.95) -> float:
    """The two-sided quantile of Student's t distribution at a level.

    Example:
        >>> round(student(4), 3)
        2.776
    """
    from scipy.stats import t

    return float(t.ppf((1 + level) / 2, degrees))


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
