"""Reads a torch file from an unknown hand: data, never code, and no more than its size."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gac.errors import InputError

if TYPE_CHECKING:
    import numpy as np


def read_archive(path: Path) -> Any:
    """What ``torch.save`` wrote, restricted to tensors, plain values and what lies beside weights.

    That is ``argparse.Namespace`` and numbers and arrays of numpy, which hold data only.
    The zip directory is checked before anything is loaded: entries are stored as they are and
    together no larger than the file, so no header can claim memory; torch itself compares the
    size of each storage with its entry. The format torch wrote before version 1.6 keeps its
    sizes inside the pickle, where they cannot be checked beforehand; it is refused.

    Raises:
        InputError: If the file cannot be read, is damaged, or is anything else.
    """
    check_archive(path)
    import torch

    try:
        with torch.serialization.safe_globals(_beside_weights()):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path} is damaged or holds more than tensors and plain values, which could be code; "
            f"nothing of it was run: {_first_line(error)}; torch.save(model.state_dict(), FILE) "
            "writes weights alone"
        ) from error
    except Exception as error:  # a damaged or hostile file can raise anything
        raise InputError(
            f"{path} is damaged or no torch checkpoint: {_first_line(error)}"
        ) from error


def _beside_weights() -> list[Any]:
    """Classes and functions that a file may name, besides torch's own; each makes data only."""
    import argparse

    import numpy as np

    kinds = {type(np.dtype(code)) for code in "?bhilqBHILQefdgFDGSU"}
    found: list[Any] = [argparse.Namespace, np.ndarray, np.dtype, *kinds]
    for home in ("numpy._core.multiarray", "numpy.core.multiarray"):  # numpy 2 and 1
        found += [(_scalar, f"{home}.scalar"), (_array, f"{home}._reconstruct")]
    return found


def _scalar(dtype: np.dtype[Any], content: bytes) -> Any:
    """A number of numpy from its bytes, in the place of the function that numpy names."""
    import numpy as np

    if dtype.hasobject or len(content) != dtype.itemsize:
        raise ValueError("a number of numpy that is none")
    return np.frombuffer(content, dtype)[0]


def _array(kind: type, shape: tuple[int, ...], _code: bytes) -> Any:
    """An empty array, as numpy's pickles begin one; a claimed size is given no memory."""
    import numpy as np

    if kind is not np.ndarray or shape != (0,):
        raise ValueError("an array of numpy that does not begin empty")
    return np.ndarray((0,), np.int8)


def check_archive(path: Path) -> None:
    """Refuses what can't be a torch file or claims more memory than it has; needs no torch.

    Raises:
        InputError: If the file cannot be read, or is anything but an unpacked zip that torch saved.
    """
    try:
        if path.is_dir():
            raise InputError(f"{path} is a directory, not a checkpoint file")
        size = path.stat().st_size
        if not path.is_file():  # a pipe would block, a device has no end
            raise InputError(f"{path} is not a regular file")
        with path.open("rb") as handle:
            head = handle.read(4)
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist") from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    if size == 0:
        raise InputError(f"{path} is empty")
    if head[:1] == b"\x80":
        raise InputError(
            f"{path} is a bare pickle, as torch wrote before version 1.6: refused unread, since "
            "its sizes cannot be checked beforehand; load and save it with a newer torch"
        )
    if head != b"PK\x03\x04":
        raise InputError(f"{path} is not a torch checkpoint (no zip archive)")
    _check_directory(path, size)


def _check_directory(path: Path, size: int) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except Exception as error:  # a damaged directory can raise anything
        raise InputError(f"{path} is damaged or cut short: {_first_line(error)}") from error
    claimed = sum(entry.file_size for entry in entries)
    if claimed > size or any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise InputError(
            f"{path} claims {claimed:,} bytes of content or packs it, and has {size:,}: refused"
        )
    if not any(entry.filename.endswith("/data.pkl") for entry in entries):
        raise InputError(f"{path} is a zip archive, but not one that torch saved")


def _first_line(error: BaseException) -> str:
    """The sentence of torch's message that says what happened; the rest is advice."""
    text = str(error) or type(error).__name__
    marker = "WeightsUnpickler error: "
    return text.split(marker)[-1].strip().split("\n")[0].split(". ")[0]
