"""Operations that no synapse does: what kind of work they are, and how large."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from analysis.counting.tensors import tensors_in
from analysis.records import Work

aten = torch.ops.aten

# Operations that move values without computing: the result is still what it was.
MOVES = {
    aten.cat, aten.stack, aten.clone, aten.copy_, aten._to_copy, aten.repeat, aten.index,
    aten.index_select, aten.gather, aten.roll, aten.flip, aten.constant_pad_nd, aten.fill_,
    aten.reflection_pad1d, aten.reflection_pad2d, aten.reflection_pad3d, aten.replication_pad1d,
    aten.replication_pad2d, aten.replication_pad3d, aten._unsafe_view, aten.embedding,
    aten.unsafe_split, aten.unsafe_chunk, aten.split_with_sizes,
    aten.empty_like, aten.zeros_like, aten.ones_like, aten.full_like, aten.detach_,
    aten.empty, aten.zeros, aten.full, aten.new_zeros, aten.new_empty, aten.zero_,
    aten.lift_fresh, aten.arange, aten.scalar_tensor, aten.resize_,
    aten.im2col, aten.bernoulli, aten.masked_fill, aten.where, aten.index_put_,
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
        [aten.relu, aten.relu_, aten.sigmoid, aten.sigmoid_, aten.tanh, aten.tanh_, aten.gelu,
         aten.silu, aten._softmax, aten._log_softmax],
        "activation",
    ),
    **dict.fromkeys(
        [aten.mean, aten.sum, aten.amax, aten.max, aten._adaptive_avg_pool2d, aten.avg_pool2d,
         aten.max_pool2d_with_indices, aten.max_pool3d_with_indices, aten.avg_pool3d],
        "pooling",
    ),
}  # fmt: skip


def moves_only(func: Any) -> bool:
    """Whether an operation computes nothing: views, copies, factories."""
    return func.is_view or func.overloadpacket in MOVES


def is_known(func: Any) -> bool:
    """Whether an operation has a place in the tables here, whole, whatever it is made of."""
    return func.overloadpacket in MOVES or func.overloadpacket in WORK


def elements_of_work(func: Any, args: tuple[Any, ...], result: Any) -> tuple[Work, Tensor] | None:
    """What kind of elementwise work an operation is, and the tensor whose elements it touches."""
    work = WORK.get(func.overloadpacket)
    if work is None and torch.Tag.pointwise in func.tags:
        work = "other"
    touched = tensors_in(args if work == "pooling" else result)
    return (work, touched[0]) if work is not None and touched else None
