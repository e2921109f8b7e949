"""Sums of counts over batches: exact integers, in memory that does not grow with the data."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from torch import Tensor

from analysis.counting.operands import Levels, kind_of, widen
from analysis.records import Moments, NeuronRecord, Origin, SampleCount, SiteKey, SiteRecord

Counts = npt.NDArray[np.int64]  # (samples, steps); (samples, 1) where steps are mixed


def exact(counts: Tensor) -> Counts:
    """Whole numbers held in float64 (exact below 2**53) as int64."""
    return counts.cpu().numpy().astype(np.int64)


@dataclass
class Series:
    """One quantity, counted per sample and step."""

    keep: bool
    batch: Counts | None = None
    by_step: npt.NDArray[np.object_] | int = 0  # Python integers: data sets may pass 2**63
    kept: list[Counts] = field(default_factory=list)

    def add(self, counts: Counts) -> None:
        """Takes in the counts of one batch."""
        self.batch = counts
        self.by_step = self.by_step + counts.sum(0, dtype=object)
        if self.keep:
            self.kept.append(counts)

    def totals(self) -> tuple[int, ...]:
        """Sums over samples, by step."""
        return tuple(int(n) for n in np.atleast_1d(self.by_step))

    def rows(self) -> tuple[tuple[int, ...], ...]:
        """The kept counts, one row per sample."""
        return tuple(tuple(int(n) for n in row) for counts in self.kept for row in counts)


@dataclass
class SiteTally:
    """What one weight operation has done so far, as if it had run at every step."""

    key: SiteKey
    op: str
    origin: Origin
    spans: bool
    synops: Series
    nonzeros: Series
    levels: Levels = frozenset()
    static: bool = True
    executed_steps: int = 0
    repeats: int = 1
    dense_macs: int = 0
    inside_macs: int = 0
    elements: int = 0

    def see(self, levels: Levels, *, origin: Origin, static: bool) -> None:
        """Takes in what one execution says of the operand; kinds only ever widen."""
        self.levels = widen(self.levels, levels)
        self.static = self.static and static
        if self.origin != origin:
            self.origin = "current"

    def record(self) -> SiteRecord:
        """Everything so far."""
        by_step = self.synops.totals()
        return SiteRecord(
            key=self.key,
            op=self.op,
            operand=kind_of(self.levels),
            origin=self.origin,
            static=self.static and not self.spans,
            executed_steps=self.executed_steps,
            repeats=self.repeats,
            dense_macs=self.dense_macs,
            inside_macs=self.inside_macs,
            synops=sum(by_step),
            nonzeros=sum(self.nonzeros.totals()),
            elements=self.elements,
            synops_by_step=None if self.spans else by_step,
        )

    def samples(self) -> SampleCount:
        """The exact synops of every sample, by step."""
        return SampleCount(kind="site", key=self.key, counts=self.synops.rows())


@dataclass
class NeuronTally:
    """What one spiking neuron layer has done so far."""

    site: str
    call: int
    neurons: int
    spikes: Series

    def record(self) -> NeuronRecord:
        """Everything so far."""
        return NeuronRecord(
            site=self.site,
            call=self.call,
            neurons=self.neurons,
            spikes_by_step=self.spikes.totals(),
        )

    def samples(self) -> SampleCount:
        """The exact spikes of every sample, by step."""
        key = SiteKey(name=self.site, call=self.call)
        return SampleCount(kind="neuron", key=key, counts=self.spikes.rows())


class MomentSums:
    """Mean and scatter of counts over samples, merged batch by batch (Chan et al., 1983)."""

    def __init__(self) -> None:
        self._columns: list[str] = []
        self._samples = 0
        self._mean = np.zeros(0)
        self._scatter = np.zeros((0, 0))

    def add(self, samples: int, series: dict[str, Series]) -> None:
        """Takes in one batch; a column that was never seen before was 0 until now."""
        self._grow([name for name in series if name not in self._columns])
        values = np.zeros((samples, len(self._columns)))
        for position, name in enumerate(self._columns):
            batch = series[name].batch
            values[:, position] = 0 if batch is None else batch.sum(1)
        mean = values.mean(0)
        deviations, shift = values - mean, mean - self._mean
        total = self._samples + samples
        self._scatter += deviations.T @ deviations
        self._scatter += np.outer(shift, shift) * (self._samples * samples / total)
        self._mean += shift * (samples / total)
        self._samples = total

    def _grow(self, new: list[str]) -> None:
        self._columns += new
        self._mean = np.pad(self._mean, (0, len(new)))
        self._scatter = np.pad(self._scatter, (0, len(new)))

    def moments(self) -> Moments:
        """Everything so far."""
        return Moments(
            columns=tuple(self._columns),
            mean=tuple(self._mean.tolist()),
            scatter=tuple(tuple(row) for row in self._scatter.tolist()),
        )
