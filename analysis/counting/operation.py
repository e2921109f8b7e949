"""One operation, and which dimension of its result a dimension of an input became."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from analysis.counting.elementwise import aten
from analysis.counting.joining import dim_of_join

CONTRACT = {aten.mm, aten.bmm, aten.addmm, aten.addmm_, aten.baddbmm, aten.baddbmm_}
_CONVOLVE = {aten.convolution, aten._convolution}
# Besides what works element by element: dimensions are counted from the last.
_BROADCAST = {*CONTRACT, aten.masked_fill, aten.masked_fill_, aten.copy_, aten.repeat}
_SPREADS = {
    aten.scatter, aten.scatter_, aten.scatter_add, aten.scatter_add_, aten.index, aten.index_select,
}  # fmt: skip


@dataclass(frozen=True)
class Operation:
    """One operation with a new result.

    Attributes:
        func, args: What ran; None where a module did as a whole.
        result: What came out.
    """

    func: Any
    args: tuple[Any, ...]
    result: Tensor

    @property
    def packet(self) -> Any:
        """The operation, whatever it is given."""
        return getattr(self.func, "overloadpacket", None)

    @property
    def contracts(self) -> bool:
        """Whether it sums over a dimension of both factors."""
        return self.packet in CONTRACT

    @property
    def widens(self) -> bool:
        """Whether a dimension of one entry may become longer by meeting other values."""
        return not self.contracts and (self.broadcasts or self.packet in _SPREADS)

    def target(self, x: Tensor, dim: int) -> int | None:
        """The dimension of the result that one of an input became; None if it was used up."""
        result, packet = self.result, self.packet
        target = dim
        if packet in CONTRACT and dim == x.dim() - (1 if x is self.args[-2] else 2):
            return None
        if packet in _CONVOLVE and dim == 1 and x.dim() == result.dim():
            return None
        if packet is aten.stack:
            return dim + (dim >= dim_of_join(self.args, result))
        if packet is aten.index:
            return self._of_indexed(x, dim)
        if self.broadcasts:
            target += result.dim() - x.dim()
        elif x.dim() > result.dim():
            gone = self._reduced(x)
            if dim in gone:
                return None
            target -= sum(d < dim for d in gone)
        same = 0 <= target < result.dim() and (
            result.shape[target] == x.shape[dim] or packet is aten.repeat
        )
        return target if same else None

    @property
    def broadcasts(self) -> bool:
        """Whether dimensions are counted from the last, not from the first."""
        return self.packet in _BROADCAST or (
            self.func is not None and torch.Tag.pointwise in self.func.tags
        )

    def _reduced(self, x: Tensor) -> set[int]:
        """The dimensions of an input that are no more, by the argument that names them."""
        named = [argument.name for argument in self.func._schema.arguments] if self.func else []
        if "dim" not in named:
            return set()
        dims = dict(zip(named, self.args, strict=False)).get("dim")
        listed = [dims] if isinstance(dims, int) else list(dims or range(x.dim()))
        return {d % x.dim() for d in listed}

    def _of_indexed(self, x: Tensor, dim: int) -> int | None:
        """Where a dimension went that was not picked from, of those that were in a row."""
        picked = [d for d, index in enumerate(self.args[1]) if index is not None]
        if dim < picked[0]:
            return dim
        return dim + self.result.dim() - x.dim() if dim > picked[-1] else None
