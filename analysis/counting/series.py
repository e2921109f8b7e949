"""One quantity over batches: its exact total, who it belongs to, and how it varies over samples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from analysis.counting.labels import Counts
from analysis.records import Moments


@dataclass
class Series:
    """One quantity over batches: its total, and where it belongs as far as that is known."""

    keep: bool
    total: int = 0  # a Python integer: data sets may pass 2**63
    by_step: npt.NDArray[np.object_] | None = field(default_factory=lambda: np.zeros(0, object))
    batch: Counts | None = None  # by sample and step, of the batch that is being added
    known: bool = True  # whether the sample of every count is
    kept: list[tuple[int, Counts]] = field(default_factory=list)  # with the first one's number

    def add(self, total: int, counts: Counts | None, steps: int) -> None:
        """Takes in one execution; ``counts`` by sample and step, if that is known."""
        self.total += total
        if counts is None:
            self.known, self.by_step = False, None
            return
        if counts.shape[1] != steps:
            self.by_step = None if steps > 1 else self.by_step
        if self.by_step is not None:
            self.by_step = counts.sum(0, dtype=object) + (self.by_step if len(self.by_step) else 0)
        self.batch = counts if self.batch is None else _added(self.batch, counts)

    def end_batch(self, first: int) -> None:
        """Ends a batch whose first sample has this number."""
        if self.keep and self.batch is not None:
            self.kept.append((first, self.batch))
        self.batch = None

    def totals(self, steps: int) -> tuple[int, ...] | None:
        """Sums over samples, by step; None where that is not known for all of it."""
        if self.by_step is None:
            return None
        return tuple(int(n) for n in self.by_step) if len(self.by_step) else (0,) * steps

    def rows(self, samples: int, steps: int) -> tuple[tuple[int, ...], ...]:
        """The kept counts, one row per sample: zeros for a sample that was never here."""
        width = steps if self.by_step is not None else 1
        table = np.zeros((samples, width), dtype=np.int64)
        for first, counts in self.kept:
            whole = counts if counts.shape[1] == width else counts.sum(1, keepdims=True)
            table[first : first + len(counts)] = whole
        return tuple(map(tuple, table.tolist()))

    def come_after(self, samples: int) -> None:
        """Numbers the kept samples anew: so many of other processes go before them."""
        self.kept = [(samples + first, counts) for first, counts in self.kept]

    def merge(self, other: Series) -> None:
        """Takes in what another process counted."""
        self.total += other.total
        self.known = self.known and other.known
        if self.by_step is None or other.by_step is None:
            self.by_step = None
        elif len(other.by_step):
            self.by_step = other.by_step + (self.by_step if len(self.by_step) else 0)
        self.kept += other.kept


def _added(known: Counts, new: Counts) -> Counts:
    """Counts by sample of two executions together; by step as well if both have steps."""
    if known.shape != new.shape:
        known, new = known.sum(1, keepdims=True), new.sum(1, keepdims=True)
    return known + new


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

    def _grow(self, names: Iterable[str]) -> None:
        new = [name for name in names if name not in self._columns]
        self._columns += new
        self._mean = np.pad(self._mean, (0, len(new)))
        self._scatter = np.pad(self._scatter, (0, len(new)))

    def moments(self, final: Mapping[str, tuple[str, float]]) -> Moments:
        """Everything so far of some columns, under their final names and in their final units."""
        keep = [i for i, name in enumerate(self._columns) if name in final]
        names = [final[self._columns[i]][0] for i in keep]
        units = np.array([final[self._columns[i]][1] for i in keep])
        scatter = self._scatter[np.ix_(keep, keep)] / np.outer(units, units)
        return Moments(
            columns=tuple(names),
            mean=tuple((self._mean[keep] / units).tolist()),
            scatter=tuple(tuple(row) for row in scatter.tolist()),
        )
