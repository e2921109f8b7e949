"""Price lists: picojoules per operation, each with its source, from TOML files."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from analysis.errors import InputError

_OPERATIONS = ("ac", "mac")


@dataclass(frozen=True, kw_only=True)
class Price:
    """What one operation costs.

    Attributes:
        pj: Picojoules.
        source: Where the figure stands.
    """

    pj: float
    source: str


@dataclass(frozen=True, kw_only=True)
class Technology:
    """A price list.

    Attributes:
        name, description: What it stands for.
        operations: Prices by operation; one that is missing is unpriced, not free.
    """

    name: str
    description: str
    operations: Mapping[str, Price]

    def pj(self, operation: str) -> float | None:
        """Picojoules per operation, None where there is no price."""
        price = self.operations.get(operation)
        return price.pj if price else None

    def describe(self) -> str:
        """All prices in one line.

        Example:
            >>> technology("45nm-fp32").describe()
            '45nm-fp32 (MAC 4.6 pJ, AC 0.9 pJ)'
        """
        prices = (f"{name.upper()} {price.pj:g} pJ" for name, price in self.operations.items())
        return f"{self.name} ({', '.join(prices)})"


def technology_names() -> list[str]:
    """The price lists that come with the package."""
    folder = files("analysis.energy") / "technologies"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir())


def technology(name: str) -> Technology:
    """A price list by name, or read from a TOML file of the same form.

    Raises:
        InputError: If there is no such list, or the file breaks the form.
    """
    if name in technology_names():
        entry = files("analysis.energy") / "technologies" / f"{name}.toml"
        return parse_technology(entry.read_text(encoding="utf-8"), name)
    path = Path(name)
    if path.suffix != ".toml" or not path.is_file():
        known = ", ".join(technology_names())
        raise InputError(f"unknown technology {name!r}; known: {known}, or a .toml file")
    try:
        return parse_technology(path.read_text(encoding="utf-8"), name)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"technology {name}: can't be read: {error}") from error


def parse_technology(text: str, where: str) -> Technology:
    """Reads a price list; ``where`` names it in messages.

    Raises:
        InputError: If a key is missing or unknown, or a price is no finite number >= 0.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"technology {where}: not TOML: {error}") from error
    _check_keys(table, ("name", "description", "operations"), where)
    if not isinstance(table["operations"], dict):
        raise InputError(f"technology {where}: operations must be a table of prices")
    unknown = sorted(set(table["operations"]) - set(_OPERATIONS))
    if unknown:
        raise InputError(
            f"technology {where}: unknown operations: {', '.join(unknown)}; "
            f"known: {', '.join(_OPERATIONS)}"
        )
    operations = {
        name: _price(entry, f"{where}: operations.{name}")
        for name, entry in table["operations"].items()
    }
    return Technology(
        name=str(table["name"]), description=str(table["description"]), operations=operations
    )


def _check_keys(table: Any, wanted: tuple[str, ...], where: str) -> None:
    if not isinstance(table, dict):
        raise InputError(f"technology {where}: expected a table with {', '.join(wanted)}")
    if set(table) != set(wanted):
        raise InputError(
            f"technology {where}: expected exactly the keys {', '.join(wanted)}, "
            f"got {', '.join(table) or 'none'}"
        )


def _price(entry: Any, where: str) -> Price:
    _check_keys(entry, ("pj", "source"), where)
    pj = entry["pj"]
    is_number = isinstance(pj, int | float) and not isinstance(pj, bool)
    if not (is_number and math.isfinite(pj) and pj >= 0):
        raise InputError(f"technology {where}.pj: expected a number of at least 0, got {pj!r}")
    return Price(pj=float(pj), source=str(entry["source"]))
