"""The gated attention unit: one number per step times one map, through one sigmoid.

GAU(I)[t] = sigmoid(TA(I)[t] * SCA(I)[t]), as released; neither factor has a sigmoid of its own.
"""

from __future__ import annotations

from functools import reduce

import torch
from torch import Tensor, nn

from gac.config import GateMode


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
    """The gated attention unit, applied to the encoder's current; whole, or ablated.

    Args:
        steps: Simulation steps T.
        channels: Of the current.
        kernel: Of the two spatial convolutions.
        reduction: The temporal attention has ``steps // reduction`` hidden units.
        mode: Which parts there are, as in `MSResNetConfig`; all but ``off``.
        seed: Of the order of a ``permuted`` gate.
    """

    def __init__(
        self,
        steps: int,
        channels: int,
        kernel: int,
        reduction: int,
        mode: GateMode = "full",
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.steps = steps
        self.frozen = mode == "frozen"
        self.order = other_order(steps, seed) if mode == "permuted" else None
        self.temporal = None if mode == "spatial" else TemporalAttention(steps, reduction)
        self.spatial = None if mode == "temporal" else SpatialChannelAttention(channels, kernel)

    def forward(self, current: Tensor) -> Tensor:
        """The gate in (0, 1), one value per neuron and step.

        Args:
            current: ``(B, T, C, H, W)``, or ``(B, 1, C, H, W)`` where all T steps are equal:
                then the map is computed once, which is exact.

        Returns:
            ``(B, T, C, H, W)``.
        """
        return torch.sigmoid(self.log_odds(current))

    def log_odds(self, current: Tensor) -> Tensor:
        """What the gate is the sigmoid of: the product of its factors.

        Args:
            current: As for `forward`.

        Returns:
            ``(B, T, C, H, W)``.
        """
        factors: list[Tensor] = []
        if self.temporal is not None:
            factors.append(self._over_time(self.temporal(current)))
        if self.spatial is not None:
            factors.append(self.spatial(current))
        product = reduce(torch.mul, factors)
        return product.expand(-1, self.steps, *current.shape[2:])

    def _over_time(self, factor: Tensor) -> Tensor:
        """The temporal factor of every step: ``(B, T)`` -> ``(B, T, 1, 1, 1)``."""
        if self.frozen:
            factor = factor.mean(1, keepdim=True).expand(-1, self.steps)
        if self.order is not None:
            factor = factor[:, self.order]
        return factor[:, :, None, None, None]


def other_order(steps: int, seed: int) -> list[int]:
    """A random order of the steps, never their own: entry t is the step that t takes over.

    Example:
        >>> other_order(2, seed=0)
        [1, 0]
    """
    order: list[int] = torch.randperm(
        steps, generator=torch.Generator().manual_seed(seed), device="cpu"
    ).tolist()
    return order if order != sorted(order) else [*order[1:], order[0]]
