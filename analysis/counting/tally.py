"""Sums of counts over batches: exact integers, in memory that does not grow with the data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from analysis.counting.dataflow import NeuronPlace
from analysis.counting.operands import Levels, kind_of, widen
from analysis.counting.products import Side
from analysis.records import (
    RATE_BINS,
    LayerShape,
    Moments,
    NeuronDetail,
    NeuronRecord,
    OperandKind,
    Origin,
    SampleCount,
    SiteKey,
    SiteRecord,
    moment_column,
)

Counts = npt.NDArray[np.int64]  # (samples, steps); (samples, 1) where steps are mixed
Quantity = Literal["operand", "other", "pairs", "operand nonzeros", "other nonzeros"]


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


def _joined(known: Origin, levels: Levels, new: Origin, new_levels: Levels) -> Origin:
    """One origin from two: zeros alone do not say where they come from."""
    if kind_of(levels) == "silent" or known == new:
        return new
    return known if kind_of(new_levels) == "silent" else "current"


@dataclass
class SiteTally:
    """What one weight operation has done so far, as if it had run at every step.

    Attributes:
        levels, origins, elements, upstream: One entry per activation that goes in.
        series: Synops counted from either side, pairs of non-zeros, and the non-zeros.
        histogram, level_synops: How often each value of the first activation occurs, and its
            synops, if that was asked for.
    """

    key: SiteKey
    op: str
    origins: list[Origin]
    mixes: bool
    weights: tuple[int, int]
    levels: list[Levels]
    elements: list[int]
    upstream: list[tuple[NeuronPlace, ...]]
    series: dict[Quantity, Series] = field(default_factory=dict)
    histogram: Counter[float] = field(default_factory=Counter)
    level_synops: Counter[float] = field(default_factory=Counter)
    static: bool = True
    guessed: bool = False
    executed_steps: int = 0
    repeats: int = 1
    dense_macs: int = 0
    inside_macs: int = 0
    shape: LayerShape | None = None
    kinds: set[OperandKind] = field(default_factory=set)  # of the first activation, by execution

    def see(
        self,
        levels: list[Levels],
        origins: list[Origin],
        upstream: list[tuple[NeuronPlace, ...]],
    ) -> None:
        """Takes in what one execution says of the operands; kinds only ever widen."""
        for side, (known, new) in enumerate(zip(self.levels, levels, strict=True)):
            self.origins[side] = _joined(self.origins[side], known, origins[side], new)
            self.kinds |= {kind_of(new)} if not side else set()
            self.levels[side] = widen(known, new)
            self.upstream[side] = tuple(dict.fromkeys((*self.upstream[side], *upstream[side])))

    def see_levels(self, side: Side) -> None:
        """Takes in how often each value of the first activation occurred."""
        for known, new in (
            (self.histogram, side.histogram),
            (self.level_synops, side.level_synops),
        ):
            for value, times in (new or {}).items():
                known[value] += times * self.repeats

    def merge(self, other: SiteTally) -> None:
        """Takes in what another process counted at the same site."""
        self.see(other.levels, other.origins, other.upstream)
        self.kinds |= other.kinds
        self.mixes = self.mixes or other.mixes
        self.elements = [a + b for a, b in zip(self.elements, other.elements, strict=True)]
        for quantity, series in other.series.items():
            self.series[quantity].merge(series)
        self.histogram.update(other.histogram)
        self.level_synops.update(other.level_synops)
        self.static, self.guessed = self.static and other.static, self.guessed or other.guessed
        self.dense_macs += other.dense_macs
        self.inside_macs += other.inside_macs

    def chosen(self) -> tuple[Quantity, int]:
        """Which count are the synops, and which activation (0 or 1) the operand is.

        Of two activations: both spikes, the pairs of non-zeros; one, its non-zeros times their
        fan-out; none, the pairs again (what hardware that skips zeros would multiply).
        """
        if len(self.levels) == 1:
            return "operand", 0
        first, second = (kind_of(x) in ("silent", "spike", "ternary") for x in self.levels)
        if first == second:
            return "pairs", 0
        return ("operand", 0) if first else ("other", 1)

    def columns(self) -> dict[str, str]:
        """Final names of the moments' columns, by the names used while counting."""
        synops, side = self.chosen()
        place = (self.key.name, self.key.index, self.key.call)
        return {
            moment_column(synops, *place): moment_column("synops", *place),
            moment_column(self._nonzeros(side), *place): moment_column("nonzeros", *place),
        }

    def _nonzeros(self, side: int) -> Quantity:
        return "other nonzeros" if side else "operand nonzeros"

    def _by_value(self, counts: Mapping[float, int]) -> dict[str, int] | None:
        """Counts by the values of the first activation, unless it had too many to tell."""
        if self.levels[0] is None:
            return None
        return {repr(value): n for value, n in sorted(counts.items())} or None

    def running(self) -> dict[str, Series]:
        """Every series under the name it has while counting."""
        place = (self.key.name, self.key.index, self.key.call)
        return {moment_column(name, *place): series for name, series in self.series.items()}

    def record(self) -> SiteRecord:
        """Everything so far."""
        quantity, side = self.chosen()
        synops, nonzeros = self.series[quantity], self.series[self._nonzeros(side)]
        kinds = [kind_of(levels) for levels in self.levels]
        both = len(kinds) == 2
        one_sided = self.series["operand"] if both and quantity == "pairs" else None
        return SiteRecord(
            key=self.key,
            op=self.op,
            operand="silent" if "silent" in kinds else kinds[side],
            other_operand=kinds[1 - side] if both else None,
            origin=self.origins[side] if side < len(self.origins) else "current",
            static=self.static and not self.mixes,
            executed_steps=self.executed_steps,
            repeats=self.repeats,
            dense_macs=self.dense_macs,
            inside_macs=self.inside_macs,
            synops=synops.total(),
            one_sided_synops=one_sided.total() if one_sided else None,
            nonzeros=nonzeros.total(),
            elements=self.elements[side],
            synops_by_step=None if self.mixes else synops.totals(),
            nonzeros_by_step=None if self.mixes else nonzeros.totals(),
            upstream=tuple(SiteKey(name=name, call=call) for name, call in self.upstream[side]),
            weights=self.weights[0],
            zero_weights=self.weights[1],
            levels=self._by_value(self.histogram),
            level_synops=self._by_value(self.level_synops),
            layout_guessed=self.guessed,
            shape=self.shape,
        )

    def samples(self, number: int) -> tuple[SampleCount, SampleCount]:
        """The exact synops, and non-zero inputs, of every one of so many samples, by step."""
        quantity, side = self.chosen()
        rows = self.series[quantity].rows(number)
        inputs = self.series[self._nonzeros(side)].rows(number)
        return (
            SampleCount(kind="site", key=self.key, counts=rows),
            SampleCount(kind="input", key=self.key, counts=inputs),
        )


@dataclass
class NeuronTally:
    """What one spiking neuron layer has done so far."""

    site: str
    call: int
    neurons: int
    spikes: Series
    levels: Levels = frozenset()
    by_neuron: Tensor | int = 0  # (C, *S), stays 0 unless asked for

    def merge(self, other: NeuronTally) -> None:
        """Takes in what another process counted at the same layer."""
        self.spikes.merge(other.spikes)
        self.by_neuron = self.by_neuron + other.by_neuron
        self.levels = widen(self.levels, other.levels)

    def record(self, cells: int, found_by: Literal["known", "behaviour"]) -> NeuronRecord:
        """Everything so far; ``cells`` are the samples x steps that each neuron lived through."""
        return NeuronRecord(
            site=self.site,
            call=self.call,
            neurons=self.neurons,
            spikes_by_step=self.spikes.totals(),
            found_by=found_by,
            detail=self._detail(cells) if isinstance(self.by_neuron, Tensor) else None,
        )

    def _detail(self, cells: int) -> NeuronDetail:
        spikes = torch.as_tensor(self.by_neuron).cpu().double()
        rates = spikes / cells
        bins = (rates * RATE_BINS).long().clamp(max=RATE_BINS - 1)
        return NeuronDetail(
            channels=tuple(int(n) for n in spikes.reshape(len(spikes), -1).sum(1)),
            dead=int((spikes == 0).sum()),
            saturated=int((spikes == cells).sum()),
            histogram=tuple(torch.bincount(bins.flatten(), minlength=RATE_BINS).tolist()),
        )

    def samples(self, number: int) -> SampleCount:
        """The exact spikes of every one of so many samples, by step."""
        key = SiteKey(name=self.site, call=self.call)
        return SampleCount(kind="neuron", key=key, counts=self.spikes.rows(number))


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
