"""The products in each weight operation: one rule per operation, one row in a table.

A rule takes what follows the tensors (to ask which are weights and where samples lie), the result
and the arguments by name, and gives the products in it: none if this call has none, None if it
can't tell. It knows shapes only; who ran it and what the operands hold is for others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from math import prod
from typing import Any

import torch
from torch import Tensor

from analysis.counting.inputs import tensors_in
from analysis.counting.labels import in_front as merged
from analysis.counting.operations import bound, is_composite, operation_of
from analysis.counting.origins import DataFlow, in_front
from analysis.counting.products import (
    AttentionValues,
    PairProduct,
    Product,
    WeightProduct,
    axis_fan,
    each_once,
    everywhere,
)
from analysis.records import LayerShape

Found = list[Product] | None
Rule = Callable[..., Found]

_BILINEAR = ([1, 3], [0], [1, 2], [2, 3])  # how `bilinear` calls `_trilinear`
_CAUSAL_FROM_FIRST = 1  # a mask type of memory-efficient attention; 2 is causal from the last


def products_in(
    flow: DataFlow, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
) -> Found:
    """The products in an operation that ran.

    Returns:
        Them, none if there are none in this call; None if no rule can tell, so that it has to be
        listed unless `operations.is_quiet`.
    """
    rule = rule_of(func)
    if rule is None or any(x.layout is not torch.strided for x in tensors_in((args, kwargs))):
        return None
    return rule(flow, result, **bound(func, args, kwargs))


@cache
def _own_rule(func: Any) -> Rule | None:
    """Of torch's own operations; a composite one is counted by its parts, in every mode alike."""
    if is_composite(func):
        return None
    name = func._schema.name.removeprefix("aten::") if hasattr(func, "_schema") else ""
    return RULES.get(name) or RULES.get(name.removesuffix("_"))


def rule_of(func: Any) -> Rule | None:
    """The rule of an operation, whatever form of it: in place, or into a tensor that is given."""
    return operation_of(func).rule or _own_rule(func)


def _rows_in_front(flow: DataFlow, operand: Tensor, before: int) -> Tensor:
    """An operand with samples and steps, if among its first dimensions, as one in front."""
    return in_front(flow, operand, flow.dims(operand, before))


# Matrices and vectors ------------------------------------------------------------------------


def product(
    flow: DataFlow, _result: Tensor, *, left: Tensor, right: Tensor, biased_outputs: int = 0,
    **_: Any,
) -> list[Product]:  # fmt: skip
    """``(..., n, k) @ (..., k, m)``, either factor a weight or none."""
    if flow.is_weight(left) and not flow.is_weight(right):
        left, right = right.mT, left.mT
    if not flow.is_weight(right):
        return [_pair(left, right)]
    values = _rows_in_front(flow, left, left.dim() - 1)
    inputs, outputs = right.shape[-2:]
    return [
        WeightProduct(
            op="linear" if left.dim() == 2 else "matmul",
            inputs=(left,),
            values=values,
            weight=right,
            fans=tuple(map(each_once, values.shape[2:])),
            multiplicity=outputs,
            dense_per_row=left.numel() // max(1, len(values)) * outputs,
            biased_outputs=biased_outputs,
            shape=LayerShape(channels_in=inputs, channels_out=outputs, biased=biased_outputs > 0),
        )
    ]


def _pair(left: Tensor, right: Tensor) -> PairProduct:
    if left.dim() == 2:  # every row of the left meets the whole right
        rows, shared = left.shape
        width = right.shape[1]
        left_rows = left.reshape(rows, 1, 1, shared)
        right_rows = right.expand(rows, 1, shared, width)
    else:
        left_rows, right_rows = left.unsqueeze(1), right.unsqueeze(1)
    return PairProduct("matmul", (left, right), left_rows, right_rows)


def biased_product(
    flow: DataFlow, result: Tensor, *, left: Tensor, right: Tensor, beta: float = 1, **_: Any
) -> list[Product]:
    """``beta * bias + left @ right``; a beta of 0 says that there is no bias."""
    biased = result.numel() if beta != 0 else 0
    return product(flow, result, left=left, right=right, biased_outputs=biased)


def linear(
    flow: DataFlow, result: Tensor, *, operand: Tensor, weight: Tensor,
    bias: Tensor | None = None, **_: Any,
) -> list[Product]:  # fmt: skip
    """``operand @ weight.T + bias``; a vector of weights has one output."""
    left = torch.atleast_2d(operand)
    if not flow.is_weight(weight):
        left = left.reshape(-1, left.shape[-1])
    right = weight.mT if weight.dim() == 2 else weight.unsqueeze(1)
    biased = 0 if bias is None else result.numel()
    return product(flow, result, left=left, right=right, biased_outputs=biased)


def _with_a_vector(rule: Rule, matrix: str) -> Rule:
    """A vector counts as a matrix of one column, and has one output where it holds weights."""

    def counted(flow: DataFlow, result: Tensor, *, vec: Tensor, **arguments: Any) -> Found:
        left = arguments.pop(matrix)
        return rule(flow, result, left=left, right=vec.unsqueeze(1), **arguments)

    return counted


def _of_vectors(left: str, right: str, *, outer: bool) -> Rule:
    """Two vectors, as a row and a column or the other way round."""

    def counted(flow: DataFlow, result: Tensor, **arguments: Any) -> Found:
        one, other = arguments[left], arguments[right]
        beta = arguments.get("beta", 0)
        return biased_product(
            flow, result, left=one.unsqueeze(int(outer)), right=other.unsqueeze(int(not outer)),
            beta=beta,
        )  # fmt: skip

    return counted


def grouped_product(
    flow: DataFlow, result: Tensor, *, left: Tensor, right: Tensor, offs: Tensor | None,
    bias: Tensor | None, **_: Any,
) -> Found:  # fmt: skip
    """Rows in groups, each of which meets weights of its own: mixtures of experts.

    Rows behind the last group are not computed. Groups of columns are for gradients only.
    """
    biased = 0 if bias is None else result.numel()
    if right.dim() != 3 or (left.dim() == 2 and offs is None):
        return None
    if left.dim() == 2 and offs is not None:
        left = left[: int(offs[-1])]
        if not flow.is_weight(right):
            return None
    return product(flow, result, left=left, right=right, biased_outputs=biased)


def bilinear(
    flow: DataFlow, _result: Tensor, *, i1: Tensor, i2: Tensor, i3: Tensor, expand1: Sequence[int],
    expand2: Sequence[int], expand3: Sequence[int], sumdim: Sequence[int], **_: Any,
) -> Found:  # fmt: skip
    """``sum over i, j of x1[i] * weight[o, i, j] * x2[j]``, as two products.

    The first input meets the weights (i * o * j); what comes out, real and never seen, meets the
    second input (o * j).
    """
    axes = (expand1, expand2, expand3, sumdim)
    if tuple(map(list, axes)) != _BILINEAR or not flow.is_weight(i2):
        return None
    rows, (outputs, inputs, others) = len(i1), i2.shape[-3:]
    allowed = everywhere(rows, 1, outputs, others, i1.device)
    return [
        WeightProduct(
            op="bilinear weights",
            inputs=(i1,),
            values=i1,
            weight=i2,
            fans=(),
            multiplicity=outputs * others,
            dense_per_row=i2.numel(),
            shape=LayerShape(channels_in=inputs, channels_out=outputs * others),
        ),
        AttentionValues("bilinear inputs", (i3,), i3.reshape(rows, 1, others, 1), allowed),
    ]


def embedding_bag(
    _flow: DataFlow, _result: Any, *, weight: Tensor, per_sample_weights: Tensor | None, **_: Any
) -> list[Product]:
    """Sums of rows of weights, each times a number of its own; without numbers no product."""
    if per_sample_weights is None:
        return []
    values = per_sample_weights.reshape(-1, 1)
    width = weight.shape[1]
    return [
        WeightProduct(
            op="embedding_bag",
            inputs=(per_sample_weights,),
            values=values,
            weight=weight,
            fans=(),
            multiplicity=width,
            dense_per_row=width,
            shape=LayerShape(channels_in=len(weight), channels_out=width),
        )
    ]


# Convolutions --------------------------------------------------------------------------------


def convolution(
    _flow: DataFlow, result: Tensor, *, operand: Tensor, weight: Tensor,
    bias: Tensor | None = None, stride: Sequence[int] = (1,), padding: Sequence[int] = (0,),
    dilation: Sequence[int] = (1,), transposed: bool = False, groups: int = 1, **_: Any,
) -> Found:  # fmt: skip
    """Convolutions of any dimension, grouped, strided, dilated, transposed."""
    axes = weight.dim() - 2
    if axes < 1:  # laid out in a way of its own
        return None
    values = operand if operand.dim() == weight.dim() else operand.unsqueeze(0)
    sizes, outputs, kernel = values.shape[2:], result.shape[-axes:], weight.shape[2:]
    settings = [_each_axis(x, axes) for x in (stride, padding, dilation)]
    fans = tuple(
        axis_fan(*axis, transposed) for axis in zip(sizes, outputs, kernel, *settings, strict=True)
    )
    if not transposed:  # depthwise operations don't say so
        groups = values.shape[1] // max(1, weight.shape[1])
    channels_out = weight.shape[1] * groups if transposed else weight.shape[0]
    shape = LayerShape(
        channels_in=values.shape[1],
        channels_out=channels_out,
        kernel=tuple(kernel),
        stride=tuple(settings[0]),
        biased=bias is not None,
    )
    return [
        WeightProduct(
            op=f"conv{'_transpose' * transposed}{axes}d",
            inputs=(operand,),
            values=values,
            weight=weight,
            fans=fans,
            multiplicity=channels_out // max(1, groups),
            dense_per_row=prod(sizes if transposed else outputs) * weight.numel(),
            biased_outputs=result.numel() if bias is not None else 0,
            shape=None if transposed else shape,
        )
    ]


def _each_axis(values: Sequence[int], axes: int) -> list[int]:
    return list(values) * axes if len(values) == 1 else list(values)


def transposed_convolution(flow: DataFlow, result: Tensor, **arguments: Any) -> Found:
    """A convolution that is transposed by its name."""
    return convolution(flow, result, **{**arguments, "transposed": True})


def time_first_convolution(
    flow: DataFlow, result: Tensor, *, operand: Tensor, weight: Tensor, bias: Tensor, pad: int,
    **_: Any,
) -> Found:  # fmt: skip
    """Along time: ``(T, B, C)`` and weights ``(taps, C, outputs)``."""
    return convolution(
        flow, result.permute(1, 2, 0), operand=operand.permute(1, 2, 0),
        weight=weight.permute(2, 1, 0), bias=bias, padding=(pad,),
    )  # fmt: skip


# Attention -----------------------------------------------------------------------------------


def attention(
    flow: DataFlow, _result: Any, *, query: Tensor, key: Tensor, value: Tensor,
    mask: Tensor | None = None, is_causal: bool = False, **_: Any,
) -> list[Product]:  # fmt: skip
    """``softmax(query @ key^T) @ value``: queries ``(N, H, L, E)``, the others with S.

    Of a single head the samples may stand where heads do: ``(B, L, E)`` comes as ``(1, B, L, E)``,
    and ``(T, B, L, E)`` as it is.
    """
    rows, heads, length, _features = query.shape
    groups = heads // key.shape[1]
    keys, values = (x.repeat_interleave(groups, 1) if groups > 1 else x for x in (key, value))
    allowed = everywhere(rows, heads, length, key.shape[2], query.device)
    if is_causal:
        allowed = allowed.tril()
    if mask is not None:
        allowed = allowed * (mask if mask.dtype == torch.bool else mask > float("-inf"))
    dims = flow.dims(query, 2)
    if 1 in dims:
        query, value = (_with_a_head(in_front(flow, x, dims)) for x in (query, value))
        keys, values, allowed = (_with_a_head(merged(x, dims)) for x in (keys, values, allowed))
    seen = allowed if is_causal or mask is not None else None
    return [
        PairProduct("attention scores", (query, key), query, keys.mT, seen),
        AttentionValues("attention values", (value,), values, allowed),
    ]


def _with_a_head(values: Tensor) -> Tensor:
    return values.unsqueeze(1) if values.dim() == 3 else values


def heads_last_attention(
    flow: DataFlow, result: Any, *, query: Tensor, key: Tensor, value: Tensor,
    bias: Tensor | None = None, is_causal: bool = False, custom_mask_type: int = 0,
    **others: Any,
) -> Found:  # fmt: skip
    """The same of ``(N, L, H, E)``; sequences packed into one, and windows, can't be told."""
    packed = ("cum_seq_q", "cu_seqlens_q", "seqused_k", "seqlen_k", "block_table")
    windows = ("window_size_left", "window_size_right", "window_size")
    if any(others.get(name) is not None for name in (*packed, *windows)):
        return None
    if custom_mask_type not in (0, _CAUSAL_FROM_FIRST):
        return None
    query, key, value = (x.transpose(1, 2) for x in (query, key, value))
    causal = is_causal or custom_mask_type == _CAUSAL_FROM_FIRST
    return attention(flow, result, query=query, key=key, value=value, mask=bias, is_causal=causal)


# Fused recurrent layers ----------------------------------------------------------------------


def recurrent_layer(
    flow: DataFlow, sequence: Tensor, outputs: Tensor, first: Tensor, weights: Sequence[Tensor],
    *, reverse: bool, biased: bool,
) -> list[Product]:  # fmt: skip
    """One direction of one layer: ``sequence`` is ``(L, N, I)``, ``first`` the state before it.

    The state that meets the hidden weights at position t is the output at t - 1.
    """
    before = first.reshape(1, *outputs.shape[1:])
    hidden = torch.cat([outputs[1:], before] if reverse else [before, outputs[:-1]])
    flow.mark(hidden, replace(flow.of(sequence), origin="current", padding=()))
    flow.copy_labels(hidden, sequence[..., :1])
    return [
        _recurrent_product("recurrent input", sequence, weights[0], biased=biased),
        _recurrent_product("recurrent hidden", hidden, weights[1], biased=biased),
    ]


def _recurrent_product(op: str, sequence: Tensor, weight: Tensor, *, biased: bool) -> Product:
    values = sequence.flatten(0, 1)  # (L*N, I)
    return WeightProduct(
        op=op,
        inputs=(sequence,),
        values=values,
        weight=weight,
        fans=(),
        multiplicity=weight.shape[0],
        dense_per_row=weight.numel(),
        biased_outputs=len(values) * weight.shape[0] * biased,
        shape=LayerShape(channels_in=weight.shape[1], channels_out=weight.shape[0], biased=biased),
    )


def fused_on_cpu(
    flow: DataFlow, result: tuple[Tensor, ...], *, sequence: Tensor, weight0: Tensor,
    weight1: Tensor, hx_: Tensor, reverse: bool, batch_sizes: Sequence[int], has_biases: bool,
    **_: Any,
) -> Found:  # fmt: skip
    """An LSTM's one direction of one layer, as oneDNN runs it."""
    if batch_sizes:  # sequences packed into one
        return None
    return recurrent_layer(
        flow, sequence, result[0], hx_, (weight0, weight1), reverse=reverse, biased=has_biases
    )


def fused_on_cuda(
    flow: DataFlow, result: tuple[Tensor, ...], *, sequence: Tensor, weight: Sequence[Tensor],
    weight_stride0: int, hx: Tensor, hidden_size: int, num_layers: int, batch_first: bool,
    bidirectional: bool, batch_sizes: Sequence[int], proj_size: int = 0, **_: Any,
) -> Found:  # fmt: skip
    """A whole recurrent network, as cuDNN runs it.

    What goes from one layer to the next is never seen, so only a single layer can be told.
    """
    if num_layers > 1 or proj_size or batch_sizes:
        return None
    outputs = result[0]
    if batch_first:
        sequence, outputs = sequence.transpose(0, 1), outputs.transpose(0, 1)
    found: list[Product] = []
    for direction in range(2 if bidirectional else 1):
        at = direction * weight_stride0
        mine = outputs[..., direction * hidden_size : (direction + 1) * hidden_size]
        found += recurrent_layer(
            flow, sequence, mine, hx[direction], weight[at : at + 2],
            reverse=direction == 1, biased=weight_stride0 > 2,
        )  # fmt: skip
    return found


def _named(rule: Rule, **names: str) -> Rule:
    """A rule whose parameters an operation has other names for."""

    def renamed(flow: DataFlow, result: Any, **arguments: Any) -> Found:
        ours = {our: arguments.pop(their) for our, their in names.items()}
        return rule(flow, result, **ours, **arguments)

    return renamed


_of_self = _named(convolution, operand="self")

_TABLE: tuple[tuple[Rule, str], ...] = (
    (_named(product, left="self", right="mat2"), "mm bmm _int_mm"),
    (_named(biased_product, left="mat1", right="mat2"), "addmm _addmm_activation"),
    (_named(biased_product, left="batch1", right="batch2"), "baddbmm addbmm"),
    (_with_a_vector(product, "self"), "mv"),
    (_with_a_vector(biased_product, "mat"), "addmv"),
    (_of_vectors("self", "tensor", outer=False), "dot"),
    (_of_vectors("self", "other", outer=False), "vdot"),
    (_of_vectors("vec1", "vec2", outer=True), "addr"),
    (_named(linear, operand="input"), "linear"),
    (_named(linear, operand="self", weight="mat2"), "_weight_int8pack_mm"),
    (_named(grouped_product, left="self", right="mat2"), "_grouped_mm"),
    (bilinear, "_trilinear"),
    (embedding_bag, "_embedding_bag _embedding_bag_forward_only"),
    (_named(convolution, operand="input"), "convolution _convolution convolution_overrideable"),
    (_of_self, """
        cudnn_convolution cudnn_convolution_relu cudnn_convolution_add_relu miopen_convolution
        miopen_convolution_relu miopen_convolution_add_relu miopen_depthwise_convolution
        mkldnn_convolution _mps_convolution _slow_conv2d_forward slow_conv3d_forward
        slow_conv_dilated2d slow_conv_dilated3d _conv_depthwise2d conv_depthwise3d"""),
    (_named(transposed_convolution, operand="self"), """
        cudnn_convolution_transpose miopen_convolution_transpose slow_conv_transpose2d
        slow_conv_transpose3d _mps_convolution_transpose"""),
    (_named(time_first_convolution, operand="self"), "conv_tbc"),
    (attention, "_scaled_dot_product_flash_attention"),
    (_named(attention, mask="attn_mask"), "_scaled_dot_product_flash_attention_for_cpu"),
    (_named(attention, mask="attn_bias"), """
        _scaled_dot_product_efficient_attention _scaled_dot_product_cudnn_attention
        _scaled_dot_product_fused_attention_overrideable"""),
    (heads_last_attention, "_flash_attention_forward _efficient_attention_forward"),
    (_named(fused_on_cpu, sequence="input"), "mkldnn_rnn_layer"),
    (_named(fused_on_cuda, sequence="input"), "_cudnn_rnn miopen_rnn"),
)  # fmt: skip
RULES = {name: rule for rule, names in _TABLE for name in names.split()}
