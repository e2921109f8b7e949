"""Pictures as torch data sets: in memory (digits, CIFAR, noise) or in folders (ImageNet)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from torch.utils.data import Dataset

from gac.errors import InputError
from gac.metadata import Preprocessing

NOISE_SAMPLES = 256
IMAGENET_CLASSES = 1000


class Samples(Dataset[tuple[Tensor, int]]):
    """Images and labels with a length.

    Attributes:
        labelled: Whether the labels can be compared with a network's classes.
        random: Whether the images are noise: rates and accuracy mean nothing then.
    """

    def __init__(self, items: Any, *, labelled: bool = True, random: bool = False) -> None:
        self._items = items
        self.labelled = labelled
        self.random = random

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image, label = self._items[index]
        return image, int(label)


class InMemory:
    """Raw pictures and labels, prepared when asked for."""

    def __init__(self, pictures: Tensor, labels: Tensor, preprocessing: Preprocessing) -> None:
        self.pictures = pictures
        self.labels = labels
        self.preprocessing = preprocessing

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return prepare(self.pictures[index], self.preprocessing), self.labels[index]


def prepare(picture: Tensor, how: Preprocessing) -> Tensor:
    """One picture as the network reads it.

    Args:
        picture: ``(1 or C, h, w)``, float in [0, 1] or uint8.
        how: The recipe; C is the length of its mean.

    Returns:
        ``(C, image_size, image_size)``, float32.
    """
    image = picture / 255 if picture.dtype == torch.uint8 else picture.float()
    height, width = image.shape[-2:]
    size = (how.image_size, how.image_size)
    if how.resize is not None:
        scale = how.resize / min(height, width)
        size = (round(height * scale), round(width * scale))
    if size != (height, width):
        image = torch.nn.functional.interpolate(
            image[None], size, mode="bilinear", align_corners=False, antialias=True
        )[0]
    top, left = ((side - how.image_size) // 2 for side in size)
    image = image[:, top : top + how.image_size, left : left + how.image_size]
    return normalise(image, how)


def normalise(image: Tensor, how: Preprocessing) -> Tensor:
    """``(1 or C, h, w)`` in [0, 1] -> ``(C, h, w)`` with the recipe's mean and deviation."""
    mean, std = (torch.tensor(values)[:, None, None] for values in (how.mean, how.std))
    return (image - mean) / std


def digits(
    split: Literal["train", "test"], preprocessing: Preprocessing, split_seed: int
) -> Samples:
    """scikit-learn's copy of the UCI test digits, a stratified fifth of them for testing."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    pictures, labels = load_digits(return_X_y=True)
    parts = train_test_split(
        pictures, labels, test_size=0.2, stratify=labels, random_state=split_seed
    )
    pictures, labels = (parts[0], parts[2]) if split == "train" else (parts[1], parts[3])
    images = torch.from_numpy(pictures / 16).float().reshape(-1, 1, 8, 8)  # 17 levels, 0 to 16
    return Samples(InMemory(images, torch.from_numpy(labels), preprocessing))


def noise(preprocessing: Preprocessing, seed: int) -> Samples:
    """Standard normal noise in place of prepared images, all labelled 0."""
    size = preprocessing.image_size
    shape = (NOISE_SAMPLES, len(preprocessing.mean), size, size)
    images = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    items = torch.utils.data.TensorDataset(images, torch.zeros(NOISE_SAMPLES, dtype=torch.long))
    return Samples(items, labelled=False, random=True)


def imagenet(split: Literal["train", "test"], preprocessing: Preprocessing, root: Path) -> Samples:
    """Pictures in one folder per class; the classes are the sorted folder names.

    With other than 1,000 class folders the labels are not those of a network's classes.
    """
    from torchvision import datasets, transforms

    folder = root / "imagenet" / {"train": "train", "test": "val"}[split]
    expected = f"expected class folders {folder}/nXXXXXXXX with *.JPEG pictures"
    if not folder.is_dir():
        raise InputError(f"imagenet is not there: {expected}")
    steps = [
        transforms.Resize(preprocessing.resize or (preprocessing.image_size,) * 2),
        transforms.CenterCrop(preprocessing.image_size),
        transforms.ToTensor(),
        transforms.Normalize(preprocessing.mean, preprocessing.std),
    ]
    try:
        pictures = datasets.ImageFolder(str(folder), transforms.Compose(steps), loader=_open)
    except FileNotFoundError as error:
        raise InputError(f"imagenet is not complete: {expected}; {error}") from error
    return Samples(pictures, labelled=len(pictures.classes) == IMAGENET_CLASSES)


def _open(path: str) -> Any:
    """One picture of a folder, as three channels."""
    from torchvision.datasets.folder import default_loader

    try:
        return default_loader(path)
    except Exception as error:  # a damaged picture can raise anything
        raise InputError(f"cannot read {path}: {error}") from error
