"""All counts of a run: sums over what ran, as exact integers, in memory that does not grow.

A total adds up what every execution did. Figures by step and by sample are attributions beside
it: they add up to the total, or they are not there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from torch import Tensor

from analysis.counting.labels import Counts
from analysis.counting.origins import NeuronPlace
from analysis.counting.products import Side
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
from analysis.counting.tallies import MomentSums, NeuronTally, Place, Quantity, Series, SiteTally
from analysis.counting.values import Levels, are_events, kind_of, read_values, unit_of, widen
from analysis.records import (
    Constant,
    ElementwiseRecord,
    InputKind,
    InputRecord,
    Moments,
    Origin,
    SampleCount,
    SiteKey,
    SiteRecord,
    Work,
)


@dataclass
class InputTally:
    """What one input of the model has held so far.

    Attributes:
        is_floating: Whether it came as real numbers; whole ones may be names of something.
        levels, nonzeros, elements: Of its values.
    """

    is_floating: bool = True
    levels: Levels = frozenset()
    nonzeros: int = 0
    elements: int = 0

    def add(self, values: Tensor) -> None:
        """Takes in one batch."""
        self.is_floating = self.is_floating and values.is_floating_point()
        numbers = values if values.is_floating_point() else values.double()
        reading = read_values(numbers.reshape(len(values), -1))
        self.levels = widen(self.levels, reading.levels)
        self.nonzeros += int(reading.nonzeros.sum())
        self.elements += values.numel()

    def merge(self, other: InputTally) -> None:
        """Takes in what another process read."""
        self.is_floating = self.is_floating and other.is_floating
        self.levels = widen(self.levels, other.levels)
        self.nonzeros += other.nonzeros
        self.elements += other.elements

    def record(self, name: str, said: InputKind | None) -> InputRecord:
        """What it is: as somebody says, else as its values over the whole run say."""
        by_values: InputKind = "events" if are_events(self.levels) else "image"
        return InputRecord(
            name=name,
            kind=said or by_values,
            said_by="values" if said is None else "user",
            values=kind_of(self.levels),
            unit=unit_of(self.levels),
            nonzeros=self.nonzeros,
            elements=self.elements,
        )


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
        self.inputs: dict[str, InputTally] = {}
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
            levels = [side.levels for side in sides]
            tally.see(levels, _origins(log), _inputs(log), _upstream(log))
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
                inputs=_inputs(log),
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
        for name, values in other.inputs.items():
            self.inputs.setdefault(name, InputTally()).merge(values)
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

    def input_records(self, said: Mapping[str, InputKind]) -> tuple[InputRecord, ...]:
        """Every input whose numbers are read; they decide what it is, where nobody says so."""
        read = {name for site in self.sites.values() for side in site.inputs for name in side}
        return tuple(
            tally.record(name, said.get(name))
            for name, tally in self.inputs.items()
            if tally.is_floating or name in read
        )

    def records(self, read: Iterable[InputRecord]) -> Iterator[SiteRecord]:
        """Every site; in a loop over steps, the neuron layers upstream go by their first call."""
        by_name = {one.name: one for one in read}
        calls = Counter(site for site, _ in self.neurons)
        units = {place: tally.unit for place, tally in self.neurons.items()}
        for tally in self.sites.values():
            tally.upstream = [tuple(self._real(side)) for side in tally.upstream]
            known = (place for side in tally.upstream for place in side)
            first = {
                place: (place[0], place[1] % calls[place[0]]) for place in known if calls[place[0]]
            }
            named = {place: units.get(key) for place, key in first.items()}
            record = tally.record(self.samples, self.steps, named, by_name)
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


def _inputs(log: SiteLog) -> list[frozenset[str]]:
    hidden = [frozenset[str]()] * (len(_sides(log)) - len(log.inputs))
    return [*hidden, *log.inputs]


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
