"""The leaky integrate-and-fire neuron in both variants of the released code.

All steps of a layer are one autograd function: the forward pass keeps nothing but the membranes,
and the backward pass is written out, so that neither builds a graph over the steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.autograd.graph import saved_tensors_hooks

from gac.config import NeuronConfig, Surrogate


def triangle(distance: Tensor) -> Tensor:
    """Surrogate gradient max(0, 1 - abs(u)) at distance u = membrane - threshold."""
    return torch.rsub(distance.abs(), 1).clamp_(min=0)


def rectangle(distance: Tensor) -> Tensor:
    """Surrogate gradient 1 where abs(u) < 1/2, else 0, at distance u = membrane - threshold."""
    slope = distance.abs()
    return torch.lt(slope, 0.5, out=slope)


SURROGATES: dict[Surrogate, Callable[[Tensor], Tensor]] = {
    "triangle": triangle,
    "rectangle": rectangle,
}


class _Fire(torch.autograd.Function):
    """Spikes of a current over all steps.

    With m the membrane before the reset, S the spikes, s' the surrogate slope and d the decay:

    m[t] = x[t] + d * m[t-1] * (1 - S[t-1]);  S[t] = 1 where m[t] > threshold

    The gradient with respect to m[t], which is that with respect to x[t] too, follows backwards
    in time from the gradients g of the spikes:

    G[t] = s'[t] * (g[t] - d * m[t] * G[t+1]) + d * (1 - S[t]) * G[t+1]

    Without the middle term where no gradient flows through the reset.
    """

    @staticmethod
    def forward(ctx: Any, current: Tensor, config: NeuronConfig) -> Tensor:
        membranes, spikes = _empty_like(current), _empty_like(current)
        _scan(current, config.threshold, config.decay, membranes.unbind(1), spikes)
        ctx.save_for_backward(membranes)
        ctx.config = config
        return spikes

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradients: Tensor) -> tuple[Tensor, None]:
        (membranes,) = ctx.saved_tensors
        result = torch.empty_like(membranes)
        _scan_back(membranes, gradients, ctx.config, result)
        return result, None


def _scan(
    current: Tensor, threshold: float, decay: float, membranes: Sequence[Tensor], spikes: Tensor
) -> None:
    """Writes spikes, and the membranes of all steps.

    Args:
        current: ``(B, T, *neurons)``.
        threshold: Membrane above which a neuron fires.
        decay: Share of the membrane that is left after a step.
        membranes: One ``(B, *neurons)`` per step. The same one again where none is needed later.
        spikes: ``(B, T, *neurons)``.
    """
    keep = torch.empty_like(current[:, 0])
    before: Tensor | None = None
    for x, membrane, spike in zip(current.unbind(1), membranes, spikes.unbind(1), strict=True):
        if before is None:
            membrane.copy_(x)
        else:
            torch.le(before, threshold, out=keep)  # 1 - spike, as a number
            torch.addcmul(x, before, keep, value=decay, out=membrane)
        torch.gt(membrane, threshold, out=spike)
        before = membrane


def _scan_back(membranes: Tensor, gradients: Tensor, config: NeuronConfig, result: Tensor) -> None:
    """Writes the gradient of the current; all are ``(B, T, *neurons)``."""
    surrogate, decay = SURROGATES[config.surrogate], config.decay
    keep = torch.empty_like(membranes[:, 0])
    later: Tensor | None = None  # gradient of the membrane one step later
    for membrane, gradient, out in zip(
        *(reversed(x.unbind(1)) for x in (membranes, gradients, result)), strict=True
    ):
        slope = surrogate(membrane - config.threshold)
        if later is None:
            torch.mul(gradient, slope, out=out)
        else:
            if not config.detach_reset:
                gradient = torch.addcmul(gradient, membrane, later, value=-decay)
            slope.mul_(gradient)
            torch.le(membrane, config.threshold, out=keep)
            torch.addcmul(slope, keep, later, value=decay, out=out)
        later = out


def _empty_like(current: Tensor) -> Tensor:
    """A tensor of that shape, also where all steps are one, in the memory order of its images."""
    image = current[:, 0]
    inner = image.dim() == 4 and image.stride(1) == 1 < image.shape[1]
    order = torch.channels_last if inner else torch.contiguous_format
    size = (current.shape[0] * current.shape[1], *image.shape[1:])
    empty = torch.empty(size, dtype=image.dtype, device=image.device, memory_format=order)
    return empty.reshape(current.shape)


# One operation of torch, so that whoever watches operations sees a neuron fire, not its arithmetic.
@torch.library.custom_op("gac::fire", mutates_args=())
def fire(current: Tensor, threshold: float, decay: float) -> Tensor:
    """Spikes where no gradient is asked for: one membrane serves all steps."""
    spikes = _empty_like(current)
    one = torch.empty_like(current[:, 0])
    _scan(current, threshold, decay, [one] * current.shape[1], spikes)
    return spikes


@fire.register_fake
def _(current: Tensor, threshold: float, decay: float) -> Tensor:
    return _empty_like(current)


@contextmanager
def kept_as_bytes(spikes: Tensor) -> Iterator[None]:
    """Layers called inside keep these spikes for the backward pass as bytes, not as floats."""
    storage = spikes.untyped_storage()  # the same object for all tensors in that memory

    def pack(tensor: Tensor) -> Any:
        same = tensor.untyped_storage() is storage
        return (tensor.to(torch.uint8), tensor.dtype) if same else tensor

    def unpack(kept: Any) -> Tensor:
        return kept if isinstance(kept, Tensor) else kept[0].to(kept[1])

    with saved_tensors_hooks(pack, unpack):
        yield


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
            current: ``(B, T, *neurons)``, any floating dtype. In mixed precision it is widened:
                membranes are float32 then.

        Returns:
            Zeros and ones, ``(B, T, *neurons)`` in the dtype of the current.
        """
        kind = current.device.type
        if torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind):
            current = current.float()
        if torch.is_grad_enabled() and current.requires_grad:
            spikes: Tensor = _Fire.apply(current, self.config)
            return spikes
        return fire(current, self.config.threshold, self.config.decay)

    def extra_repr(self) -> str:
        """Threshold and decay, for `print(model)`."""
        return f"threshold={self.config.threshold}, decay={self.config.decay}"
