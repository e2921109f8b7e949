"""Which sample and which step an element belongs to, however a tensor is laid out.

An axis is known by its stride in the storage: the element at offset ``o`` has index
``(o - start) // stride % size``. Views share their storage, so the axis survives reshapes,
transposes and merged axes; (B, T), (T, B), flattened or with tokens in between are all the same.
"""

from __future__ import annotations

from dataclasses import dataclass
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
    """An axis of samples or steps in a storage.

    Attributes:
        stride: Storage elements from one index to the next.
        size: How many indices there are.
        start: Storage offset of index 0.
    """

    stride: int
    size: int
    start: int = 0

    def along(self, view: Tensor) -> tuple[int, int] | None:
        """The dimension of a view that carries the axis, and how many entries share an index.

        None where no single dimension does.

        Example:
            >>> flat = torch.zeros(2, 3, 5).flatten(0, 1)  # (B*T, C) with B = 2, T = 3
            >>> Axis(stride=15, size=2).along(flat), Axis(stride=5, size=3).along(flat)
            ((0, 3), (0, 1))
        """
        return _along(self, tuple(view.shape), view.stride())

    def indices(self, line: Line) -> Tensor:
        """The index of every entry of a dimension."""
        offsets = torch.arange(line.length) * line.stride + line.start
        return (offsets - self.start).div(self.stride, rounding_mode="floor") % self.size


@lru_cache(maxsize=4096)  # asked anew in every batch
def _along(axis: Axis, shape: tuple[int, ...], strides: tuple[int, ...]) -> tuple[int, int] | None:
    found = [
        (dim, max(1, axis.stride // stride))
        for dim, (length, stride) in enumerate(zip(shape, strides, strict=True))
        if stride > 0
        and (length - 1) * stride >= axis.stride
        and stride % (axis.stride * axis.size)
    ]
    return found[0] if len(found) == 1 else None


@dataclass(frozen=True)
class Axes:
    """The axes of samples and steps of one storage; None where it has none or none is known.

    Attributes:
        sample, step: The two.
        mixed: Whether all steps already went into every element.
    """

    sample: Axis | None = None
    step: Axis | None = None
    mixed: bool = False


def carried(axis: Axis | None, result: Tensor, dim: int, inner: int) -> Axis | None:
    """The same axis in a new tensor whose dimension ``dim`` corresponds to the old one."""
    if axis is None:
        return None
    return Axis(result.stride(dim) * inner, axis.size, int(result.storage_offset()))
