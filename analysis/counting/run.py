"""Runs a model over batches while it is watched, checks one sample alone, leaves all as it was.

The count of a sample is what runs when it is alone in its batch. Running several together is an
optimisation, and it is checked: the first sample of the first batch runs alone as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from analysis.counting.distributed import is_shared, together
from analysis.counting.inputs import (
    Answers,
    Batch,
    TimeLayout,
    class_numbers,
    countable,
    input_names,
    kinds_said,
    made_batch,
    split,
    tensors_in,
    words_for_what_is_hidden,
)
from analysis.counting.labels import Counts
from analysis.counting.neurons import Neurons
from analysis.counting.passes import InPrecision, Passes, precision_of
from analysis.counting.sampling import Stopping, Until
from analysis.counting.sites import PassLog, Roles, turns_of
from analysis.counting.steps import over_steps, run_loop, steps_of
from analysis.counting.totals import InputTally, Ledger
from analysis.counting.warnings import Signs, warnings_of
from analysis.counting.watch import Watch
from analysis.errors import InputError
from analysis.records import Role, Run, Sampling
from analysis.undisturbed import undisturbed


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to count; the fields are described at `analysis.analyze`."""

    steps: int | None = None
    roles: Mapping[str, Role] = field(default_factory=dict)
    neurons: Iterable[type[nn.Module] | str] = ()
    time_layout: TimeLayout | None = None
    inputs: Literal["auto", "events", "image"] | Mapping[str, str] = "auto"
    forward: Callable[..., Any] | None = None
    loop: bool = False
    per_sample: bool = False
    neuron_detail: bool = False
    levels: bool = False
    provenance: Mapping[str, Any] = field(default_factory=dict)
    on_batch: Callable[[int], None] | None = None
    samples: int | None = None
    until: Until | None = None
    sample_index: Sequence[int] | None = None
    across_processes: bool = True
    flips: bool = False


_NONE: Counts = np.zeros((1, 1), dtype=np.int64)  # counts of what did not run


class Counting:
    """A run in progress."""

    def __init__(self, model: nn.Module, options: Options) -> None:
        model = countable(model)
        self._model, self.options = model, options
        self.steps, self._steps_from = steps_of(model, options.steps)
        if options.time_layout not in (None, *get_args(TimeLayout)):
            known = ", ".join(get_args(TimeLayout))
            raise InputError(f"unknown time_layout {options.time_layout!r}; known: {known}")
        self.neurons = Neurons(model, options.neurons)
        self.roles = Roles(model, options.roles)
        self.capture = Watch(
            model,
            self.neurons,
            steps=self.steps,
            histograms=options.levels,
            neuron_detail=options.neuron_detail,
        )
        self.ledger = Ledger(self.steps, keep_samples=options.per_sample)
        self.answers = Answers(keep=options.per_sample)
        self.passes = Passes(self._pass, exact=_is_exact(model))
        if options.samples is not None and options.samples < 1:
            raise InputError(f"samples must be at least 1, got {options.samples}")
        self.sampling: Sampling | None = None
        self.sample_index = options.sample_index
        self.flipped: int | None = None
        self.last: list[dict[str, Counts]] = []  # of the last batch, pass by pass
        self._was_looped = False  # whether a pass before ran once per step
        self.loop: int | None = None  # steps of the loop that the model is, if they are not T
        self._casts: torch.dtype | None = None  # what float32 has to become, if it clashes
        self._in_float64: Counting | None = None
        if options.flips:
            self.flipped, self._in_float64 = 0, _in_float64(model, options)

    def add(self, batch: Any) -> int:
        """Runs one batch and adds its counts; the number of its samples."""
        run = self.options.forward or self._model
        args, kwargs, labels = split(batch, self._model, run)
        batches = self._layouts(args, kwargs, labels, input_names(args, kwargs, run))
        if any(not x.numel() for x in batches[0].tensors if x.dim()):
            return 0  # a batch without samples
        if self.left is not None:
            batches = [each.first(self.left) for each in batches]
            labels = None if labels is None else labels[: self.left] if labels.dim() else labels
        self._read_inputs(batches[0])
        self.last, samples = [], 0
        for part, log, outputs in self.passes.of(batches):
            self._add(log, part.samples)
            self.ledger.broken += not all(bool(x.isfinite().all()) for x in tensors_in(outputs))
            self._hear(
                outputs, labels, part.samples, samples, alone=part.samples < batches[0].samples
            )
            samples += part.samples
        if self._in_float64 is not None:
            self._in_float64.add(batch)
            self.flipped = (self.flipped or 0) + _differing(self.last, self._in_float64.last)
        return samples

    @property
    def left(self) -> int | None:
        """How many samples may still run; None where all that come may."""
        most = self.options.samples
        return None if most is None else most - self.ledger.samples

    def _read_inputs(self, batch: Batch) -> None:
        """Takes in what the inputs hold that samples have a part in."""
        for name, values in zip(batch.names, batch.tensors, strict=True):
            if batch.sample_dim(values) is not None:
                self.ledger.inputs.setdefault(name, InputTally()).add(values)
        kinds_said(self.options.inputs, [*self.ledger.inputs])  # refused before anything runs

    def _add(self, log: PassLog, samples: int) -> None:
        turns = turns_of(log, self.steps, looped=self._looped)
        self._was_looped = self._was_looped or (turns is not None and turns.number == self.steps)
        if turns is None and not self.ledger.samples:
            self.loop = _other_loop(log, self.steps)
        passes = self.passes
        self.ledger.add(log, samples, turns, passes.constants, passes.constant_work)
        self.last.append(self.ledger.last)

    @property
    def _looped(self) -> bool | None:
        """Whether the model runs once per step; None where nobody said and nothing shows it."""
        said = self.options.time_layout
        if self.options.loop or said == "loop" or self.neurons.looped or self._was_looped:
            return True
        return None if said is None else False

    def _hear(
        self, outputs: Any, labels: Tensor | None, samples: int, first: int, *, alone: bool
    ) -> None:
        """Compares what the model answers with the labels."""
        if labels is not None and alone and labels.dim():
            labels = labels[first : first + samples]
        self.answers.add(outputs, class_numbers(labels, samples), self.steps)

    def _layouts(
        self, args: Any, kwargs: Any, labels: Tensor | None, names: tuple[str, ...]
    ) -> list[Batch]:
        """The batch under every layout that it may have, the most likely one first."""
        said = self.options.time_layout
        make = partial(made_batch, args, kwargs, labels, self.steps, names=names)
        if said in ("BT", "TB"):
            both: tuple[TimeLayout, ...] = (said, "TB" if said == "BT" else "BT")
            return [make(one, told=True) for one in both]
        plain = make(said, told=False)
        if self.options.loop:
            return [self._clip(plain, [make(order, told=False) for order in ("BT", "TB")])]
        clips = (x for x in plain.tensors if x.dim() in (3, 5))
        orders_known = (self.neurons.layout(x, self.steps) for x in clips)
        known = next((order for order in orders_known if order is not None), None)
        first: TimeLayout | None = self.options.time_layout if known is None else known
        orders: tuple[TimeLayout | None, ...] = (first, "BT", "TB")
        found = [replace(plain, layout=said)] if known is None else []
        for order in dict.fromkeys(orders):
            batch = make(order, told=False)
            if order in ("BT", "TB") and any(map(batch.is_clip, batch.tensors)):
                found.append(batch)
        return found or [plain]

    def _clip(self, plain: Batch, orders: Sequence[Batch]) -> Batch:
        """The batch whose clips are to be read frame by frame; a picture if it holds none.

        Raises:
            InputError: If sizes leave it open which axis the steps are on.
        """
        fitting = [each for each in orders if any(map(each.is_clip, each.tensors))]
        earlier = [each for each in fitting if each.layout == self.passes.layout]
        if len(fitting) > 1 and not earlier:
            raise InputError(
                f"clips of {self.steps} x {self.steps} samples and steps do not tell which axis "
                "holds the steps: say time_layout='BT' or 'TB', on the command line --time-layout"
            )
        return next(iter(earlier or fitting), plain)

    def _pass(self, batch: Batch) -> tuple[PassLog, Any]:
        """One forward pass from a fresh state; where precisions clash, all follow the model's."""
        if self._casts is not None:
            return self._pass_as_is(batch, self._casts)
        try:
            return self._pass_as_is(batch)
        except RuntimeError:
            dtype = precision_of(self._model)
            if dtype is None:
                raise
            with suppress(RuntimeError):
                found = self._pass_as_is(batch, dtype)
                self._casts = dtype
                return found
            raise

    def _pass_as_is(self, batch: Batch, dtype: torch.dtype | None = None) -> tuple[PassLog, Any]:
        run: Callable[..., Any] = self.options.forward or self._model
        own = batch.copied()  # what a model does to its inputs is nobody's loss
        with ExitStack() as stack:
            stack.enter_context(words_for_what_is_hidden())
            stack.enter_context(self.neurons.fresh())
            log = stack.enter_context(self.capture.watch(own))
            if dtype is not None:
                stack.enter_context(InPrecision(dtype))
            outputs = run_loop(run, own) if self.options.loop else run(*own.args, **own.kwargs)
        return log, over_steps(outputs) if self.options.loop else outputs

    def result(self) -> Run:
        """Everything counted."""
        ledger, answers = self.ledger, self.answers
        if not ledger.samples:
            raise InputError("there is nothing to analyse: no batch had a sample in it")
        ledger.drop_neurons(self.neurons.no_neurons())
        if self.options.per_sample and not ledger.divided:
            raise InputError(
                "counts per sample are not known: the model mixes samples and can't run one alone"
                f" ({self.passes.unchecked})"
            )
        inputs = ledger.input_records(kinds_said(self.options.inputs, [*ledger.inputs]))
        run = Run(
            samples=ledger.samples,
            steps=self.steps,
            inputs=inputs,
            sites=tuple(
                self.roles.assign(record, self.capture.scopes.aliases)
                for record in ledger.records(inputs)
            ),
            neurons=tuple(
                n.record(self.steps, self.neurons.source(n.site)) for n in ledger.neurons.values()
            ),
            elementwise=ledger.work_records(),
            constants=ledger.constant_records(),
            moments=ledger.final_moments(),
            correct=answers.right[-1] if answers.known else None,
            correct_by_step=answers.right if answers.known else (),
            labels=tuple(answers.labels) if answers.known else (),
            predicted=tuple(answers.classes) if answers.known else (),
            never_ran=self.capture.weights.never_ran(ledger.ran),
            uncounted=dict(ledger.uncounted),
            provenance=self.provenance(),
            per_sample=ledger.sample_counts() if self.options.per_sample else (),
            sampling=self.sampling,
            flipped=self.flipped,
        )
        if self.options.per_sample and self.sample_index is not None:
            run = _in_place(run, self.sample_index)
        signs = Signs(
            one_by_one=None if self.passes.one_by_one is None else str(self.passes.one_by_one),
            unchecked=self.passes.unchecked,
            broken=ledger.broken,
            changed=ledger.changed(),
            unread=answers.unread,
            loop=self.loop,
        )
        return replace(run, warnings=warnings_of(run, signs))

    def provenance(self) -> dict[str, Any]:
        """What the caller says of the run, and what was decided here."""
        said = {**_facts(self._model), **self.options.provenance}
        notes = []
        if self._steps_from not in (None, "steps"):  # that name is ours: no news
            notes.append(f"T = {self.steps}, from the model's attribute {self._steps_from}")
        if self.options.loop:
            notes.append(f"the model was called {self.steps} times per batch, once per step")
        return {**said, "notes": [*said.get("notes", ()), *notes]} if notes else said


def _other_loop(log: PassLog, steps: int) -> int | None:
    """The number of turns of a loop over other steps than T, in which every layer has its place."""
    calls = set(Counter(spikes.key.name for spikes in log.spikes).values())
    if len(calls) != 1 or calls & {1, steps} or log.stepped:
        return None
    (number,) = calls
    return number if turns_of(log, number, looped=None) is not None else None


def _facts(model: nn.Module) -> dict[str, Any]:
    """What a model says of itself: its class, and its parameters by the module that holds them."""
    held: Counter[str] = Counter()
    for name, parameter in model.named_parameters():  # a shared one once
        if not is_lazy(parameter):  # of a layer that has not run
            held[name.rpartition(".")[0]] += parameter.numel()
    facts: dict[str, Any] = {"model": type(model).__name__}
    return facts | {"parameters": held.total(), "module_parameters": dict(held)} if held else facts


def _is_exact(model: nn.Module) -> bool:
    """Whether everything is computed in double precision, where no spike flips by rounding."""
    dtypes = {p.dtype for p in model.parameters() if p.is_floating_point()}
    return dtypes == {torch.float64}


def _in_float64(model: nn.Module, options: Options) -> Counting:
    """The same count of a copy of the model in float64."""
    if options.forward is not None:
        raise InputError("flips=True runs a copy of the model, which forward=... does not know")
    return Counting(deepcopy(model).double().eval(), replace(options, flips=False))


def _differing(mine: list[dict[str, Counts]], theirs: list[dict[str, Counts]]) -> int:
    """Samples of a batch that have other counts in another precision."""
    one, other = _by_sample(mine), _by_sample(theirs)
    found: Any = False
    for name in one.keys() | other.keys():
        a, b = one.get(name, _NONE), other.get(name, _NONE)
        if a.shape[1] != b.shape[1]:
            a, b = a.sum(1, keepdims=True), b.sum(1, keepdims=True)
        found = found | (a != b).any(1)
    return int(np.sum(found))


def _by_sample(parts: list[dict[str, Counts]]) -> dict[str, Counts]:
    """The counts of all passes of a batch, one under the other."""
    names = {name for part in parts for name in part}
    samples = [len(next(iter(part.values()), _NONE)) for part in parts]
    found = {}
    for name in names:
        rows = [
            part.get(name, np.zeros((n, 1), np.int64))
            for part, n in zip(parts, samples, strict=True)
        ]
        if len({one.shape[1] for one in rows}) > 1:
            rows = [one.sum(1, keepdims=True) for one in rows]
        found[name] = np.concatenate(rows)
    return found


def count(model: nn.Module, batches: Iterable[Any], options: Options) -> Run:
    """Counts everything that a model does on batches of samples, here and in other processes."""
    if isinstance(batches, Tensor):
        raise InputError("batches are a list of batches, got a single tensor: write [tensor]")
    if not (options.across_processes and is_shared()):
        return _counted(model, batches, options).result()
    if options.until is not None:
        raise InputError("stopping at an interval (until=...) needs all samples in one process")
    return together(lambda: _counted(model, batches, options))


def _counted(model: nn.Module, batches: Iterable[Any], options: Options) -> Counting:
    counting = Counting(model, options)
    stopping = Stopping(options.until) if options.until else None
    with undisturbed(model):
        for batch in batches:
            samples = counting.add(batch)
            if options.on_batch is not None:
                options.on_batch(samples)
            if stopping is not None and stopping.enough(counting.ledger):
                break
            if counting.left == 0:
                break
    if stopping is not None:
        stopping.enough(counting.ledger, end=True)
        counting.sampling = stopping.record()
    return counting


def _in_place(run: Run, places: Sequence[int]) -> Run:
    """A run with its samples in the order of their places, not that in which they ran."""
    n = run.samples
    if len(set(places[:n])) != n:
        raise InputError(f"sample_index must name {n} different samples, got {len(set(places))}")
    order = sorted(range(n), key=lambda row: places[row])
    return replace(
        run,
        per_sample=tuple(
            replace(c, counts=tuple(c.counts[row] for row in order)) for c in run.per_sample
        ),
        sample_index=tuple(places[row] for row in order),
        labels=tuple(run.labels[row] for row in order if run.labels),
        predicted=tuple(run.predicted[row] for row in order if run.predicted),
    )
