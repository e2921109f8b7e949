"""Files that are whole or not there. Needs no torch."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from analysis.errors import InputError


def make_folder(folder: Path) -> None:
    """Makes a folder and those above it, so that a long run does not end without one.

    Raises:
        InputError: If it can't be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"can't make the folder {folder}: {error.strerror}") from error


def write_text(path: Path, text: str) -> None:
    """Writes a whole file or none of it, and the folders above it.

    Raises:
        InputError: If the file can't be written; an old one then stays as it was.
    """
    make_folder(path.parent)
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(path)
    except OSError as error:
        raise InputError(f"can't write {path}: {error.strerror}") from error
    finally:
        with suppress(OSError):  # already renamed, or never made
            unfinished.unlink()
