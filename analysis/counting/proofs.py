"""Tensors that hold nothing but 0 and 1 by the way they were made, so that nobody has to look.

Every framework fires by a comparison: truth values converted to numbers. What only moves such
numbers keeps them. The proof of a storage ends with the first write to it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef

from analysis.counting.tensors import tensors_in

aten = torch.ops.aten

_CONVERTS = {aten._to_copy}
_KEEPS = {
    aten.cat, aten.clone, aten.constant_pad_nd, aten.index_select, aten.repeat, aten.stack,
    aten._unsafe_view, aten.max_pool2d_with_indices, aten.max_pool3d_with_indices,
}  # fmt: skip


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
        """Takes in an operation that ran."""
        packet = func.overloadpacket
        if packet in _CONVERTS:
            proven = args[0].dtype == torch.bool
        elif packet in _KEEPS:
            sources = tensors_in(args[0])
            pads = packet is aten.constant_pad_nd and len(args) > 2 and args[2] not in (0, 1)
            proven = bool(sources) and all(map(self.hold, sources)) and not pads
        else:
            if self._proven and func._schema.is_mutable:
                self._end(_written(func, args, kwargs))
            return
        tensor = result[0] if isinstance(result, tuple) else result
        if proven:
            storage = tensor.untyped_storage()
            # The weak reference keeps the address from being used again.
            place = StorageWeakRef(storage), tensor.dtype, _version(tensor)
            self._proven[storage._cdata] = place

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
