"""Codes that turn pixels into spikes: one interface, `PixelCode`."""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from gac.errors import InputError


class PixelCode(nn.Module, ABC):
    """Intensities in [0, 1] to spikes.

    Attributes:
        steps: Simulation steps T.
        noisy: Whether draws differ.
    """

    noisy = False

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps

    @abstractmethod
    def forward(self, images: Tensor, draw: int = 0) -> Tensor:
        """Spikes of intensities.

        Args:
            images: ``(B, C, H, W)``, in [0, 1].
            draw: Which of the independent draws of a noisy code, in eval mode.

        Returns:
            Zeros and ones, ``(B, T, C, H, W)``, in the dtype of the images.

        Raises:
            InputError: If a value is not in [0, 1].
        """


class PoissonCode(PixelCode):
    """Rate code: a pixel fires at each step with its intensity as probability.

    A training pass draws from torch's global generator, as dropout does. In eval mode a draw
    follows from the seed, its number and the image alone: it is the same in every batch, on
    every device, and leaves the global generator as it was. Clips ``(B, T, C, H, W)`` are taken,
    too.

    Args:
        steps: Simulation steps T.
        seed: Of the draws in eval mode.
    """

    noisy = True

    def __init__(self, steps: int, seed: int = 0) -> None:
        super().__init__(steps)
        self.seed = seed

    def forward(self, images: Tensor, draw: int = 0) -> Tensor:
        """As in `PixelCode`."""
        check_intensities(images, "poisson")
        clips = images if images.dim() == 5 else images.unsqueeze(1)
        probability = clips.expand(-1, self.steps, -1, -1, -1)
        if self.training:
            return torch.bernoulli(probability)
        # Drawn on the CPU in float32: the same numbers on every device and in every precision.
        draws = [self._uniform(image, probability.shape[1:], draw) for image in images]
        uniform = torch.stack(draws).to(images.device) if draws else probability
        return (uniform < probability).to(images.dtype)

    def _uniform(self, image: Tensor, shape: torch.Size, draw: int) -> Tensor:
        content = image.detach().float().cpu().contiguous().numpy().tobytes()
        key = zlib.crc32(content, zlib.crc32(f"{self.seed}:{draw}".encode()))
        return torch.rand(shape, generator=torch.Generator().manual_seed(key))


class LatencyCode(PixelCode):
    """Time-to-first-spike code: the brighter, the earlier; at most one spike per pixel.

    Intensity x fires at step floor((1 - x) * T), so step k stands for x in
    (1 - (k + 1) / T, 1 - k / T]; black never fires.
    """

    def forward(self, images: Tensor, draw: int = 0) -> Tensor:
        """As in `PixelCode`; the draw has no effect."""
        if images.dim() != 4:
            raise InputError(
                "the latency code reads still images (B, C, H, W): the time of a spike stands "
                f"for one intensity; got {tuple(images.shape)}"
            )
        check_intensities(images, "latency")
        # In float64 1 - x is exact where x is a multiple of 1/16, say, in any precision.
        time = ((1 - images.double()) * self.steps).floor()  # (B, C, H, W)
        times = time.unsqueeze(1).expand(-1, self.steps, -1, -1, -1)
        steps = torch.arange(self.steps, device=images.device)[:, None, None, None]
        return (times == steps).to(images.dtype)


def check_intensities(images: Tensor, code: str) -> None:
    """Requires every value in [0, 1].

    Raises:
        InputError: Naming the range that came.
    """
    if not images.numel():
        return
    low, high = (float(end) for end in torch.aminmax(images))
    if not (low >= 0 and high <= 1):  # NaN is in no range
        raise InputError(
            f"the {code} code reads intensities in [0, 1], got values from {low:g} to {high:g}; "
            "prepare the images with mean 0 and standard deviation 1"
        )
