"""Files that are whole or not there: an older one stays until the new one is on the disk."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import torch

from gac.errors import InputError


def save_archive(path: Path, content: Mapping[str, Any]) -> None:
    """Writes what ``gac.archive.read_archive`` reads: tensors and plain values.

    Raises:
        InputError: If it can't be written (no space, no permission, no such folder).
    """
    buffer = BytesIO()
    torch.save(content, buffer)
    write_atomically(path, buffer.getbuffer())


def write_atomically(path: Path, content: bytes | memoryview) -> None:
    """Writes beside the file, waits for the disk, then renames.

    Raises:
        InputError: If it can't be written; what was there before is untouched.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as handle:
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error
    finally:
        with suppress(OSError):  # already renamed, or never made
            temporary.unlink()


def _sync_folder(folder: Path) -> None:
    """The rename itself reaches the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
