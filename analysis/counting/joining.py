"""The axes that stacking and concatenating make of tensors at single samples or steps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from analysis.counting.axes import Axis, line_of, whole
from analysis.counting.elementwise import aten

Held = tuple[Tensor, Axis | None]  # a tensor and where in it the samples, or the steps, lie


@dataclass(frozen=True)
class Join:
    """Tensors that become one along a dimension.

    Attributes:
        parts: The tensors.
        stacks: Whether the dimension is new.
        dim, result: Along which, and what came out.
        steps: Simulation steps T.
    """

    parts: Sequence[Tensor]
    stacks: bool
    dim: int
    result: Tensor
    steps: int

    def axis(self, held: Sequence[Held], others: Sequence[Held], steps: int) -> Axis | None:
        """The axis of samples or steps along the dimension, made of the indices of the parts.

        Args:
            held: The parts of which something is known, and their axis.
            others: The same with the other of the two axes.
            steps: T for the axis of steps, 1 for that of samples.
        """
        axes = {id(x): axis for x, axis in held}
        apart = self._apart(others)
        pieces = []
        for x in self.parts:
            if not x.numel():
                continue  # has no dimension to speak of
            piece = self._piece(x, axes.get(id(x)))
            if piece.at_one and id(x) not in apart:
                return None
            pieces.append(piece)
        widths = {piece.inner for piece in pieces if piece.places}
        if len(widths) != 1:
            return None
        (width,) = widths
        if steps > 1 and self._makes_clip():
            return whole(self.result, self.dim, width, steps)
        places = _one_after_another(pieces, width, steps)
        return None if places is None else Axis(self.result.stride(self.dim) * width, places)

    def begins(self, samples: Sequence[Held], steps: Sequence[Held]) -> Axis | None:
        """The axis of steps that T tensors make of which no step is known."""
        of_samples = [axis.along(x) for x, axis in samples if axis]
        by_sample = self.axis(samples, steps, 1) is not None and not any(of_samples)
        if by_sample or latest(steps) is not None:
            return None
        each_one = len(self.parts) == self.steps
        across = [_lies_along(axis, x, self.dim) for x, axis in samples if axis]
        flat = each_one and bool(across) and all(across)
        if (self.stacks and each_one) or (not self.stacks and (flat or self._makes_clip())):
            inner = self.result.shape[self.dim] // self.steps
            return whole(self.result, self.dim, inner, self.steps)
        return None

    def _apart(self, others: Sequence[Held]) -> set[int]:
        """The parts that do not touch another one of the same index.

        Features that are joined within a step do: their dimension is longer than one, and not
        that of the other axis.
        """
        across = {id(x) for x, axis in others if axis and (axis.along(x) or (-1,))[0] == self.dim}
        alone = (x for x in self.parts if self.stacks or x.shape[self.dim : self.dim + 1] == (1,))
        return across | {id(x) for x in alone}

    def _piece(self, x: Tensor, axis: Axis | None) -> _Piece:
        length = 1 if self.stacks else x.shape[self.dim]
        along = axis.along(x) if axis else None
        if axis is not None and along is not None and along[0] == self.dim and length > 1:
            places = axis.slice_of(line_of(x, self.dim), along[1]) or range(0)
            times = -(-length // along[1]) // max(1, len(places))
            return _Piece(length, along[1], tuple(places) * times)
        index = axis.only(x) if axis else None
        if index is None:
            return _Piece(length, length, ())
        return _Piece(length, length, (index,), at_one=True)

    def _makes_clip(self) -> bool:
        """Whether what is concatenated becomes the steps of ``(B, T, C, H, W)`` or the like."""
        leads = self.result.dim() in (3, 5) and self.dim < 2
        return not self.stacks and leads and self.result.shape[self.dim] == self.steps > 1


@dataclass(frozen=True)
class _Piece:
    """What one of the tensors adds to the axis.

    Attributes:
        length, inner: Its entries, and how many of them share an index.
        places: Its indices; none where nothing is known.
        at_one: Whether the whole tensor is at one index.
    """

    length: int
    inner: int
    places: tuple[int, ...]
    at_one: bool = False


def join_of(packet: Any, args: tuple[Any, ...], result: Tensor, steps: int) -> Join | None:
    """The joining that an operation does, if it does any."""
    if packet is not aten.stack and packet is not aten.cat:
        return None
    return Join(args[0], packet is aten.stack, dim_of_join(args, result), result, steps)


def dim_of_join(args: tuple[Any, ...], result: Tensor) -> int:
    """The dimension of the result along which tensors are joined."""
    dim: int = args[1] if len(args) > 1 else 0
    return dim % result.dim()


def latest(held: Iterable[Held]) -> Axis | None:
    """The latest of the single indices that tensors have."""
    found = (axis.only(x) for x, axis in held if axis)
    index = max((index for index in found if index is not None), default=None)
    return None if index is None else Axis.at(index)


def _lies_along(axis: Axis, tensor: Tensor, dim: int) -> bool:
    """Whether a dimension runs over the axis; of a single index, the first of length one."""
    along = axis.along(tensor)
    return along[0] == dim if along else dim == 0 and len(tensor) == 1 == len(axis.places)


def _one_after_another(pieces: Sequence[_Piece], inner: int, steps: int) -> range | None:
    """The indices of what is joined; those of steps by position where they are all there."""
    known = [place for piece in pieces for place in piece.places]
    if all(piece.places for piece in pieces):
        first, by = known[0], known[1] - known[0] if len(known) > 1 else 1
        row = range(first, first + by * len(known), by or 1)
        if list(row) == known:
            return row
        around = pieces[0].places
        if len(around) > 1 and known == list(around) * (len(known) // len(around)):
            return range(around[0], around[-1] + 1, around[1] - around[0])
        if len(set(known)) == 1:
            return None  # all at one index: no axis begins here
    entries = sum(piece.length for piece in pieces) / inner
    return range(steps) if 1 < steps == entries else None
