"""The dispatch mode that watches a forward pass: the only file that instruments a model."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from analysis.counting import labels as label
from analysis.counting.inputs import Batch, tensors_in
from analysis.counting.labels import SAMPLE, STEP, Form, Labels, Rows
from analysis.counting.neurons import Neurons
from analysis.counting.operations import (
    Operation,
    elements_of_work,
    is_composite,
    is_quiet,
    operation_of,
    run_parts,
)
from analysis.counting.origins import DataFlow, Trace, in_front
from analysis.counting.products import Product, Weights
from analysis.counting.rules import products_in, rule_of
from analysis.counting.scopes import Scope, Scopes
from analysis.counting.sites import PassLog, SiteLog, SpikeLog, WorkLog, inside_neuron
from analysis.counting.values import MOST_OF_NEURONS, OperandReader, levels_of
from analysis.errors import InputError
from analysis.records import Origin, SiteKey
from analysis.torch_internals import (
    OpOverload,
    TorchDispatchMode,
    dispatch_modes,
    no_dispatch,
    storage_id,
)
from analysis.undisturbed import hooks_apart

aten = torch.ops.aten


@dataclass(frozen=True)
class _Handling:
    """What to do when an operation runs; worked out once for each.

    Attributes:
        func: The operation, kept alive so that nobody else gets its id.
        row: What it does to elements.
        is_composite: Whether it is made of other operations, which are what counts.
        has_rule: Whether a rule finds products in it.
        is_noted: Whether it has a part in proofs that a tensor is binary.
        is_work: Whether it computes anything at all.
        copies: Whether it copies values, which is followed inside neuron layers too.
        draws: Whether it draws random numbers.
    """

    func: Any
    row: Operation
    is_composite: bool
    has_rule: bool
    is_noted: bool
    is_work: bool
    copies: bool
    draws: bool

    @classmethod
    def of(cls, func: Any) -> _Handling:
        """What to do with an operation."""
        row, has_rule = operation_of(func), rule_of(func) is not None
        if not isinstance(func, OpOverload):
            raise InputError(
                f"the model uses torch's operator {func}, which runs functions of its own that "
                "can't be counted; write it as plain Python"
            )
        return cls(
            func=func,
            row=row,
            is_composite=not has_rule and is_composite(func),
            has_rule=has_rule,
            is_noted=row.binary is not None or func._schema.is_mutable,
            is_work=not row.computes_nothing,
            copies=func.overloadpacket in (aten.clone, aten._to_copy),
            draws=torch.Tag.nondeterministic_seeded in func.tags,
        )


class Watch(TorchDispatchMode):
    """Counts every weight operation and every spike while it is active.

    It sits below autograd on the operations themselves, so functional calls, shared modules and
    keyword arguments are all seen.

    Args:
        model: The model to be run.
        neurons: How its spiking neuron layers are known.
        steps: Simulation steps T.
        histograms: Whether to count how often each value of an operand occurs.
        neuron_detail: Whether to count the spikes of every single neuron.
    """

    supports_higher_order_operators = True  # so that they arrive here, to be refused in words

    def __init__(
        self,
        model: nn.Module,
        neurons: Neurons,
        *,
        steps: int,
        histograms: bool = False,
        neuron_detail: bool = False,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.scopes = Scopes(model, neurons, self._enter, self._leave)
        self.flow = DataFlow(steps)
        self.weights = Weights(model)
        self._model, self._neurons, self._steps = model, neurons, steps
        self._neuron_detail = neuron_detail
        self._reader = OperandReader(histograms=histograms)
        self._handlings: dict[int, _Handling] = {}
        self._rows: dict[Hashable, Rows] = {}
        self._log = PassLog()
        self._samples = 1
        self._inner: list[SiteLog] = []  # of the neuron layer that is running
        self._before: dict[Hashable, tuple[Tensor, tuple[object, ...]]] = {}
        self._numbers = 0
        self._is_product = False  # whether the operation that runs is one, counted or listed

    @contextmanager
    def watch(self, batch: Batch) -> Iterator[PassLog]:
        """Counts one forward pass over a batch into the log it gives."""
        if any(isinstance(mode, Watch) for mode in dispatch_modes()):
            raise InputError("a model is already being counted here; counting can't be nested")
        self._log, self._inner, self._numbers = PassLog(), [], 0
        self._samples = self.flow.samples = batch.samples
        self._neurons.begin()
        for values in (*self._model.parameters(), *self._model.buffers()):
            self.flow.mark(values, Trace("weight"))
        for name, values in zip(batch.names, batch.tensors, strict=True):
            self._mark_input(name, values, batch)
        fast_path = torch.backends.mha.get_fastpath_enabled()
        torch.backends.mha.set_fastpath_enabled(False)  # it hides its products
        try:
            with (
                hooks_apart(self._model, self._log.mark, self._log.rewind),
                self.scopes.watch(),
                self,
            ):
                yield self._log
            for storage in self.flow.sources:
                self._log.ran.update(self.weights.owners_of(storage))
            self._log.at_one_step |= self.flow.at_one_step
        finally:
            torch.backends.mha.set_fastpath_enabled(fast_path)
            for known in (self._reader, self.flow, self.weights):
                known.forget()
            self._before.clear()

    def _mark_input(self, name: str, values: Tensor, batch: Batch) -> None:
        sample, step = batch.sample_dim(values), batch.step_dim(values)
        found = label.nothing(values.dim())
        if sample is not None:
            found = label.along(found, SAMPLE, sample, batch.samples, batch.samples)
        if step is not None:
            found = label.along(found, STEP, step, batch.steps, batch.steps)
        self.flow.mark(values, Trace("image", inputs=frozenset((name,))))
        self.flow.labels.write(values, found)

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Runs an operation and counts it."""
        kwargs = kwargs or {}
        handling = self._handlings.get(id(func))
        if handling is None:
            handling = self._handlings[id(func)] = _Handling.of(func)
        if handling.is_composite:  # under inference_mode whole layers arrive here
            return run_parts(self, func, args, kwargs)
        result = func(*args, **kwargs)
        if handling.is_noted:
            self._reader.note(func, args, kwargs, result)
        self._log.random = self._log.random or handling.draws
        inside, followed = self.scopes.in_neuron, self.scopes.is_followed
        self._is_product = False
        numbers = self._products(func, args, kwargs, result) if handling.has_rule else []
        is_work = handling.is_work and not (inside or self._is_product)
        if followed or handling.copies:
            self.flow.follow(func, handling.row, args, kwargs, result)
        if numbers:
            self._may_stand(numbers, result)
        if is_work:
            self._note_work(func, args, kwargs, result)
        return result

    # Weight operations -----------------------------------------------------------------------

    def _products(self, func: Any, args: Any, kwargs: Any, result: Any) -> list[int]:
        """Counts the products in an operation; which of them may stand for all steps."""
        if self.scopes.in_neuron and not self.scopes.is_followed:
            self.flow.assume_weights(tensors_in(args))
        found = products_in(self.flow, func, args, kwargs, result)
        self._is_product = found is None or bool(found)
        if found is None:
            self._list(func, args, kwargs)
            return []
        return [number for number in map(self._count, found) if number is not None]

    def _count(self, product: Product) -> int | None:
        key = self.scopes.current.next_site()
        weight, traces = product.weight, [self.flow.of(x) for x in product.inputs]
        self._log.ran |= {key.name, *(self.weights.owners(weight) if weight is not None else ())}
        rows = self._rows_of(product, inferred=any(trace.inferred for trace in traces))
        weight_place = _place(weight)
        before_neurons = self._steps > 1 and not any(trace.upstream for trace in traces)
        number, self._numbers = self._numbers, self._numbers + 1
        log = self._inner if self.scopes.in_neuron else self._log.sites
        log.append(
            SiteLog(
                key=key,
                op=product.op,
                origins=tuple(_origin(trace) for trace in traces),
                inputs=tuple(trace.inputs for trace in traces),
                upstream=tuple(trace.upstream for trace in traces),
                counted=product.count(self._reader, traces[0].padding),
                rows=rows,
                same=before_neurons and self._is_same(product.rows, rows, (key.name, weight_place)),
                number=number,
                began=len(self._log.spikes),
                weights=self.weights.number(weight) if weight is not None else (0, 0),
                weight_place=weight_place,
                biased_outputs=product.biased_outputs,
                shape=self.weights.shape(product),
            )
        )
        once = before_neurons and rows.steps == "none" and not self.scopes.in_neuron
        return number if once else None

    def _may_stand(self, numbers: list[int], result: Any) -> None:
        for tensor in tensors_in(result):
            trace = self.flow.of(tensor)
            self.flow.mark(tensor, replace(trace, once=trace.once | set(numbers)))

    def _rows_of(self, product: Product, *, inferred: bool) -> Rows:
        """Which sample and step the rows of a product belong to, by all its activations."""
        values, flow = product.rows, self.flow
        others = [x for x in product.inputs[1:] if len(x) == len(values) and x.stride(0)]
        parts = [values, *others] if product.weight is None else [values]
        key = (*((flow.labels.table(x), Form.of(x)) for x in parts), self._samples, inferred)
        rows = self._rows.get(key)
        if rows is None:
            found = label.joined([label.by_row(flow.read(x)) for x in parts])
            rows = label.rows_of(found, len(values), self._samples, inferred=inferred)
            self._rows[key] = rows
        return rows

    def _is_same(self, values: Tensor, rows: Rows, place: Hashable) -> bool:
        """Whether an input is the same at all its steps, or as in the execution before."""
        if isinstance(rows.steps, Tensor) and rows.samples is not None:
            return len(rows.cells) == self._samples * self._steps and _equal_steps(
                values, rows.samples * self._steps + rows.steps, self._samples, self._steps
            )
        before, now = self._before.get(place), self._reader.place(values)
        self._before[place] = values, now
        if before is None or before[1] == now:
            return before is not None
        unchanged = self._reader.place(before[0]) == before[1]
        return unchanged and before[0].shape == values.shape and torch.equal(before[0], values)

    def _note_work(self, func: Any, args: tuple[Any, ...], kwargs: Any, result: Any) -> None:
        found = elements_of_work(func, args, result)
        if found is None:
            self._list(func, args, kwargs)
            return
        work, tensor = found
        if work == "addition" and any(map(self._is_bias, tensors_in(args))):
            work = "bias"
        trace = self.flow.of(tensor)
        once = frozenset() if trace.upstream else trace.once
        if once and (self.flow.read(tensor)[STEP] != label.NONE).any():
            once = frozenset()
        free = trace.origin == "weight"
        self._log.work.append(
            WorkLog(
                self.scopes.current.name, work, tensor.numel(), len(self._log.spikes), once, free
            )
        )

    def _list(self, func: Any, args: Any, kwargs: Any) -> None:
        """Lists an operation that no rule covers, unless it is nothing to speak of."""
        if is_quiet(func, args, kwargs, self.flow.is_weight):
            return
        self._log.uncounted[str(func)] += 1
        self._log.ran.add(self.scopes.current.name)
        for x in tensors_in(args):
            self._log.ran.update(self.weights.owners(x))

    def _is_bias(self, values: Tensor) -> bool:
        return values.dim() < 2 and self.flow.is_weight(values)

    # Neuron layers ---------------------------------------------------------------------------

    def _enter(self, scope: Scope, inputs: Any) -> None:
        """Compares the steps of a known neuron layer's input with those that were inferred."""
        x = next(iter(_floating(inputs)), None)
        told = None if x is None or self._steps == 1 else self._told(scope.module, x)
        if x is None or told is None:
            return
        with no_dispatch():
            self._log.stepped = True
            steps = self.flow.read(x)[STEP]
            if (steps == label.NONE).all() and any(x.stride()):
                self.flow.at_one_step |= self.flow.of(x).once  # its steps were there before
            elif (steps >= 0).any() and not _equal(steps, told[STEP]):
                self._log.refuted = True

    def _told(self, module: nn.Module, x: Tensor) -> Labels | None:
        """Where a known neuron layer has its steps in a tensor of its own, if it walks over T."""
        steps, axis = self._steps, self._neurons.time_axis(module)
        rows = self._neurons.rows(module)
        if axis is not None and x.dim() > axis and x.shape[axis] == steps:
            return label.along(label.nothing(x.dim()), STEP, axis, steps, steps)
        if rows is None or not x.dim() or len(x) != self._samples * steps or steps not in rows:
            return None
        of_rows = np.arange(len(x), dtype=np.int16).reshape(-1, *[1] * (x.dim() - 1))
        return np.stack([of_rows // steps, of_rows % steps])

    def _leave(self, scope: Scope, inputs: Any, output: Any) -> None:
        if self.scopes.in_neuron:
            return  # part of a neuron that is reported as a whole
        with no_dispatch():
            given = tensors_in(inputs)
            found = self._neurons.leaving(scope, inputs, output, self._reader, self._is_spikes)
            if found is None:
                return
            spikes = found.spikes
            if found.replaces:  # by modules inside, that are part of this one
                self._log.spikes = [s for s in self._log.spikes
                                    if (s.key.name, s.key.call) not in found.replaces]  # fmt: skip
            source = _source(given, spikes)
            walks = self._steps > 1 and self._told(scope.module, spikes) is not None
            self._label_outputs(scope.module, output, source)
            self._note_reached(scope, given, spikes)
            fired = self._neurons.emits_spikes(scope)
            near = (place for x in given for place in self.flow.of(x).upstream)
            self._log.before[scope.name, scope.call] = tuple(dict.fromkeys(near))
            for tensor in tensors_in(output):
                self.flow.set_spikes(
                    tensor, (scope.name, scope.call), fired=fired and tensor is spikes
                )
            self._log.spikes.append(self._spike_log(scope, spikes))
        self._log.sites += inside_neuron(self._inner, self._steps if walks else 1, scope.call)
        self._inner = []

    def _is_spikes(self, tensor: Tensor) -> bool:
        """Whether a tensor is known as spikes that a neuron gave out before."""
        return self.flow.of(tensor).origin == "spikes"

    def _label_outputs(self, module: nn.Module, output: Any, source: Tensor | None) -> None:
        """Outputs lie like the input; a known layer tells where its steps are."""
        for tensor in _floating(output):
            if source is not None and not self.flow.knows(tensor):
                self.flow.mark(tensor, self.flow.of(source))
                self.flow.copy_labels(tensor, source)
            told = None if self._steps == 1 else self._told(module, tensor)
            if told is not None:
                found = self.flow.read(tensor)
                shape = np.broadcast_shapes(found.shape, told.shape)
                found = np.broadcast_to(found, shape).copy()
                found[STEP] = told[STEP]
                self.flow.mark(tensor, replace(self.flow.of(tensor), inferred=False))
                self.flow.labels.write(tensor, label.compact(found))

    def _note_reached(self, scope: Scope, given: list[Tensor], spikes: Tensor) -> None:
        """Notes which executions that may stand for all steps come to this neuron layer."""
        steps = self.flow.read(spikes)[STEP]
        walks = self._steps > 1 and len(set(steps[steps >= 0].flat)) == self._steps
        # In a loop over the steps, what looks like steps begins in every turn.
        self._log.stepped |= walks and self.flow.begins < self._steps
        for number in frozenset[int]().union(*(self.flow.of(x).once for x in given)):
            self._log.reached[number][scope.name] += self._steps if walks else 1

    def _spike_log(self, scope: Scope, spikes: Tensor) -> SpikeLog:
        dims = self.flow.dims(spikes, spikes.dim()) or [0][: spikes.dim()]
        values = in_front(self.flow, spikes, dims)
        values = values if values.dim() > 1 else values.reshape(-1, 1)
        reading, trace = self._reader.read(values), self.flow.of(spikes)
        key = (self.flow.labels.table(values), Form.of(values), self._samples, trace.inferred)
        rows = self._rows.get(key)
        if rows is None:
            found = label.by_row(self.flow.read(values))
            rows = label.rows_of(found, len(values), self._samples, inferred=trace.inferred)
            self._rows[key] = rows
        counts = self._neurons.counts(scope.module)
        levels, amounts = reading.levels, None
        if levels is None or counts or len({abs(level) for level in levels} - {0.0}) > 1:
            levels = levels_of(values, MOST_OF_NEURONS)
            amounts = values.abs().flatten(1).sum(1, dtype=torch.float64).nan_to_num(0, 0, 0)
        elif levels:
            levels = frozenset(abs(level) for level in levels)
        nonzeros = reading.nonzeros
        return SpikeLog(
            key=SiteKey(name=scope.name, call=scope.call),
            outputs=spikes.numel(),
            nonzeros=nonzeros.flatten(1).sum(1) if nonzeros.dim() > 1 else nonzeros,
            amounts=amounts,
            levels=levels,
            counts=counts,
            rows=rows,
            began=len(self._log.spikes),
            by_neuron=self._by_neuron(values, spikes, dims) if self._neuron_detail else None,
        )

    def _by_neuron(self, values: Tensor, spikes: Tensor, dims: list[int]) -> Tensor:
        """The spikes of every single neuron, ``(C, *S)``."""
        found = values.sum(0, dtype=torch.float64)
        # A single sample has no labels that change; its dimension is one of the first two.
        alone = self._samples == 1 and len(dims) == 1 and found.dim() > 1 and len(found) == 1
        beside = dims == [1] or (dims == [0] and self._has_steps(spikes) and spikes.dim() != 4)
        return found[0] if alone and beside else found

    def _has_steps(self, spikes: Tensor) -> bool:
        return bool((self.flow.read(spikes)[STEP] >= 0).any())


def _equal(steps: Labels, told: Labels) -> bool:
    try:
        return bool((steps == told).all())
    except ValueError:
        return False


def _floating(value: Any) -> list[Tensor]:
    return [x for x in tensors_in(value) if x.is_floating_point()]


def _place(weight: Tensor | None) -> Hashable:
    if weight is None:
        return None
    return storage_id(weight), int(weight.storage_offset()), weight.numel()


def _source(inputs: list[Tensor], spikes: Tensor) -> Tensor | None:
    """The input a neuron's spikes are laid out like; recurrent ones may have other features."""
    alike = [x for x in inputs if x.dim() == spikes.dim() and x.shape[:-1] == spikes.shape[:-1]]
    return next((x for x in alike if x.shape == spikes.shape), alike[0] if alike else None)


def _origin(trace: Trace) -> Origin:
    return "current" if trace.origin == "weight" else trace.origin


def _equal_steps(values: Tensor, places: Tensor, samples: int, steps: int) -> bool:
    """Whether every sample's rows are the same at all steps."""
    order = places.argsort(stable=True)
    in_order = torch.equal(order, torch.arange(len(order)))
    in_turn = values if in_order else values[order]
    by_step = in_turn.unflatten(0, (samples, steps, -1))
    # Sample by sample, so that the differences stay in the cache; NaN differs from itself.
    return all(_all_zero(sample[1:] - sample[:-1]) for sample in by_step)


def _all_zero(values: Tensor) -> bool:
    return not any(map(bool, values.aminmax()))
