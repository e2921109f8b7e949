"""What the options alone can tell is told before torch is loaded, and before anything runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from analysis.errors import InputError
from gac.archive import check_archive
from gac.data import check_folder


def check_inputs(files: Sequence[Path]) -> None:
    """Refuses checkpoints that can't be read; reports are read before anything runs anyway.

    Raises:
        InputError: Naming the first such file.
    """
    for file in files:
        if file.suffix != ".json":
            check_archive(file)
        elif not file.exists():
            raise InputError(f"{file} does not exist")


def check_data(name: str | None, root: Path | None, *, own_model: bool = False) -> None:
    """Refuses a data set that is not known or lacks its folder.

    Args:
        name: A data set, or with a model of the user's a place; None: the checkpoint's own.
        root: The folder that holds the data set's folder.
        own_model: Whether ``module:loader`` may stand for a name.

    Raises:
        InputError: If it can't be used.
    """
    if name is not None and ":" in name and own_model:
        check_place(name, "--data")
    elif name is not None and ":" in name:
        raise InputError(f"--data {name} gives batches to a model of your own: --model")
    elif name is not None:
        check_folder(name, root)
    elif root is not None and not root.is_dir():
        raise InputError(f"--data-root {root} is no folder")


def check_place(place: str, option: str) -> None:
    """Refuses what is no ``package.module:name``, or whose package is not there.

    Raises:
        InputError: If it is none.
    """
    module, mark, name = place.partition(":")
    if not (module and mark and name):
        raise InputError(f"{option} takes package.module:name, not {place!r}")
    see_current_folder()
    package = module.partition(".")[0]
    if package not in sys.modules and find_spec(package) is None:
        raise InputError(f"{option} {place}: no module named {package!r}")


def see_current_folder() -> None:
    """Modules of the current folder can be imported, as with `python -m`."""
    if "" not in sys.path:
        sys.path.insert(0, "")
