"""Tables in the terminal."""

from __future__ import annotations

import io

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from analysis.reporting.tables import Cell, Column, Table, number, shown
from analysis.reporting.text import WIDE, titled_table

_BAR = 5  # characters of a full bar


def terminal_table(table: Table, *, wide: bool) -> RichTable:
    """A table for `rich`; with little room, without its roomy columns, and it says so."""
    kept = [place for place, column in enumerate(table.columns) if wide or not column.roomy]
    first, *others = [table.columns[place] for place in kept]
    drawn = titled_table(table.title + _missing(table, wide=wide), first.heading)
    for column in others:
        right = column.numeric and column.kind != "share"
        fixed = column.numeric or not column.roomy
        drawn.add_column(column.heading, justify="right" if right else "left", no_wrap=fixed)
    for row in table.rows:
        drawn.add_row(*(_cell(row[place], table.columns[place]) for place in kept))
    return drawn


def _missing(table: Table, *, wide: bool) -> str:
    hidden = [column.heading for column in table.columns if column.roomy]
    if wide or not hidden:
        return ""
    names = ", ".join(hidden) if len(hidden) < 5 else f"{len(hidden)} more columns"
    return f" ({names}: from {WIDE} characters on, or in the files)"


def _cell(cell: Cell, column: Column) -> Text:
    words = shown(cell, column.kind)
    if column.kind == "share" and not isinstance(cell, str):
        words = f"{'█' * round(_BAR * max(number(cell), 0.0)):{_BAR}} {words:>7}"
    return Text(words)


def plain_text(table: Table, width: int = 110) -> str:
    """A table as text without colours."""
    buffer = io.StringIO()
    Console(width=width, file=buffer, color_system=None).print(terminal_table(table, wide=True))
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines())
