"""Runs a model over batches with the capture on, and leaves the model as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any, get_args

import torch
from torch import Tensor, nn

from analysis.counting.answers import Answers
from analysis.counting.calls import begins_in_every_turn, is_looped
from analysis.counting.capture import Capture
from analysis.counting.distributed import is_shared, together
from analysis.counting.inputs import (
    class_numbers,
    countable,
    first_tensor,
    split,
    words_for_hidden_storage,
)
from analysis.counting.ledger import Ledger
from analysis.counting.neurons import Neurons
from analysis.counting.notices import Signs, warnings_of
from analysis.counting.pass_log import PassLog
from analysis.counting.roles import Roles
from analysis.counting.rows import Batch, TimeLayout
from analysis.counting.sampling import Stopping, Until
from analysis.counting.tensors import tensors_in
from analysis.errors import InputError
from analysis.records import ElementwiseRecord, Role, Run, SampleCount, Sampling


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to count; the fields are described at `analysis.analyze`."""

    steps: int | None = None
    roles: Mapping[str, Role] = field(default_factory=dict)
    neurons: Iterable[type[nn.Module] | str] = ()
    time_layout: TimeLayout | None = None
    forward: Callable[..., Any] | None = None
    per_sample: bool = False
    neuron_detail: bool = False
    levels: bool = False
    provenance: Mapping[str, Any] = field(default_factory=dict)
    on_batch: Callable[[int], None] | None = None
    until: Until | None = None
    sample_index: Sequence[int] | None = None
    across_processes: bool = True
    flips: bool = False


class Counting:
    """A run in progress."""

    def __init__(self, model: nn.Module, options: Options) -> None:
        model = countable(model)
        self._model, self.options = model, options
        self.steps = _steps(model, options.steps)
        if options.time_layout not in (None, *get_args(TimeLayout)):
            known = ", ".join(get_args(TimeLayout))
            raise InputError(f"unknown time_layout {options.time_layout!r}; known: {known}")
        self.neurons = Neurons(model, options.neurons)
        self.roles = Roles(model, options.roles)
        self.capture = Capture(
            model,
            self.neurons,
            steps=self.steps,
            may_be_static=lambda name: self.roles.of(name)[0] in ("stem", "gate"),
            histograms=options.levels,
            neuron_detail=options.neuron_detail,
        )
        self.ledger = Ledger(keep_samples=options.per_sample)
        self.answers = Answers(keep=options.per_sample)
        self.probed: float | None = None
        self.sampling: Sampling | None = None
        self.sample_index = options.sample_index
        self.flipped: int | None = None
        self._in_float64: Counting | None = None
        if options.flips:
            self.flipped, self._in_float64 = 0, _in_float64(model, options)

    def add(self, batch: Any) -> int:
        """Runs one batch and adds its counts; the number of its samples."""
        inputs, labels = split(batch, self._model)
        if not first_tensor(inputs).numel():
            return 0  # a batch without samples
        shape = self._shape(first_tensor(inputs))
        log, outputs = self._pass(inputs, shape)
        if self.capture.flow.may_begin and begins_in_every_turn(log, shape):
            self.capture.flow.may_begin = False
            log, outputs = self._pass(inputs, shape)
        if self.probed is None and shape.samples > 1 and self._unsure(log, shape):
            self.probed = self._probe(inputs, shape, log)
        self.ledger.add(log, shape, looped=self._looped(log, shape))
        self.ledger.broken += not all(bool(x.isfinite().all()) for x in tensors_in(outputs))
        self.answers.add(outputs, class_numbers(labels, shape.samples), self.steps)
        if self._in_float64 is not None:
            self._in_float64.add(batch)
            self.flipped = (self.flipped or 0) + self.ledger.differing(self._in_float64.ledger)
        return shape.samples

    def _shape(self, inputs: Tensor) -> Batch:
        layout = self.options.time_layout
        if layout in (None, "loop"):  # the axes of a clip are another matter than a loop over it
            layout = self.neurons.layout(inputs, self.steps) or layout
        return Batch.of(inputs, self.steps, layout)

    def _pass(self, inputs: Any, shape: Batch) -> tuple[PassLog, Any]:
        run: Callable[..., Any] = self.options.forward or self._model
        with (
            words_for_hidden_storage(),
            self.neurons.fresh(),
            self.capture.watch(first_tensor(inputs), shape) as log,
        ):
            outputs = run(**inputs) if isinstance(inputs, Mapping) else run(inputs)
        return log, outputs

    def _looped(self, log: PassLog, shape: Batch) -> bool | None:
        """Whether the model runs once per step; None where nobody said and nothing shows it."""
        said = self.options.time_layout
        if said is not None:
            return said == "loop" or self.neurons.looped
        return self.neurons.looped or is_looped(log, shape) or None

    def _unsure(self, log: PassLog, shape: Batch) -> bool:
        """Whether samples and steps were not told apart by the data flow alone."""
        rows = [*(site.rows for site in log.sites), *(spikes.rows for spikes in log.spikes)]
        guessed = any(row.guessed for row in rows)
        return guessed or self.options.time_layout is not None or bool(self._looped(log, shape))

    def _probe(self, inputs: Any, shape: Batch, log: PassLog) -> float:
        """How far the first sample's synops in its batch are from those it has alone.

        A wrong idea of where samples and steps lie shows here; a few spikes may flip in float32.
        NaN for a model that can't run a single sample.
        """
        one = replace(shape, samples=1)
        try:
            log_of_one, _ = self._pass(shape.first(inputs), one)
        except (RuntimeError, ValueError, IndexError):
            return float("nan")
        in_batch, alone = self._first_synops(log, shape), self._first_synops(log_of_one, one)
        return abs(in_batch - alone) / max(alone, 1)

    def _first_synops(self, log: PassLog, shape: Batch) -> int:
        ledger = Ledger(keep_samples=True)
        ledger.add(log, shape, looped=self._looped(log, shape))
        synops = (tally.samples(shape.samples)[0] for tally in ledger.sites.values())
        return sum(sum(count.counts[0]) for count in synops)

    def result(self) -> Run:
        """Everything counted."""
        ledger, samples = self.ledger, self.ledger.moments.samples
        answers = self.answers
        if not samples:
            raise InputError("there is nothing to analyse: no batch had a sample in it")
        ledger.drop_neurons(self.neurons.no_neurons())
        sites = tuple(
            self.roles.assign(record, self.capture.scopes.aliases) for record in ledger.records()
        )
        run = Run(
            samples=samples,
            steps=self.steps,
            sites=sites,
            neurons=tuple(
                n.record(samples * self.steps, self.neurons.source(n.site))
                for n in ledger.neurons.values()
            ),
            elementwise=tuple(
                ElementwiseRecord(site=site, work=work, elements=elements)
                for (site, work), elements in ledger.work.items()
                if elements
            ),
            moments=ledger.moments.moments(ledger.columns()),
            correct=answers.right[-1] if answers.known else None,
            correct_by_step=answers.right if answers.known else (),
            labels=tuple(answers.labels) if answers.known else (),
            predicted=tuple(answers.classes) if answers.known else (),
            never_ran=self.capture.weights.never_ran(ledger.ran),
            uncounted=dict(ledger.uncounted),
            provenance=dict(self.options.provenance),
            per_sample=_samples(ledger) if self.options.per_sample else (),
            sampling=self.sampling,
            flipped=self.flipped,
        )
        if self.options.per_sample and self.sample_index is not None:
            run = _in_place(run, self.sample_index)
        signs = Signs(
            probe=self.probed or 0.0,
            broken=ledger.broken,
            changed=ledger.changed(),
            unread=self.answers.unread,
        )
        return replace(run, warnings=warnings_of(run, signs))


def _in_float64(model: nn.Module, options: Options) -> Counting:
    """The same count of a copy of the model in float64."""
    if options.forward is not None:
        raise InputError("flips=True runs a copy of the model, which forward=... does not know")
    return Counting(deepcopy(model).double().eval(), replace(options, flips=False))


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
    if stopping is not None:
        stopping.enough(counting.ledger, end=True)
        counting.sampling = stopping.record()
    return counting


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; every mode flag and the random state come back."""
    modes = {module: module.training for module in model.modules()}
    gpus = {p.device.index for p in model.parameters() if p.is_cuda}
    try:
        model.eval()
        with torch.no_grad(), torch.random.fork_rng(gpus):
            yield
    finally:
        for module, training in modes.items():
            module.training = training


def _steps(model: nn.Module, steps: int | None) -> int:
    steps = steps if steps is not None else getattr(model, "steps", None)
    if not isinstance(steps, int) or steps < 1:
        raise InputError(
            f"the number of simulation steps is needed as steps=..., a whole number of at least 1; "
            f"the model does not say it and {steps!r} came"
        )
    return steps


def _samples(ledger: Ledger) -> tuple[SampleCount, ...]:
    """The counts of every sample, in the order they ran."""
    n = ledger.moments.samples
    sites = [count for tally in ledger.sites.values() for count in tally.samples(n)]
    return (*sites, *(tally.samples(n) for tally in ledger.neurons.values()))


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
