"""How samples and steps pass from the inputs of an operation to its result."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from analysis.counting.axes import Axes, Axis, carried, whole
from analysis.counting.elementwise import aten
from analysis.counting.joining import Held, Join, dim_of_join, join_of, latest
from analysis.counting.operation import Operation


def steps_along(tensor: Tensor, axis: Axis | None, steps: int) -> tuple[int, int] | None:
    """The dimension that runs over steps and how many entries share one.

    A dimension of length T that was made by expanding holds the steps too.
    """
    found = axis.along(tensor) if axis else None
    if found is not None or steps == 1:
        return found
    if axis is not None and axis.only(tensor) is None:
        return None  # several steps, along no single dimension
    dim = _expanded_along(tensor, steps)
    return None if dim is None else (dim, 1)


def _expanded_along(tensor: Tensor, number: int) -> int | None:
    lengths = zip(tensor.shape, tensor.stride(), strict=True)
    return copied_along([length if stride == 0 else 1 for length, stride in lengths], number)


def copied_along(times: Sequence[int], number: int) -> int | None:
    """The dimension of steps, or of samples, in what was expanded or repeated so many times.

    It is one of the first two, or the only one: a gate that fills a picture has no steps.

    Example:
        >>> copied_along([4, 1, 1, 1], 4), copied_along([1, 1, 4, 4], 4)
        (0, None)
    """
    dims = [dim for dim, copies in enumerate(times) if copies > 1]
    return next((d for d in dims if times[d] == number and (d < 2 or len(dims) == 1)), None)


@dataclass(frozen=True)
class Passing:
    """What passes through one operation.

    Attributes:
        op: What ran.
        steps: Simulation steps T.
        may_begin: Whether T tensors that are joined, or a dimension of length T that is made by
            expanding or repeating, become the steps.
    """

    op: Operation
    steps: int
    may_begin: bool

    def axes(self, inputs: Sequence[tuple[Tensor, Axes]]) -> Axes:
        """The axes of the result, by the inputs of which something is known.

        Of several slices of the steps it holds the latest: membranes come from the step before.
        """
        samples: list[Held] = [(x, axes.sample) for x, axes in inputs]
        steps: list[Held] = [(x, axes.step) for x, axes in inputs]
        join = join_of(self.op.packet, self.op.args, self.op.result, self.steps)
        joined = join.axis(samples, steps, 1) if join else None
        sample = joined or next(filter(None, self._carried(samples, 1)), None) or _shared(samples)
        step = join.axis(steps, samples, self.steps) if join else None
        if step is not None:
            return Axes(sample, step)
        found = list(self._carried(steps, 1))
        step = max(filter(None, found), key=lambda axis: axis.places[-1], default=None)
        if step is None and None in found:
            step = self._made_anew(steps)
        begun = self._begun(join, inputs) if step is None and self.may_begin else []
        mixed = any(axes.mixed for _, axes in inputs) or None in found or None in begun
        step = step or next(filter(None, begun), None)
        if step is None and None not in found:
            step = latest(steps)
        return Axes(sample, step, mixed=mixed and step is None, begins=bool(begun))

    def _made_anew(self, held: Iterable[Held]) -> Axis | None:
        """The steps that come out of a product over all steps, or of picking T among them."""
        for x, axis in held:
            along = axis.along(x) if axis else None
            if along is None or along[1] > 1:
                continue
            place = along[0]
            if self.op.contracts:
                place += self.op.result.dim() - x.dim()
            index = self.op.args[1][place:] if self.op.packet is aten.index else []
            picked = len(index) == 1 and index[0] is not None
            there = tuple(self.op.result.shape[place : place + 1]) == (self.steps,)
            if there and (picked or self.op.contracts):
                return whole(self.op.result, place, 1, self.steps)
        return None

    def copies(self, weights: Sequence[tuple[Tensor, Axes]], samples: int) -> Axes:
        """The axes of the result where weights are copied for every sample, or sample and step."""
        known = next(filter(None, self._carried([(x, a.sample) for x, a in weights], 1)), None)
        if known is not None:
            of_steps = self._carried([(x, a.step) for x, a in weights], 1)
            return Axes(known, next(filter(None, of_steps), None))
        for number, steps in ((samples, 1), (samples * self.steps, self.steps)):
            dim, length = self._copied([x for x, _ in weights], number)
            if dim is not None:
                step = whole(self.op.result, dim, length, steps) if steps > 1 else None
                return Axes(whole(self.op.result, dim, length * steps, samples), step)
        return Axes()

    def _copied(self, inputs: Sequence[Tensor], number: int) -> tuple[int | None, int]:
        """The dimension of the result along which an input is copied so often, and its length."""
        if self.op.packet is aten.repeat:
            return self._repeated_along(number)
        if self.op.packet is aten.stack and len(self.op.args[0]) == number:
            return dim_of_join(self.op.args, self.op.result), 1
        expanded = ((x, _expanded_along(x, number)) for x in inputs)
        dims = (self.op.target(x, dim) for x, dim in expanded if dim is not None)
        return next((dim for dim in dims if dim is not None), None), 1

    def _begun(self, join: Join | None, inputs: Sequence[tuple[Tensor, Axes]]) -> list[Axis | None]:
        """The axes of steps that begin here; None for one that is used up at once."""
        samples: list[Held] = [(x, axes.sample) for x, axes in inputs]
        steps: list[Held] = [(x, axes.step) for x, axes in inputs]
        expanded = [(x, axis) for x, axis in steps if not self._fills(x, axis, inputs)]
        made = join.begins(samples, steps) if join else self._repeated()
        if made is None and latest(steps) is None:
            made = self._gained([x for x, _ in inputs])
        return [*self._carried(expanded, self.steps), *filter(None, [made])]

    def _gained(self, inputs: Sequence[Tensor]) -> Axis | None:
        """Steps that begin here: values meet T others along a dimension which they do not have.

        Random numbers or thresholds for every step make spikes of a picture so.
        """
        if not self.op.widens:
            return None
        shape = self.op.result.shape
        behind = range(len(shape), 0, -1)
        gained = [all(x.dim() < b or x.shape[-b] == 1 for x in inputs) for b in behind]
        dim = copied_along(
            [n if new else 1 for n, new in zip(shape, gained, strict=True)], self.steps
        )
        return None if dim is None else whole(self.op.result, dim, 1, self.steps)

    def _carried(self, held: Sequence[Held], steps: int) -> Iterator[Axis | None]:
        """The axis in the result, by each input that has one of several indices.

        None where the result has no such dimension.
        """
        for x, axis in held:
            along = steps_along(x, axis, steps)
            if along is None:
                if axis is not None and axis.is_spread(x):
                    yield None
                continue
            to = self.op.target(x, along[0])
            if to is None:
                yield None
            elif x.stride(along[0]) == 0:
                yield whole(self.op.result, to, 1, steps)
            elif axis is not None:
                yield carried(axis, x, *along, self.op.result, to)

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
        if self.op.packet is not aten.repeat:
            return None
        dim, length = self._repeated_along(self.steps)
        if dim is None or (dim > 1 and length > 1):  # a picture, several times in a larger one
            return None
        return whole(self.op.result, dim, length, self.steps)

    def _repeated_along(self, number: int) -> tuple[int | None, int]:
        """The dimension along which the input is repeated so often, and how long it was."""
        dim, shape = copied_along(self.op.args[1], number), self.op.args[0].shape
        new = self.op.result.dim() - len(shape)
        return dim, shape[dim - new] if dim is not None and dim >= new else 1


def _shared(held: Iterable[Held]) -> Axis | None:
    """The one index that all inputs have."""
    indices = {axis.only(x) for x, axis in held if axis}
    index = indices.pop() if len(indices) == 1 else None
    return None if index is None else Axis.at(index)
