"""Where tensors come from: origins and zero padding, followed from operation to operation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._pytree import tree_leaves

from analysis.records import Origin, Work

aten = torch.ops.aten

# Operations that move values without computing: the result is still what it was.
_MOVES = {
    aten.cat, aten.stack, aten.clone, aten.copy_, aten._to_copy, aten.repeat, aten.index,
    aten.index_select, aten.gather, aten.roll, aten.flip, aten.constant_pad_nd, aten.fill_,
    aten.reflection_pad1d, aten.reflection_pad2d, aten.replication_pad2d, aten._unsafe_view,
    aten.empty_like, aten.zeros_like, aten.ones_like, aten.full_like, aten.detach_,
    aten.empty, aten.zeros, aten.full, aten.new_zeros, aten.new_empty, aten.zero_,
    aten.contiguous, aten.lift_fresh, aten.arange, aten.scalar_tensor, aten.resize_,
}  # fmt: skip

WORK: dict[Any, Work] = {
    **dict.fromkeys(
        [aten.native_batch_norm, aten.cudnn_batch_norm, aten._native_batch_norm_legit_no_training,
         aten._batch_norm_no_update, aten.native_layer_norm, aten.native_group_norm],
        "normalisation",
    ),
    **dict.fromkeys([aten.add, aten.add_, aten.sub, aten.sub_, aten.rsub], "addition"),
    **dict.fromkeys([aten.mul, aten.mul_, aten.div, aten.div_], "product"),
    **dict.fromkeys(
        [aten.relu, aten.relu_, aten.sigmoid, aten.tanh, aten.gelu, aten.silu, aten._softmax],
        "activation",
    ),
    **dict.fromkeys(
        [aten.mean, aten.sum, aten.amax, aten.max, aten._adaptive_avg_pool2d, aten.avg_pool2d,
         aten.max_pool2d_with_indices],
        "pooling",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Trace:
    """What is known of a tensor besides its values.

    Attributes:
        origin: Where it comes from; ``weight`` for parameters and what is made of them.
        padding: Zeros around it, as (before, after) per trailing axis from the last.
    """

    origin: Origin | Literal["weight"] = "current"
    padding: tuple[int, ...] = ()


class DataFlow:
    """Remembers a `Trace` per storage, so that views share it."""

    def __init__(self) -> None:
        self._traces: dict[int, tuple[StorageWeakRef, Trace]] = {}

    def mark(self, tensor: Tensor, trace: Trace) -> None:
        """Says where a tensor comes from."""
        storage = tensor.untyped_storage()
        self._traces[storage._cdata] = (StorageWeakRef(storage), trace)

    def of(self, tensor: Tensor) -> Trace:
        """What is known of a tensor; what nobody marked is a current."""
        known = self._traces.get(tensor.untyped_storage()._cdata)
        return known[1] if known else Trace()

    def keep_only_weights(self) -> None:
        """Forgets one forward pass."""
        self._traces = {k: v for k, v in self._traces.items() if v[1].origin == "weight"}

    def follow(self, func: Any, args: tuple[Any, ...], result: Any) -> None:
        """Marks the results of an operation by what went into it.

        What is made of nothing known (a tensor of zeros, say) stays unknown, so that filling it
        piece by piece gives it the origin of the pieces.
        """
        if func.is_view:
            return
        origins = {self.of(x).origin for x in _tensors(args) if self._knows(x)}
        if not origins:
            return
        if origins != {"weight"}:
            origins.discard("weight")  # a learned scale or offset changes no origin
        packet = func.overloadpacket
        trace = Trace(_combine(packet, WORK.get(packet), origins))
        if packet is aten.constant_pad_nd and (len(args) < 3 or args[2] == 0):
            trace = replace(trace, padding=tuple(args[1]))
        for tensor in _tensors([result]):
            self.mark(tensor, trace)

    def reads_weight_matrix(self, args: tuple[Any, ...]) -> bool:
        """Whether a weight with at least two axes is among the arguments."""
        return any(x.dim() > 1 and self.of(x).origin == "weight" for x in _tensors(args))

    def _knows(self, tensor: Tensor) -> bool:
        return tensor.untyped_storage()._cdata in self._traces


def _combine(packet: Any, work: Work | None, origins: set[Any]) -> Any:
    """The origin of a result, from those of its floating inputs."""
    spiking = origins & {"spikes", "gated-spikes", "pooled-spikes"}
    if packet in _MOVES or work == "addition":
        return next(iter(origins)) if len(origins) == 1 else "current"
    if work == "product" and spiking:
        return next(iter(spiking)) if len(origins) == 1 else "gated-spikes"
    if work == "pooling" and len(origins) == 1 and origins != {"image"}:
        return _pooled(packet, next(iter(origins)))
    if origins == {"weight"} or (origins == {"image"} and work in ("product", "pooling")):
        return next(iter(origins))
    return "current"


def _pooled(packet: Any, origin: Any) -> Any:
    if origin == "spikes" and packet not in (aten.amax, aten.max, aten.max_pool2d_with_indices):
        return "pooled-spikes"
    return origin


def moves_only(func: Any) -> bool:
    """Whether an operation computes nothing: views, copies, factories."""
    return func.is_view or func.overloadpacket in _MOVES


def elements_of_work(func: Any, args: tuple[Any, ...], result: Any) -> tuple[Work, Tensor] | None:
    """What kind of elementwise work an operation is, and the tensor whose elements it touches."""
    work = WORK.get(func.overloadpacket)
    if work is None and torch.Tag.pointwise in func.tags:
        work = "other"
    tensors = _tensors(args if work == "pooling" else [result])
    return (work, tensors[0]) if work is not None and tensors else None


def _tensors(values: Iterable[Any]) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(list(values)) if isinstance(leaf, Tensor)]
