"""Tables in the terminal."""

from __future__ import annotations

import io

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from analysis.reporting.tables import Cell, Column, Table, number, shown

WIDE = 120  # columns that the full tables need; a narrower terminal gets fewer of them
_BAR = 5  # characters of a full bar


def is_wide(console: Console) -> bool:
    """Whether a terminal has room for the full tables."""
    return console.width >= WIDE


def print_table(table: Table, console: Console) -> None:
    """Prints a table below an empty line, and how to read it."""
    console.print("", terminal_table(table, wide=is_wide(console)))
    if table.sentence:
        console.print(Text(table.sentence, style="dim"))


def terminal_table(table: Table, *, wide: bool) -> RichTable:
    """A table for `rich`; with little room, without its roomy columns, and it says so."""
    kept = [place for place, column in enumerate(table.columns) if wide or not column.roomy]
    first, *others = [table.columns[place] for place in kept]
    title = table.title + _missing(table, wide=wide)
    drawn = RichTable(
        title=title, title_justify="left", title_style="bold", box=None, pad_edge=False
    )
    drawn.add_column(first.heading, overflow="fold")
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
