"""What one site or neuron layer has done so far, in memory that does not grow with the data.

A `Series` is one quantity of it: its exact total, who it belongs to, how it varies over samples.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from analysis.counting.labels import Counts
from analysis.counting.origins import NeuronPlace
from analysis.counting.products import Side
from analysis.counting.sites import SpikeLog
from analysis.counting.values import MOST_OF_NEURONS, Levels, are_events, kind_of, unit_of, widen
from analysis.records import (
    RATE_BINS,
    InputRecord,
    LayerShape,
    Moments,
    NeuronDetail,
    NeuronRecord,
    Origin,
    SampleCount,
    SiteKey,
    SiteRecord,
    moment_column,
)

Quantity = Literal["operand", "other", "pairs", "operand nonzeros", "other nonzeros"]
Place = tuple[str, int]  # a neuron layer and its call
_FINE = 2**20  # amounts are held in parts this fine, as whole numbers


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


def _joined(known: Origin, levels: Levels, new: Origin, new_levels: Levels) -> Origin:
    """One origin from two: zeros alone do not say where they come from."""
    if kind_of(levels) == "silent" or known == new:
        return new
    return known if kind_of(new_levels) == "silent" else "current"


@dataclass
class SiteTally:
    """What one weight operation has done so far.

    Attributes:
        levels, origins, inputs, elements, upstream: One entry per activation that goes in.
        series: Synops counted from either side, pairs of non-zeros, and the non-zeros.
        histogram, level_synops: How often each value of the first activation occurs, and its
            synops, if that was asked for.
        executions: How often it ran, summed over samples.
        stands_for: Steps that one execution stands for, in every pass.
        steps_seen: Whether executions at all steps had equal inputs (static), so far.
    """

    key: SiteKey
    op: str
    origins: list[Origin]
    inputs: list[frozenset[str]]
    weights: tuple[int, int]
    levels: list[Levels]
    elements: list[int]
    upstream: list[tuple[NeuronPlace, ...]]
    series: dict[Quantity, Series]
    shape: LayerShape | None = None
    histogram: Counter[float] = field(default_factory=Counter)
    level_synops: Counter[float] = field(default_factory=Counter)
    static: bool = True
    mixes: bool = False
    executions: int = 0
    stands_for: int | None = None
    dense_macs: int = 0
    inside_macs: int = 0
    was_binary: bool = False  # whether the first activation held 0 and 1, once

    def see(
        self,
        levels: list[Levels],
        origins: list[Origin],
        inputs: list[frozenset[str]],
        upstream: list[tuple[NeuronPlace, ...]],
    ) -> None:
        """Takes in what one execution says of the operands; kinds only ever widen."""
        # Few real values may look two-level; only 0 and 1 are spikes beyond doubt.
        self.was_binary = self.was_binary or levels[0] == frozenset({0.0, 1.0})
        for side, (known, new) in enumerate(zip(self.levels, levels, strict=True)):
            self.origins[side] = _joined(self.origins[side], known, origins[side], new)
            self.inputs[side] |= inputs[side]
            self.levels[side] = widen(known, new)
            self.upstream[side] = tuple(dict.fromkeys((*self.upstream[side], *upstream[side])))

    def see_levels(self, side: Side) -> None:
        """Takes in how often each value of the first activation occurred."""
        self.histogram.update(side.histogram or {})
        self.level_synops.update(side.level_synops or {})

    def stand(self, steps: int) -> None:
        """Takes in for how many steps one execution of a pass stands."""
        self.stands_for = steps if self.stands_for in (None, steps) else 1

    def merge(self, other: SiteTally) -> None:
        """Takes in what another process counted at the same site."""
        self.see(other.levels, other.origins, other.inputs, other.upstream)
        self.was_binary = self.was_binary or other.was_binary
        self.mixes = self.mixes or other.mixes
        self.elements = [a + b for a, b in zip(self.elements, other.elements, strict=True)]
        for quantity, series in other.series.items():
            self.series[quantity].merge(series)
        self.histogram.update(other.histogram)
        self.level_synops.update(other.level_synops)
        self.static = self.static and other.static
        self.executions += other.executions
        self.stand(other.stands_for or 1)
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

    def columns(self) -> dict[str, tuple[str, float]]:
        """Final names of the moments' columns, by the names used while counting."""
        synops, side = self.chosen()
        place = (self.key.name, self.key.index, self.key.call)
        return {
            moment_column(synops, *place): (moment_column("synops", *place), 1.0),
            moment_column(_nonzeros(side), *place): (moment_column("nonzeros", *place), 1.0),
        }

    def running(self) -> dict[str, Series]:
        """Every series under the name it has while counting."""
        place = (self.key.name, self.key.index, self.key.call)
        return {moment_column(name, *place): series for name, series in self.series.items()}

    def record(
        self,
        samples: int,
        steps: int,
        units: Mapping[Place, float | None],
        read: Mapping[str, InputRecord],
    ) -> SiteRecord:
        """Everything so far.

        Args:
            samples: Of the run.
            steps: Simulation steps T.
            units: The value of one spike of each neuron layer.
            read: The inputs of the model, by name.
        """
        quantity, side = self.chosen()
        synops, nonzeros = self.series[quantity], self.series[_nonzeros(side)]
        kinds = [kind_of(levels) for levels in self.levels]
        both = len(kinds) == 2
        one_sided = self.series["operand"] if both and quantity == "pairs" else None
        return SiteRecord(
            key=self.key,
            op=self.op,
            operand="silent" if "silent" in kinds else kinds[side],
            unit=self._unit(side, units),
            other_operand=kinds[1 - side] if both else None,
            other_nonzeros=self.series[_nonzeros(1 - side)].total if both else None,
            other_elements=self.elements[1 - side] if both else None,
            origin=self._origin(side, read),
            static=self.static and not self.mixes,
            executions=self.executions / samples,
            stands_for=self.stands_for or 1,
            mixes_steps=self.mixes,
            dense_macs=self.dense_macs,
            inside_macs=self.inside_macs,
            synops=synops.total,
            one_sided_synops=one_sided.total if one_sided else None,
            nonzeros=nonzeros.total,
            elements=self.elements[side],
            synops_by_step=synops.totals(steps),
            nonzeros_by_step=nonzeros.totals(steps),
            upstream=tuple(SiteKey(name=name, call=call) for name, call in self.upstream[side]),
            weights=self.weights[0],
            zero_weights=self.weights[1],
            levels=self._by_value(self.histogram),
            level_synops=self._by_value(self.level_synops),
            shape=self.shape,
        )

    def _origin(self, side: int, read: Mapping[str, InputRecord]) -> Origin:
        """Where an activation comes from; of an input, what it is or is said to be.

        One input may hold both, as channels: there the values that the site reads decide.
        """
        if side >= len(self.origins):
            return "current"
        found = [read[name] for name in self.inputs[side] if name in read]
        if self.origins[side] != "image" or not found:
            return self.origins[side]
        if all(one.kind == "events" for one in found):
            return "events"
        said = any(one.said_by == "user" and one.kind == "image" for one in found)
        values = self.levels[side]
        seen = are_events(values) and kind_of(values) != "silent"
        return "events" if seen and not said else "image"

    def _unit(self, side: int, units: Mapping[Place, float | None]) -> float | None:
        """The value of one spike: as the neuron layers upstream say, else by the values."""
        found = {units.get(place) for place in self.upstream[side]}
        made = self.origins[side] in ("spikes", "summed-spikes")
        if made and len(found) == 1 and None not in found:
            return found.pop()
        return unit_of(self.levels[side])

    def _by_value(self, counts: Mapping[float, int]) -> dict[str, int] | None:
        """Counts by the values of the first activation, unless it had too many to tell."""
        if self.levels[0] is None:
            return None
        return {repr(value): n for value, n in sorted(counts.items())} or None

    def samples(self, number: int, steps: int) -> tuple[SampleCount, SampleCount]:
        """The exact synops, and non-zero inputs, of every one of so many samples, by step."""
        quantity, side = self.chosen()
        return (
            SampleCount(
                kind="site", key=self.key, counts=self.series[quantity].rows(number, steps)
            ),
            SampleCount(
                kind="input", key=self.key, counts=self.series[_nonzeros(side)].rows(number, steps)
            ),
        )


def _nonzeros(side: int) -> Quantity:
    return "other nonzeros" if side else "operand nonzeros"


@dataclass
class NeuronTally:
    """What one spiking neuron layer has done so far.

    Attributes:
        nonzeros, amounts: Outputs that are not zero, and the sum of their absolute values.
        outputs: Neuron outputs that ran.
        by_neuron: Spikes of every neuron ``(C, *S)``, if asked for; None where sizes differ.
        lives: Samples and steps that every neuron lived through.
    """

    site: str
    call: int
    nonzeros: Series
    amounts: Series
    outputs: Series
    neurons: int = 0
    levels: Levels = frozenset()
    counts: bool = False
    by_neuron: Tensor | int | None = 0  # stays 0 unless asked for
    lives: int = 0

    @property
    def unit(self) -> float | None:
        """The value of one spike; None where the outputs are no multiples of one value."""
        return 1.0 if self.counts else unit_of(self.levels)

    @property
    def counted(self) -> tuple[Series, float]:
        """The series that the spikes are, and the value of one in it.

        Two levels are single spikes, whatever their height; multiples of one value are as many
        spikes; other values are one spike each.
        """
        unit = self.unit
        if unit is None or (not self.counts and len((self.levels or frozenset()) - {0.0}) < 2):
            return self.nonzeros, 1.0
        return self.amounts, unit * _FINE

    def add(self, log: SpikeLog, samples: int, steps: int) -> None:
        """Takes in one output."""
        rows = log.rows
        self.counts = log.counts
        self.levels = widen(self.levels, log.levels, most=MOST_OF_NEURONS)
        fired = rows.fold(log.nonzeros, samples, steps)
        self.nonzeros.add(int(log.nonzeros.sum()), fired, steps)
        if log.amounts is None:  # of one height, if there are any
            height = round(max(log.levels or (0.0,)) * _FINE)
            amounts = None if fired is None else fired * height
            self.amounts.add(int(log.nonzeros.sum()) * height, amounts, steps)
        else:
            fine = (log.amounts * _FINE).round()
            self.amounts.add(int(fine.sum()), rows.fold(fine, samples, steps), steps)
        size = log.outputs // max(rows.number, 1)
        each = torch.full((rows.number,), size, dtype=torch.float64)
        self.outputs.add(log.outputs, rows.fold(each, samples, steps), steps)
        self.neurons = max(self.neurons, size * (rows.number // max(self._cells(rows, samples), 1)))
        if log.by_neuron is not None:
            self._add_detail(log, samples)

    def _cells(self, rows: Any, samples: int) -> int:
        found = rows.executions(samples)
        return samples if found is None else int(found.sum())

    def _add_detail(self, log: SpikeLog, samples: int) -> None:
        known, new = self.by_neuron, log.by_neuron
        if isinstance(known, Tensor) and (new is None or known.shape != new.shape):
            self.by_neuron = None
        if self.by_neuron is not None and new is not None:
            self.by_neuron = self.by_neuron + new
        self.lives += self._cells(log.rows, samples)

    def merge(self, other: NeuronTally) -> None:
        """Takes in what another process counted at the same layer."""
        for series, more in zip(self.series(), other.series(), strict=True):
            series.merge(more)
        mine, theirs = self.by_neuron, other.by_neuron
        fits = isinstance(mine, int) or (
            isinstance(mine, Tensor) and isinstance(theirs, Tensor) and mine.shape == theirs.shape
        )
        self.by_neuron = mine + theirs if fits and mine is not None and theirs is not None else None
        self.neurons = max(self.neurons, other.neurons)
        self.lives += other.lives
        self.counts = self.counts or other.counts
        self.levels = widen(self.levels, other.levels, most=MOST_OF_NEURONS)

    def series(self) -> tuple[Series, Series, Series]:
        """Everything that varies from sample to sample."""
        return self.nonzeros, self.amounts, self.outputs

    def running(self) -> dict[str, Series]:
        """Every series under the name it has while counting."""
        return {
            f"{name} {self.site} {self.call}": series
            for name, series in zip(
                ("fired", "amounts"), (self.nonzeros, self.amounts), strict=True
            )
        }

    def columns(self) -> dict[str, tuple[str, float]]:
        """Final name and unit of the moments' column, by the name used while counting."""
        series, unit = self.counted
        name = "fired" if series is self.nonzeros else "amounts"
        final = moment_column("spikes", self.site, self.call)
        return {f"{name} {self.site} {self.call}": (final, unit)}

    def record(self, steps: int, found_by: Literal["known", "behaviour"]) -> NeuronRecord:
        """Everything so far."""
        series, unit = self.counted
        spikes, outputs = series.totals(steps), self.outputs.totals(steps)
        known = spikes is not None and outputs is not None
        return NeuronRecord(
            site=self.site,
            call=self.call,
            neurons=self.neurons,
            spikes=round(series.total / unit),
            outputs=self.outputs.total,
            spikes_by_step=tuple(round(n / unit) for n in spikes or ()) if known else None,
            outputs_by_step=outputs if known else None,
            found_by=found_by,
            detail=self._detail(unit) if isinstance(self.by_neuron, Tensor) else None,
        )

    def _detail(self, unit: float) -> NeuronDetail:
        one = unit / _FINE if unit != 1.0 else 1.0
        spikes = torch.as_tensor(self.by_neuron).cpu().double() / one
        rates = spikes / max(self.lives, 1)
        bins = (rates * RATE_BINS).long().clamp(max=RATE_BINS - 1)
        return NeuronDetail(
            channels=tuple(round(float(n)) for n in spikes.reshape(len(spikes), -1).sum(1)),
            dead=int((spikes == 0).sum()),
            saturated=int((spikes == self.lives).sum()),
            histogram=tuple(torch.bincount(bins.flatten(), minlength=RATE_BINS).tolist()),
        )

    def samples(self, number: int, steps: int) -> SampleCount:
        """The exact spikes of every one of so many samples, by step."""
        series, unit = self.counted
        rows = tuple(tuple(round(n / unit) for n in row) for row in series.rows(number, steps))
        return SampleCount(kind="neuron", key=SiteKey(name=self.site, call=self.call), counts=rows)
