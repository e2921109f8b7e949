"""Random changes to training images: to single pictures or clips, and mixes of a batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from gac.errors import InputError, from_extra
from gac.metadata import Preprocessing
from gac.order import Draw
from gac.pictures import Samples, fit, normalise
from gac.randomness import drawing
from gac.recipes import TrainConfig


class Augmented(Dataset[tuple[Tensor, int]]):
    """Training samples, changed anew in every epoch.

    What happens to a picture depends on seed, epoch and its number alone: not on the batch, the
    process or the worker that prepares it. Already prepared samples stay as they are.

    Args:
        samples: Training samples.
        config: ``shift``, ``flip``, ``random_resize``, ``autoaugment`` and ``seed`` count.
    """

    def __init__(self, samples: Samples, config: TrainConfig) -> None:
        self._samples = samples
        self._seed = config.seed
        how = samples.preprocessing
        self._change = None if how is None else picture_changes(config, how)

    def __getitem__(self, draw: Draw) -> tuple[Tensor, int]:
        how = self._samples.preprocessing
        if how is None or self._change is None:
            return self._samples[draw.sample]
        picture, label = self._samples.stored(draw.sample)
        with drawing(self._seed, "picture", draw.epoch, draw.sample):
            picture = self._change(picture)
        return normalise(picture, how), label


def picture_changes(config: TrainConfig, how: Preprocessing) -> Callable[[Any], Any]:
    """From a stored picture to one of the network's size, still in [0, 1] or bytes.

    All frames of a recording are changed alike.

    Raises:
        InputError: If pictures would be interpolated or recoloured where there are events.
    """
    with from_extra("data"):
        from torchvision.transforms import v2

    if how.events is not None and (config.random_resize or config.autoaugment != "none"):
        raise InputError(
            "random_resize and autoaugment are for pictures: they would turn counts of events "
            "into other values; event frames take shift, flip and cutmix"
        )

    size = how.image_size
    resize = v2.RandomResizedCrop(size) if config.random_resize else v2.Lambda(_Fit(how))
    changes: list[Any] = [resize]
    if config.shift:
        changes.append(v2.RandomCrop(size, padding=config.shift))
    if config.flip:
        changes.append(v2.RandomHorizontalFlip())
    if config.autoaugment != "none":
        changes.append(v2.AutoAugment(v2.AutoAugmentPolicy(config.autoaugment)))
    return v2.Compose(changes)


class _Fit:
    """`fit` for one preprocessing; a class, since loader workers need to pickle it."""

    def __init__(self, how: Preprocessing) -> None:
        self._how = how

    def __call__(self, picture: Any) -> Any:
        return fit(picture, self._how)


def mixed(
    images: Tensor, labels: Tensor, classes: int, config: TrainConfig, place: tuple[int, ...]
) -> tuple[Tensor, Tensor]:
    """A batch after CutMix, if it is its turn.

    Args:
        images: ``(B, C, H, W)``, or clips.
        labels: ``(B,)``.
        classes: Number of classes.
        config: ``cutmix``, ``cutmix_draw`` and ``seed`` count.
        place: Epoch first, then whatever tells this batch from all others of the epoch.

    Returns:
        Images, and class probabilities ``(B, classes)``.
    """
    with from_extra("data"):
        from torchvision import tv_tensors
        from torchvision.transforms import v2

    if config.cutmix_draw == "epoch":
        with drawing(config.seed, "mix-epoch", place[0]):
            chosen = float(torch.rand(())) < config.cutmix
    with drawing(config.seed, "mix", *place):
        if config.cutmix_draw == "batch":
            chosen = float(torch.rand(())) < config.cutmix
        if chosen:
            pictures = tv_tensors.Video(images) if images.dim() == 5 else images
            pictures, targets = v2.CutMix(num_classes=classes)(pictures, labels)
            return pictures.as_subclass(Tensor), targets
    return images, torch.nn.functional.one_hot(labels, classes).to(images.dtype)
