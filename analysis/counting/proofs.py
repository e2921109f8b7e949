"""Tensors that hold nothing but 0 and 1 by the way they were made, so that nobody has to look.

Every framework fires by a comparison: truth values converted to numbers, or written as numbers
into a tensor, step by step. What only moves such numbers keeps them. The proof of a storage ends
with any other write to it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef

from analysis.counting.tensors import tensors_in

aten = torch.ops.aten

Effect = Literal["converts", "keeps", "compares", "copies", "writes", "fires"]

_FIRES = {"gac::fire"}  # by name, so that nothing has to be imported

_COMPARES = {aten.gt, aten.ge, aten.lt, aten.le, aten.eq, aten.ne}
_KEEPS = {
    aten.cat, aten.clone, aten.constant_pad_nd, aten.index_select, aten.repeat, aten.stack,
    aten.max_pool2d_with_indices, aten.max_pool3d_with_indices,
}  # fmt: skip


def effect_of(func: Any) -> Effect | None:
    """What an operation does to proofs; most do nothing.

    Example:
        >>> (
        ...     effect_of(aten._to_copy.default),
        ...     effect_of(aten.gt.Scalar_out),
        ...     effect_of(aten.mul_.Tensor),
        ... )
        ('converts', 'compares', 'writes')
    """
    packet = func.overloadpacket
    if func._schema.name in _FIRES:
        return "fires"
    if func._schema.is_mutable:
        if packet in _COMPARES:
            return "compares"
        return "copies" if packet is aten.copy_ else "writes"
    if packet is aten._to_copy:
        return "converts"
    return "keeps" if packet in _KEEPS else None


@dataclass
class _Proof:
    """What is known of one storage.

    Attributes:
        storage: A weak reference, which keeps the address from being used again.
        dtype: Of the tensor.
        parts: Where 0 and 1 were written so far: (sizes, strides) by offset.
        whole: Whether they fill the storage.
    """

    storage: StorageWeakRef
    dtype: torch.dtype
    parts: dict[int, tuple[torch.Size, tuple[int, ...]]] = field(default_factory=dict)
    whole: bool = False


class BinaryProofs:
    """Which storages hold 0 and 1 only, known without reading them.

    Example:
        >>> proofs, spikes = BinaryProofs(), (torch.tensor([0.3, 1.2]) > 1).float()
        >>> proofs.note(aten._to_copy.default, (torch.tensor([False, True]),), {}, spikes)
        >>> proofs.hold(spikes)
        True
        >>> proofs.note(aten.mul_.Tensor, (spikes, 2), {}, spikes)
        >>> proofs.hold(spikes)  # written to
        False
    """

    def __init__(self) -> None:
        self._proofs: dict[int, _Proof] = {}

    def note(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        """Takes in an operation with an effect that ran."""
        effect = effect_of(func)
        if effect == "compares" or (effect == "copies" and self.hold(args[1])):
            self._fill(result)
        elif effect == "fires":
            self._proof(result).whole = True
        elif effect in ("writes", "copies"):
            for tensor in written(func, args, kwargs):
                self._proofs.pop(tensor.untyped_storage()._cdata, None)
        elif effect == "converts" and (args[0].dtype == torch.bool or self.hold(args[0])):
            self._proof(result).whole = True
        elif effect == "keeps" and all(map(self.hold, tensors_in(args[0]))):
            pads = func.overloadpacket is aten.constant_pad_nd and len(args) > 2
            if not pads or args[2] in (0, 1):
                self._proof(result[0] if isinstance(result, tuple) else result).whole = True

    def hold(self, tensor: Tensor) -> bool:
        """Whether a tensor holds 0 and 1 only, for certain."""
        known = self._proofs.get(tensor.untyped_storage()._cdata)
        return known is not None and known.whole and known.dtype == tensor.dtype

    def forget(self) -> None:
        """Drops everything known; to be called after each forward pass."""
        self._proofs.clear()

    def _fill(self, view: Tensor) -> None:
        """0 and 1 were just written into a part of a storage, or all of it."""
        known = self._proofs.get(view.untyped_storage()._cdata)
        if known is None or known.dtype != view.dtype:
            known = self._proof(view)
        known.parts[int(view.storage_offset())] = view.shape, view.stride()
        size = view.untyped_storage().nbytes() // view.element_size()
        known.whole = known.whole or _covers(known.parts, size)

    def _proof(self, tensor: Tensor) -> _Proof:
        storage = tensor.untyped_storage()
        proof = _Proof(StorageWeakRef(storage), tensor.dtype)
        self._proofs[storage._cdata] = proof
        return proof


def _covers(parts: dict[int, tuple[torch.Size, tuple[int, ...]]], size: int) -> bool:
    """Whether parts of one form, evenly spaced, fill a storage of that many elements.

    Example:
        >>> half = torch.Size([2, 3]), (6, 1)  # one of two steps of three neurons, two samples
        >>> _covers({0: half, 3: half}, 12), _covers({0: half, 1: half}, 12), _covers({0: half}, 12)
        (True, False, False)
    """
    starts = sorted(parts)
    gap = starts[1] - starts[0] if len(starts) > 1 else 0
    evenly = starts == [gap * k for k in range(len(starts))]
    forms = set(parts.values())
    if not evenly or len(forms) > 1:
        return False
    ((sizes, strides),) = forms
    axes = sorted((d, n) for n, d in zip((*sizes, len(starts)), (*strides, gap), strict=True))
    filled = 1
    for stride, length in axes:
        if length > 1 and stride != filled:
            return False
        filled *= length
    return filled == size


def written(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Tensor]:
    """The tensors that an operation writes to."""
    named = func._schema.arguments
    values = [*zip(named, args, strict=False), *((a, kwargs.get(a.name)) for a in named)]
    return [
        leaf
        for argument, value in values
        if argument.alias_info is not None and argument.alias_info.is_write
        for leaf in tensors_in(value)
    ]
