"""All counts of a run: sums over what ran, as exact integers, in memory that does not grow.

A total adds up what every execution did. Figures by step and by sample are attributions beside
it: they add up to the total, or they are not there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from torch import Tensor

from analysis.counting.labels import Counts
from analysis.counting.origins import NeuronPlace
from analysis.counting.products import Side
from analysis.counting.series import MomentSums, Series
from analysis.counting.sites import (
    Call,
    PassLog,
    SiteLog,
    SpikeLog,
    Turns,
    by_turn,
    calls_of,
    standing,
    without_refuted,
)
from analysis.counting.values import Levels, kind_of, unit_of, widen
from analysis.records import (
    RATE_BINS,
    Constant,
    ElementwiseRecord,
    LayerShape,
    Moments,
    NeuronDetail,
    NeuronRecord,
    Origin,
    SampleCount,
    SiteKey,
    SiteRecord,
    Work,
    moment_column,
)

Quantity = Literal["operand", "other", "pairs", "operand nonzeros", "other nonzeros"]
Place = tuple[str, int]  # a neuron layer and its call


def _joined(known: Origin, levels: Levels, new: Origin, new_levels: Levels) -> Origin:
    """One origin from two: zeros alone do not say where they come from."""
    if kind_of(levels) == "silent" or known == new:
        return new
    return known if kind_of(new_levels) == "silent" else "current"


@dataclass
class SiteTally:
    """What one weight operation has done so far.

    Attributes:
        levels, origins, elements, upstream: One entry per activation that goes in.
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
        self.histogram.update(side.histogram or {})
        self.level_synops.update(side.level_synops or {})

    def stand(self, steps: int) -> None:
        """Takes in for how many steps one execution of a pass stands."""
        self.stands_for = steps if self.stands_for in (None, steps) else 1

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

    def record(self, samples: int, steps: int, units: Mapping[Place, float | None]) -> SiteRecord:
        """Everything so far; ``units``: the value of one spike of each neuron layer."""
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
            origin=self.origins[side] if side < len(self.origins) else "current",
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

    def _unit(self, side: int, units: Mapping[Place, float | None]) -> float | None:
        """The value of one spike: as the neuron layers upstream say, else by the values."""
        found = {units.get(place) for place in self.upstream[side]}
        if self.origins[side] == "spikes" and len(found) == 1 and None not in found:
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


MOST_OF_NEURONS = 4096  # levels of a neuron layer's output that are kept apart
_FINE = 2**20  # amounts are held in parts this fine, as whole numbers


class Ledger:
    """All counts of a run.

    Args:
        steps: Simulation steps T.
        keep_samples: Whether to keep the counts of every sample.
    """

    def __init__(self, steps: int, *, keep_samples: bool) -> None:
        self.steps = steps
        self.sites: dict[SiteKey, SiteTally] = {}
        self.neurons: dict[Place, NeuronTally] = {}
        self.work: Counter[tuple[str, Work, int]] = Counter()  # with the steps it stands for
        self.constants: dict[SiteKey, int] = {}
        self.uncounted: Counter[str] = Counter()
        self.ran: set[str] = set()  # modules that did something with weights
        self.broken = 0  # batches whose outputs were not all finite
        self.samples = 0
        self.divided = True  # whether the sample of every count is known
        self.moments = MomentSums()
        self.before: dict[Place, tuple[Place, ...]] = {}  # neuron layers upstream of neuron layers
        self._refuted: set[str] = set()
        self.last: dict[str, Counts] = {}  # by sample, of the last pass
        self._keep = keep_samples

    def add(
        self,
        log: PassLog,
        samples: int,
        turns: Turns | None,
        constants: frozenset[SiteKey],
        constant_work: frozenset[Hashable],
    ) -> None:
        """Adds one forward pass.

        Args:
            log: What ran.
            samples: How many went in.
            turns: The loop over the steps that it was, if it was one.
            constants: Weight operations that no sample has a part in; they are kept apart.
            constant_work: Elementwise work that no sample has a part in; it is left out.
        """
        stands = standing(log, self.steps)
        folded = [s for s in log.sites if s.rows.free and s.key in constants]
        self.constants |= {site.key: site.counted.dense for site in folded}
        ran = [site for site in log.sites if not (site.rows.free and site.key in constants)]
        if log.refuted:
            ran, log.spikes = without_refuted(ran), without_refuted(log.spikes)
        for site in calls_of(by_turn(ran, turns, self.steps)):
            self._add_site(site, samples, stands)
        for neuron in calls_of(by_turn(log.spikes, turns, self.steps)):
            self._add_neuron(neuron, samples)
        self._add_work(log, turns, stands, constant_work)
        self.uncounted |= log.uncounted  # the most in a forward pass, whatever the batches
        self.ran |= log.ran
        self.before |= log.before
        series = self.series()
        self.last = {name: one.batch for name, one in series.items() if one.batch is not None}
        self.divided = self.divided and all(one.known for one in series.values())
        if self.divided:
            self.moments.add(samples, series)
        for one in (*series.values(), *(n.outputs for n in self.neurons.values())):
            one.end_batch(self.samples)
        self.samples += samples

    def _add_work(
        self,
        log: PassLog,
        turns: Turns | None,
        stands: frozenset[int],
        constant_work: frozenset[Hashable],
    ) -> None:
        seen: Counter[Hashable] = Counter()
        # In a loop, what is done in later turns is done at every step already.
        again = {(w.site, w.work) for w in log.work if w.began and turns is not None}
        for work in log.work:
            place = (work.site, work.work)
            if work.free:
                seen[place] += 1
                if (*place, seen[place] - 1) in constant_work:
                    continue
            stays = work.once and work.once <= stands and place not in again
            self.work[*place, self.steps if stays else 1] += work.elements

    def _add_site(self, call: Call[SiteLog], samples: int, stands: frozenset[int]) -> None:
        first = call.logs[0]
        tally = self._tally(call.key, first)
        for log in call.logs:
            sides = _sides(log)
            for quantity, series in tally.series.items():
                counts = _counts(log, quantity)
                series.add(
                    int(counts.sum()), log.rows.fold(counts, samples, self.steps), self.steps
                )
            tally.see([side.levels for side in sides], _origins(log), _upstream(log))
            tally.dense_macs += log.counted.dense
            tally.inside_macs += log.counted.inside
            tally.mixes = tally.mixes or log.rows.steps == "mixed"
            for position, side in enumerate(sides):
                tally.elements[position] += side.elements
            tally.see_levels(sides[0])
            ran = log.rows.executions(samples)
            tally.executions += samples if ran is None else int(ran.sum())
            times = self.steps if log.number in stands else 1
            self.work[call.key.name, "bias", times] += log.biased_outputs
        alone = len(call.logs) == 1 and first.rows.steps == "none" and first.number in stands
        tally.stand(self.steps if alone else 1)
        tally.static = tally.static and self._is_static(call, alone=alone)

    def _is_static(self, call: Call[SiteLog], *, alone: bool) -> bool:
        """Whether the input was the same at all T steps, or one execution stands for them."""
        if self.steps == 1 or alone:
            return True
        first, *others = call.logs
        if not others:
            return isinstance(first.rows.steps, Tensor) and first.same
        return len(call.logs) == self.steps and all(log.same for log in others)

    def _tally(self, key: SiteKey, log: SiteLog) -> SiteTally:
        if key not in self.sites:
            sides = len(_sides(log))
            quantities: list[Quantity] = ["operand", "operand nonzeros"]
            if sides == 2:
                quantities += ["other", "other nonzeros", "pairs"]
            self.sites[key] = SiteTally(
                key=key,
                op=log.op,
                origins=_origins(log),
                weights=log.weights,
                shape=log.shape,
                levels=[frozenset()] * sides,
                elements=[0] * sides,
                upstream=[()] * sides,
                series={quantity: Series(self._keep) for quantity in quantities},
            )
        return self.sites[key]

    def _add_neuron(self, call: Call[SpikeLog], samples: int) -> None:
        place = (call.key.name, call.key.call)
        if place not in self.neurons:
            self.neurons[place] = NeuronTally(
                *place, Series(self._keep), Series(self._keep), Series(self._keep)
            )
        for log in call.logs:
            self.neurons[place].add(log, samples, self.steps)

    def merge(self, other: Ledger) -> None:
        """Adds what another process counted; its samples come after those that are here."""
        for series in other.series().values():
            series.come_after(self.samples)
        for key, site in other.sites.items():
            if key in self.sites:
                self.sites[key].merge(site)
            else:
                self.sites[key] = site
        for place, neuron in other.neurons.items():
            if place in self.neurons:
                self.neurons[place].merge(neuron)
            else:
                self.neurons[place] = neuron
        self.work.update(other.work)
        self.constants |= other.constants
        self.uncounted |= other.uncounted
        self.ran |= other.ran
        self.before |= other.before
        self.broken += other.broken
        self.samples += other.samples
        self.divided = self.divided and other.divided
        self.moments.merge(other.moments)

    def changed(self) -> dict[str, str]:
        """Sites that read spikes at one time and something else at another: what they read."""
        kinds = {key: kind_of(tally.levels[0]) for key, tally in self.sites.items()}
        return {
            str(key): kind
            for key, kind in kinds.items()
            if self.sites[key].was_binary and kind != "spike"
        }

    def drop_neurons(self, sites: Iterable[str]) -> None:
        """Forgets layers that turned out to be no neurons."""
        self._refuted = set(sites)
        self.neurons = {k: v for k, v in self.neurons.items() if k[0] not in self._refuted}

    def _real(self, places: Iterable[Place]) -> list[Place]:
        """Neuron layers, those that turned out to be none replaced by the ones before them."""
        found: dict[Place, None] = {}
        waiting, seen = list(places), set[Place]()
        while waiting:
            place = waiting.pop(0)
            if place[0] not in self._refuted:
                found[place] = None
            elif place not in seen:
                seen.add(place)
                waiting += self.before.get(place, ())
        return list(found)

    def records(self) -> Iterator[SiteRecord]:
        """Every site; in a loop over steps, the neuron layers upstream go by their first call."""
        calls = Counter(site for site, _ in self.neurons)
        units = {place: tally.unit for place, tally in self.neurons.items()}
        for tally in self.sites.values():
            tally.upstream = [tuple(self._real(side)) for side in tally.upstream]
            known = (place for side in tally.upstream for place in side)
            first = {
                place: (place[0], place[1] % calls[place[0]]) for place in known if calls[place[0]]
            }
            named = {place: units.get(key) for place, key in first.items()}
            record = tally.record(self.samples, self.steps, named)
            keys = (first.get((key.name, key.call)) for key in record.upstream)
            upstream = dict.fromkeys(SiteKey(name=k[0], call=k[1]) for k in keys if k)
            yield replace(record, upstream=tuple(upstream))

    def work_records(self) -> tuple[ElementwiseRecord, ...]:
        """All elementwise work."""
        return tuple(
            ElementwiseRecord(site=site, work=work, elements=elements, stands_for=times)
            for (site, work, times), elements in self.work.items()
            if elements
        )

    def constant_records(self) -> tuple[Constant, ...]:
        """The weight operations that no sample has a part in."""
        return tuple(Constant(key=key, macs=macs) for key, macs in self.constants.items())

    def sample_counts(self) -> tuple[SampleCount, ...]:
        """The counts of every sample, in the order they ran."""
        sites = [
            c for tally in self.sites.values() for c in tally.samples(self.samples, self.steps)
        ]
        neurons = (tally.samples(self.samples, self.steps) for tally in self.neurons.values())
        return (*sites, *neurons)

    def final_moments(self) -> Moments:
        """The moments under their final names; none where a count's samples are not known."""
        if not self.divided:
            return Moments(columns=(), mean=(), scatter=())
        return self.moments.moments(self.columns())

    def _tallies(self) -> list[SiteTally | NeuronTally]:
        return [*self.neurons.values(), *self.sites.values()]

    def columns(self) -> dict[str, tuple[str, float]]:
        """Final names and units of the moments' columns, by the names used while counting."""
        found: dict[str, tuple[str, float]] = {}
        for tally in self._tallies():
            found |= tally.columns()
        return found

    def series(self) -> dict[str, Series]:
        """Everything that varies from sample to sample, by the name it has while counting."""
        found: dict[str, Series] = {}
        for tally in self._tallies():
            found |= tally.running()
        return found


def _sides(log: SiteLog) -> list[Side]:
    counted = log.counted
    return [counted.operand] + ([counted.other] if counted.other else [])


def _origins(log: SiteLog) -> list[Origin]:
    """One per side; attention probabilities that nobody sees are a current."""
    hidden: list[Origin] = ["current"] * (len(_sides(log)) - len(log.origins))
    return [*hidden, *log.origins]


def _upstream(log: SiteLog) -> list[tuple[NeuronPlace, ...]]:
    hidden: list[tuple[NeuronPlace, ...]] = [()] * (len(_sides(log)) - len(log.upstream))
    return [*hidden, *log.upstream]


def _counts(log: SiteLog, quantity: Quantity) -> Tensor:
    """One quantity of one execution, per row."""
    counted, other = log.counted, log.counted.other
    rows: dict[Quantity, Tensor | None] = {
        "operand": counted.operand.synops,
        "operand nonzeros": counted.operand.nonzeros,
        "other": other.synops if other else None,
        "other nonzeros": other.nonzeros if other else None,
        "pairs": counted.pairs,
    }
    counts = rows[quantity]
    if counts is None:
        raise TypeError(f"{log.key} was a product of two activations once and is none now")
    return counts
