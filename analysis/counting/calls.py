"""Which executions of one forward pass are one site: those of a loop belong together."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import numpy as np

from analysis.counting.pass_log import PassLog, SiteLog, SpikeLog
from analysis.counting.rows import Batch
from analysis.records import SiteKey

Log = TypeVar("Log", SiteLog, SpikeLog)


@dataclass(frozen=True)
class Call(Generic[Log]):
    """Executions that are one call of a site or neuron layer: one, or one per turn of a loop.

    Attributes:
        key: Of the site; in a loop its call counts within one turn.
        logs: In the order they ran.
    """

    key: SiteKey
    logs: list[Log]


def calls_of(logs: Sequence[Log], batch: Batch, *, looped: bool | None) -> list[Call[Log]]:
    """Puts the executions of a forward pass together to calls, in the order these began.

    Executions at one place are turns of a loop as long as they share no sample and step.

    Args:
        logs: Of all places.
        batch: What ran.
        looped: Whether the model runs once per step; None where nobody knows.
    """
    places: dict[tuple[str, int], list[Log]] = defaultdict(list)
    for log in logs:
        places[log.key.name, log.key.index].append(log)
    found = []
    for turns in places.values():
        groups = _together(_by_step(turns, batch.steps, looped))
        alone = len(groups) == len(turns)
        for call, group in enumerate(groups):
            key = group[0].key if alone else replace(group[0].key, call=call)
            found.append(Call(key, group))
    began = {log.key: position for position, log in reversed(list(enumerate(logs)))}
    return sorted(found, key=lambda call: began[call.logs[0].key])


def sites_of(logs: list[SiteLog], batch: Batch, *, looped: bool | None) -> list[Call[SiteLog]]:
    """The same for weight operations, of which one module call may do several in a loop.

    Those get the index they have within a step. Turns of a loop read the same weights, or none.
    """
    inside: dict[tuple[str, int], list[SiteLog]] = defaultdict(list)
    for log in logs:
        inside[log.key.name, log.key.call].append(log)
    calls = Counter(name for name, _ in inside)
    numbered: dict[SiteKey, SiteLog] = {}
    for (name, _), group in inside.items():
        if len(group) >= batch.steps > 1:
            alone = calls[name] % batch.steps > 0
            numbered |= _numbered(group, batch.steps, looped, alone=alone)
    return calls_of([numbered.get(log.key, log) for log in logs], batch, looped=looped)


def _numbered(
    logs: Sequence[SiteLog], steps: int, looped: bool | None, *, alone: bool
) -> dict[SiteKey, SiteLog]:
    """The executions of one module call under the index they have within a step.

    Args:
        logs: In the order they ran.
        steps: T.
        looped: As for `calls_of`.
        alone: Whether the module is not called in a loop over the steps itself.
    """
    by_weights: dict[Hashable, list[SiteLog]] = defaultdict(list)
    for log in logs:
        by_weights[log.weight_place].append(log)
    found = {log.key: log for log in logs}
    for weights, turns in by_weights.items():
        several = len({log.rows.at for log in turns} - {None}) > 1
        if len(turns) % steps or not (alone or several):
            continue
        placed = _by_step(turns, steps, looped or (None if weights is not None else False))
        per_step = len(turns) // steps
        if all(log.rows.at is not None for log in placed):
            for position, log in enumerate(placed):
                first = turns[position % per_step].key.index
                found[turns[position].key] = replace(log, key=replace(log.key, index=first))
    order = sorted({log.key.index for log in found.values()})
    return {
        key: replace(log, key=replace(log.key, index=order.index(log.key.index)))
        for key, log in found.items()
    }


def _by_step(logs: Sequence[Log], steps: int, looped: bool | None) -> Sequence[Log]:
    """Says which step every turn of a loop over the steps belongs to, by their order."""
    if looped:  # a number of rows that could be samples times steps is none
        logs = [_at_one_step(log) if log.rows.guessed else log for log in logs]
    turns = _turns(logs) if steps > 1 and len(logs) >= steps else []
    per_step, rest = divmod(len(turns), steps)
    if rest or not turns or not all(map(_is_one_step, turns)):
        return logs
    told = Counter(turn[0].rows.at for turn in turns)
    sure = looped or any(step is not None for step in told)
    if told == dict.fromkeys(range(steps), per_step) or (looped is False and not sure):
        return logs
    return [
        replace(
            log,
            rows=replace(log.rows, at=turn // per_step, guessed=log.rows.guessed or not sure),
        )
        for turn, together in enumerate(turns)
        for log in together
    ]


def _at_one_step(log: Log) -> Log:
    return replace(log, rows=replace(log.rows, steps=None))


def _turns(logs: Sequence[Log]) -> list[list[Log]]:
    """Executions one after another that share no sample: a loop over samples, within a step."""
    turns: list[list[Log]] = []
    so_far = np.ones_like(logs[0].rows.present)
    for log in logs:
        if (so_far & log.rows.present).any():
            turns.append([])
            so_far = np.zeros_like(so_far)
        turns[-1].append(log)
        so_far = so_far | log.rows.present
    return turns


def _is_one_step(turn: Sequence[Log]) -> bool:
    """Whether it holds every sample, and all of them at one step or nobody knows when."""
    one = all(log.rows.at is not None or log.rows.serves_all for log in turn)
    same = len({log.rows.at for log in turn}) == 1
    return one and same and bool(np.any([log.rows.present for log in turn], axis=0).all())


def _together(logs: Sequence[Log]) -> list[list[Log]]:
    """Executions that share no sample and step, those that came first together."""
    if len(logs) == 1:
        return [list(logs)]
    calls: list[list[Log]] = []
    so_far = np.zeros(logs[0].rows.cells.shape, dtype=int)  # calls of each sample and step
    for log in logs:
        call = so_far[log.rows.cells].max(initial=0)
        so_far[log.rows.cells] = call + 1
        if call == len(calls):
            calls.append([])
        calls[call].append(log)
    return calls


def is_looped(log: PassLog, batch: Batch) -> bool:
    """Whether a model seems to run once per step: nothing holds steps, neurons run T times."""
    logs: list[SiteLog | SpikeLog] = [*log.sites, *log.spikes]
    sure = [x.rows for x in logs if not x.rows.guessed]
    if batch.steps == 1 or any(rows.steps is not None or rows.mixes for rows in sure):
        return False
    calls = Counter(spike.key.name for spike in log.spikes)
    calls = calls or Counter(site.key.name for site in log.sites if site.key.index == 0)
    return bool(calls) and all(n % batch.steps == 0 for n in calls.values())


def begins_in_every_turn(log: PassLog, batch: Batch) -> bool:
    """Whether steps seem to begin in every turn of a loop over the steps, where none do.

    Blocks join T branches or T rows of a picture, and enlarge pictures T times. Each turn calls the
    same neuron layers.
    """
    names, steps = [spike.key.name for spike in log.spikes], batch.steps
    length, rest = divmod(len(names), steps)
    if steps == 1 or rest or not length or names != names[:length] * steps:
        return False
    turns = [log.spikes[length * t : length * (t + 1)] for t in range(steps)]
    if not all(np.any([one.rows.present for one in turn], axis=0).all() for turn in turns):
        return False  # a loop over samples
    places = (range(first, first + len(names), length) for first in range(length + 1))
    return any(set(log.begun).issuperset(place) for place in places)
