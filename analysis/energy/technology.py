"""Price lists: picojoules per operation, each with its source, from TOML files."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, get_args

from analysis.errors import InputError

_OPERATIONS = ("ac", "mac", "neuron")
_REQUIRED = ("pj", "source", "status")
_OPTIONAL = ("low", "high", "remark")
_MOST_PJ = 1e12  # a joule: no operation costs as much, and sums stay finite
_SHOWN = 60  # characters of a wrong value in a message
Status = Literal["seen", "second-hand"]


@dataclass(frozen=True, kw_only=True)
class Price:
    """What one operation costs.

    Attributes:
        pj: Picojoules, the nominal figure.
        source: Where the figure stands.
        status: Whether it was read there (``seen``) or in somebody's restatement.
        low, high: Ends of the range, picojoules, where sources give one.
        remark: What to know before trusting it.
    """

    pj: float
    source: str
    status: Status
    low: float | None = None
    high: float | None = None
    remark: str = ""

    def describe(self) -> str:
        """The figure with its range, if it has one.

        Examples:
            >>> Price(pj=10, high=450, source="two papers", status="seen").describe()
            '10 pJ (10 to 450)'
        """
        if self.low is None and self.high is None:
            return f"{self.pj:g} pJ"
        return f"{self.pj:g} pJ ({self.end('low'):g} to {self.end('high'):g})"

    def end(self, which: Literal["low", "high"]) -> float:
        """One end of the range, picojoules; the nominal figure where there is none."""
        found = self.low if which == "low" else self.high
        return self.pj if found is None else found


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

    def at(self, which: Literal["low", "high"]) -> Technology:
        """The same list with every price at one end of its range."""
        prices = {n: replace(p, pj=p.end(which)) for n, p in self.operations.items()}
        return replace(self, name=f"{self.name}, {which}", operations=prices)

    def describe(self) -> str:
        """All prices in one line.

        Examples:
            >>> technology("45nm-fp32").describe()
            '45nm-fp32 (MAC 4.6 pJ, AC 0.9 pJ)'
        """
        prices = (f"{name.upper()} {price.describe()}" for name, price in self.operations.items())
        return f"{self.name} ({', '.join(prices)})"

    def sources(self) -> str:
        """Where every price stands, with its remarks, in one line."""
        return "; ".join(
            f"{name.upper()}: {price.source}"
            + (" (second-hand)" if price.status == "second-hand" else "")
            + (f" [{price.remark}]" if price.remark else "")
            for name, price in self.operations.items()
        )


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
    if path.suffix != ".toml":
        known = ", ".join(technology_names())
        raise InputError(f"unknown technology {name!r}; known: {known}, or a .toml file")
    try:
        text = path.read_text(encoding="utf-8-sig")  # some editors put a mark in front
    except UnicodeDecodeError as error:
        raise InputError(f"technology {name}: not TOML: no UTF-8 text") from error
    except OSError as error:
        raise InputError(f"technology {name}: can't be read: {error.strerror}") from error
    return parse_technology(text, name)


def parse_technology(text: str, where: str) -> Technology:
    """Reads a price list; ``where`` names it in messages.

    Raises:
        InputError: If a key is missing or unknown, or a price is no finite number >= 0.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"technology {where}: not TOML: {error}") from error
    _check_keys(table, ("name", "description", "operations"), (), where)
    _check_keys(table["operations"], (), _OPERATIONS, f"{where}: operations")
    if not table["operations"]:
        raise InputError(
            f"technology {where}: operations: expected a price for at least one of "
            f"{', '.join(_OPERATIONS)}"
        )
    operations = {
        name: _price(entry, f"{where}: operations.{name}")
        for name, entry in table["operations"].items()
    }
    return Technology(
        name=_text(table, "name", f"{where}: "),
        description=_text(table, "description", f"{where}: "),
        operations=operations,
    )


def _check_keys(table: Any, wanted: tuple[str, ...], optional: tuple[str, ...], where: str) -> None:
    allowed = ", ".join([*wanted, *(f"{key} (optional)" for key in optional)])
    if not isinstance(table, dict):
        raise InputError(f"technology {where}: expected a table with {allowed}, got {table!r}")
    unknown = [key for key in table if key not in (*wanted, *optional)]
    missing = [key for key in wanted if key not in table]
    for what, keys in (("unknown", unknown), ("missing", missing)):
        if keys:
            raise InputError(
                f"technology {where}: {what} key {', '.join(map(repr, keys))}; allowed: {allowed}"
            )


def _price(entry: Any, where: str) -> Price:
    _check_keys(entry, _REQUIRED, _OPTIONAL, where)
    if entry["status"] not in get_args(Status):
        raise InputError(
            f"technology {where}.status: expected {' or '.join(get_args(Status))}, "
            f"got {entry['status']!r}"
        )
    pj, low, high = (_number(entry, key, where) for key in ("pj", "low", "high"))
    nominal = pj or 0.0
    if not (nominal if low is None else low) <= nominal <= (nominal if high is None else high):
        raise InputError(f"technology {where}: expected low <= pj <= high, got {low}, {pj}, {high}")
    remark = _text(entry, "remark", f"{where}.") if "remark" in entry else ""
    return Price(
        pj=nominal,
        source=_text(entry, "source", f"{where}."),
        status=entry["status"],
        low=low,
        high=high,
        remark=remark,
    )


def _number(entry: dict[str, Any], key: str, where: str) -> float | None:
    value = entry.get(key)
    if value is None:
        return None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (is_number and 0 <= value <= _MOST_PJ):  # NaN fails too
        raise InputError(
            f"technology {where}.{key}: expected a number of picojoules from 0 to {_MOST_PJ:g}, "
            f"got {_short(value)}"
        )
    return float(value)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _text(entry: dict[str, Any], key: str, where: str) -> str:
    value = entry[key]
    if not (isinstance(value, str) and value.strip() and value.isprintable()):
        raise InputError(
            f"technology {where}{key}: expected a text of one line, got {_short(value)}"
        )
    return value
