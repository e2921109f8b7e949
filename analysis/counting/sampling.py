"""When a run has seen enough samples: looks at fixed counts, at a level shared by all of them.

Stopping where an interval happens to be narrow misleads the more, the more often one looks. So
the looks are fixed before the run, after 64, 128, 256, ... samples and at the end of the data,
each at the level 1 - 0.05 / looks (Bonferroni): together they hold the truth with 95 %.
"""

from __future__ import annotations

from collections.abc import Sized
from dataclasses import dataclass
from math import inf, sqrt

from analysis.counting.totals import Ledger
from analysis.errors import InputError
from analysis.estimates import student
from analysis.records import Sampling

FIRST_LOOK = 64
AT_MOST = 2**22  # of data that does not say how much it is
_ALPHA = 0.05


@dataclass(frozen=True)
class Until:
    """How narrow an interval ends a run.

    Attributes:
        target: Half of the interval's width over the mean, such as 0.01 for 1 %.
        at_most: Samples there are; the run ends with them. It fixes the number of looks.
    """

    target: float
    at_most: int = AT_MOST

    def __post_init__(self) -> None:
        if not 0 < self.target < 1:
            raise InputError(f"a run ends at a share between 0 and 1, 0.01 say, not {self.target}")
        if self.at_most < 1:
            raise InputError(f"a run needs at least 1 sample, not {self.at_most}")

    @property
    def looks(self) -> tuple[int, ...]:
        """Numbers of samples after which the interval is looked at, such as 64, 128, 200."""
        doubled = (FIRST_LOOK << k for k in range((self.at_most - 1).bit_length()))
        return (*(n for n in doubled if n < self.at_most), self.at_most)


def until_of(until: float | Until | None, batches: object) -> Until | None:
    """An `Until` from its target; a `DataLoader` says how many samples there are."""
    if until is None or isinstance(until, Until):
        return until
    data = getattr(batches, "dataset", None)
    return Until(until, (len(data) if isinstance(data, Sized) else 0) or AT_MOST)


class Stopping:
    """The looks of one run; the quantity is the total synops per sample."""

    def __init__(self, until: Until) -> None:
        self._until = until
        self._due = list(until.looks)
        self._planned = len(self._due)
        self._level = 1 - _ALPHA / self._planned
        self._seen = self._used = 0
        self._last = 0.0, inf  # mean, half of the width

    def enough(self, ledger: Ledger, *, end: bool = False) -> bool:
        """Whether a run may stop here; ``end``: the data ends, so the next look is taken now."""
        samples = ledger.samples
        due = bool(self._due) and samples >= self._due[0]
        return (due or (end and samples > self._seen)) and self.look(samples, *_spread(ledger))

    def look(self, samples: int, mean: float, variance: float) -> bool:
        """Whether the interval is narrow enough, or this was the last look that was planned.

        Args:
            samples: How many were run so far; looks that were passed at once are one.
            mean: Of the quantity over samples.
            variance: The same, with samples - 1 as divisor.
        """
        self._due = [count for count in self._due if count > samples]
        self._seen, self._used = samples, self._used + 1
        freedom = samples - 1
        width = student(freedom, self._level) * sqrt(variance / samples) if freedom else inf
        self._last = mean, width
        return self._reached or not self._due

    @property
    def _reached(self) -> bool:
        mean, width = self._last
        return mean > 0 and width <= self._until.target * mean

    def record(self) -> Sampling:
        """What came of it, with the interval of the last look."""
        mean, width = self._last
        known = width < inf
        return Sampling(
            target=self._until.target,
            looks_planned=self._planned,
            looks_used=self._used,
            level=self._level,
            mean=mean,
            low=mean - width if known else None,
            high=mean + width if known else None,
            reached=self._reached,
        )


def _spread(ledger: Ledger) -> tuple[float, float]:
    """Mean and variance over samples of the synops of all sites."""
    moments = ledger.final_moments()
    synops = [i for i, name in enumerate(moments.columns) if name.startswith("synops ")]
    scatter = max(0.0, sum(moments.scatter[i][j] for i in synops for j in synops))
    return sum(moments.mean[i] for i in synops), scatter / max(ledger.samples - 1, 1)
