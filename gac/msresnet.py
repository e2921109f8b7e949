"""MS-ResNet: residual blocks whose shortcut carries the membrane current, not spikes.

Neurons stand before the convolutions (LIF -> conv -> norm, twice), so every 3 x 3 convolution
reads spikes; the 1 x 1 shortcut convolutions and the encoder read real values.
Tensors are ``(B, T, C, H, W)`` throughout.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import ClassVar

from torch import Tensor, nn

from gac.config import MSResNetConfig
from gac.encoders import ENCODERS, SpikeTrains
from gac.errors import InputError
from gac.neurons import LIF, kept_as_bytes
from gac.norms import BatchNorm2d


def at_each_step(layer: nn.Module, x: Tensor) -> Tensor:
    """Applies a layer without memory to every step: ``(B, T, ...)`` -> ``(B, T, ...)``."""
    y: Tensor = layer(x.flatten(0, 1))  # (B*T, C, H, W): torch layers take one leading axis
    return y.reshape(*x.shape[:2], *y.shape[1:])


class Block(nn.Module):
    """Two spiking 3 x 3 convolutions beside a shortcut of the current."""

    def __init__(self, config: MSResNetConfig, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.neuron1 = LIF(config.neuron)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.norm1 = BatchNorm2d(outputs)
        self.neuron2 = LIF(config.neuron)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut.add_module("conv", nn.Conv2d(inputs, outputs, 1, stride, bias=False))
            self.shortcut.add_module("norm", BatchNorm2d(outputs))

    def forward(self, current: Tensor) -> Tensor:
        """``(B, T, C, H, W)`` -> ``(B, T, C', H', W')``."""
        x = at_each_step(self.norm1, self._convolved(self.conv1, self.neuron1(current)))
        x = at_each_step(self.norm2, self._convolved(self.conv2, self.neuron2(x)))
        return x + (at_each_step(self.shortcut, current) if len(self.shortcut) else current)

    def _convolved(self, conv: nn.Conv2d, spikes: Tensor) -> Tensor:
        with kept_as_bytes(spikes) if self.training else nullcontext():
            return at_each_step(conv, spikes)


class MSResNet(nn.Module):
    """The network of a `MSResNetConfig`.

    What it says of itself for an analysis of its operations: `site_roles` maps patterns of
    module paths to the part they play.
    """

    site_roles: ClassVar[dict[str, str]] = {
        "encoder.stem.conv": "stem",
        "encoder.gate.*": "gate",
        "stages.*.conv?": "spiking",
        "stages.*.shortcut.conv": "shortcut",
        "head": "readout",
    }

    def __init__(self, config: MSResNetConfig) -> None:
        super().__init__()
        self.config = config
        self.steps = config.steps
        self.encoder = ENCODERS[config.encoder](config)
        self.stages = nn.ModuleList()
        inputs = config.stem_width
        for width, blocks, stride in zip(config.widths, config.blocks, config.strides, strict=True):
            strides = [stride] + [1] * (blocks - 1)
            stage = [Block(config, width if k else inputs, width, s) for k, s in enumerate(strides)]
            self.stages.append(nn.Sequential(*stage))
            inputs = width
        self.neuron = LIF(config.neuron)
        self.head = nn.Linear(inputs, config.classes)
        self._initialise()

    def forward(self, images: Tensor) -> Tensor:
        """Class scores at every step; their mean over the steps is the prediction.

        Args:
            images: ``(B, C, H, W)`` or clips ``(B, T, C, H, W)``; never changed.

        Returns:
            Logits, ``(B, T, classes)``.

        Raises:
            InputError: If the shape is neither of the two.
        """
        self._check_shape(images)
        x = self.encoder(images)
        for stage in self.stages:
            x = stage(x)
        return self.head(self.neuron(x).mean((3, 4)))

    def spike_trains(self) -> SpikeTrains:
        """The encoder and the first neuron behind it, sharing this network's weights."""
        first = next(block for block in self.stages.modules() if isinstance(block, Block))
        return SpikeTrains(self.encoder, first.neuron1)

    def _check_shape(self, images: Tensor) -> None:
        channels, steps = self.config.in_channels, self.steps
        still = images.dim() == 4 and images.shape[1] == channels
        clip = images.dim() == 5 and tuple(images.shape[1:3]) == (steps, channels)
        if not still and not clip:
            raise InputError(
                f"expected images (B, {channels}, H, W) or clips (B, {steps}, {channels}, H, W), "
                f"got {tuple(images.shape)}"
            )

    def _initialise(self) -> None:
        """Initial values as released; what is not named here keeps torch's own."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and self.config.initialisation == "kaiming":
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, nn.BatchNorm2d):
                nn.init.constant_(module.weight, self.config.norm_gain)
        for module in self.modules():
            if isinstance(module, Block):
                nn.init.constant_(module.norm2.weight, self.config.last_norm_gain)
