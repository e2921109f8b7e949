"""Fused recurrent layers: the input product and the hidden product."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from analysis.counting.dataflow import DataFlow
from analysis.counting.products import Product, WeightProduct
from analysis.records import LayerShape

aten = torch.ops.aten


def fused_layer(
    flow: DataFlow,
    result: tuple[Tensor, ...],
    sequence: Tensor,
    input_weight: Tensor,
    hidden_weight: Tensor,
    bias: Tensor,
    _hidden_bias: Tensor,
    first: Tensor,
    _cell: Tensor,
    reverse: bool,
    *_settings: Any,
) -> list[Product]:
    """One direction of one layer: ``sequence`` is ``(L, N, I)``, ``first`` the state before it.

    The state that meets the hidden weights at position t is the output at t - 1.
    """
    outputs = result[0]
    before = first.reshape(1, *outputs.shape[1:])
    shifted = [outputs[1:], before] if reverse else [before, outputs[:-1]]
    hidden = torch.cat(shifted)
    flow.derive(hidden, "current", sequence[..., :1].expand_as(hidden))
    return [
        _product("recurrent input", sequence, input_weight, biased=True),
        _product("recurrent hidden", hidden, hidden_weight, biased=True),
    ]


def _product(op: str, sequence: Tensor, weight: Tensor, *, biased: bool) -> Product:
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


RECURRENT_RULES: dict[Any, Callable[..., list[Any]]] = {
    aten.mkldnn_rnn_layer.default: fused_layer,
}
