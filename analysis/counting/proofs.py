"""Tensors that hold nothing but 0 and 1 by the way they were made, so that nobody has to look.

Every framework fires by a comparison: truth values converted to numbers. What only moves such
numbers keeps them. The proof of a storage ends with the first write to it.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef

from analysis.counting.tensors import tensors_in

aten = torch.ops.aten

Effect = Literal["converts", "keeps", "writes"]

_KEEPS = {
    aten.cat, aten.clone, aten.constant_pad_nd, aten.index_select, aten.repeat, aten.stack,
    aten.max_pool2d_with_indices, aten.max_pool3d_with_indices,
}  # fmt: skip


def effect_of(func: Any) -> Effect | None:
    """What an operation does to proofs; most do nothing.

    Example:
        >>> (
        ...     effect_of(aten._to_copy.default),
        ...     effect_of(aten.mul_.Tensor),
        ...     effect_of(aten.relu.default),
        ... )
        ('converts', 'writes', None)
    """
    if func._schema.is_mutable:
        return "writes"
    if func.overloadpacket is aten._to_copy:
        return "converts"
    return "keeps" if func.overloadpacket in _KEEPS else None


class BinaryProofs:
    """Which storages hold 0 and 1 only, known without reading them.

    Example:
        >>> proofs, spikes = BinaryProofs(), (torch.tensor([0.3, 1.2]) > 1).float()
        >>> proofs.note(aten._to_copy.default, (torch.tensor([False, True]),), {}, spikes)
        >>> proofs.hold(spikes)
        True
        >>> proofs.hold(spikes.mul_(2))  # written to
        False
    """

    def __init__(self) -> None:
        self._proven: dict[int, tuple[StorageWeakRef, torch.dtype, int]] = {}

    def note(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        """Takes in an operation with an effect that ran."""
        effect = effect_of(func)
        if effect == "writes":
            self._end(_written(func, args, kwargs))
        elif effect == "converts" and (args[0].dtype == torch.bool or self.hold(args[0])):
            self._prove(result)
        elif effect == "keeps" and all(map(self.hold, tensors_in(args[0]))):
            pads = func.overloadpacket is aten.constant_pad_nd and len(args) > 2
            if not pads or args[2] in (0, 1):
                self._prove(result[0] if isinstance(result, tuple) else result)

    def _prove(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        # The weak reference keeps the address from being used again.
        self._proven[storage._cdata] = StorageWeakRef(storage), tensor.dtype, _version(tensor)

    def hold(self, tensor: Tensor) -> bool:
        """Whether a tensor holds 0 and 1 only, for certain."""
        known = self._proven.get(tensor.untyped_storage()._cdata)
        return known is not None and known[1:] == (tensor.dtype, _version(tensor))

    def forget(self) -> None:
        """Drops everything known; to be called after each forward pass."""
        self._proven.clear()

    def _end(self, written: list[Tensor]) -> None:
        for tensor in written:
            self._proven.pop(tensor.untyped_storage()._cdata, None)


def _version(tensor: Tensor) -> int:
    """Changes with every write, also one that no operation shows; inference tensors have none."""
    return 0 if tensor.is_inference() else tensor._version


def _written(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Tensor]:
    """The tensors that an operation writes to."""
    named = func._schema.arguments
    values = [*zip(named, args, strict=False), *((a, kwargs.get(a.name)) for a in named)]
    return [
        leaf
        for argument, value in values
        if argument.alias_info is not None and argument.alias_info.is_write
        for leaf in tensors_in(value)
    ]
