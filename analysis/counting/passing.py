"""How samples and steps pass from the inputs of an operation to its result."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from analysis.counting.axes import Axes, Axis, carried, line_of
from analysis.counting.elementwise import aten

CONTRACT = {aten.mm, aten.bmm, aten.addmm, aten.addmm_, aten.baddbmm, aten.baddbmm_}
_CONVOLVE = {aten.convolution, aten._convolution}
_REDUCE = {aten.mean, aten.sum, aten.amax, aten.amin, aten.max, aten.prod, aten.any}

_JOINS = {aten.stack, aten.cat}

Held = tuple[Tensor, Axis | None]  # a tensor and where in it the samples, or the steps, lie


def steps_along(tensor: Tensor, axis: Axis | None, steps: int) -> tuple[int, int] | None:
    """The dimension that runs over steps and how many entries share one.

    A dimension of length T that was made by expanding holds the steps too.
    """
    found = axis.along(tensor) if axis else None
    if found is not None or steps == 1:
        return found
    if axis is not None and axis.only(tensor) is None:
        return None  # several steps, along no single dimension
    for dim, (length, stride) in enumerate(zip(tensor.shape, tensor.stride(), strict=True)):
        if stride == 0 and length == steps:
            return dim, 1
    return None


@dataclass(frozen=True)
class Passing:
    """One operation with a new result.

    Attributes:
        packet, args: What ran.
        result: What came out.
        steps: Simulation steps T.
    """

    packet: Any
    args: tuple[Any, ...]
    result: Tensor
    steps: int

    def axes(self, inputs: Sequence[tuple[Tensor, Axes]]) -> Axes:
        """The axes of the result, by the inputs of which something is known.

        Of several slices of the steps it holds the latest: membranes come from the step before.
        """
        samples: list[Held] = [(x, axes.sample) for x, axes in inputs]
        steps: list[Held] = [(x, axes.step) for x, axes in inputs]
        joins = self.packet in _JOINS
        joined = self._joined(samples, steps, 1) if joins else None
        sample = joined or next(self._carried(samples, 1), None) or _shared(samples)
        step = self._joined(steps, samples, self.steps) if joins else None
        if step is not None:
            return Axes(sample, step)
        mixed = any(axes.mixed for _, axes in inputs)
        for found in self._carried(steps, self.steps):
            if found is None:
                mixed = True
            elif step is None or found.places[-1] > step.places[-1]:
                step = found
        if step is None and self.steps > 1:
            by_sample = joined is not None and not any(a.along(x) for x, a in samples if a)
            step = (None if by_sample else self._beginning(steps, samples)) or _latest(steps)
        return Axes(sample, step, mixed=mixed and step is None)

    def _carried(self, held: Sequence[Held], steps: int) -> Iterator[Axis | None]:
        """The axis in the result, by each input that has one of several indices.

        None where the result has no such dimension.
        """
        for x, axis in held:
            along = steps_along(x, axis, steps)
            if along is None:
                continue
            to = self._target(x, along[0])
            if to is None:
                yield None
            elif x.stride(along[0]) == 0:
                yield self._whole(to, 1, steps)
            elif axis is not None:
                yield carried(axis, x, *along, self.result, to)

    def _joined(self, held: Sequence[Held], others: Sequence[Held], steps: int) -> Axis | None:
        """The axis that stacking or concatenating makes of parts that have one or some indices."""
        dim, apart = self._dim_of_parts(), self._apart(others)
        axes = {id(x): axis for x, axis in held}
        parts = []
        for x in self.args[0]:
            if not x.numel():
                continue  # has no dimension to speak of
            part = self._part(x, axes.get(id(x)), dim)
            if part.at_one and id(x) not in apart:
                return None
            parts.append(part)
        inner = {part.inner for part in parts if part.places}
        if len(inner) != 1:
            return None
        (width,) = inner
        if steps > 1 and self._is_clip(dim):
            return self._whole(dim, width, steps)
        places = _one_after_another(parts, width, steps)
        return None if places is None else Axis(self.result.stride(dim) * width, places)

    def _apart(self, others: Sequence[Held]) -> set[int]:
        """The parts that do not touch another index of their axis when they are joined.

        Features that are joined within a step do: their dimension is longer than one, and not
        that of the other axis.
        """
        dim = self._dim_of_parts()
        across = {id(x) for x, axis in others if axis and (axis.along(x) or (-1,))[0] == dim}
        alone = self.packet is aten.stack
        return across | {id(x) for x in self.args[0] if alone or x.shape[dim : dim + 1] == (1,)}

    def _dim_of_parts(self) -> int:
        dim: int = self.args[1] if len(self.args) > 1 else 0
        return dim % self.result.dim()

    def _part(self, x: Tensor, axis: Axis | None, dim: int) -> _Part:
        length = 1 if self.packet is aten.stack else x.shape[dim]
        along = axis.along(x) if axis else None
        if axis is not None and along is not None and along[0] == dim and length > 1:
            places = axis.slice_of(line_of(x, dim), along[1]) or range(0)
            times = -(-length // along[1]) // max(1, len(places))
            return _Part(length, along[1], tuple(places) * times)
        index = axis.only(x) if axis else None
        if index is None:
            return _Part(length, length, ())
        return _Part(length, length, (index,), at_one=True)

    def _beginning(self, held: Sequence[Held], samples: Sequence[Held]) -> Axis | None:
        """Steps that begin here: T tensors stacked or joined, or one repeated T times."""
        if self.packet in _JOINS and _latest(held) is None:
            dim = self._dim_of_parts()
            if self._is_axis_of_steps(dim, samples):
                return self._whole(dim, self.result.shape[dim] // self.steps, self.steps)
        if self.packet is aten.repeat and self.steps in self.args[1]:
            dim = list(self.args[1]).index(self.steps)
            shape = self.args[0].shape
            new = self.result.dim() - len(shape)
            return self._whole(dim, shape[dim - new] if dim >= new else 1, self.steps)
        return None

    def _is_axis_of_steps(self, dim: int, samples: Sequence[Held]) -> bool:
        """Whether tensors of which no step is known become the steps along a dimension."""
        each_one = len(self.args[0]) == self.steps
        if self.packet is aten.stack:
            return each_one
        across = [_lies_along(axis, x, dim) for x, axis in samples if axis]
        return self._is_clip(dim) or (each_one and bool(across) and all(across))

    def _is_clip(self, dim: int) -> bool:
        """Whether what is concatenated becomes the steps of ``(B, T, C, H, W)`` or the like."""
        leads = self.result.dim() in (3, 5) and dim < 2
        return self.packet is aten.cat and leads and self.result.shape[dim] == self.steps > 1

    def _whole(self, dim: int, inner: int, size: int) -> Axis:
        start = int(self.result.storage_offset())
        return Axis(self.result.stride(dim) * inner, range(size), start)

    def _target(self, x: Tensor, dim: int) -> int | None:
        """The dimension of the result that one of an input became; None if it was used up."""
        result, packet = self.result, self.packet
        if packet in CONTRACT:
            contracted = x.dim() - 1 if x is self.args[-2] else x.dim() - 2
            if dim == contracted:
                return None
        elif packet in _CONVOLVE and dim == 1 and x.dim() == result.dim():
            return None
        elif packet in _REDUCE and x.dim() != result.dim():
            gone = _reduced_dims(self.args, x)
            return None if dim in gone else dim - sum(d < dim for d in gone)
        elif packet is aten.stack:
            new = self.args[1] % result.dim() if len(self.args) > 1 else 0
            return dim + (dim >= new)
        target = dim + result.dim() - x.dim()
        same = 0 <= target < result.dim() and (
            result.shape[target] == x.shape[dim] or packet is aten.repeat
        )
        return target if same else None


def _lies_along(axis: Axis, tensor: Tensor, dim: int) -> bool:
    """Whether a dimension runs over the axis; of a single index, the first of length one."""
    along = axis.along(tensor)
    return along[0] == dim if along else dim == 0 and len(tensor) == 1 == len(axis.places)


@dataclass(frozen=True)
class _Part:
    """One of the tensors that are joined.

    Attributes:
        length, inner: Its entries, and how many of them share an index.
        places: Its indices; none where nothing is known.
        at_one: Whether the whole tensor is at one index.
    """

    length: int
    inner: int
    places: tuple[int, ...]
    at_one: bool = False


def _one_after_another(parts: Sequence[_Part], inner: int, steps: int) -> range | None:
    """The indices of parts that are joined; those of steps by position where they are all there."""
    known = [place for part in parts for place in part.places]
    if all(part.places for part in parts):
        first, by = known[0], known[1] - known[0] if len(known) > 1 else 1
        row = range(first, first + by * len(known), by or 1)
        if list(row) == known:
            return row
        around = parts[0].places
        if len(around) > 1 and known == list(around) * (len(known) // len(around)):
            return range(around[0], around[-1] + 1, around[1] - around[0])
        if len(set(known)) == 1:
            return None  # all at one index: no axis begins here
    entries = sum(part.length for part in parts) / inner
    return range(steps) if 1 < steps == entries else None


def _shared(held: Iterable[Held]) -> Axis | None:
    """The one index that all inputs have."""
    indices = {axis.only(x) for x, axis in held if axis}
    index = indices.pop() if len(indices) == 1 else None
    return None if index is None else Axis.at(index)


def _latest(held: Iterable[Held]) -> Axis | None:
    """The latest of the single indices that inputs have."""
    found = (axis.only(x) for x, axis in held if axis)
    index = max((index for index in found if index is not None), default=None)
    return None if index is None else Axis.at(index)


def _reduced_dims(args: tuple[Any, ...], x: Tensor) -> set[int]:
    dims = args[1] if len(args) > 1 else range(x.dim())
    listed = [dims] if isinstance(dims, int) else list(dims or range(x.dim()))
    return {d % x.dim() for d in listed}
