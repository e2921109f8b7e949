"""Fan-out: how many (output, tap) pairs read each position, in closed form and cached."""

from __future__ import annotations

from functools import lru_cache, reduce
from math import prod

import torch
from torch import Tensor

Padding = tuple[int, ...]  # zeros before and after each axis, the last axis first


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


@lru_cache(maxsize=256)
def each_once(size: int) -> Tensor:
    """The fans of an axis every position of which is read once."""
    return torch.ones(size, dtype=torch.float64)


def per_row(counts: Tensor) -> Tensor:
    """``(N, *S)`` -> ``(N,)``."""
    return counts.flatten(1).sum(1) if counts.dim() > 1 else counts


def weighted(nonzeros: Tensor, fans: tuple[Tensor, ...]) -> Tensor:
    """Non-zeros per position, each times its fan-out: ``(N, *S)`` -> ``(N,)``, exact."""
    if not fans:
        return per_row(nonzeros)
    return nonzeros.flatten(1) @ fan_out(fans).to(nonzeros.device)


@lru_cache(maxsize=256)  # the fans of an axis are cached themselves
def fan_out(fans: tuple[Tensor, ...]) -> Tensor:
    """The fan-out of every position: the product of those along its axes, ``(prod(S),)``."""
    return reduce(lambda left, right: torch.outer(left, right).flatten(), fans)


@lru_cache(maxsize=256)
def interior(fans: tuple[Tensor, ...], padding: Padding) -> tuple[int, int]:
    """Positions that padding did not add, and the sum of their fan-outs."""
    trimmed = [_trim(fan, padding, axis) for axis, fan in enumerate(reversed(fans))]
    return prod(map(len, trimmed)), prod(int(fan.sum()) for fan in trimmed)


def _trim(fan: Tensor, padding: Padding, axis: int) -> Tensor:
    """The part of an axis, counted from the last, that padding did not add."""
    before, after = padding[2 * axis : 2 * axis + 2] or (0, 0)
    return fan[before : len(fan) - after]
