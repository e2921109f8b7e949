"""Puts the calls of a forward pass in order and adds them to the sums."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from analysis.counting.calls import Call, calls_of, sites_of
from analysis.counting.dataflow import NeuronPlace
from analysis.counting.operands import kind_of, widen
from analysis.counting.pass_log import PassLog, SiteLog, SpikeLog
from analysis.counting.products import Side
from analysis.counting.rows import Batch
from analysis.counting.series import Counts, MomentSums, Series
from analysis.counting.tally import NeuronTally, Quantity, SiteTally
from analysis.records import Origin, SiteKey, SiteRecord, Work

_NONE = np.zeros((1, 1), dtype=np.int64)  # counts of what did not run


class Ledger:
    """All counts of a run.

    Args:
        keep_samples: Whether to keep the counts of every sample.
    """

    def __init__(self, *, keep_samples: bool) -> None:
        self.sites: dict[SiteKey, SiteTally] = {}
        self.neurons: dict[tuple[str, int], NeuronTally] = {}
        self.work: Counter[tuple[str, Work]] = Counter()
        self.uncounted: Counter[str] = Counter()
        self.ran: set[str] = set()  # modules that did something with weights
        self.broken = 0  # batches whose outputs were not all finite
        self.moments = MomentSums()
        self._keep = keep_samples

    def add(self, log: PassLog, batch: Batch, *, looped: bool | None) -> None:
        """Adds one forward pass; ``looped``: whether the model runs once per step, if known."""
        for series in self._series().values():
            series.batch = None
        for site in sites_of(log.sites, batch, looped=looped):
            self._add_site(site, batch.steps)
        for neuron in calls_of(log.spikes, batch, looped=looped):
            self._add_neuron(neuron, batch.steps)
        for work in log.work:
            repeats = batch.steps if work.serves_all and not looped else 1
            self.work[work.site, work.work] += work.elements * repeats
        self.uncounted |= log.uncounted  # the most in a forward pass, whatever the batches
        self.ran |= log.ran
        self.moments.add(batch.samples, self._series())

    def merge(self, other: Ledger) -> None:
        """Adds what another process counted; its samples come after those that are here."""
        for series in other._series().values():
            series.come_after(self.moments.samples)
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
        self.uncounted |= other.uncounted
        self.ran |= other.ran
        self.broken += other.broken
        self.moments.merge(other.moments)

    def differing(self, other: Ledger) -> int:
        """Samples of the last batch that have other counts in another ledger."""
        mine, theirs = self._batch(), other._batch()
        found: Any = False
        for name in mine.keys() | theirs.keys():
            found = found | (mine.get(name, _NONE) != theirs.get(name, _NONE)).any(1)
        return int(np.sum(found))

    def _batch(self) -> dict[str, Counts]:
        series = self._series().items()
        return {name: one.batch for name, one in series if one.batch is not None}

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
        refuted = set(sites)
        self.neurons = {k: v for k, v in self.neurons.items() if k[0] not in refuted}

    def records(self) -> Iterator[SiteRecord]:
        """Every site; in a loop over steps, the neuron layers upstream go by their first call."""
        calls = Counter(site for site, _ in self.neurons)
        for tally in self.sites.values():
            record = tally.record()
            known = (key for key in record.upstream if calls[key.name])
            keys = (replace(key, call=key.call % calls[key.name]) for key in known)
            yield replace(record, upstream=tuple(dict.fromkeys(keys)))

    def columns(self) -> dict[str, str]:
        """Final names of the moments' columns, by the names used while counting."""
        found = {name: name for name in self._spike_series()}
        for site in self.sites.values():
            found |= site.columns()
        return found

    def _series(self) -> dict[str, Series]:
        found = self._spike_series()
        for site in self.sites.values():
            found |= site.running()
        return found

    def _spike_series(self) -> dict[str, Series]:
        return {f"spikes {site} {call}": n.spikes for (site, call), n in self.neurons.items()}

    def _add_site(self, call: Call[SiteLog], steps: int) -> None:
        first = call.logs[0]
        tally = self._tally(call.key, first)
        serves_all = first.rows.serves_all
        executed = int(_cells(call.logs).any(0).sum())
        same = serves_all or (executed == steps and _same_input(call.logs))
        tally.repeats = steps if serves_all else 1
        tally.executed_steps = executed // tally.repeats
        tally.mixes = tally.mixes or first.rows.mixes
        for quantity in tally.series:
            counts = _sum(_folded(log, quantity) for log in call.logs)
            every_step = np.repeat(counts, tally.repeats, axis=1)
            tally.series[quantity].add(every_step, self.moments.samples)
        for log in call.logs:
            sides = _sides(log)
            tally.see([side.levels for side in sides], _origins(log), _upstream(log))
            tally.static = tally.static and same and log.static
            tally.guessed = tally.guessed or log.rows.guessed
            tally.dense_macs += log.counted.dense * tally.repeats
            tally.inside_macs += log.counted.inside * tally.repeats
            for position, side in enumerate(sides):
                tally.elements[position] += side.elements * tally.repeats
            tally.see_levels(sides[0])
            self.work[call.key.name, "bias"] += log.biased_outputs * tally.repeats

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
                mixes=log.rows.mixes,
                weights=log.weights,
                shape=log.shape,
                levels=[frozenset()] * sides,
                elements=[0] * sides,
                upstream=[()] * sides,
                series={quantity: Series(self._keep) for quantity in quantities},
            )
        return self.sites[key]

    def _add_neuron(self, call: Call[SpikeLog], steps: int) -> None:
        place = (call.key.name, call.key.call)
        counts = _sum(_exact(log.rows.fold(log.counts)) for log in call.logs)
        repeats = steps // counts.shape[1]
        if place not in self.neurons:
            lives = int(_cells(call.logs).sum()) // repeats  # samples and steps of a neuron
            neurons = sum(log.cells for log in call.logs) // lives
            self.neurons[place] = NeuronTally(*place, neurons, Series(self._keep))
        tally = self.neurons[place]
        if call.logs[0].rows.mixes:  # has read the last step too
            counts = np.pad(counts, ((0, 0), (repeats - 1, 0)))
        else:
            counts = np.repeat(counts, repeats, axis=1)
        tally.spikes.add(counts, self.moments.samples)
        for log in call.logs:
            tally.levels = widen(tally.levels, log.levels)
            if log.by_neuron is not None:
                tally.by_neuron = tally.by_neuron + log.by_neuron


def _cells(logs: Sequence[SiteLog] | Sequence[SpikeLog]) -> npt.NDArray[np.bool_]:
    """Which samples at which steps took part, ``(B, T)``."""
    cells: npt.NDArray[np.bool_] = np.any([log.rows.cells for log in logs], axis=0)
    return cells


def _sum(parts: Iterable[Counts]) -> Counts:
    return reduce(np.add, parts)


def _same_input(logs: Sequence[SiteLog]) -> bool:
    """Whether all turns of a loop read the very same values in memory."""
    places = {log.place for log in logs}
    return len(logs) == 1 or (len(places) == 1 and logs[0].counted.other is None)


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


def _folded(log: SiteLog, quantity: Quantity) -> Counts:
    """One quantity of one execution, ``(B, T)`` or ``(B, 1)``."""
    counted = log.counted
    other = counted.other
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
    return _exact(log.rows.fold(counts))


def _exact(counts: Tensor) -> Counts:
    """Whole numbers held in float64 (exact below 2**53) as int64."""
    return counts.cpu().numpy().astype(np.int64)
