"""The leaky integrate-and-fire neuron in both variants of the released code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from gac.config import NeuronConfig, Surrogate


def triangle(distance: Tensor) -> Tensor:
    """Surrogate gradient max(0, 1 - abs(u)) at distance u = membrane - threshold."""
    return (1 - distance.abs()).clamp_(min=0)


def rectangle(distance: Tensor) -> Tensor:
    """Surrogate gradient 1 where abs(u) < 1/2, else 0, at distance u = membrane - threshold."""
    return (distance.abs() < 0.5).to(distance.dtype)


SURROGATES: dict[Surrogate, Callable[[Tensor], Tensor]] = {
    "triangle": triangle,
    "rectangle": rectangle,
}


class _Fire(torch.autograd.Function):
    """Heaviside step forward (strict), surrogate gradient backward."""

    @staticmethod
    def forward(ctx: Any, distance: Tensor, surrogate: Callable[[Tensor], Tensor]) -> Tensor:
        ctx.save_for_backward(distance)
        ctx.surrogate = surrogate
        return (distance > 0).to(distance.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (distance,) = ctx.saved_tensors
        return gradient * ctx.surrogate(distance), None


class LIF(nn.Module):
    """Turns a current into spikes, each forward pass starting from a membrane of zero.

    m[t] = decay * m[t-1] * (1 - S[t-1]) + x[t];  S[t] = 1 where m[t] > threshold, else 0.
    """

    def __init__(self, config: NeuronConfig) -> None:
        super().__init__()
        self.config = config

    def forward(self, current: Tensor) -> Tensor:
        """Spikes of a current.

        Args:
            current: ``(B, T, *neurons)``, any floating dtype.

        Returns:
            Zeros and ones, ``(B, T, *neurons)`` in the dtype of the current.
        """
        surrogate = SURROGATES[self.config.surrogate]
        membrane, spikes = None, []
        for x in current.unbind(1):  # (B, *neurons)
            if membrane is None:
                membrane = x
            else:
                spike = spikes[-1].detach() if self.config.detach_reset else spikes[-1]
                membrane = torch.addcmul(x, membrane, 1 - spike, value=self.config.decay)
            spikes.append(_Fire.apply(membrane - self.config.threshold, surrogate))
        return torch.stack(spikes, dim=1)

    def extra_repr(self) -> str:
        """Threshold and decay, for `print(model)`."""
        return f"threshold={self.config.threshold}, decay={self.config.decay}"
