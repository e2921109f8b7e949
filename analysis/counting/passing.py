"""How samples and steps pass from the inputs of an operation to its result."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from analysis.counting.axes import Axes, Axis, carried, whole
from analysis.counting.elementwise import aten
from analysis.counting.joining import Held, dim_of_join, join_of, latest

CONTRACT = {aten.mm, aten.bmm, aten.addmm, aten.addmm_, aten.baddbmm, aten.baddbmm_}
_CONVOLVE = {aten.convolution, aten._convolution}
_REDUCE = {aten.mean, aten.sum, aten.amax, aten.amin, aten.max, aten.prod, aten.any}


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
        join = join_of(self.packet, self.args, self.result, self.steps)
        joined = join.axis(samples, steps, 1) if join else None
        sample = joined or next(filter(None, self._carried(samples, 1)), None) or _shared(samples)
        step = join.axis(steps, samples, self.steps) if join else None
        if step is not None:
            return Axes(sample, step)
        mixed = any(axes.mixed for _, axes in inputs)
        for found in self._carried(steps, self.steps):
            if found is None:
                mixed = True
            elif step is None or found.places[-1] > step.places[-1]:
                step = found
        if step is None and self.steps > 1:
            begins = join.begins(samples, steps) if join else self._repeated()
            step = begins or latest(steps)
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
                yield whole(self.result, to, 1, steps)
            elif axis is not None:
                yield carried(axis, x, *along, self.result, to)

    def _repeated(self) -> Axis | None:
        """Steps that begin here: a tensor repeated T times."""
        if self.packet is not aten.repeat or self.steps not in self.args[1]:
            return None
        dim = list(self.args[1]).index(self.steps)
        shape = self.args[0].shape
        new = self.result.dim() - len(shape)
        return whole(self.result, dim, shape[dim - new] if dim >= new else 1, self.steps)

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
            return dim + (dim >= dim_of_join(self.args, result))
        target = dim + result.dim() - x.dim()
        same = 0 <= target < result.dim() and (
            result.shape[target] == x.shape[dim] or packet is aten.repeat
        )
        return target if same else None


def _shared(held: Iterable[Held]) -> Axis | None:
    """The one index that all inputs have."""
    indices = {axis.only(x) for x, axis in held if axis}
    index = indices.pop() if len(indices) == 1 else None
    return None if index is None else Axis.at(index)


def _reduced_dims(args: tuple[Any, ...], x: Tensor) -> set[int]:
    dims = args[1] if len(args) > 1 else range(x.dim())
    listed = [dims] if isinstance(dims, int) else list(dims or range(x.dim()))
    return {d % x.dim() for d in listed}
