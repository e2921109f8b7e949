"""One quantity over batches: exact integers by step, and how it varies over samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from analysis.records import Moments

Counts = npt.NDArray[np.int64]  # (samples, steps); (samples, 1) where steps are mixed


@dataclass
class Series:
    """One quantity, counted per sample and step."""

    keep: bool
    batch: Counts | None = None
    by_step: npt.NDArray[np.object_] | int = 0  # Python integers: data sets may pass 2**63
    kept: list[tuple[int, Counts]] = field(default_factory=list)  # with the first one's number

    def add(self, counts: Counts, first: int) -> None:
        """Takes in the counts of one batch; ``first`` is the number of its first sample."""
        self.batch = counts
        self.by_step = self.by_step + counts.sum(0, dtype=object)
        if self.keep:
            self.kept.append((first, counts))

    def totals(self) -> tuple[int, ...]:
        """Sums over samples, by step."""
        return tuple(int(n) for n in np.atleast_1d(self.by_step))

    def total(self) -> int:
        """The sum over samples and steps."""
        return sum(self.totals())

    def rows(self, samples: int) -> tuple[tuple[int, ...], ...]:
        """The kept counts, one row per sample: zeros for a sample that was never here."""
        table = np.zeros((samples, len(self.totals())), dtype=np.int64)
        for first, counts in self.kept:
            table[first : first + len(counts)] = counts
        return tuple(map(tuple, table.tolist()))

    def come_after(self, samples: int) -> None:
        """Numbers the kept samples anew: so many of other processes go before them."""
        self.kept = [(samples + first, counts) for first, counts in self.kept]

    def merge(self, other: Series) -> None:
        """Takes in what another process counted."""
        self.by_step = self.by_step + other.by_step
        self.kept += other.kept


class MomentSums:
    """Mean and scatter of counts over samples, merged batch by batch (Chan et al., 1983)."""

    def __init__(self) -> None:
        self.samples = 0
        self._columns: list[str] = []
        self._mean = np.zeros(0)
        self._scatter = np.zeros((0, 0))

    def add(self, samples: int, series: Mapping[str, Series]) -> None:
        """Takes in one batch; a column that was never seen before was 0 until now."""
        self._grow(series)
        values = np.zeros((samples, len(self._columns)))
        for position, name in enumerate(self._columns):
            batch = series[name].batch
            values[:, position] = 0 if batch is None else batch.sum(1)
        mean = values.mean(0)
        deviations = values - mean
        self._combine(samples, mean, deviations.T @ deviations)

    def merge(self, other: MomentSums) -> None:
        """Takes in what another process counted."""
        self._grow(other._columns)
        order = [self._columns.index(name) for name in other._columns]
        mean, scatter = np.zeros_like(self._mean), np.zeros_like(self._scatter)
        mean[order] = other._mean
        scatter[np.ix_(order, order)] = other._scatter
        self._combine(other.samples, mean, scatter)

    def _combine(
        self, samples: int, mean: npt.NDArray[np.float64], scatter: npt.NDArray[np.float64]
    ) -> None:
        total, shift = self.samples + samples, mean - self._mean
        if not total:
            return
        self._scatter += scatter + np.outer(shift, shift) * (self.samples * samples / total)
        self._mean += shift * (samples / total)
        self.samples = total

    def _grow(self, names: Mapping[str, Series] | list[str]) -> None:
        new = [name for name in names if name not in self._columns]
        self._columns += new
        self._mean = np.pad(self._mean, (0, len(new)))
        self._scatter = np.pad(self._scatter, (0, len(new)))

    def moments(self, final: Mapping[str, str]) -> Moments:
        """Everything so far, of the columns named in ``final`` under their final names."""
        keep = [i for i, name in enumerate(self._columns) if name in final]
        return Moments(
            columns=tuple(final[self._columns[i]] for i in keep),
            mean=tuple(self._mean[keep].tolist()),
            scatter=tuple(tuple(row) for row in self._scatter[np.ix_(keep, keep)].tolist()),
        )
