"""From images to what the first block reads, at every step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from torch import Tensor, nn

from gac.attention import Gate
from gac.codes import LatencyCode, PixelCode, PoissonCode
from gac.config import MSResNetConfig
from gac.neurons import LIF
from gac.norms import BatchNorm2d


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
        self.norm = BatchNorm2d(config.stem_width)
        self.steps = config.steps

    def forward(self, images: Tensor) -> Tensor:
        """``(B, C, H, W)`` -> ``(B, 1, ...)``, or clips ``(B, T, C, H, W)`` -> ``(B, T, ...)``."""
        if images.dim() == 4:
            return self.norm(self.conv(images), repeats=self.steps).unsqueeze(1)
        current = self.norm(self.conv(images.flatten(0, 1)))
        return current.reshape(*images.shape[:2], *current.shape[1:])


class Encoder(nn.Module, ABC):
    """Images or clips to what the first block reads at every step.

    Attributes:
        stem: The first convolution and its norm.
        steps: Simulation steps T.
        noisy: Whether draws differ.
    """

    noisy = False

    def __init__(self, config: MSResNetConfig) -> None:
        super().__init__()
        self.stem = Stem(config)
        self.steps = config.steps

    @abstractmethod
    def forward(self, images: Tensor, draw: int = 0) -> Tensor:
        """What the first block reads.

        Args:
            images: ``(B, C, H, W)`` or clips ``(B, T, C, H, W)``.
            draw: Which of the independent draws of a noisy encoder, in eval mode.

        Returns:
            ``(B, T, C', H', W')``.
        """


class DirectEncoder(Encoder):
    """Hands the current itself to the first block: real values, the same at every step."""

    def forward(self, images: Tensor, draw: int = 0) -> Tensor:
        """As in `Encoder`; the draw has no effect."""
        return self.stem(images).expand(-1, self.steps, -1, -1, -1)


class GACEncoder(Encoder):
    """Gated attention coding: the spikes of the current times its attention gate.

    The output is real-valued (spikes weighted by the gate); the first neuron behind it turns
    it into spikes again. With the gate ``off`` it is the spikes themselves.
    """

    def __init__(self, config: MSResNetConfig) -> None:
        super().__init__(config)
        self.neuron = LIF(config.neuron)
        self.gate = None
        if config.gate != "off":
            self.gate = Gate(
                config.steps,
                config.stem_width,
                config.gate_kernel,
                config.gate_reduction,
                config.gate,
                config.encoder_seed,
            )

    def forward(self, images: Tensor, draw: int = 0) -> Tensor:
        """As in `Encoder`; the draw has no effect."""
        current, spikes = self._spikes(images)
        return spikes if self.gate is None else self.gate(current) * spikes

    def gated(self, images: Tensor) -> tuple[Tensor, Tensor] | None:
        """The gate's log-odds and the spikes it multiplies, both ``(B, T, C, H, W)``, if any."""
        current, spikes = self._spikes(images)
        return None if self.gate is None else (self.gate.log_odds(current), spikes)

    def _spikes(self, images: Tensor) -> tuple[Tensor, Tensor]:
        current = self.stem(images)
        return current, self.neuron(current.expand(-1, self.steps, -1, -1, -1))


class PixelEncoder(Encoder):
    """Pixels become spikes first; the stem turns those into a current, step by step."""

    def __init__(self, config: MSResNetConfig, code: PixelCode) -> None:
        super().__init__(config)
        self.code = code
        self.noisy = code.noisy

    def forward(self, images: Tensor, draw: int = 0) -> Tensor:
        """As in `Encoder`.

        Raises:
            InputError: If an image has values outside [0, 1], or the code cannot read clips.
        """
        return self.stem(self.code(images, draw))


class SpikeTrains(nn.Module):
    """An encoder and the first neuron behind it: images to spike trains.

    What encoders are compared on: their own outputs have different types, this one has not.
    """

    def __init__(self, encoder: Encoder, neuron: LIF) -> None:
        super().__init__()
        self.encoder = encoder
        self.neuron = neuron
        self.noisy = encoder.noisy

    def forward(self, images: Tensor, draw: int = 0) -> Tensor:
        """Images -> zeros and ones, ``(B, T, C', H', W')``; ``draw`` as in `Encoder`."""
        return self.neuron(self.encoder(images, draw))

    def gated(self, images: Tensor) -> tuple[Tensor, Tensor] | None:
        """The log-odds of the encoder's gate and the spikes it multiplies, if it has one."""
        return self.encoder.gated(images) if isinstance(self.encoder, GACEncoder) else None


ENCODERS: dict[str, Callable[[MSResNetConfig], Encoder]] = {
    "direct": DirectEncoder,
    "gac": GACEncoder,
    "poisson": lambda config: PixelEncoder(config, PoissonCode(config.steps, config.encoder_seed)),
    "latency": lambda config: PixelEncoder(config, LatencyCode(config.steps)),
}
