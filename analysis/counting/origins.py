"""Where tensors come from, operation by operation: origin, neuron layers upstream, samples, steps.

What is known of a tensor stands beside its storage, so that views share it: a `Trace`, and labels
(see `labels`). An operation gives its result what its inputs have together.

Steps begin where a picture is repeated, expanded, stacked or met by random numbers T times. Such
steps are *inferred*: they serve figures by step, and a known neuron layer with another axis of
steps, or a loop over the steps, refutes them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from analysis.counting import labels as label
from analysis.counting.inputs import tensors_in
from analysis.counting.labels import NONE, STEP, Form, Labels, LabelStore, Table
from analysis.counting.operations import Operation, bound
from analysis.records import Origin, Work
from analysis.torch_internals import StorageWeakRef, storage_id

aten = torch.ops.aten

NeuronPlace = tuple[str, int]  # path of a neuron layer, and which call of it, from 0
_NOBODY: frozenset[int] = frozenset()
_NO_INPUT: frozenset[str] = frozenset()
_PLAIN = frozenset((int, float, bool, str, type(None), torch.dtype, torch.device, torch.layout))


@dataclass(frozen=True, slots=True)
class Trace:
    """What is known of a tensor besides its values and labels.

    Attributes:
        origin: Where it comes from; ``weight`` for parameters, buffers and what is made of them.
        padding: Zeros around it, as (before, after) per trailing axis from the last.
        upstream: The nearest neuron layers it is made of: those with the fewest operations in
            between, ``hops``; several if they are equally near.
        once: Executions of weight operations it is made of that ran before any neuron layer and
            belong to no step: each may stand for all steps.
        inferred: Whether its steps are inferred, not told.
        inputs: Of an ``image``: the inputs of the model that it is made of.
    """

    origin: Origin | Literal["weight"] = "current"
    padding: tuple[int, ...] = ()
    upstream: tuple[NeuronPlace, ...] = ()
    hops: int = 0
    once: frozenset[int] = _NOBODY
    inferred: bool = False
    inputs: frozenset[str] = _NO_INPUT


class DataFlow:
    """Remembers a `Trace` and labels per storage of one forward pass.

    Args:
        steps: Simulation steps T.
    """

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self.labels = LabelStore()
        self.samples = 1  # of the batch that runs
        self.begins = 0  # how often steps began in this pass
        self.at_one_step: set[int] = set()  # executions of `Trace.once` that serve one step each
        self.sources: set[int] = set()  # storages of weights that others were made of
        self._traces: dict[int, tuple[StorageWeakRef, Trace]] = {}
        self._taken: defaultdict[tuple[int, int], set[int]] = defaultdict(set)
        self._slots: dict[int, dict[int, int]] = {}  # parts written one after another, by offset
        self._passed: dict[Any, tuple[Table, bool]] = {}

    def mark(self, tensor: Tensor, trace: Trace) -> None:
        """Says what is known of a tensor."""
        self._traces[storage_id(tensor)] = (StorageWeakRef(tensor.untyped_storage()), trace)

    def of(self, tensor: Tensor) -> Trace:
        """What is known of a tensor; what nobody marked is a current."""
        known = self._traces.get(storage_id(tensor))
        return known[1] if known else Trace()

    def knows(self, tensor: Tensor) -> bool:
        """Whether anything is known of a tensor."""
        return storage_id(tensor) in self._traces

    def is_weight(self, tensor: Tensor) -> bool:
        """Whether a tensor is a parameter or buffer, or made of such only."""
        return self.of(tensor).origin == "weight"

    def forget(self) -> None:
        """Drops everything known; to be called after each forward pass."""
        for known in (self._traces, self.labels, self.sources, self._taken, self._slots):
            known.clear()
        self.at_one_step.clear()
        self.begins = 0

    def read(self, tensor: Tensor) -> Labels:
        """The labels of a tensor; a dimension of length T made by expanding holds the steps."""
        found = self.labels.of(tensor)
        if self._is_unfinished(tensor):
            found = found.copy()
            found[STEP] = NONE
        if self._steps > 1 and (found[STEP] == NONE).all():
            dim = self._expanded(tensor)
            if dim is not None:
                return label.along(found, STEP, dim, self._steps, self._steps)
        return found

    def dims(self, tensor: Tensor, before: int) -> list[int]:
        """The dimensions of samples and of steps, in the order they have, among the first ones."""
        found = self.read(tensor)
        varied = [[d for d in range(tensor.dim()) if one.shape[d] > 1 and _varies(one, d)]
                  for one in found]  # fmt: skip
        return sorted({dims[0] for dims in varied if len(dims) == 1 and dims[0] < before})

    def assume_weights(self, operands: Sequence[Tensor]) -> None:
        """Marks operands of unknown origin as weights if another operand is known.

        Inside a neuron layer that holds no weights nothing is followed, neither what is made of
        weights: the masked ones of a layer that weighs its steps, for example.
        """
        unknown = [x for x in operands if not self.knows(x)]
        if any(self.knows(x) and not self.is_weight(x) for x in operands):
            for x in unknown:
                self.mark(x, Trace("weight"))

    def set_spikes(self, spikes: Tensor, neuron: NeuronPlace, *, fired: bool) -> None:
        """Marks a tensor as the output of a neuron layer, also of one that has not fired yet."""
        known = self.of(spikes)
        origin = "spikes" if fired or known.origin == "weight" else known.origin
        hops = 0 if fired else known.hops  # it may turn out to be none
        once = _NOBODY if fired else known.once
        marked = replace(known, origin=origin, upstream=(neuron,), hops=hops, once=once)
        self.mark(spikes, replace(marked, padding=()))

    def copy_labels(self, result: Tensor, source: Tensor) -> None:
        """Gives a tensor the labels of another one, along the dimensions they share in front."""
        found, dims = self.read(source), result.dim()
        shape = [n if n == 1 or m == n else 0 for n, m in zip(found.shape[1:], result.shape)]  # noqa: B905
        if source.dim() == dims and 0 not in shape:
            self.labels.write(result, found)
        elif label.is_constant(found):
            self.labels.write(result, found.reshape(2, *[1] * dims))
        else:
            self.labels.write(result, label.unruled([found], dims))

    def follow(
        self, func: Any, row: Operation, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
    ) -> None:
        """Marks the results of an operation by what went into it.

        What is made of nothing known (a tensor of zeros, say) stays unknown, so that filling it
        piece by piece gives it the origin of the pieces.
        """
        if func.is_view:
            self._note_view(func, args, result)
            return
        if row.kind == "makes":
            return
        tensors = tensors_in(args)
        inputs = [x for x in tensors if self.knows(x)]
        if not inputs:
            return
        trace = self._together(row, [self.of(x) for x in inputs], len(inputs) < len(tensors))
        if row.placed_by == "index":  # where values go is no value: token ids of an embedding
            trace = replace(trace, inputs=self.of(tensors[0]).inputs)
        if trace.origin == "weight":
            self.sources |= {storage_id(x) for x in inputs}
        if func.overloadpacket is aten.constant_pad_nd and (len(args) < 3 or args[2] == 0):
            trace = replace(trace, padding=tuple(args[1]))
        for index, tensor in enumerate(tensors_in(result)):
            inferred = self._label(func, row, args, kwargs, index, inputs, tensor)
            marked = trace if inferred == trace.inferred else replace(trace, inferred=inferred)
            self.mark(tensor, marked)

    def _together(self, row: Operation, traces: list[Trace], has_unknown: bool) -> Trace:
        """What the result of an operation has of the traces of its inputs."""
        origins: set[Any] = {trace.origin for trace in traces}
        if row.kind == "product" and has_unknown:
            origins.add("current")  # weights met something unknown, such as a first state of zeros
        if origins != {"weight"}:
            origins.discard("weight")  # a learned scale or offset changes no origin
        near, hops = _nearest(traces)
        once = traces[0].once.union(*(trace.once for trace in traces[1:]))
        inferred = any(trace.inferred for trace in traces)
        spiking = sum(trace.origin in ("spikes", "summed-spikes") for trace in traces)
        origin = _combine(row, origins)
        if row.work == "addition" and spiking == len(traces) > 1:
            origin = "summed-spikes"
        inputs = (
            traces[0].inputs.union(*(t.inputs for t in traces)) if origin == "image" else _NO_INPUT
        )
        return Trace(origin, (), near, hops, once, inferred, inputs)

    # Labels ----------------------------------------------------------------------------------

    def _label(
        self, func: Any, row: Operation, args: tuple[Any, ...], kwargs: dict[str, Any],
        index: int, inputs: list[Tensor], to: Tensor,
    ) -> bool:  # fmt: skip
        """Labels what an operation made, or wrote into; whether its steps are inferred."""
        written = any(to is x for x in tensors_in(args))
        if self.knows(to) and not written:
            return self.of(to).inferred  # a view by another name
        values = [x for x in inputs if not self.is_weight(x)]
        if written and func.overloadpacket is aten.copy_:  # what was there is gone
            values = [x for x in values if x is not to] or values
        inferred = any(self.of(x).inferred for x in values)
        if not values:
            return False
        form = (
            None if row.placed_by != "shape" else self._form(func, args, kwargs, index, values, to)
        )
        known = self._passed.get(form) if form is not None else None
        if known is None or (written and not Form.of(to).is_whole):
            found, begins = self._worked_out(func, row, args, kwargs, index, values, to)
            if written and not Form.of(to).is_whole:
                found = self._in_slot(to, found, values)
            self.labels.write(to, found)
            table = self.labels.table(to)
            if form is not None and table is not None:
                self._passed[form] = table, begins
        else:
            table, begins = known
            self.labels.put(to, table)
        self.begins += begins
        if begins and func.overloadpacket in (aten.stack, aten.cat):
            self._note_parts(args[0])
        return inferred or begins

    def _form(
        self, func: Any, args: Any, kwargs: Any, index: int, values: list[Tensor], to: Tensor
    ) -> Any:
        """All that the labels of a result depend on; None where that can't be told."""
        held = {id(x) for x in values}

        def of(value: Any) -> Any:
            if isinstance(value, Tensor):
                table = self.labels.table(value) if id(value) in held else None
                return table, Form.of(value), self._is_unfinished(value)
            if isinstance(value, list | tuple):
                return tuple(map(of, value))
            return value if type(value) in _PLAIN else str(value)

        settings = tuple(of(value) for value in kwargs.values()) if kwargs else ()
        return func, index, of(args), settings, Form.of(to)

    def _worked_out(
        self, func: Any, row: Operation, args: Any, kwargs: Any, index: int,
        values: list[Tensor], to: Tensor,
    ) -> tuple[Labels, bool]:  # fmt: skip
        sums = row.kind in ("reduces", "product")  # steps made by expanding are summed over
        held = [(x, self.read(x) if sums else self.labels.of(x)) for x in values]
        begins = sums and any(self._expanded(x) is not None for x in values)
        found = _carried(func, row, args, kwargs, index, held, to)
        if row.kind in ("moves", "elementwise"):
            found = label.by_place(found, to.shape, self._steps)
        dim = self._clip_along(func, args, to)
        if dim is not None and (found[STEP] >= 0).any():
            return label.along(found, STEP, dim, self._steps, self._steps), True
        if self._steps == 1 or (found[STEP] != NONE).any():
            return found, begins
        dim = self._begins(func, row, args, values, found, to)
        if dim is None:
            return found, False
        return label.along(found, STEP, dim, self._steps, to.shape[dim]), True

    def _begins(
        self, func: Any, row: Operation, args: Any, values: list[Tensor], found: Labels, to: Tensor
    ) -> int | None:
        """The dimension along which steps begin in a result."""
        packet, dim = func.overloadpacket, None
        if packet in (aten.cat, aten.stack):
            return self._joined_along(packet, args, found, to)
        if packet is aten.repeat:
            dim = copied_along([*args[1]], self._steps)
            if dim is not None and dim > 1 and to.shape[dim] > self._steps:
                return None  # a picture, several times in a larger one
        elif row.kind in ("elementwise", "moves"):
            widens = row.kind == "elementwise" or row.placed_by == "index"
            dim = copied_along(_gained(values, to, widens=widens), self._steps)
        return None if dim is None or to.shape[dim] % self._steps else dim

    def _joined_along(self, packet: Any, args: Any, found: Labels, to: Tensor) -> int | None:
        """The dimension along which T tensors become the steps."""
        parts, stacks = args[0], packet is aten.stack
        dim = (args[1] if len(args) > 1 else 0) % to.dim()
        each = len(parts) == self._steps
        of_samples = [self.labels.of(x)[label.SAMPLE] for x in parts]
        if found[label.SAMPLE].shape[dim] > 1 and all(one.size == 1 for one in of_samples):
            return None  # sample by sample
        if stacks:
            return dim if each else None
        leads = to.dim() in (3, 5) and dim < 2 and to.shape[dim] == self._steps
        flat = each and all(
            [d for d, n in enumerate(one.shape) if n > 1] == [dim] or (len(x) == 1 and dim == 0)
            for x, one in zip(parts, of_samples, strict=True)
        )
        return dim if leads or flat else None

    def _clip_along(self, func: Any, args: Any, to: Tensor) -> int | None:
        """The dimension of steps if what is concatenated becomes ``(B, T, C, H, W)`` or alike."""
        if func.overloadpacket is not aten.cat or to.dim() not in (3, 5):
            return None
        dim = (args[1] if len(args) > 1 else 0) % to.dim()
        return dim if dim < 2 and to.shape[dim] == self._steps > 1 else None

    def _expanded(self, tensor: Tensor) -> int | None:
        """The dimension of length T that was made by expanding, if there is one."""
        lengths = zip(tensor.shape, tensor.stride(), strict=True)
        return copied_along([n if stride == 0 else 1 for n, stride in lengths], self._steps)

    def _is_unfinished(self, tensor: Tensor) -> bool:
        """Whether it was filled in parts, and not in T of them."""
        slots = self._slots.get(storage_id(tensor))
        return slots is not None and len(slots) != self._steps

    def _in_slot(self, part: Tensor, found: Labels, values: list[Tensor]) -> Labels:
        """A part of a tensor that holds no step is the next one if there come to be T of them."""
        for x in values:
            self.at_one_step |= self.of(x).once
        samples = found[label.SAMPLE]
        of_one = self.samples > 1 and samples.size == 1 and bool((samples >= 0).all())
        if of_one or (found[STEP] >= 0).any() or self._steps == 1:
            return found
        slots = self._slots.setdefault(storage_id(part), {})
        found = found.copy()
        found[STEP] = slots.setdefault(int(part.storage_offset()), len(slots))
        return found

    # Executions that may stand for all steps -------------------------------------------------

    def _note_parts(self, parts: Sequence[Tensor]) -> None:
        """Of T tensors that become the steps, what went into some only serves those."""
        onces = [self.of(x).once for x in parts]
        self.at_one_step |= frozenset().union(*onces) - frozenset.intersection(*onces)

    def _note_view(self, func: Any, args: tuple[Any, ...], result: Any) -> None:
        """Of a tensor that is taken apart into T slices, each goes into one step."""
        if self._steps == 1 or not args or not isinstance(args[0], Tensor):
            return
        whole = args[0]
        once = self.of(whole).once
        if not once or once <= self.at_one_step or (self.read(whole)[STEP] != NONE).any():
            return
        if len(tensors_in(result)) == self._steps:
            self.at_one_step |= once
            return
        if func.overloadpacket not in (aten.select, aten.slice):
            return
        dim, at = [*args[1:], 0, 0][:2]
        lengths = whole.shape[dim], result.shape[dim] if result.dim() == whole.dim() else 1
        if lengths == (self._steps, 1):
            taken = self._taken[storage_id(whole), whole.stride(dim)]
            taken.add(int(at) % self._steps)
            if len(taken) == self._steps:
                self.at_one_step |= once


def in_front(flow: DataFlow, operand: Tensor, dims: Sequence[int]) -> Tensor:
    """An operand with its dimensions of samples and steps as one in front; labels go along."""
    values = label.in_front(operand, dims)
    if dims and not flow.knows(values):  # had to be copied
        flow.mark(values, flow.of(operand))
        whole = np.broadcast_to(flow.read(operand), (2, *operand.shape)).copy()
        moved = [label.in_front(one, dims) for one in torch.from_numpy(whole)]
        flow.labels.write(values, label.compact(torch.stack(moved).numpy()))
    return values


def copied_along(times: Sequence[int], number: int) -> int | None:
    """The dimension of steps in what was expanded or repeated so many times.

    It is one of the first two, or the only one: a gate that fills a picture has no steps.

    Example:
        >>> copied_along([4, 1, 1, 1], 4), copied_along([1, 1, 4, 4], 4)
        (0, None)
    """
    dims = [dim for dim, copies in enumerate(times) if copies > 1]
    return next((d for d in dims if times[d] == number and (d < 2 or len(dims) == 1)), None)


def _varies(one: Labels, dim: int) -> bool:
    return bool((one != one.take([0], dim)).any())


def _gained(inputs: Sequence[Tensor], result: Tensor, *, widens: bool) -> list[int]:
    """How often values stand along each dimension of a result that no input has itself.

    Args:
        inputs: What is known; all dimensions are counted from the last.
        result: What came out.
        widens: Whether a dimension may also be gained by meeting a tensor of which nothing is
            known, such as random numbers.
    """
    times = []
    for behind in range(result.dim(), 0, -1):
        size = result.shape[-behind]
        there = [x for x in inputs if x.dim() >= behind and x.shape[-behind] == size > 1]
        own = any(x.stride(-behind) > 0 for x in there)
        times.append(size if not own and (widens or there) else 1)
    return times


def _carried(
    func: Any, row: Operation, args: Any, kwargs: Any, index: int,
    held: list[tuple[Tensor, Labels]], to: Tensor,
) -> Labels:  # fmt: skip
    """The labels that inputs bring into a result."""
    dims = to.dim()
    first = held[0][1]
    alike = row.kind != "moves" or all(
        one.size == 2 and (one == first.reshape(one.shape)).all() for _, one in held
    )
    if alike and all(label.is_constant(one) for _, one in held):
        return label.joined([one.reshape(2, *[1] * dims) for _, one in held])
    if row.kind == "elementwise":
        return label.elementwise(held, to)
    if row.kind == "reduces":
        named = bound(func, args, kwargs).get("dim")
        return label.reduced(held, to, [named] if isinstance(named, int) else named)
    if row.kind == "product":
        return _of_product(func, args, held, to)
    dim = bound(func, args, kwargs).get("dim") if row.placed_by == "values" else None
    if isinstance(dim, int) and held[0][0].dim() == dims > 0:  # sorted along one dimension
        _, one = held[0]
        return label.elementwise([(to, label.merged_over(one, [dim % dims]))], to)
    if row.kind == "moves" and row.placed_by != "values":
        return _of_move(func, row, args, kwargs, index, held, to)
    return label.unruled([one for _, one in held], dims)


def _of_move(
    func: Any, row: Operation, args: Any, kwargs: Any, index: int,
    held: list[tuple[Tensor, Labels]], to: Tensor,
) -> Labels:  # fmt: skip
    """Labels of what is placed elsewhere; where, an index may say that has labels of its own."""
    packet = func.overloadpacket
    if packet in _COPIES or (row.broadcasts and packet is not aten.repeat):
        return label.elementwise(held, to)
    values = [(x, one) for x, one in held if x.is_floating_point() or x is args[0]]
    places = [(x, one) for x, one in held if not (x.is_floating_point() or x is args[0])]
    if packet is aten.embedding:  # a row of weights for each index
        return (
            np.concatenate([one[..., None] for _, one in places])
            if places
            else label.nothing(to.dim())
        )
    found = (
        label.moved(func, args, kwargs, index, values, to) if values else label.nothing(to.dim())
    )
    if all(label.is_constant(one) for _, one in places) or all(
        x.shape == to.shape for x, _ in places
    ):
        return label.elementwise([(to, found), *places], to) if places else found
    return label.unruled([found, *(one for _, one in places)], to.dim())


_SCATTERS = {aten.scatter, aten.scatter_, aten.gather}
_COPIES = {aten.clone, aten._to_copy, aten._lazy_clone}
_CONVOLVE = {aten.convolution, aten._convolution}
_CONTRACT = {
    aten.mm, aten.bmm, aten.addmm, aten.addmm_, aten.baddbmm, aten.baddbmm_, aten.mv, aten.addmv,
}  # fmt: skip


def _of_product(func: Any, args: Any, held: list[tuple[Tensor, Labels]], to: Tensor) -> Labels:
    packet = func.overloadpacket
    if packet in _CONVOLVE and held[0][0] is args[0] and len(held) == 1:
        return label.convolved(*held[0], to)
    if packet in _CONTRACT:
        left, right = args[-2], args[-1]
        factors = [
            (x, one, x.dim() - (1 if x is left else min(2, x.dim())))
            for x, one in held
            if x is left or x is right
        ]
        rest = [one for x, one in held if x is not left and x is not right]
        if factors:
            return (
                label.contracted(factors, to)
                if not rest
                else label.joined(
                    [
                        label.contracted(factors, to),
                        *(label.unruled([one], to.dim()) for one in rest),
                    ]
                )
            )
    if len(held) and all(x.dim() == to.dim() for x, _ in held):  # attention, recurrent layers
        inner = [label.merged_over(one, list(range(2, x.dim()))) for x, one in held]
        return label.elementwise([(to, one) for one in inner], to)
    return label.unruled([one for _, one in held], to.dim())


def _nearest(traces: Iterable[Trace]) -> tuple[tuple[NeuronPlace, ...], int]:
    """The neuron layers nearest to an operation on such tensors, and how far they are."""
    known = [trace for trace in traces if trace.upstream]
    hops = min((trace.hops for trace in known), default=0)
    near = dict.fromkeys(key for trace in known if trace.hops == hops for key in trace.upstream)
    return tuple(near), hops + 1


def _combine(row: Operation, origins: set[Any]) -> Any:
    """The origin of a result, from those of its inputs."""
    spiking = origins & {"spikes", "gated-spikes", "pooled-spikes", "summed-spikes"}
    work: Work | None = row.work
    if row.kind == "moves" or work == "addition":
        return next(iter(origins)) if len(origins) == 1 else "current"
    if work == "product" and spiking:
        return next(iter(spiking)) if len(origins) == 1 else "gated-spikes"
    if work == "pooling" and len(origins) == 1 and origins != {"image"}:
        origin = next(iter(origins))
        return "pooled-spikes" if origin == "spikes" and row.binary != "keeps" else origin
    if origins == {"weight"} or (origins == {"image"} and work in ("product", "pooling")):
        return next(iter(origins))
    return "current"
