"""Tables as data: raw values and what kind of number each column holds.

Every output (terminal, HTML, Markdown, LaTeX) draws the same tables, so that none of them can
show another number than the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isnan
from typing import Literal

from analysis.reporting.text import joules, si

Kind = Literal[
    "text", "integer", "count", "rate", "fraction", "ratio", "percent", "share", "joules"
]
Value = str | int | float | None


@dataclass(frozen=True)
class AtLeast:
    """A lower bound: some of what belongs to it has no price."""

    value: float


@dataclass(frozen=True)
class As:
    """A number of another kind than its column holds."""

    value: float
    kind: Kind


@dataclass(frozen=True)
class Spread:
    """A mean with its standard deviation."""

    value: float
    deviation: float


Cell = Value | AtLeast | As | Spread
Row = tuple[Cell, ...]


@dataclass(frozen=True, kw_only=True)
class Column:
    """What the cells of a column are.

    Attributes:
        name: For machines: the heading in CSV files.
        heading: For people.
        kind: ``text``; ``integer``, exact; ``count``, with a prefix; ``rate``, ``fraction`` and
            ``ratio``, plain with 4, 3 and 2 decimals;
            ``percent`` and ``share`` (which gets a bar), given in [0, 1]; ``joules``, given in
            picojoules.
        meaning: A sentence for those who ask.
        roomy: Whether it is left out where there is little room.
    """

    name: str
    heading: str
    kind: Kind = "text"
    meaning: str = ""
    roomy: bool = False

    @property
    def numeric(self) -> bool:
        """Whether its cells are numbers (or say in a word why there is none)."""
        return self.kind != "text"


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of raw values.

    Attributes:
        name: For anchors and file names.
        title: One line above it.
        columns: The first one names the row.
        rows: One cell per column; a text in a numeric column says why there is no number.
        sentence: How to read it.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    sentence: str = ""

    def top(self, count: int, by: str) -> Table:
        """The rows with the largest values of a column, largest first.

        Example:
            >>> name, rate = (
            ...     Column(name="a", heading="a"),
            ...     Column(name="r", heading="r", kind="rate"),
            ... )
            >>> table = Table(
            ...     name="t", title="T", columns=(name, rate), rows=(("x", 0.1), ("y", 0.2))
            ... )
            >>> table.top(1, "r").rows
            (('y', 0.2),)
        """
        place = [column.name for column in self.columns].index(by)
        rows = sorted(self.rows, key=lambda row: number(row[place]), reverse=True)
        title = f"{self.title}: the {count} largest of {len(rows)} by {self.columns[place].heading}"
        return replace(
            self, title=title if count < len(rows) else self.title, rows=tuple(rows[:count])
        )

    def with_columns(self, places: Sequence[int]) -> Table:
        """The same rows with some of the columns, by their places."""
        return replace(
            self,
            columns=tuple(self.columns[place] for place in places),
            rows=tuple(tuple(row[place] for place in places) for row in self.rows),
        )

    def in_parts(self, widths: Sequence[float], room: float) -> tuple[Table, ...]:
        """Tables of as many columns as there is room for, each with the first column.

        Args:
            widths: Of every column, with what parts it from the next one.
            room: What a table may take; one of two columns may take more.

        Example:
            >>> a, b, c = (Column(name=n, heading=n) for n in "abc")
            >>> table = Table(name="t", title="T", columns=(a, b, c), rows=(("x", "y", "z"),))
            >>> [part.rows for part in table.in_parts([2, 2, 2], room=4)]
            [(('x', 'y'),), (('x', 'z'),)]
        """
        groups: list[list[int]] = [[]]
        for place in range(1, len(self.columns)):
            taken = widths[0] + sum(widths[other] for other in groups[-1])
            if groups[-1] and taken + widths[place] > room:
                groups.append([])
            groups[-1].append(place)
        return tuple(self.with_columns([0, *group]) for group in groups)


def number(cell: Cell) -> float:
    """The number of a cell; minus infinity where there is none, so that it sorts last."""
    value = cell.value if isinstance(cell, AtLeast | As | Spread) else cell
    if isinstance(value, int | float) and not isnan(value):
        return float(value)
    return float("-inf")


def shown(cell: Cell, kind: Kind) -> str:
    """A cell as people read it.

    Example:
        >>> shown(4.6e6, "joules"), shown(0.125, "percent"), shown(AtLeast(2e3), "count")
        ('4.600 µJ', '12.50 %', '≥ 2.00 k')
    """
    if isinstance(cell, AtLeast):
        return f"≥ {shown(cell.value, kind)}"
    if isinstance(cell, Spread):
        return f"{shown(cell.value, kind)} ± {shown(cell.deviation, kind)}"
    if isinstance(cell, As):
        return shown(cell.value, cell.kind)
    if cell is None or (isinstance(cell, float) and isnan(cell)):
        return ""
    if isinstance(cell, str):
        return cell
    return _number_shown(cell, kind)


def _number_shown(value: float, kind: Kind) -> str:
    match kind:
        case "integer":
            return f"{value:,.0f}"
        case "count":
            return si(value, padded=True)
        case "joules":
            return joules(value, digits=4, padded=True)
        case "rate":
            return f"{value:.4f}"
        case "fraction":
            return f"{value:.3f}"
        case "ratio":
            return f"{value:.2f}"
        case "percent":
            return f"{100 * value:.2f} %"
        case "share":
            return f"{100 * value:.1f} %"
        case _:
            return f"{value:g}"
