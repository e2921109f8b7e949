"""CIFAR-10 and CIFAR-100 from their original files, read as data.

The files are pickles, and a pickle can run code. Here it can build arrays, lists, numbers and
text, nothing else; what it is made of decides, not a checksum, so any file in the format works.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from gac.errors import InputError
from gac.metadata import Preprocessing
from gac.pictures import InMemory, Samples

_PIXELS = (3, 32, 32)


@dataclass(frozen=True, kw_only=True)
class CifarLayout:
    """Where a CIFAR set keeps what.

    Attributes:
        name: For messages.
        folder: Inside the data root.
        train, test: File names.
        labels: Key of the labels inside a file.
        classes: Labels run from 0 to one less.
    """

    name: str
    folder: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    labels: str
    classes: int


CIFAR10 = CifarLayout(
    name="cifar10",
    folder="cifar-10-batches-py",
    train=tuple(f"data_batch_{k}" for k in range(1, 6)),
    test=("test_batch",),
    labels="labels",
    classes=10,
)
CIFAR100 = CifarLayout(
    name="cifar100",
    folder="cifar-100-python",
    train=("train",),
    test=("test",),
    labels="fine_labels",
    classes=100,
)


def cifar(
    layout: CifarLayout,
    split: Literal["train", "test"],
    preprocessing: Preprocessing,
    root: Path,
) -> Samples:
    """One split of a CIFAR set.

    Raises:
        InputError: If a file is missing, damaged, or holds something else.
    """
    folder, names = root / layout.folder, getattr(layout, split)
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise InputError(
            f"{layout.name} is not there or not complete: expected {', '.join(names)} in {folder}; "
            f"missing: {', '.join(missing)}"
        )
    parts = [_read(layout, folder / name) for name in names]
    pictures = torch.from_numpy(np.concatenate([part[0] for part in parts]))
    labels = torch.from_numpy(np.concatenate([part[1] for part in parts]))
    return Samples(InMemory(pictures.reshape(-1, *_PIXELS), labels, preprocessing))


def _read(layout: CifarLayout, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Pictures ``(N, 3072)`` uint8 and labels ``(N,)`` int64 of one file."""
    try:
        with path.open("rb") as handle:
            content = _ArraysOnly(handle, encoding="latin1").load()
        pictures, labels = np.asarray(content["data"]), np.asarray(content[layout.labels])
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except Exception as error:  # a damaged pickle can raise anything
        raise InputError(f"{path} is not a {layout.name} file: {error!r}") from error
    fits = pictures.dtype == np.uint8 and pictures.shape == (len(labels), int(np.prod(_PIXELS)))
    if not fits or not np.isin(labels, np.arange(layout.classes)).all():
        raise InputError(
            f"{path} is not a {layout.name} file: expected N x 3072 bytes and N labels below "
            f"{layout.classes}, got {pictures.dtype} {pictures.shape} and {labels.shape}"
        )
    return pictures, labels.astype(np.int64)


def _array_builders() -> dict[str, Any]:
    """The functions numpy's own pickles call, by their name without numpy's changing paths."""
    reconstruct = np.empty(0).__reduce__()[0]
    from_buffer = np.empty(1).__reduce_ex__(5)[0]
    scalar = np.float64(0).__reduce__()[0]
    return {
        "_reconstruct": reconstruct,
        "_frombuffer": from_buffer,
        "scalar": scalar,
        "ndarray": np.ndarray,
        "dtype": np.dtype,
    }


class _ArraysOnly(pickle.Unpickler):
    """Builds arrays and plain values; any other name in the pickle is refused."""

    def find_class(self, module: str, name: str) -> Any:
        builders = _array_builders()
        if module.split(".")[0] == "numpy" and name in builders:
            return builders[name]
        if (module, name) == ("_codecs", "encode"):  # how Python 3 writes bytes in old protocols
            return _latin1
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no picture needs")


def _latin1(text: str, encoding: str) -> bytes:
    return text.encode(encoding)
