"""From images to what the first block reads, at every step."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gac.attention import Gate
from gac.config import MSResNetConfig
from gac.neurons import LIF


class RepeatedBatchNorm2d(nn.BatchNorm2d):
    """Batch norm over a batch that stands for several equal steps.

    Mean and biased variance of a repeated batch are those of the batch itself. Only the
    unbiased variance that feeds the running variance knows how often a value counts:
    n / (n - 1) with n = B * T * H * W.
    """

    # Optional in the base class; always there in this one, which takes no options.
    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor
    momentum: float

    def forward(self, x: Tensor, repeats: int = 1) -> Tensor:
        """``(N, C, H, W)``, each standing for ``repeats`` equal ones -> the same shape."""
        if repeats == 1 or not self.training:
            return super().forward(x)
        mean, variance = torch.zeros_like(self.running_mean), torch.ones_like(self.running_var)
        normalised = nn.functional.batch_norm(
            x, mean, variance, self.weight, self.bias, training=True, momentum=1.0, eps=self.eps
        )
        count = x.numel() // x.shape[1]
        unbiased = (count - 1) / count * (repeats * count) / (repeats * count - 1)
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * unbiased, self.momentum)
        return normalised


class Stem(nn.Module):
    """The first convolution and its batch norm: images to current.

    A still image gives the same current at every step, so it is computed once.
    """

    def __init__(self, config: MSResNetConfig) -> None:
        super().__init__()
        kernel = config.stem_kernel
        self.conv = nn.Conv2d(
            config.in_channels,
            config.stem_width,
            kernel,
            stride=config.stem_stride,
            padding=kernel // 2,
            bias=False,
        )
        self.norm = RepeatedBatchNorm2d(config.stem_width)
        self.steps = config.steps

    def forward(self, images: Tensor) -> Tensor:
        """``(B, C, H, W)`` -> ``(B, 1, ...)``, or clips ``(B, T, C, H, W)`` -> ``(B, T, ...)``."""
        if images.dim() == 4:
            return self.norm(self.conv(images), repeats=self.steps).unsqueeze(1)
        current = self.norm(self.conv(images.flatten(0, 1)))
        return current.reshape(*images.shape[:2], *current.shape[1:])


class DirectEncoder(nn.Module):
    """Hands the current itself to the first block: real values, the same at every step."""

    def __init__(self, config: MSResNetConfig) -> None:
        super().__init__()
        self.stem = Stem(config)
        self.steps = config.steps

    def forward(self, images: Tensor) -> Tensor:
        """Images or clips -> current, ``(B, T, C, H, W)``."""
        return self.stem(images).expand(-1, self.steps, -1, -1, -1)


class GACEncoder(nn.Module):
    """Gated attention coding: the spikes of the current times its attention gate.

    The output is real-valued (spikes weighted by the gate); the first neuron behind it turns
    it into spikes again.
    """

    def __init__(self, config: MSResNetConfig) -> None:
        super().__init__()
        self.stem = Stem(config)
        self.neuron = LIF(config.neuron)
        self.gate = Gate(config.steps, config.stem_width, config.gate_kernel, config.gate_reduction)
        self.steps = config.steps

    def forward(self, images: Tensor) -> Tensor:
        """Images or clips -> gated spikes, ``(B, T, C, H, W)``."""
        current = self.stem(images)
        spikes = self.neuron(current.expand(-1, self.steps, -1, -1, -1))
        return self.gate(current) * spikes


ENCODERS: dict[str, type[DirectEncoder] | type[GACEncoder]] = {
    "direct": DirectEncoder,
    "gac": GACEncoder,
}
