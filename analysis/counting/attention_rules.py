"""Fused scaled dot-product attention: its two products, with masks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from analysis.counting.dataflow import DataFlow
from analysis.counting.products import AttentionValues, PairProduct, Product, everywhere
from analysis.counting.rows import in_front, merged, outer_dims

aten = torch.ops.aten


def attention(
    flow: DataFlow,
    _result: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    *,
    causal: bool,
) -> list[Product]:
    """``softmax(query @ key^T) @ value``: queries ``(N, H, L, E)``, the others with S.

    Of a single head the samples may stand where heads do: ``(B, L, E)`` comes as ``(1, B, L, E)``,
    and ``(T, B, L, E)`` as it is.
    """
    rows, heads, length, _ = query.shape
    groups = heads // key.shape[1]
    keys, values = (x.repeat_interleave(groups, 1) if groups > 1 else x for x in (key, value))
    allowed = everywhere(rows, heads, length, key.shape[2], query.device)
    if causal:
        allowed = allowed.tril()
    if mask is not None:
        allowed = allowed * (mask if mask.dtype == torch.bool else mask > float("-inf"))
    dims = outer_dims(flow, query, 2)
    if 1 in dims:
        query, value = (_with_a_head(in_front(flow, x, dims)) for x in (query, value))
        keys, values, allowed = (_with_a_head(merged(x, dims)) for x in (keys, values, allowed))
    seen = allowed if causal or mask is not None else None
    return [
        PairProduct("attention scores", (query, key), query, keys.mT, seen),
        AttentionValues("attention values", (value,), values, allowed),
    ]


def _with_a_head(values: Tensor) -> Tensor:
    return values.unsqueeze(1) if values.dim() == 3 else values


def _on_cpu(
    flow: Any, result: Any, query: Tensor, key: Tensor, value: Tensor,
    dropout: float = 0.0, causal: bool = False, *, attn_mask: Tensor | None = None, **_: Any,
) -> list[Product]:  # fmt: skip
    return attention(flow, result, query, key, value, attn_mask, causal=causal)


def _flash(
    flow: Any, result: Any, query: Tensor, key: Tensor, value: Tensor,
    dropout: float = 0.0, causal: bool = False, *_: Any, **__: Any,
) -> list[Product]:  # fmt: skip
    return attention(flow, result, query, key, value, None, causal=causal)


def _with_bias(
    flow: Any, result: Any, query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None,
    _sums: bool, dropout: float = 0.0, causal: bool = False, *_: Any, **__: Any,
) -> list[Product]:  # fmt: skip
    return attention(flow, result, query, key, value, bias, causal=causal)


ATTENTION_RULES: dict[Any, Callable[..., list[Any]]] = {
    aten._scaled_dot_product_flash_attention_for_cpu.default: _on_cpu,
    aten._scaled_dot_product_flash_attention.default: _flash,
    aten._scaled_dot_product_efficient_attention.default: _with_bias,
    aten._scaled_dot_product_cudnn_attention.default: _with_bias,
}
