"""Which sample and which step an element belongs to, however a tensor is laid out.

An axis is known by its stride in the storage: the element at offset ``o`` has the place
``(o - start) // stride % size``. Views share their storage, so the axis survives reshapes,
transposes, slices and merged axes; (B, T), (T, B), flattened or with tokens in between are all the
same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor


@dataclass(frozen=True)
class Line:
    """One dimension of a view: its length, and where its entries begin in the storage."""

    length: int
    stride: int
    start: int


@dataclass(frozen=True)
class Axis:
    """An axis of samples or steps in a storage, or a slice of one.

    Attributes:
        stride: Storage elements from one index to the next.
        places: The indices there are, in order; a single one where the whole storage has it.
        start: Storage offset of the first.
    """

    stride: int
    places: range
    start: int = 0

    @classmethod
    def at(cls, index: int) -> Axis:
        """The axis in a storage whose elements all have one index."""
        return cls(1, range(index, index + 1))

    def in_units(self, old: int, new: int) -> Axis:
        """The same where the storage is seen as elements of another size, in bytes."""
        return replace(self, stride=self.stride * old // new, start=self.start * old // new)

    def along(self, view: Tensor) -> tuple[int, int] | None:
        """The dimension of a view that carries the axis, and how many entries share an index.

        None where no single dimension does.

        Example:
            >>> flat = torch.zeros(2, 3, 5).flatten(0, 1)  # (B*T, C) with B = 2, T = 3
            >>> Axis(15, range(2)).along(flat), Axis(5, range(3)).along(flat)
            ((0, 3), (0, 1))
        """
        several = len(self.places) > 1
        return _along(self, tuple(view.shape), view.stride()) if several else None

    def only(self, view: Tensor) -> int | None:
        """The index that all elements of a view have; None where they have several.

        Example:
            >>> clip = torch.zeros(2, 3, 5)
            >>> Axis(5, range(3)).only(clip[:, 1]), Axis(5, range(3)).only(clip[:, 1:])
            (1, None)
        """
        if len(self.places) == 1:
            return self.places[0]
        return _only(self, tuple(view.shape), view.stride(), int(view.storage_offset()))

    def is_spread(self, view: Tensor) -> bool:
        """Whether a view holds several indices, along no single dimension.

        Example:
            >>> halves = torch.zeros(4, 5).unflatten(0, (2, 2))
            >>> Axis(5, range(4)).is_spread(halves), Axis(5, range(4)).is_spread(halves[0])
            (True, False)
        """
        return self.along(view) is None and self.only(view) is None

    def indices(self, line: Line) -> Tensor:
        """The index of every entry of a dimension."""
        offsets = torch.arange(line.length) * line.stride + line.start - self.start
        places = offsets.div(self.stride, rounding_mode="floor") % len(self.places)
        return places * self.places.step + self.places.start

    def slice_of(self, line: Line, inner: int) -> range | None:
        """The indices along a dimension in which ``inner`` entries share one, once around.

        None where they are no range.
        """
        number = -(-line.length // inner)
        first = (line.start - self.start) // self.stride % len(self.places)
        by = max(1, line.stride // self.stride)
        if by == 1 and first == 0 and number >= len(self.places):
            return self.places
        found = self.places[first : first + number * by : by]
        return found if len(found) == number else None


@lru_cache(maxsize=4096)  # asked anew in every batch
def _along(axis: Axis, shape: tuple[int, ...], strides: tuple[int, ...]) -> tuple[int, int] | None:
    found = [
        (dim, max(1, axis.stride // stride))
        for dim, (length, stride) in enumerate(zip(shape, strides, strict=True))
        if stride > 0
        and (length - 1) * stride >= axis.stride
        and stride % (axis.stride * len(axis.places))
    ]
    return found[0] if len(found) == 1 else None


@lru_cache(maxsize=4096)
def _only(axis: Axis, shape: tuple[int, ...], strides: tuple[int, ...], offset: int) -> int | None:
    around = axis.stride * len(axis.places)
    reach = sum(
        (length - 1) * stride
        for length, stride in zip(shape, strides, strict=True)
        if stride % around
    )
    first, inside = divmod(offset - axis.start, axis.stride)
    return axis.places[first % len(axis.places)] if inside + reach < axis.stride else None


@dataclass(frozen=True)
class Axes:
    """The axes of samples and steps of one storage; None where it has none or none is known.

    Attributes:
        sample, step: The two.
        mixed: Whether all steps already went into every element.
        begins: Whether the steps begin here, in a tensor made of what has none.
    """

    sample: Axis | None = None
    step: Axis | None = None
    mixed: bool = False
    begins: bool = False

    def in_units(self, old: int, new: int) -> Axes:
        """The same where the storage is seen as elements of another size, in bytes."""
        sample, step = (axis and axis.in_units(old, new) for axis in (self.sample, self.step))
        return replace(self, sample=sample, step=step)


def line_of(view: Tensor, dim: int) -> Line:
    """One dimension of a view."""
    return Line(view.shape[dim], view.stride(dim), int(view.storage_offset()))


def carried(axis: Axis, view: Tensor, dim: int, inner: int, result: Tensor, to: int) -> Axis | None:
    """The axis of a view's dimension in a new tensor, in which dimension ``to`` goes with it."""
    places = axis.slice_of(line_of(view, dim), inner)
    start = int(result.storage_offset())
    return Axis(result.stride(to) * inner, places, start) if places is not None else None


def whole(result: Tensor, dim: int, inner: int, size: int) -> Axis:
    """A full axis along a dimension of a new tensor."""
    return Axis(result.stride(dim) * inner, range(size), int(result.storage_offset()))


def missing(view: Tensor, size: int) -> Axis | None:
    """The axis of that size which a tensor has and this view of it, at one index, has not.

    Example:
        >>> spikes = torch.zeros(2, 3, 5)
        >>> missing(spikes[:, 1], 3)
        Axis(stride=5, places=range(0, 3), start=0)
    """
    step = 1
    for stride, length in sorted(zip(view.stride(), view.shape, strict=True)):
        if length == 1:
            continue
        if stride == step * size:
            return Axis(step, range(size))
        if stride != step:
            return None
        step *= length
    whole = view.untyped_storage().nbytes() // view.element_size()
    return Axis(step, range(size)) if whole == step * size else None
