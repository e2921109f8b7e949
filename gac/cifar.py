"""CIFAR-10 and CIFAR-100: torchvision's readers, for any files of the format.

The files are pickles and torchvision loads them as such: they need as much trust as code.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch.utils.data import TensorDataset

from gac.errors import InputError, from_extra
from gac.metadata import Preprocessing, Split
from gac.pictures import Samples

with from_extra("data"):
    from torchvision import datasets


class _AnyFiles:
    """Takes the files that are there, whatever their bytes.

    torchvision asks for the published checksums and for the class names, which a small or an own
    set of the same format need not have; `cifar` looks at what was read instead.
    """

    def _check_integrity(self) -> bool:
        return True

    def _load_meta(self) -> None:
        pass


class _CIFAR10(_AnyFiles, datasets.CIFAR10):  # type: ignore[misc]  # untyped
    label_count = 10


class _CIFAR100(_AnyFiles, datasets.CIFAR100):  # type: ignore[misc]  # untyped
    label_count = 100


_READERS: dict[str, Any] = {"cifar10": _CIFAR10, "cifar100": _CIFAR100}


def cifar(
    name: Literal["cifar10", "cifar100"],
    split: Split,
    preprocessing: Preprocessing,
    root: Path,
) -> Samples:
    """One split of a CIFAR set.

    Raises:
        InputError: If a file is missing, damaged, or holds something else.
    """
    reader = _READERS[name]
    folder = root / reader.base_folder
    files = [file for file, _ in (reader.train_list if split == "train" else reader.test_list)]
    missing = [file for file in files if not (folder / file).is_file()]
    if missing:
        raise InputError(
            f"{name} is not there or not complete: expected {', '.join(files)} in {folder}; "
            f"missing: {', '.join(missing)}"
        )
    try:
        stored = reader(root, train=split == "train")
        pictures, labels = stored.data, np.asarray(stored.targets)
    except Exception as error:  # a damaged pickle can raise anything
        raise InputError(
            f"{name} is damaged: cannot read {', '.join(files)} in {folder}: {error!r}"
        ) from error
    known = labels.shape == pictures.shape[:1] and np.isin(labels, range(reader.label_count)).all()
    if not len(labels) or pictures.dtype != np.uint8 or not known:
        raise InputError(
            f"{name} in {folder} is something else: expected N x 3072 bytes and N labels below "
            f"{reader.label_count}, got {pictures.dtype} {pictures.shape} and {labels.shape}"
        )
    planes = np.ascontiguousarray(pictures.transpose(0, 3, 1, 2))  # torchvision has (N, H, W, C)
    targets = torch.from_numpy(labels.astype(np.int64))
    return Samples(TensorDataset(torch.from_numpy(planes), targets), preprocessing)
