"""Where tensors come from: origins, zero padding, samples and steps, operation by operation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef

from analysis.counting.axes import Axes, Axis, missing
from analysis.counting.elementwise import MOVES, WORK, aten
from analysis.counting.operation import CONTRACT, Operation
from analysis.counting.passing import Passing, steps_along
from analysis.counting.tensors import tensors_in
from analysis.records import Origin, Work

NeuronPlace = tuple[str, int]  # path of a neuron layer, and which call of it, from 0

# New tensors that have only their type from another one.
_OF_OTHER_SIZE = {aten.new_empty, aten.new_zeros, aten.new_ones, aten.new_full}


@dataclass(frozen=True)
class Trace:
    """What is known of a tensor besides its values.

    Attributes:
        origin: Where it comes from; ``weight`` for parameters, buffers and what is made of them.
        padding: Zeros around it, as (before, after) per trailing axis from the last.
        axes: Where samples and steps lie in its storage.
        upstream: The nearest neuron layers it is made of: those with the fewest operations in
            between, ``hops``; several if they are equally near.
    """

    origin: Origin | Literal["weight"] = "current"
    padding: tuple[int, ...] = ()
    axes: Axes = field(default_factory=Axes)
    upstream: tuple[NeuronPlace, ...] = ()
    hops: int = 0


class DataFlow:
    """Remembers a `Trace` per storage, so that views share it.

    Args:
        steps: Simulation steps T: a new axis of that length made by repeating or stacking holds
            the steps.
        on_begin: Called whenever such an axis begins.
    """

    def __init__(self, steps: int, on_begin: Callable[[], None]) -> None:
        self._steps, self._on_begin = steps, on_begin
        self.samples = 1  # of the batch that runs
        self.may_begin = steps > 1  # see `Passing`
        self._traces: dict[int, tuple[StorageWeakRef, int, Trace]] = {}
        self.sources: set[int] = set()  # storages of weights that others were made of

    def mark(self, tensor: Tensor, trace: Trace) -> None:
        """Says what is known of a tensor."""
        storage = tensor.untyped_storage()
        size = tensor.element_size()
        self._traces[storage._cdata] = (StorageWeakRef(storage), size, trace)

    def of(self, tensor: Tensor) -> Trace:
        """What is known of a tensor; what nobody marked is a current."""
        known = self._traces.get(tensor.untyped_storage()._cdata)
        if known is None:
            return Trace()
        _, size, trace = known
        if size == tensor.element_size():
            return trace
        return replace(trace, axes=trace.axes.in_units(size, tensor.element_size()))

    def knows(self, tensor: Tensor) -> bool:
        """Whether anything is known of a tensor."""
        return tensor.untyped_storage()._cdata in self._traces

    def is_weight(self, tensor: Tensor) -> bool:
        """Whether a tensor is a parameter or buffer, or made of such only."""
        return self.of(tensor).origin == "weight"

    def is_same_for_all(self, tensor: Tensor) -> bool:
        """Whether no sample has a part in a tensor, not even a copy."""
        copies = tensor.dim() > 0 and tensor.stride(0) == 0 and len(tensor) == self.samples
        return self.is_weight(tensor) and self.of(tensor).axes.sample is None and not copies

    def take_for_weights(self, operands: Sequence[Tensor]) -> None:
        """Takes what nobody knows for weights where it meets values that are known.

        Inside a neuron layer nothing is followed, neither what is made of weights: the masked ones
        of a layer that weighs its steps, for example.
        """
        unknown = [x for x in operands if not self.knows(x)]
        if any(self.knows(x) and not self.is_weight(x) for x in operands):
            for x in unknown:
                self.mark(x, Trace("weight"))

    def forget(self) -> None:
        """Drops everything known; to be called after each forward pass."""
        self._traces.clear()
        self.sources.clear()

    def sample_dim(self, tensor: Tensor) -> int | None:
        """The dimension of a tensor that runs over samples, if one does."""
        axis = self.of(tensor).axes.sample
        found = axis.along(tensor) if axis else None
        return found[0] if found else None

    def step_along(self, tensor: Tensor) -> tuple[int, int] | None:
        """The dimension that runs over steps and how many entries share one.

        A dimension of length T that was made by expanding holds the steps too.
        """
        found = steps_along(tensor, self.of(tensor).axes.step, self._steps)
        begins = found is not None and tensor.stride(found[0]) == 0
        return None if begins and not self.may_begin else found

    def serves_all(self, tensor: Tensor) -> bool:
        """Whether a tensor stands for all steps at once, without mixing them."""
        axes = self.of(tensor).axes
        return not axes.mixed and axes.step is None and self.step_along(tensor) is None

    def comes_from(self, spikes: Tensor, neuron: NeuronPlace) -> None:
        """Marks a tensor as the output of a neuron layer, also of one that has not fired yet."""
        if self.knows(spikes):
            self.mark(spikes, replace(self.of(spikes), upstream=(neuron,), hops=0))

    def derive(self, result: Tensor, origin: Origin, source: Tensor | None) -> None:
        """Marks a tensor of a given origin, laid out as before or else as a source is."""
        axes = self.of(result).axes
        if not self.knows(result) and source is not None:
            axes = self._axes(None, (), [source], result)
        known = self.of(result if source is None else source)
        self.mark(result, replace(known, origin=origin, padding=(), axes=axes))

    def follow(self, func: Any, args: tuple[Any, ...], result: Any) -> None:
        """Marks the results of an operation by what went into it.

        What is made of nothing known (a tensor of zeros, say) stays unknown, so that filling it
        piece by piece gives it the origin of the pieces.
        """
        if func.is_view or func.overloadpacket in _OF_OTHER_SIZE:
            return
        tensors = tensors_in(args)
        inputs = [x for x in tensors if self.knows(x)]
        if not inputs:
            return
        packet = func.overloadpacket
        origins: set[Any] = {self.of(x).origin for x in inputs}
        if packet in CONTRACT and len(inputs) < len(tensors):
            origins.add("current")  # weights met something unknown, such as a first state of zeros
        if origins == {"weight"}:
            self.sources |= {x.untyped_storage()._cdata for x in inputs}
        else:
            origins.discard("weight")  # a learned scale or offset changes no origin
        near, hops = _nearest([self.of(x) for x in inputs])
        trace = Trace(_combine(packet, WORK.get(packet), origins), upstream=near, hops=hops)
        if packet is aten.constant_pad_nd and (len(args) < 3 or args[2] == 0):
            trace = replace(trace, padding=tuple(args[1]))
        for tensor in tensors_in(result):
            self.mark(tensor, replace(trace, axes=self._axes_of(func, args, inputs, tensor)))

    def _axes_of(
        self, func: Any, args: tuple[Any, ...], inputs: list[Tensor], result: Tensor
    ) -> Axes:
        """The axes of what an operation made, or wrote into."""
        written = any(result is x for x in tensors_in(args))
        part = result.numel() * result.element_size() < result.untyped_storage().nbytes()
        if self.knows(result) and (part or not written):
            return self.of(result).axes
        axes = self._axes(func, args, inputs, result)
        return self._in_whole(result, axes) if part and written else axes

    def _axes(self, func: Any, args: tuple[Any, ...], inputs: list[Tensor], result: Tensor) -> Axes:
        passing = Passing(Operation(func, args, result), self._steps, self.may_begin)
        values = [(x, self.of(x).axes) for x in inputs if not self.is_weight(x)]
        if not values:
            return passing.copies([(x, self.of(x).axes) for x in inputs], self.samples)
        axes = passing.axes(values)
        if axes.begins:
            self._on_begin()
        return axes

    def _in_whole(self, part: Tensor, axes: Axes) -> Axes:
        """The axes of a new tensor of which a part was written, at one sample or one step."""
        sample, step = axes.sample, axes.step
        if self.samples > 1 and sample is not None and len(sample.places) == 1:
            return Axes(*_filled(part, self.samples, step), mixed=axes.mixed)
        step, sample = _filled(part, self._steps, sample)
        return Axes(sample, step, mixed=axes.mixed and step is None)


def _filled(part: Tensor, size: int, other: Axis | None) -> tuple[Axis | None, Axis | None]:
    """The axis that a part of a tensor lies across, and the other one, both in the whole."""
    axis = missing(part, size) if size > 1 else None
    if other is None or len(other.places) == 1:
        return axis, other if axis else None
    before = axis.stride * (axis.only(part) or 0) if axis else 0
    return axis, replace(other, start=other.start - before)


def _nearest(traces: Iterable[Trace]) -> tuple[tuple[NeuronPlace, ...], int]:
    """The neuron layers nearest to an operation on such tensors, and how far they are."""
    known = [trace for trace in traces if trace.upstream]
    hops = min((trace.hops for trace in known), default=0)
    near = dict.fromkeys(key for trace in known if trace.hops == hops for key in trace.upstream)
    return tuple(near), hops + 1


def _combine(packet: Any, work: Work | None, origins: set[Any]) -> Any:
    """The origin of a result, from those of its inputs."""
    spiking = origins & {"spikes", "gated-spikes", "pooled-spikes"}
    if packet in MOVES or work == "addition":
        return next(iter(origins)) if len(origins) == 1 else "current"
    if work == "product" and spiking:
        return next(iter(spiking)) if len(origins) == 1 else "gated-spikes"
    if work == "pooling" and len(origins) == 1 and origins != {"image"}:
        return _pooled(packet, next(iter(origins)))
    if origins == {"weight"} or (origins == {"image"} and work in ("product", "pooling")):
        return next(iter(origins))
    return "current"


def _pooled(packet: Any, origin: Any) -> Any:
    keeps_spikes = (aten.amax, aten.max, aten.max_pool2d_with_indices)
    return "pooled-spikes" if origin == "spikes" and packet not in keeps_spikes else origin
