"""Intervals by leaving samples out. Needs no torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.estimates import Estimate, student

MOST_BLOCKS = 20


def jackknife(rows: NDArray[Any], statistic: Callable[..., float], labels: Any = None) -> Estimate:
    """A statistic of samples and its 95 % interval, by leaving out blocks of samples.

    The samples are taken in the order they come; at most 20 blocks. Normal approximation with
    the t quantile of the blocks; no interval from fewer than two samples.

    Args:
        rows: One entry per sample.
        statistic: Of such rows, and of their labels if there are any.
        labels: One per sample.
    """

    def apply(chosen: NDArray[np.bool_] | slice) -> float:
        return (
            statistic(rows[chosen]) if labels is None else statistic(rows[chosen], labels[chosen])
        )

    value = apply(slice(None))
    blocks = min(MOST_BLOCKS, len(rows))
    if blocks < 2:
        return Estimate(value)
    block = np.arange(len(rows)) % blocks
    without = np.array([apply(block != k) for k in range(blocks)])
    error = float(np.sqrt((blocks - 1) / blocks * ((without - without.mean()) ** 2).sum()))
    reach = student(blocks - 1) * error
    return Estimate(value, value - reach, value + reach)
