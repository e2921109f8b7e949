"""Tables in the terminal."""

from __future__ import annotations

import io
from collections.abc import Callable

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from analysis.reporting.tables import Cell, Column, Table, number, shown

WIDE = 120  # characters that a log has room for
_BAR = 5  # characters of a full bar
_NAME = 12  # characters that the first column gets at least
_GAP = 2  # characters between two columns
_WORDS = 28  # characters of a column of words that stand in several lines


def print_table(table: Table, console: Console) -> None:
    """Prints a table below an empty line, and how to read it."""
    console.print("", *terminal_tables(table, console.width), sep="\n")
    if table.sentence:
        console.print(Text(table.sentence, style="dim"))


def terminal_tables(table: Table, width: int) -> list[RichTable]:
    """A table for `rich`; a wide one without bars, or as several, each with the first column.

    Numbers stand whole. Words are broken into lines, the last column of them alone.
    """
    for bar in (_BAR, 0):
        widths = [_width(table, place, bar) + _GAP for place in range(len(table.columns))]
        if sum(widths) <= width + _GAP:
            break
    beside = width + _GAP - max(widths[1:], default=0)
    widths[0] = min(widths[0], max(beside, _NAME), max(width // 2, _NAME))
    parts = table.in_parts(widths, width + _GAP)
    return [
        _drawn(part, "(continued)" if number else table.title, widths[0] - _GAP, bar)
        for number, part in enumerate(parts)
    ]


def _width(table: Table, place: int, bar: int) -> int:
    column = table.columns[place]
    cells = [cell_len(_cell(row[place], column, bar).plain) for row in table.rows]
    widest = max([cell_len(column.heading), *cells])
    wraps = place > 0 and not column.numeric
    return min(widest, _WORDS) if wraps else widest


def _drawn(table: Table, title: str, first: int, bar: int) -> RichTable:
    drawn = RichTable(
        title=title, title_justify="left", title_style="bold", box=None, pad_edge=False
    )
    drawn.add_column(table.columns[0].heading, overflow="fold", max_width=first)
    for column in table.columns[1:]:
        right = column.numeric and (column.kind != "share" or not bar)
        drawn.add_column(
            column.heading,
            justify="right" if right else "left",
            no_wrap=column.numeric,
            overflow="fold",
        )
    for row in table.rows:
        drawn.add_row(
            *(_cell(cell, column, bar) for cell, column in zip(row, table.columns, strict=True))
        )
    return drawn


def _cell(cell: Cell, column: Column, bar: int) -> Text:
    words = shown(cell, column.kind)
    if column.kind == "share" and bar and not isinstance(cell, str):
        words = f"{'█' * round(bar * max(number(cell), 0.0)):{bar}} {words:>7}"
    return Text(words)


def captured(prints: Callable[[Console], None], width: int = 100) -> str:
    """What something prints, as text without colours."""
    buffer = io.StringIO()
    prints(Console(width=width, file=buffer, color_system=None))
    return "\n".join(line.rstrip() for line in buffer.getvalue().strip("\n").splitlines())


def plain_text(table: Table, width: int = 110) -> str:
    """A table as text without colours."""
    return captured(lambda console: console.print(*terminal_tables(table, console.width)), width)
