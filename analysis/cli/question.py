"""What `gac-analyze --arch` is asked, checked before torch is loaded."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from pathlib import Path

from analysis.energy.estimate import checked_rates, parse_energy
from analysis.errors import InputError
from analysis.reporting.text import parse_share
from analysis.reporting.wanted import Wanted
from gac.registry import architecture


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked of an architecture.

    Attributes:
        name: One that `gac.build` knows.
        steps: Simulation steps T; the architecture's own by default.
        rates: One rate, or the path of a CSV file of rates by layer.
        solve: An energy such as ``1.49mJ``; by default those published for the architecture.
        wanted: Sections on request.

    Raises:
        InputError: If the name is unknown, or the steps, rates or energy can't be used.
    """

    name: str
    steps: int | None = None
    rates: str | None = None
    solve: str | None = None
    wanted: Wanted = field(default_factory=Wanted)

    def __post_init__(self) -> None:
        architecture(self.name, **({} if self.steps is None else {"steps": self.steps}))
        if self.solve is not None:
            parse_energy(self.solve)
        checked_rates(self.parsed_rates)

    @cached_property
    def parsed_rates(self) -> Fraction | dict[str, Fraction]:
        """The rates as numbers; 0 where none are stated."""
        return Fraction(0) if self.rates is None else parse_rates(self.rates)


def parse_rates(text: str) -> Fraction | dict[str, Fraction]:
    """One rate, or the path of a CSV file with the columns site and rate.

    Raises:
        InputError: If it is neither, or the file can't be read.

    Example:
        >>> parse_rates("0.2"), parse_rates("20%")
        (Fraction(1, 5), Fraction(1, 5))
    """
    path = Path(text)
    if path.suffix != ".csv":
        return _rate(text, "--rates takes a number between 0 and 1 or a .csv file")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{text}: no UTF-8 text") from error
    except OSError as error:
        raise InputError(f"{text}: can't be read: {error.strerror}") from error
    header, *rows = [row for row in csv.reader(lines) if row] or [[]]
    if header != ["site", "rate"]:
        raise InputError(
            f"{text}: expected the columns site,rate, got {','.join(header) or 'none'}"
        )
    rates: dict[str, Fraction] = {}
    for number, row in enumerate(rows, start=2):
        where = f"{text}, row {number}"
        if len(row) != len(header):
            raise InputError(f"{where}: expected a site and a rate, got {','.join(row)}")
        if row[0] in rates:
            raise InputError(f"{where}: a second rate for {row[0]}")
        rates[row[0]] = _rate(row[1], f"{where}: expected a rate")
    return rates


def _rate(text: str, expected: str) -> Fraction:
    try:
        return parse_share(text)
    except ValueError as error:
        raise InputError(f"{expected}, got {text!r}") from error
