"""A network for inference alone: batch norm folded into the convolutions.

The same function of the image up to rounding, at less work. Not for counting operations: what a
norm does is part of the counts.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from gac.encoders import Stem
from gac.msresnet import Block, MSResNet


def fast(model: MSResNet, *, channels_last: bool = False) -> MSResNet:
    """A copy in eval mode without batch norms.

    Args:
        model: Left as it is.
        channels_last: Whether to keep channels innermost in memory.
    """
    quick = copy.deepcopy(model).eval()
    for module in quick.modules():
        if isinstance(module, Stem | nn.Sequential) and hasattr(module, "norm"):
            _fold(module, "conv", "norm")
        elif isinstance(module, Block):
            _fold(module, "conv1", "norm1")
            _fold(module, "conv2", "norm2")
    return quick.to(memory_format=torch.channels_last) if channels_last else quick


def _fold(owner: nn.Module, conv: str, norm: str) -> None:
    folded = fuse_conv_bn_eval(getattr(owner, conv), getattr(owner, norm))
    setattr(owner, conv, folded)
    setattr(owner, norm, _Folded())


class _Folded(nn.Module):
    """Where a norm was."""

    def forward(self, x: Tensor, repeats: int = 1) -> Tensor:
        """What came."""
        return x
