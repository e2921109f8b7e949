"""Event data sets in their published folders, as samples: events are read when asked for."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gac.errors import InputError, from_extra
from gac.event_files import (
    DVS128_SENSOR,
    NMNIST_SENSOR,
    SHD_SENSOR,
    read_aedat2,
    read_aedat3,
    read_nmnist,
    read_shd,
    shd_labels,
)
from gac.events import Events, frame_shape
from gac.metadata import Preprocessing, Split
from gac.pictures import Samples, digits

CIFAR10DVS_CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
GESTURES = 11


class _Recordings(Sequence[tuple[Events, int]]):
    """Recordings that are read one by one.

    Args:
        read: Reads one.
        places: The arguments of `read` for each.
        labels: Of each.
    """

    def __init__(
        self, read: Callable[..., Events], places: Sequence[Any], labels: Sequence[int]
    ) -> None:
        self._read, self._places, self._labels = read, places, labels

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: Any) -> Any:
        return self._read(*self._places[index]), self._labels[index]


def check_frames(how: Preprocessing, sensor: tuple[int, int]) -> None:
    """Whether frames can be made that way of events on this sensor.

    Raises:
        InputError: If not.
    """
    if how.events is None:
        raise InputError("event data need a preprocessing that says how events become frames")
    frame_shape(sensor, how.image_size)


def event_digits(split: Split, how: Preprocessing, split_seed: int) -> Samples:
    """The pictures and the split of ``digits``, moved in front of a simulated event camera."""
    from gac.event_camera import SENSOR, watched

    check_frames(how, SENSOR)
    still = digits(split, how, split_seed)
    pictures = np.stack([still.stored(k)[0][0].double().numpy() for k in range(len(still))])
    labels = [still.stored(k)[1] for k in range(len(still))]
    return Samples(list(zip(watched(pictures), labels, strict=True)), how)


def nmnist(split: Split, how: Preprocessing, root: Path) -> Samples:
    """One folder per digit, in ``nmnist/Train`` and ``nmnist/Test``.

    Raises:
        InputError: If a digit has no recording there.
    """
    check_frames(how, NMNIST_SENSOR)
    folder = root / "nmnist" / {"train": "Train", "test": "Test"}[split]
    files = {str(digit): sorted((folder / str(digit)).glob("*.bin")) for digit in range(10)}
    _check_complete("nmnist", folder, files, "bin")
    places = [(file,) for found in files.values() for file in found]
    labels = [int(digit) for digit, found in files.items() for _ in found]
    return Samples(_Recordings(read_nmnist, places, labels), how)


def cifar10dvs(split: Split, how: Preprocessing, root: Path, split_seed: int) -> Samples:
    """One folder per class in ``cifar10dvs``; a stratified tenth of them for testing.

    Raises:
        InputError: If a class has no recording there, or too few to split.
    """
    with from_extra("data"):
        from sklearn.model_selection import train_test_split

    check_frames(how, DVS128_SENSOR)
    folder = root / "cifar10dvs"
    files = {name: sorted((folder / name).glob("*.aedat")) for name in CIFAR10DVS_CLASSES}
    _check_complete("cifar10dvs", folder, files, "aedat")
    few = [name for name, found in files.items() if len(found) < 10]
    if few:
        raise InputError(
            f"cifar10dvs is not complete: a tenth is for testing, so every class in {folder} "
            f"needs at least 10 recordings; fewer: {', '.join(few)}"
        )
    places = [(file,) for found in files.values() for file in found]
    labels = [label for label, found in enumerate(files.values()) for _ in found]
    parts = train_test_split(
        range(len(labels)), test_size=0.1, stratify=labels, random_state=split_seed
    )
    mine = parts[0] if split == "train" else parts[1]
    items = _Recordings(read_aedat2, [places[k] for k in mine], [labels[k] for k in mine])
    return Samples(items, how)


def _check_complete(name: str, folder: Path, files: dict[str, list[Path]], ending: str) -> None:
    missing = [part for part, found in files.items() if not found]
    if missing:
        raise InputError(
            f"{name} is not there or not complete: expected {folder}/CLASS/*.{ending} for the "
            f"classes {', '.join(files)}; missing: {', '.join(missing)}"
        )


def dvs128gesture(split: Split, how: Preprocessing, root: Path) -> Samples:
    """The labelled pieces of the recordings that a list in ``dvs128gesture`` names.

    Raises:
        InputError: If the list, a recording or its labels are not there, or can't be read.
    """
    check_frames(how, DVS128_SENSOR)
    folder = root / "dvs128gesture"
    trials = folder / f"trials_to_{split}.txt"
    names = [line.strip() for line in _lines(trials) if line.strip()]
    pieces = [piece for name in names for piece in _pieces(folder, name)]
    if not pieces:
        raise InputError(f"{trials} names no recording with a labelled piece")
    items = _Recordings(read_aedat3, [where for where, _ in pieces], [label for _, label in pieces])
    return Samples(items, how)


def _pieces(folder: Path, name: str) -> list[tuple[tuple[Path, int, int], int]]:
    """The pieces of one recording, each (file, start, end) with its label from 0."""
    file = folder / name
    if not file.is_file():
        raise InputError(f"dvs128gesture is not complete: {file} is on a list and not there")
    table = file.with_name(f"{file.stem}_labels.csv")
    return [
        ((file, start, end), gesture - 1)
        for line, row in enumerate(list(csv.reader(_lines(table)))[1:], start=2)
        for gesture, start, end in [_piece(table, line, row)]
    ]


def _piece(table: Path, line: int, row: list[str]) -> tuple[int, int, int]:
    try:
        gesture, start, end = map(int, row)
    except ValueError:
        gesture, start, end = 0, 0, 0
    if not 1 <= gesture <= GESTURES or start > end:
        raise InputError(
            f"{table}, line {line}: expected a class from 1 to {GESTURES}, a start and a later end "
            f"in us, got {','.join(row)[:80]!r}"
        )
    return gesture, start, end


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"dvs128gesture is not there or not complete: cannot read {file}: {error}"
        ) from error


def shd(split: Split, how: Preprocessing, root: Path) -> Samples:
    """The utterances of ``shd/shd_train.h5`` or ``shd/shd_test.h5``.

    Raises:
        InputError: If the file is not there or damaged, or h5py not installed.
    """
    check_frames(how, SHD_SENSOR)
    file = root / "shd" / f"shd_{split}.h5"
    if not file.is_file():
        raise InputError(f"shd is not there: expected {file}")
    labels = shd_labels(file)
    places = [(file, sample) for sample in range(len(labels))]
    return Samples(_Recordings(read_shd, places, labels), how)
