"""What is asked of a network without data, checked before torch is loaded."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from analysis.energy.estimate import checked_rates, parse_energy
from analysis.errors import InputError
from analysis.reporting.text import parse_share
from analysis.reporting.wanted import Wanted
from gac.registry import ARCHITECTURES, architecture

Of = Literal["arch", "model", "report"]
LIBRARIES = ("torchvision", "timm")


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked of an architecture, a model of the user's, or the network of a report.

    Attributes:
        name: One that `gac.build` knows, ``torchvision/NAME`` or ``timm/NAME``; the function
            that builds a model; a report.
        of: Which of these it is.
        shape: Of one input, without the axis of samples; an architecture's own by default.
        options: Further arguments of `analysis.estimate`, such as roles.
        forward: A function of the user's to call instead of the model.
        steps: Simulation steps T; the architecture's own by default.
        rates: One rate, or the path of a CSV file of rates by layer.
        solve: An energy such as ``1.49mJ``; by default those published for the architecture.
        wanted: Sections on request.

    Raises:
        InputError: If the name is unknown, or the steps, rates or energy can't be used.
    """

    name: str
    of: Of = "arch"
    shape: tuple[int, ...] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    forward: str | None = None
    steps: int | None = None
    rates: str | None = None
    solve: str | None = None
    wanted: Wanted = field(default_factory=Wanted)

    def __post_init__(self) -> None:
        if self.of == "arch":
            _check_name(self.name, self.steps)
        if self.of == "model" and self.shape is None:
            raise InputError("without data --model needs --input-shape, such as 3,32,32")
        if self.solve is not None:
            parse_energy(self.solve)
        checked_rates(self.parsed_rates)

    @cached_property
    def parsed_rates(self) -> Fraction | dict[str, Fraction]:
        """The rates as numbers; 0 where none are stated."""
        return Fraction(0) if self.rates is None else parse_rates(self.rates)


def asked_of(
    arch: str | None,
    model: str | None,
    files: Sequence[Path],
    rates: str | None,
    solve: str | None,
) -> tuple[Of, str]:
    """Which network is meant, and what it is called.

    Raises:
        InputError: If none is, or several are.
    """
    if arch is not None and model is not None:
        raise InputError("give --arch or --model, not both")
    if arch is not None:
        if files:
            raise InputError("give a checkpoint or --arch, not both")
        if rates is None and solve is None:
            raise InputError("--arch needs --rates, or --solve-rate with an energy")
        return "arch", arch
    if model is not None:
        if files:
            raise InputError(f"at stated rates weights play no part: leave out {files[0]}")
        return "model", model
    if rates is None and len(files) == 1 and files[0].suffix == ".json":
        return "report", str(files[0])
    raise InputError(
        "--rates and --solve-rate need a network: --arch NAME, --model MODULE:FACTORY, or for "
        "--solve-rate one REPORT.json"
    )


def _check_name(name: str, steps: int | None) -> None:
    library, mark, plain = name.partition("/")
    if mark and library in LIBRARIES and plain:
        return
    try:
        architecture(name, **({} if steps is None else {"steps": steps}))
    except ValueError as error:
        more = ", ".join(f"{library}/NAME" for library in LIBRARIES)
        raise InputError(f"{error}{'' if name in ARCHITECTURES else f', {more}'}") from error


def parse_shape(text: str) -> tuple[int, ...]:
    """The shape of one input, such as ``2,128,128``.

    Raises:
        InputError: If it is none.

    Example:
        >>> parse_shape("2,128,128")
        (2, 128, 128)
    """
    sizes = text.replace("x", ",").split(",")
    if not all(size.strip().isdecimal() and int(size) > 0 for size in sizes):
        raise InputError(f"--input-shape takes whole numbers such as 3,32,32, got {text!r}")
    return tuple(map(int, sizes))


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
