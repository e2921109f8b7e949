"""Snapshots of a training run: all that is needed to go on as if nothing had happened."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gac.archive import read_archive
from gac.errors import InputError
from gac.files import save_archive

FORMAT = "gac-energy snapshot"
SCHEMA = 1


class SnapshotWarning(UserWarning):
    """A snapshot can't be used, and an older one is."""


class Snapshots:
    """The last few snapshots in a folder, named by the number of updates made.

    Args:
        folder: Where they lie; made with the first one.
        keep: How many; more than one, since a disk may damage the newest.
    """

    def __init__(self, folder: Path, keep: int = 2) -> None:
        if keep < 1:
            raise InputError(f"at least 1 snapshot has to be kept, asked for {keep}")
        self.folder = folder
        self.keep = keep

    def files(self) -> list[Path]:
        """Oldest first."""
        return sorted(self.folder.glob("update-*.pt"))

    def save(self, updates: int, content: Mapping[str, Any]) -> None:
        """Writes one, then removes those that are too many.

        Raises:
            InputError: If it can't be written; the older ones stay.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot make the folder {self.folder}: {error.strerror}") from error
        path = self.folder / f"update-{updates:09d}.pt"
        save_archive(path, {"format": FORMAT, "schema": SCHEMA, **content})
        for old in self.files()[: -self.keep]:
            old.unlink(missing_ok=True)
        for leftover in self.folder.glob(".*.tmp"):  # of a process killed while it wrote
            leftover.unlink(missing_ok=True)

    def newest(self) -> dict[str, Any] | None:
        """The newest whole snapshot; None where there never was one.

        Warns:
            SnapshotWarning: If a newer one is damaged.

        Raises:
            InputError: If there are some and all are damaged.
        """
        files = self.files()
        for path in reversed(files):
            try:
                return _read(path)
            except InputError as error:
                warnings.warn(f"{error}; taking the one before", SnapshotWarning, stacklevel=2)
        if files:
            raise InputError(f"all {len(files)} snapshots in {self.folder} are damaged")
        return None


def _read(path: Path) -> dict[str, Any]:
    content = read_archive(path)
    with zipfile.ZipFile(path) as archive:
        damaged = archive.testzip()  # torch itself leaves the checksums unread
    if damaged is not None:
        raise InputError(f"{path} is damaged: the checksum of {damaged} is wrong")
    known = isinstance(content, dict) and content.get("format") == FORMAT
    if not known or content.get("schema") != SCHEMA:
        raise InputError(f"{path} is no snapshot of this version")
    return content
