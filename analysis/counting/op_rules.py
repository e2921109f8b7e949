"""Weight operations as fan-outs: how many (output, weight) pairs read each input element.

One rule per aten operation, one row in `RULES`. A rule knows shapes only; who ran it and what
its operand holds is for others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten


@dataclass(frozen=True)
class Product:
    """One weight operation, as far as counting needs it.

    An input element at position ``s`` of its channel meets
    ``multiplicity * prod(fans[i][s[i]])`` weight elements.

    Attributes:
        op: Its everyday name.
        operand: The input, ``(N, C, *S)``.
        weight: The other factor.
        fans: Per spatial axis, the (output, tap) pairs that read each input position.
        multiplicity: Output channels that each input channel feeds.
        dense_per_row: Multiply-accumulates per row of the leading axis, padding included.
        outputs_per_row: Output elements per row, for the bias; 0 without one.
    """

    op: str
    operand: Tensor
    weight: Tensor
    fans: tuple[Tensor, ...]
    multiplicity: int
    dense_per_row: int
    biased_outputs_per_row: int


@lru_cache(maxsize=1024)
def axis_fan(
    size: int, outputs: int, kernel: int, stride: int, padding: int, dilation: int, transposed: bool
) -> Tensor:
    """The (output, tap) pairs that read each position along one axis, float64.

    Tap k joins input i and output o where i = o * stride - padding + k * dilation, with the
    two sides exchanged in a transposed convolution.

    Example:
        >>> axis_fan(4, 4, kernel=3, stride=1, padding=1, dilation=1, transposed=False).tolist()
        [2.0, 3.0, 3.0, 2.0]
    """
    position = torch.arange(size).unsqueeze(1)  # (size, 1)
    reach = torch.arange(kernel) * dilation - padding  # (kernel,)
    if transposed:
        output = position * stride + reach
        meets = torch.ones_like(output, dtype=torch.bool)
    else:
        output = (position - reach).div(stride, rounding_mode="floor")
        meets = output * stride + reach == position
    meets &= (output >= 0) & (output < outputs)
    return meets.sum(1).double()


def convolution(
    operand: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
    *_flags: bool,
) -> Product:
    """Convolutions of any dimension, grouped, strided, dilated, transposed."""
    axes = weight.dim() - 2
    if operand.dim() == axes + 1:  # without a batch axis
        operand = operand.unsqueeze(0)
    kernel, sizes = weight.shape[2:], operand.shape[2:]
    settings = [_each_axis(x, axes) for x in (stride, padding, dilation, output_padding)]
    shape = zip(sizes, kernel, *settings, strict=True)
    outputs = [_output_size(*axis, transposed=transposed) for axis in shape]
    stride, padding, dilation, _ = settings
    fans = tuple(
        axis_fan(*axis, transposed)
        for axis in zip(sizes, outputs, kernel, stride, padding, dilation, strict=True)
    )
    channels_out = weight.shape[1] * groups if transposed else weight.shape[0]
    return Product(
        op=f"conv{'_transpose' * transposed}{axes}d",
        operand=operand,
        weight=weight,
        fans=fans,
        multiplicity=channels_out // groups,
        dense_per_row=prod(sizes if transposed else outputs) * weight.numel(),
        biased_outputs_per_row=channels_out * prod(outputs) if bias is not None else 0,
    )


def _each_axis(values: Sequence[int], axes: int) -> list[int]:
    return list(values) * axes if len(values) == 1 else list(values)


def _output_size(
    size: int,
    kernel: int,
    stride: int,
    padding: int,
    dilation: int,
    output_padding: int,
    *,
    transposed: bool,
) -> int:
    reach = dilation * (kernel - 1) + 1
    if transposed:
        return (size - 1) * stride - 2 * padding + reach + output_padding
    return (size + 2 * padding - reach) // stride + 1


def matrix_product(operand: Tensor, weight: Tensor, *, biased: bool = False) -> Product:
    """``(N, K) @ (K, M)`` with the weight on the right."""
    outputs = weight.shape[1]
    return Product(
        op="linear",
        operand=operand,
        weight=weight,
        fans=(),
        multiplicity=outputs,
        dense_per_row=weight.numel(),
        biased_outputs_per_row=outputs * biased,
    )


def biased_matrix_product(_bias: Tensor, operand: Tensor, weight: Tensor, **_: Any) -> Product:
    """``bias + operand @ weight``."""
    return matrix_product(operand, weight, biased=True)


RULES: dict[Any, Callable[..., Product]] = {
    aten.convolution.default: convolution,
    aten._convolution.default: convolution,
    aten.mm.default: matrix_product,
    aten.addmm.default: biased_matrix_product,
}
