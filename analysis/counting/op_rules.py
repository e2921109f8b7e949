"""Weight operations: one rule per aten operation, one row in `RULES`.

A rule takes the arguments and the result of an operation and gives the products in it. It knows
shapes only; who ran it and what the operands hold is for others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor

from analysis.counting.attention_rules import ATTENTION_RULES
from analysis.counting.dataflow import DataFlow
from analysis.counting.fans import axis_fan, each_once
from analysis.counting.products import PairProduct, Product, WeightProduct
from analysis.counting.recurrent_rules import RECURRENT_RULES
from analysis.counting.rows import in_front, outer_dims
from analysis.records import LayerShape

aten = torch.ops.aten


def convolution(
    _flow: DataFlow,
    result: Tensor,
    operand: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    _output_padding: Sequence[int],
    groups: int,
    *_flags: bool,
) -> list[Product]:
    """Convolutions of any dimension, grouped, strided, dilated, transposed."""
    axes = weight.dim() - 2
    batched = operand.dim() == axes + 2
    values = operand if batched else operand.unsqueeze(0)
    sizes, outputs, kernel = values.shape[2:], result.shape[-axes:], weight.shape[2:]
    settings = [_each_axis(x, axes) for x in (stride, padding, dilation)]
    fans = tuple(
        axis_fan(*axis, transposed) for axis in zip(sizes, outputs, kernel, *settings, strict=True)
    )
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
            multiplicity=channels_out // groups,
            dense_per_row=prod(sizes if transposed else outputs) * weight.numel(),
            biased_outputs=result.numel() if bias is not None else 0,
            shape=None if transposed else shape,
        )
    ]


def _each_axis(values: Sequence[int], axes: int) -> list[int]:
    return list(values) * axes if len(values) == 1 else list(values)


def product(
    flow: DataFlow, _result: Tensor, left: Tensor, right: Tensor, *, biased_outputs: int = 0
) -> list[Product]:
    """``(n, k) @ (k, m)`` or ``(b, n, k) @ (b, k, m)``, either factor a weight or none."""
    if flow.is_weight(left) and not flow.is_weight(right):
        left, right = right.mT, left.mT
    if not flow.is_weight(right):
        return [_pair(left, right)]
    summed = left.dim() - 1
    values = in_front(flow, left, outer_dims(flow, left, summed))
    outputs = right.shape[-1]
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
            shape=_matrix_shape(right, biased=biased_outputs > 0),
        )
    ]


def _matrix_shape(weight: Tensor, *, biased: bool) -> LayerShape:
    """Of a product with weights ``(..., k, m)``."""
    inputs, outputs = weight.shape[-2:]
    return LayerShape(channels_in=inputs, channels_out=outputs, biased=biased)


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
    flow: DataFlow,
    result: Tensor,
    _bias: Tensor,
    left: Tensor,
    right: Tensor,
    **_scales: Any,
) -> list[Product]:
    """``bias + left @ right``."""
    return product(flow, result, left, right, biased_outputs=result.numel())


RULES: dict[Any, Callable[..., list[Any]]] = {
    aten.convolution.default: convolution,
    aten._convolution.default: convolution,
    aten.mm.default: product,
    aten.bmm.default: product,
    aten.addmm.default: biased_product,
    aten.addmm_.default: biased_product,
    aten.baddbmm.default: biased_product,
    aten.baddbmm_.default: biased_product,
    **ATTENTION_RULES,
    **RECURRENT_RULES,
}
