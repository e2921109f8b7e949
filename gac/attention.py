"""The gated attention unit: one number per step times one map, through one sigmoid.

GAU(I)[t] = sigmoid(TA(I)[t] * SCA(I)[t]), as released; neither factor has a sigmoid of its own.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class TemporalAttention(nn.Module):
    """One logit per image and step: a two-layer perceptron over the step axis.

    Average and maximum over channels and space give T numbers each; both pass the same
    perceptron (T -> T // reduction -> T, no bias, ReLU between) and the results are added.
    """

    def __init__(self, steps: int, reduction: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(steps, steps // reduction, bias=False)
        self.relu = nn.ReLU()
        self.excite = nn.Linear(steps // reduction, steps, bias=False)

    def forward(self, current: Tensor) -> Tensor:
        """``(B, T or 1, C, H, W)`` -> ``(B, T)``; one step stands for T equal ones."""
        steps = self.squeeze.in_features
        average = current.mean((2, 3, 4)).expand(-1, steps)
        maximum = current.amax((2, 3, 4)).expand(-1, steps)
        return self._perceptron(average) + self._perceptron(maximum)

    def _perceptron(self, pooled: Tensor) -> Tensor:
        return self.excite(self.relu(self.squeeze(pooled)))


class SpatialChannelAttention(nn.Module):
    """A map of logits per step: two K x K convolutions with a ReLU between.

    An even kernel pads one less before than after (1 and 2 for K = 4), as released.
    """

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        # Padded explicitly: torch does the same for padding="same", with a warning per process.
        before = (kernel - 1) // 2
        self.pad = nn.ZeroPad2d((before, kernel - 1 - before) * 2)
        self.conv1 = nn.Conv2d(channels, channels, kernel, bias=False)
        self.conv2 = nn.Conv2d(channels, channels, kernel, bias=False)

    def forward(self, current: Tensor) -> Tensor:
        """``(B, T or 1, C, H, W)`` -> the same shape."""
        x = current.flatten(0, 1)  # (B*T, C, H, W): Conv2d takes one leading axis
        x = self.conv2(self.pad(torch.relu(self.conv1(self.pad(x)))))
        return x.reshape(current.shape)


class Gate(nn.Module):
    """The gated attention unit, applied to the encoder's current."""

    def __init__(self, steps: int, channels: int, kernel: int, reduction: int) -> None:
        super().__init__()
        self.temporal = TemporalAttention(steps, reduction)
        self.spatial = SpatialChannelAttention(channels, kernel)

    def forward(self, current: Tensor) -> Tensor:
        """The gate in (0, 1), one value per neuron and step.

        Args:
            current: ``(B, T, C, H, W)``, or ``(B, 1, C, H, W)`` where all T steps are equal:
                then the map is computed once, which is exact.

        Returns:
            ``(B, T, C, H, W)``.
        """
        temporal = self.temporal(current)[:, :, None, None, None]  # (B, T, 1, 1, 1)
        return torch.sigmoid(temporal * self.spatial(current))
