"""Which executions of one forward pass are one site: those of a loop over the steps are.

Executions at one place (module and operation) are the turns of a loop over the steps where it is
certain that they are: the model calls its neuron layers in the same order once per step, and
between two executions all of them were called again. Then call t is step t.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any, Generic, Literal, TypeVar, get_args

import torch
from torch import Tensor, nn

from analysis.counting.labels import Rows
from analysis.counting.origins import NeuronPlace
from analysis.counting.products import Counted
from analysis.counting.values import Levels
from analysis.errors import InputError
from analysis.records import LayerShape, Origin, Role, SiteKey, SiteRecord, Work

Log = TypeVar("Log", "SiteLog", "SpikeLog")


@dataclass(frozen=True, kw_only=True)
class SiteLog:
    """One execution of a weight operation.

    Attributes:
        key, op: Which one.
        origins: Of its activations.
        inputs: Of each that is one: the inputs of the model it is made of.
        upstream: The neuron layers nearest to each of them.
        counted, rows: Exact counts per row, and the sample and step of each row.
        same: Whether its input was the same at all steps it holds, or as in the execution before.
        number: Which execution of the pass it is.
        began: Calls of neuron layers that had ended before.
        weights: Its weight elements, and how many of them are exactly zero.
        weight_place: Which values in memory its weights were; None for two activations.
        biased_outputs: Output elements that a bias is added to.
        shape: Sizes of the layer, if it is one with weights.
    """

    key: SiteKey
    op: str
    origins: tuple[Origin, ...]
    inputs: tuple[frozenset[str], ...]
    upstream: tuple[tuple[NeuronPlace, ...], ...]
    counted: Counted
    rows: Rows
    same: bool
    number: int
    began: int
    weights: tuple[int, int]
    biased_outputs: int
    shape: LayerShape | None = None
    weight_place: Hashable = None


@dataclass(frozen=True, kw_only=True)
class SpikeLog:
    """One output of a neuron layer.

    Attributes:
        key: Path of its module, and which call of it.
        outputs: Elements of the output.
        nonzeros: Non-zeros per row.
        amounts: Sum of absolute values per row, where they are not all equal.
        levels: Its distinct absolute values; None: too many to tell.
        counts: Whether its framework says that a value is a number of spikes.
        rows: Sample and step of each row.
        began: Calls of neuron layers that had ended before.
        by_neuron: Spikes of every neuron, ``(C, *S)``, if that was asked for.
    """

    key: SiteKey
    outputs: int
    nonzeros: Tensor
    amounts: Tensor | None
    levels: Levels
    counts: bool
    rows: Rows
    began: int
    by_neuron: Tensor | None = None


@dataclass(frozen=True)
class WorkLog:
    """Elementwise work of one operation.

    Attributes:
        site, work: Where and what kind.
        elements: How many elements it touched.
        began: Calls of neuron layers that had ended before.
        once: Executions that it comes from and that may stand for all steps, as in `Trace`.
        free: Whether no sample has a part in it.
    """

    site: str
    work: Work
    elements: int
    began: int
    once: frozenset[int] = frozenset()
    free: bool = False


@dataclass
class PassLog:
    """Everything of one forward pass, in the order it happened.

    Attributes:
        sites, spikes, work: What was counted.
        uncounted: Operations on weights that no rule covers, with the times each ran.
        ran: Modules that did something with weights, and layers whose weights were used.
        reached: For executions that may stand for all steps: which calls of which neuron layers
            they reached, with the number of steps that such a call walks over.
        at_one_step: Those among them that went into single steps only.
        before: The neuron layers upstream of every one.
        refuted: Whether a known neuron layer has its steps elsewhere than was inferred.
        stepped: Whether a neuron layer is known to walk over all steps in one call.
        random: Whether random numbers were drawn.
    """

    sites: list[SiteLog] = field(default_factory=list)
    spikes: list[SpikeLog] = field(default_factory=list)
    work: list[WorkLog] = field(default_factory=list)
    uncounted: Counter[str] = field(default_factory=Counter)
    ran: set[str] = field(default_factory=set)
    reached: defaultdict[int, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    at_one_step: set[int] = field(default_factory=set)
    before: dict[NeuronPlace, tuple[NeuronPlace, ...]] = field(default_factory=dict)
    refuted: bool = False
    stepped: bool = False
    random: bool = False

    def mark(self) -> tuple[int, int, int, Counter[str]]:
        """How much there is by now."""
        return len(self.sites), len(self.spikes), len(self.work), self.uncounted.copy()

    def rewind(self, mark: tuple[int, int, int, Counter[str]]) -> None:
        """Drops what came after a mark: it was no part of the model."""
        del self.sites[mark[0] :], self.spikes[mark[1] :], self.work[mark[2] :]
        self.uncounted = mark[3]


@dataclass(frozen=True)
class Call(Generic[Log]):
    """Executions that are one call of a site or neuron layer: one, or one per turn of a loop.

    Attributes:
        key: Of the site; in a loop that of the first turn.
        logs: In the order they ran.
    """

    key: SiteKey
    logs: list[Log]


@dataclass(frozen=True)
class Turns:
    """A loop over the steps: how many turns it has, and the calls of neuron layers in each.

    Attributes:
        number: Turns.
        calls: Calls in each; None where every layer has a loop of its own.
    """

    number: int
    calls: int | None

    def places(self, logs: Sequence[Log]) -> list[tuple[int, int]] | None:
        """Turn and place within it of every execution at one place; None if they are no turns.

        Between two executions of a loop every neuron layer is called again. In a loop of its own
        a layer reads another call of the neurons before it.
        """
        per_turn, rest = divmod(len(logs), self.number)
        if rest or not logs:
            return None
        if per_turn == 1 and all(map(_reads_turn, logs, range(self.number))):
            return [(turn, 0) for turn in range(self.number)]
        if self.calls is None:
            return None
        pairs = zip(logs, logs[per_turn:], strict=False)
        if any(later.began - log.began != self.calls for log, later in pairs):
            return None
        return [divmod(position, per_turn) for position in range(len(logs))]


def _reads_turn(log: SiteLog | SpikeLog, turn: int) -> bool:
    """Whether an execution reads what neurons gave out in one turn, or is such a call itself."""
    if isinstance(log, SpikeLog):
        return log.key.call == turn
    return {call for side in log.upstream for _, call in side} == {turn}


def turns_of(log: PassLog, steps: int, *, looped: bool | None) -> Turns | None:
    """The loop over the steps that a pass was, if it was one.

    Args:
        log: The pass.
        steps: T, at most so many turns there are.
        looped: Whether the model is known to run once per step; None where nobody knows.
    """
    if steps == 1 or looped is False or (looped is None and log.stepped):
        return None
    if looped is None and _loops_over_samples(log.spikes):
        return None
    everything = [spikes.key.name for spikes in log.spikes]
    calls = Counter(everything)
    # Of fewer turns than T only those are certain in which every layer is called once, and in
    # which no neuron layer has several steps at a time, as pieces of a clip have.
    pieces = any(isinstance(one.rows.steps, Tensor) for one in log.spikes)
    least = 1 if looped else steps if pieces else 2
    for number in range(steps, least - 1, -1):
        once = set(calls.values()) == {number}
        names = [name for name in everything if calls[name] % number == 0]
        length = len(names) // number
        if names and (once or number == steps) and names == names[:length] * number:
            return Turns(number, length)
        if once:
            return Turns(number, None)
    return Turns(steps, 0) if looped and not everything else None


def _loops_over_samples(logs: Sequence[SpikeLog]) -> bool:
    """Whether calls of a neuron layer hold different samples; a step has them all."""
    held: dict[str, Tensor] = {}
    for log in logs:
        samples = log.rows.samples
        if samples is not None:
            distinct = samples.unique()
            if not torch.equal(held.setdefault(log.key.name, distinct), distinct):
                return True
    return False


def by_turn(logs: Sequence[Log], turns: Turns | None, steps: int) -> list[tuple[SiteKey, Log]]:
    """Executions under the key of their site, each at its step if it is a turn of a loop.

    In a loop over the steps nothing belongs to steps that were inferred.
    """
    if turns is None:
        return _numbered(_walks(logs, steps))
    modules: dict[Hashable, list[Log]] = defaultdict(list)
    for log in logs:
        modules[log.key.name, _weights_of(log)].append(log)
    placed: dict[SiteKey, tuple[SiteKey, Log]] = {}
    for group in modules.values():
        places = turns.places(group)
        for position, log in enumerate(group):
            if places is None:
                told = isinstance(log.rows.steps, Tensor) or len(group) == 1
                keeps = told and not log.rows.inferred
                placed[log.key] = log.key, log if keeps else _at(log, "none")
            else:
                turn, place = places[position]
                placed[log.key] = group[place].key, _at(log, turn)
    return _numbered([placed[log.key] for log in logs])


def without_refuted(logs: Sequence[Log]) -> list[Log]:
    """Executions without the steps that a known neuron layer refuted: those before any of them."""
    return [_at(log, "unknown") if _is_refuted(log) else log for log in logs]


def _is_refuted(log: SiteLog | SpikeLog) -> bool:
    return log.rows.inferred or (isinstance(log, SiteLog) and not any(log.upstream))


def _walks(logs: Sequence[Log], steps: int) -> list[tuple[SiteKey, Log]]:
    """Executions of a module that walk over the steps, in one or several calls, as one site."""
    inside = Counter((log.key.name, log.key.call, _weights_of(log)) for log in logs)
    groups: dict[Hashable, list[Log]] = defaultdict(list)
    for log in logs:
        place = log.key.name, log.key.call, _weights_of(log)
        groups[place if inside[place] % steps == 0 else (place[0], place[2])].append(log)
    placed: dict[SiteKey, tuple[SiteKey, Log]] = {}
    for group in groups.values():
        per_step, rest = divmod(len(group), steps)
        found = None if rest or steps == 1 else _steps_walked(group, per_step)
        if found is None:
            placed |= {log.key: (log.key, log) for log in group}
            continue
        keys: dict[int, SiteKey] = {}
        so_far: Counter[int] = Counter()
        for log, step in zip(group, found, strict=True):
            key = keys.setdefault(so_far[step], log.key)
            so_far[step] += 1
            placed[log.key] = key, _at(log, step)
    return [placed[log.key] for log in logs]


def _weights_of(log: SiteLog | SpikeLog) -> Hashable:
    return log.weight_place if isinstance(log, SiteLog) else None


def _steps_walked(group: Sequence[Log], per_step: int) -> list[int] | None:
    """The step of each of T times so many executions; None where it is not certain.

    What is read of every step once is at those. A state is of the step before it is read: then
    they are in order, as long as none is read before its turn.
    """
    known = [log.rows.steps if isinstance(log.rows.steps, int) else -1 for log in group]
    in_order = [position // per_step for position in range(len(group))]
    if sorted(known) == in_order:
        return known
    if known == [turn - 1 for turn in in_order]:
        return in_order
    told = [(step, turn) for step, turn in zip(known, in_order, strict=True) if step >= 0]
    grows = [step for step, _ in told] == sorted(step for step, _ in told)
    several = len({step for step, _ in told}) > 1
    one_step = all(isinstance(log.rows.steps, int) or log.rows.steps == "none" for log in group)
    return in_order if one_step and several and grows and all(s <= t for s, t in told) else None


def _numbered(placed: list[tuple[SiteKey, Log]]) -> list[tuple[SiteKey, Log]]:
    """The same with indices and calls that count from 0 within each module."""
    calls: dict[str, dict[int, int]] = defaultdict(dict)
    indices: dict[tuple[str, int], dict[int, int]] = defaultdict(dict)
    for key, _ in placed:
        calls[key.name].setdefault(key.call, len(calls[key.name]))
        one = indices[key.name, key.call]
        one.setdefault(key.index, len(one))
    return [
        (
            replace(
                key, call=calls[key.name][key.call], index=indices[key.name, key.call][key.index]
            ),
            log,
        )
        for key, log in placed
    ]


def _at(log: Log, step: int | Literal["none", "unknown"]) -> Log:
    kept = isinstance(step, str) and isinstance(log.rows.steps, str)
    return log if kept else replace(log, rows=replace(log.rows, steps=step))


def inside_neuron(logs: Sequence[SiteLog], steps: int, call: int) -> list[SiteLog]:
    """The executions inside one call of a neuron layer that walks over the steps by itself.

    Operations that ran another number of times, or hold the steps in their rows, stay as they are.
    """
    groups: dict[Hashable, list[SiteLog]] = defaultdict(list)
    for log in logs:
        groups[log.key.name, log.weight_place].append(log)
    found = []
    for group in groups.values():
        per_step, rest = divmod(len(group), steps)
        walks = not rest and not any(isinstance(log.rows.steps, Tensor) for log in group)
        for position, log in enumerate(group):
            if walks and steps > 1:
                step, place = divmod(position, per_step)
                log = _at(log, step)
                key = replace(log.key, index=place, call=call)
                log = replace(log, key=key)
            found.append(log)
    return sorted(found, key=lambda log: log.number)


def calls_of(logs: Iterable[tuple[SiteKey, Log]]) -> list[Call[Log]]:
    """Puts executions together to calls: those under one key, or at different samples and steps."""
    places: dict[tuple[str, int], list[tuple[SiteKey, Log]]] = defaultdict(list)
    for key, log in logs:
        places[key.name, key.index].append((key, log))
    found: list[Call[Log]] = []
    for group in places.values():
        calls: list[tuple[SiteKey, list[Log], set[tuple[int, int]]]] = []
        for key, log in group:
            cells = log.rows.cells
            fits = (
                one for one in calls if one[0] == key or (cells and one[2] and not cells & one[2])
            )
            call = next(fits, None)
            if call is None:
                calls.append((key, [log], set(cells)))
            else:
                call[1].append(log)
                call[2].update(cells)
        alone = len(calls) == len({key for key, _ in group})
        found += [
            Call(key if alone else replace(key, call=number), together)
            for number, (key, together, _) in enumerate(calls)
        ]
    order = {id(log): place for place, (_, log) in enumerate(_flat(places))}
    return sorted(found, key=lambda call: order[id(call.logs[0])])


def _flat(places: Mapping[Any, list[tuple[SiteKey, Log]]]) -> list[tuple[SiteKey, Log]]:
    everything = [one for group in places.values() for one in group]
    return sorted(everything, key=lambda one: getattr(one[1], "number", one[1].began))


def standing(log: PassLog, steps: int) -> frozenset[int]:
    """The executions of which each stands for all T steps: there is evidence for that.

    No neuron layer is upstream, they belong to no step, and their result reaches a neuron layer
    that lives through T steps: in T calls, or in one that walks over T steps.
    """
    return frozenset(
        number
        for number, calls in log.reached.items()
        if number not in log.at_one_step
        and any(lived >= steps and lived % steps == 0 for lived in calls.values())
    )


class Roles:
    """The part each site plays: as the caller says, else as the model says, else a guess.

    Args:
        model: May declare ``site_roles``, patterns -> roles.
        named: The caller's patterns of module paths, which come first.

    Raises:
        InputError: If a role is unknown, or a pattern of the caller fits no module.
    """

    def __init__(self, model: nn.Module, named: Mapping[str, Role]) -> None:
        if not isinstance(named, Mapping):
            raise InputError(f"roles are a dictionary of patterns and roles, not {named!r}")
        unknown = sorted(set(named.values()) - set(get_args(Role)))
        if unknown:
            raise InputError(
                f"unknown role {', '.join(unknown)}; known: {', '.join(get_args(Role))}"
            )
        modules = [name for name, _ in model.named_modules()]
        for pattern in named:
            if not any(fnmatchcase(name, pattern) for name in modules):
                raise InputError(f"no module fits the pattern {pattern!r} of a role")
        declared: Mapping[str, Role] = getattr(model, "site_roles", {})
        self._patterns: list[tuple[Literal["user", "model"], str, Role]] = [
            *(("user", pattern, role) for pattern, role in named.items()),
            *(("model", pattern, role) for pattern, role in declared.items()),
        ]

    def of(self, name: str) -> tuple[Role, Literal["user", "model", "guess"]]:
        """The role of a site and who said so."""
        for source, pattern, role in self._patterns:
            if fnmatchcase(name, pattern):
                return role, source
        return "other", "guess"

    def assign(self, record: SiteRecord, aliases: Mapping[str, tuple[str, ...]]) -> SiteRecord:
        """A record with its role and the further names of its module."""
        role, source = self.of(record.key.name)
        if source == "guess" and record.origin in ("image", "events"):
            role = "stem"  # it reads the data themselves
        names = aliases.get(record.key.name, ())
        return replace(record, role=role, role_source=source, aliases=names)
