"""The dispatch mode that watches a forward pass: the only file that instruments a model."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._mode_utils import no_dispatch
from torch.utils._python_dispatch import TorchDispatchMode, _get_current_dispatch_mode_stack
from torch.utils.flop_counter import flop_registry

from analysis.counting.dataflow import DataFlow, Trace
from analysis.counting.elementwise import elements_of_work
from analysis.counting.fans import per_row
from analysis.counting.handling import TORCHS_OWN, Handling, handling_of, run_parts
from analysis.counting.neurons import Neurons
from analysis.counting.operands import OperandReader, Reading
from analysis.counting.pass_log import PassLog, SiteLog, SpikeLog, WorkLog
from analysis.counting.products import Product, WeightProduct
from analysis.counting.recurrence import by_step
from analysis.counting.rows import Batch, Rows, in_front, rows_for_each, rows_of
from analysis.counting.scopes import Scope, Scopes
from analysis.counting.tensors import tensors_in
from analysis.counting.weights import Weights
from analysis.errors import InputError
from analysis.records import Origin, SiteKey


class Capture(TorchDispatchMode):
    """Counts every weight operation and every spike while it is active.

    It sits below autograd on the operations themselves, so functional calls, shared modules and
    keyword arguments are all seen.

    Args:
        model: The model to be run.
        neurons: How its spiking neuron layers are known.
        steps: Simulation steps T.
        may_be_static: Which sites to look at for equal input at all steps.
        histograms: Whether to count how often each value of an operand occurs.
        neuron_detail: Whether to count the spikes of every single neuron.
    """

    def __init__(
        self,
        model: nn.Module,
        neurons: Neurons,
        *,
        steps: int,
        may_be_static: Callable[[str], bool],
        histograms: bool = False,
        neuron_detail: bool = False,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.scopes = Scopes(model, neurons.is_neuron, self._leave)
        self._neurons = neurons
        self._may_be_static = may_be_static
        self._neuron_detail = neuron_detail
        self._reader = OperandReader(histograms=histograms)
        self.flow = DataFlow(steps, self._steps_begin)
        self._handlings: dict[int, Handling] = {}
        self._batch = Batch(samples=1, steps=steps)
        self._log = PassLog()
        self._inner: list[SiteLog] = []  # of the neuron layer that is running
        self.weights = Weights(model)
        self._model = model

    @contextmanager
    def watch(self, inputs: Tensor, batch: Batch) -> Iterator[PassLog]:
        """Counts one forward pass over a batch into the log it gives."""
        if any(isinstance(mode, Capture) for mode in _get_current_dispatch_mode_stack()):
            raise InputError("a model is already being counted here; captures can't be nested")
        self._batch, self._log, self._inner = batch, PassLog(), []
        self.flow.samples = batch.samples
        for parameter in self._model.parameters():
            self.flow.mark(parameter, Trace("weight"))
        for buffer in self._model.buffers():
            self.flow.mark(buffer, Trace("weight", axes=batch.axes_of_state(buffer)))
        self.flow.mark(inputs, Trace("image", axes=batch.axes(inputs)))
        fast_path = torch.backends.mha.get_fastpath_enabled()
        torch.backends.mha.set_fastpath_enabled(False)  # it hides its products
        try:
            with self.scopes.watch(), self:
                yield self._log
            for storage in self.flow.sources:
                self._log.ran.update(self.weights.owners_of(storage))
        finally:
            torch.backends.mha.set_fastpath_enabled(fast_path)
            self._reader.forget()
            self.flow.forget()
            self.weights.forget()

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
            handling = self._handlings[id(func)] = handling_of(func)
        if handling.is_composite:  # under inference_mode whole layers arrive here
            return run_parts(self, func, args, kwargs)
        result = func(*args, **kwargs)
        if handling.effect is not None:
            self._reader.note(func, args, kwargs, result)
        if handling.rule is not None:
            if self.scopes.in_neuron:
                self.flow.take_for_weights(tensors_in(args))
            for product in handling.rule(self.flow, result, *args, **kwargs):
                self._count(product)
        if handling.copies or not self.scopes.in_neuron:
            self.flow.follow(func, args, result)
        if handling.is_work and not self.scopes.in_neuron:
            self._note_work(func, args, result)
        return result

    def _count(self, product: Product) -> None:
        key = self.scopes.current.next_site()
        product, rows = self._by_sample(product, key.name)
        weight = product.weight
        self._log.ran |= {key.name, *(self.weights.owners(weight) if weight is not None else ())}
        values = product.rows
        trace = self.flow.of(product.inputs[0])
        static = not rows.mixes and rows.steps is None
        reads_data = trace.origin == "image"
        if rows.steps is not None and (reads_data or self._may_be_static(key.name)):
            places = rows.samples * self._batch.steps + rows.steps
            static = bool(rows.cells.all()) and _equal_steps(values, places, self._batch)
        log = self._inner if self.scopes.in_neuron else self._log.sites
        log.append(
            SiteLog(
                key=key,
                op=product.op,
                origins=tuple(_origin(self.flow.of(x)) for x in product.inputs),
                upstream=tuple(self.flow.of(x).upstream for x in product.inputs),
                counted=product.count(self._reader, trace.padding),
                rows=rows,
                static=static,
                place=self._reader.place(values),
                weights=self.weights.number(weight) if weight is not None else (0, 0),
                weight_place=_place(weight),
                biased_outputs=product.biased_outputs,
                shape=self.weights.shape(product),
            )
        )

    def _by_sample(self, product: Product, name: str) -> tuple[Product, Rows]:
        """A product and its rows; what no sample has a part in is done for each of them."""
        values = product.rows
        if isinstance(product, WeightProduct) and self.flow.is_same_for_all(values):
            rows = rows_for_each(len(values), self._batch)
            return product.for_each(self._batch.samples), rows
        return product, rows_of(values, self.flow, self._batch, name)

    def _note_work(self, func: Any, args: tuple[Any, ...], result: Any) -> None:
        found = elements_of_work(func, args, result)
        name = self.scopes.current.name
        if found is None:
            weighs = any(x.dim() > 1 and self.flow.is_weight(x) for x in tensors_in(args))
            foreign = func.namespace not in TORCHS_OWN  # may hold weights of its own
            if weighs or foreign or func.overloadpacket in flop_registry:
                self._log.uncounted[str(func)] += 1
                self._log.ran.add(name)
            return
        work, tensor = found
        if work == "addition" and any(map(self._is_bias, tensors_in(args))):
            work = "bias"
        serves_all = self.flow.knows(tensor) and self.flow.serves_all(tensor)
        times = self._batch.samples if self.flow.is_same_for_all(tensor) else 1
        self._log.work.append(WorkLog(name, work, tensor.numel() * times, serves_all=serves_all))

    def _steps_begin(self) -> None:
        self._log.begun.append(len(self._log.spikes))

    def _is_bias(self, values: Tensor) -> bool:
        return values.dim() < 2 and self.flow.is_weight(values)

    def _leave(self, scope: Scope, inputs: Any, output: Any) -> None:
        if self.scopes.in_neuron:
            return  # part of a neuron that is reported as a whole
        with no_dispatch():
            spikes = self._spikes(scope, inputs, output)
            if spikes is None:
                return
            if self._neurons.emits_spikes(scope):
                self.flow.derive(spikes, "spikes", _source(tensors_in(inputs), spikes))
            self.flow.comes_from(spikes, (scope.name, scope.call))
            values = self._leading(spikes)
            reading = self._reader.read(values)
            rows = rows_of(values, self.flow, self._batch, scope.name)
            counts = _spikes_per_row(values, reading)
            by_neuron = values.sum(0, dtype=torch.float64) if self._neuron_detail else None
        if rows.steps is not None:  # the layer walked over the steps by itself
            self._inner = by_step(self._inner, self._batch.steps, scope.call)
        self._log.sites += self._inner
        self._inner = []
        self._log.spikes.append(
            SpikeLog(
                key=SiteKey(name=scope.name, call=scope.call),
                cells=spikes.numel(),
                counts=counts,
                levels=reading.levels,
                rows=rows,
                by_neuron=by_neuron,
            )
        )

    def _spikes(self, scope: Scope, inputs: Any, output: Any) -> Tensor | None:
        """The spikes a module gave out, if it is a neuron layer or behaves like one."""
        found = next(iter(tensors_in(output)), None)
        if self._neurons.is_neuron(scope.module):
            if found is None:
                raise InputError(f"neuron layer {scope.name!r} gave out no tensor")
            return found
        if found is None or not found.is_floating_point() or not found.dim():
            return None
        if self.flow.knows(found) and self.flow.of(found).origin == "spikes":
            return None  # passed on: pooling, dropout, a container around a neuron
        behaves = self._neurons.behaves(scope, tensors_in(inputs), found, self._reader)
        return found if behaves else None

    def _leading(self, spikes: Tensor) -> Tensor:
        """Spikes as ``(N, C, *S)``, samples and steps together in front."""
        sample, step = self.flow.sample_dim(spikes) or 0, self.flow.step_along(spikes)
        both = {sample, step[0] if step else sample}
        rows = in_front(self.flow, spikes, sorted(both) if both == {0, 1} else [sample])
        return rows if rows.dim() > 1 else rows.unsqueeze(1)


def _place(weight: Tensor | None) -> Hashable:
    if weight is None:
        return None
    return weight.untyped_storage()._cdata, int(weight.storage_offset()), weight.numel()


def _source(inputs: list[Tensor], spikes: Tensor) -> Tensor | None:
    """The input a neuron's spikes are laid out like; recurrent ones may have other features."""
    alike = [x for x in inputs if x.dim() == spikes.dim() and x.shape[:-1] == spikes.shape[:-1]]
    return next((x for x in alike if x.shape == spikes.shape), alike[0] if alike else None)


def _spikes_per_row(values: Tensor, reading: Reading) -> Tensor:
    """Spikes of ``(N, C, *S)``: non-zeros, or whole numbers that say how often a neuron fired."""
    levels = reading.levels or frozenset()
    if max(levels, default=0) > 1 and all(level >= 0 and level % 1 == 0 for level in levels):
        return per_row(values.double())
    return per_row(reading.nonzeros)


def _origin(trace: Trace) -> Origin:
    return "current" if trace.origin == "weight" else trace.origin


def _equal_steps(values: Tensor, places: Tensor, batch: Batch) -> bool:
    """Whether every sample's rows are the same at all steps."""
    order = places.argsort(stable=True)
    in_order = torch.equal(order, torch.arange(len(order)))
    in_turn = values if in_order else values[order]
    by_step = in_turn.unflatten(0, (batch.samples, batch.steps, -1))
    # Sample by sample, so that the differences stay in the cache; NaN differs from itself.
    return all(_all_zero(sample[1:] - sample[:-1]) for sample in by_step)


def _all_zero(values: Tensor) -> bool:
    return not any(map(bool, values.aminmax()))
