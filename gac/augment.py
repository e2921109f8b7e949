"""Random changes to a batch of training images, all from one seeded generator."""

from __future__ import annotations

import torch
from torch import Tensor

from gac.metadata import Preprocessing
from gac.recipes import TrainConfig


class Augmentation:
    """Shift, mirror and mix, as a `TrainConfig` asks for.

    Args:
        config: ``shift``, ``flip`` and ``cutmix`` count.
        preprocessing: Tells the value of black in prepared images.
        generator: Every draw comes from here.
    """

    def __init__(
        self, config: TrainConfig, preprocessing: Preprocessing, generator: torch.Generator
    ) -> None:
        self.config = config
        self.generator = generator
        mean, std = torch.tensor(preprocessing.mean), torch.tensor(preprocessing.std)
        self.black = (-mean / std)[:, None, None]  # (C, 1, 1)

    def __call__(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """``(B, C, H, W)`` and class probabilities ``(B, classes)`` -> the same, changed."""
        if self.config.shift:
            images = self._shift(images)
        if self.config.flip:
            mirrored = self._random(len(images)) < 0.5
            images = torch.where(mirrored[:, None, None, None], images.flip(-1), images)
        if self.config.cutmix and float(self._random(1)) < self.config.cutmix:
            images, targets = self._cutmix(images, targets)
        return images, targets

    def _random(self, count: int) -> Tensor:
        return torch.rand(count, generator=self.generator)

    def _below(self, high: int, count: int) -> list[int]:
        drawn: list[int] = torch.randint(high, (count,), generator=self.generator).tolist()
        return drawn

    def _shift(self, images: Tensor) -> Tensor:
        margin, (height, width) = self.config.shift, images.shape[-2:]
        padded = torch.nn.functional.pad(images - self.black, (margin,) * 4)
        tops, lefts = (self._below(2 * margin + 1, len(images)) for _ in range(2))
        pieces = [
            picture[:, top : top + height, left : left + width]
            for picture, top, left in zip(padded, tops, lefts, strict=True)
        ]
        return torch.stack(pieces) + self.black

    def _cutmix(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Pastes one box of another image of the batch; the targets follow its area."""
        height, width = images.shape[-2:]
        side = float(1 - self._random(1)) ** 0.5  # beta(1, 1) is uniform in the kept area
        (y,), (x,) = self._below(height, 1), self._below(width, 1)
        half_height, half_width = int(height * side) // 2, int(width * side) // 2
        rows = slice(max(y - half_height, 0), min(y + half_height, height))
        columns = slice(max(x - half_width, 0), min(x + half_width, width))
        partner = torch.randperm(len(images), generator=self.generator)
        mixed = images.clone()
        mixed[..., rows, columns] = images[partner][..., rows, columns]
        pasted = (rows.stop - rows.start) * (columns.stop - columns.start) / (height * width)
        return mixed, (1 - pasted) * targets + pasted * targets[partner]
