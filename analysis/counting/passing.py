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
    lengths = zip(tensor.shape, tensor.stride(), strict=True)
    dim = dim_of_steps([length if stride == 0 else 1 for length, stride in lengths], steps)
    return None if dim is None else (dim, 1)


def dim_of_steps(times: Sequence[int], steps: int) -> int | None:
    """The dimension that holds the steps in what was expanded or repeated so many times.

    It is one of the first two, or the only one: a gate that fills a picture has no steps.

    Example:
        >>> dim_of_steps([4, 1, 1, 1], steps=4), dim_of_steps([1, 1, 4, 4], steps=4)
        (0, None)
    """
    dims = [dim for dim, number in enumerate(times) if number > 1]
    return next((d for d in dims if times[d] == steps and (d < 2 or len(dims) == 1)), None)


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
        in_time = [(x, axis) for x, axis in steps if not self._fills(x, axis, inputs)]
        for found in self._carried(in_time, self.steps):
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

    def _fills(self, x: Tensor, axis: Axis | None, inputs: Sequence[tuple[Tensor, Axes]]) -> bool:
        """Whether what looks like steps of an input was expanded to the size of another one.

        The other one has values along that dimension that are no steps.
        """
        along = steps_along(x, axis, self.steps)
        if along is None or x.stride(along[0]) > 0:
            return False
        behind = x.dim() - along[0]  # counted from the last dimension
        return any(
            not axes.mixed
            and y.dim() >= behind
            and y.shape[-behind] == self.steps
            and y.stride(-behind) > 0
            and steps_along(y, axes.step, self.steps) != (y.dim() - behind, 1)
            for y, axes in inputs
        )

    def _repeated(self) -> Axis | None:
        """Steps that begin here: a tensor repeated T times."""
        if self.packet is not aten.repeat:
            return None
        dim = dim_of_steps(self.args[1], self.steps)
        if dim is None:
            return None
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
