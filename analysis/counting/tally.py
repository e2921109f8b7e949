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
from analysis.counting.series import Series
from analysis.records import (
    RATE_BINS,
    LayerShape,
    NeuronDetail,
    NeuronRecord,
    Origin,
    SampleCount,
    SiteKey,
    SiteRecord,
    moment_column,
)

Counts = npt.NDArray[np.int64]  # (samples, steps); (samples, 1) where steps are mixed
Quantity = Literal["operand", "other", "pairs", "operand nonzeros", "other nonzeros"]


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
    was_binary: bool = False  # whether the first activation held 0 and 1, once

    def see(
        self,
        levels: list[Levels],
        origins: list[Origin],
        upstream: list[tuple[NeuronPlace, ...]],
    ) -> None:
        """Takes in what one execution says of the operands; kinds only ever widen."""
        # Few real values may look two-level; only 0 and 1 are spikes beyond doubt.
        self.was_binary = self.was_binary or levels[0] == frozenset({0.0, 1.0})
        for side, (known, new) in enumerate(zip(self.levels, levels, strict=True)):
            self.origins[side] = _joined(self.origins[side], known, origins[side], new)
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
        self.was_binary = self.was_binary or other.was_binary
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
