"""The crosscheck in the terminal: one line per tool, then the weight layers it sees differently.

What a tool counts elsewhere, normalisation say, is summed up in its line; the file has the rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from analysis.reporting.sections import Section
from analysis.reporting.tables import Column, Row
from analysis.reporting.tables import Table as DataTable

if TYPE_CHECKING:
    import pandas as pd

_TOTAL = "(total)"


def print_crosscheck(table: pd.DataFrame, console: Console) -> None:
    """Prints a crosscheck.

    Args:
        table: As `analysis.crosscheck.crosscheck` gives it.
        console: Where to.
    """
    console.print(Text("\nDense MACs beside other counters, per sample", style="bold"))
    for tool, rows in table.groupby("tool", sort=False):
        layers = rows[rows.layer != _TOTAL]
        console.print(Text(f"{tool}: {_verdict(layers, rows[rows.layer == _TOTAL].iloc[0])}"))
        others = layers[(layers.ours > 0) & (layers.difference != 0)]
        if len(others):
            console.print(_differences(others))


def crosscheck_section(table: pd.DataFrame) -> Section:
    """A crosscheck as part of a page: what each tool says in a line, and where it differs."""
    verdicts = []
    rows: list[Row] = []
    for tool, found in table.groupby("tool", sort=False):
        layers = found[found.layer != _TOTAL]
        verdicts.append(f"{tool}: {_verdict(layers, found[found.layer == _TOTAL].iloc[0])}")
        rows += [
            (
                str(row.layer), str(tool), _number(row.ours), _number(row.theirs),
                _number(row.difference), str(row.reason),
            )
            for row in layers[layers.ours > 0].itertuples()
        ]  # fmt: skip
    columns = (
        Column(name="layer", heading="layer"),
        Column(name="tool", heading="tool"),
        Column(name="ours", heading="ours", kind="integer"),
        Column(name="theirs", heading="theirs", kind="integer"),
        Column(name="difference", heading="difference", kind="integer"),
        Column(name="reason", heading="reason"),
    )
    return Section(
        name="crosscheck",
        title="Dense MACs beside other counters",
        short="Crosscheck",
        lead="What tools that know nothing of spikes count for the same layers, per sample.",
        tables=(
            DataTable(name="crosscheck", title="Layer by layer", columns=columns, rows=tuple(rows)),
        ),
        notes=tuple(verdicts),
    )


def _number(value: Any) -> float | None:
    return None if value != value else float(value)  # NaN where a tool has no such layer


def _verdict(layers: pd.DataFrame, total: pd.Series) -> str:
    if not len(layers):
        return str(total.reason) or "nothing to compare"
    counted = layers[layers.ours > 0]
    same = int((counted.difference == 0).sum())
    words = f"{same} of {len(counted)} weight layers equal, total {total.theirs:,.0f}"
    words += f" against our {total.ours:,.0f}"
    return f"{words}; {total.reason}" if total.reason else words


def _differences(rows: pd.DataFrame) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("  layer", overflow="fold")
    for heading in ("ours", "theirs", "difference"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("reason")
    for row in rows.itertuples():
        figures = (f"{row.ours:,.0f}", f"{row.theirs:,.0f}", f"{row.difference:+,.0f}")
        table.add_row(f"  {row.layer}", *figures, str(row.reason))
    return table
