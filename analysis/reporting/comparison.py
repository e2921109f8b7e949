"""Several reports side by side, as an object: printed, in a notebook, as files of a paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.errors import InputError
from analysis.files import write_text
from analysis.reporting.compare import (
    Method,
    comparison_energies_table,
    comparison_table,
    methods,
    named,
)
from analysis.reporting.report import Report
from analysis.reporting.tables import Table

if TYPE_CHECKING:
    import pandas as pd

_TITLE = "Methods compared"


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Methods under one convention and one price list.

    Attributes:
        methods: The rows.
        baseline: One of them, to whose energy the others stand in a ratio, if that is asked for.
        zeros: Share of activations that a ReLU network of the same shape skips; None for no
            ratio to such a network.
        more: Further tables for the files.
    """

    methods: tuple[Method, ...]
    baseline: Method | None = None
    zeros: float | None = None
    more: tuple[Table, ...] = ()

    @cached_property
    def table(self) -> Table:
        """One row per method, as a paper shows it."""
        return comparison_table(self.methods, baseline=self.baseline, zeros=self.zeros)

    @cached_property
    def tables(self) -> tuple[Table, ...]:
        """`table`, the energies under every convention, and further ones."""
        return (self.table, comparison_energies_table(self.methods), *self.more)

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The raw values of `table`: shares in [0, 1], energy in picojoules per sample.

        Columns: method, data, parameters, steps, accuracy, firing_rate, acs, macs, energy_pj; runs
        and ``... deviation`` where a method has several training seeds; to_baseline and to_ann_...
        where they are asked for.
        """
        from analysis.reporting.writers import table_frame

        return table_frame(self.table)

    def __str__(self) -> str:
        """The table as a terminal shows it."""
        from analysis.reporting.terminal import captured, print_table

        return captured(partial(print_table, self.table))

    def _repr_html_(self) -> str:
        """The table in a notebook."""
        from analysis.reporting.html.notebook import tables_fragment

        return tables_fragment([self.table])

    def to_markdown(self, path: str | Path) -> None:
        """Writes all tables as Markdown."""
        from analysis.reporting.markdown import markdown_tables

        write_text(Path(path), markdown_tables(self.tables) + "\n")

    def to_latex(self, path: str | Path) -> None:
        r"""Writes all tables as LaTeX, to be read by ``\input`` in a document with booktabs."""
        from analysis.reporting.latex import latex_tables

        write_text(Path(path), latex_tables(self.tables) + "\n")

    def to_html(self, path: str | Path) -> None:
        """Writes all tables as one page."""
        from analysis.reporting.html.tables import tables_page

        write_text(Path(path), tables_page(_TITLE, self.tables))

    def save(self, folder: str | Path) -> list[Path]:
        """Writes the tables in every form, and each as CSV; the files.

        Raises:
            InputError: If one can't be written; an old one then stays as it was.
        """
        from analysis.reporting.folder import write_tables

        return write_tables(_TITLE, self.tables, "comparison", Path(folder))


def compare(
    reports: Mapping[str, Report | Sequence[Report]] | Sequence[Report],
    *,
    baseline: str | None = None,
    zeros: float | None = None,
) -> Comparison:
    """Lays reports side by side, priced like the first one.

    Args:
        reports: By the names of their rows: a report, or those of several training seeds. Without
            names, those that the reports hold.
        baseline: Name of the row to which ratios of energy are given.
        zeros: Adds the ratio to the same shape with ReLUs, this share of its activations skipped:
            0 for the dense one. Nobody trained that network.

    Raises:
        InputError: If there is nothing to compare, runs of one row are of different length, the
            baseline is no row, or a convention can't be applied.

    Examples:
        >>> import torch, analysis
        >>> x = torch.tensor([[1.0, 0.0, 0.0, 1.0]])
        >>> one, two = (analysis.analyze(torch.nn.Linear(4, n), [x], steps=1) for n in (4, 2))
        >>> found = analysis.compare({"ours": two, "wide": one}, baseline="wide")
        >>> float(found.frame.set_index("method").to_baseline["ours"])
        0.5
    """
    rows = _rows(reports)
    if not rows:
        raise InputError("nothing to compare: give one report at least")
    known = {row.name: row for row in rows}
    if baseline is not None and baseline not in known:
        raise InputError(f"unknown baseline {baseline!r}; rows: {', '.join(map(repr, known))}")
    return Comparison(
        methods=rows, baseline=None if baseline is None else known[baseline], zeros=zeros
    )


def _rows(
    reports: Mapping[str, Report | Sequence[Report]] | Sequence[Report],
) -> tuple[Method, ...]:
    if not isinstance(reports, Mapping):
        return methods(_priced_alike(reports))
    found = {n: [r] if isinstance(r, Report) else list(r) for n, r in reports.items()}
    first = next((runs[0] for runs in found.values() if runs), None)
    rows = []
    for name, runs in found.items():
        steps = {run.run.steps for run in runs}
        if len(steps) != 1:
            told = f"runs of {len(steps)} different numbers of steps" if steps else "no report"
            raise InputError(f"row {name!r}: expected one report or several of one T, got {told}")
        priced = [named(run, name) for run in _priced_alike(runs, first)]
        data = str(runs[0].run.provenance.get("data", ""))
        rows.append(Method(name=name, data=data, steps=steps.pop(), runs=tuple(priced)))
    return tuple(rows)


def _priced_alike(reports: Sequence[Report], first: Report | None = None) -> list[Report]:
    """Reports under the convention and the prices of the first."""
    first = first or (reports[0] if reports else None)
    return [report.under(first.convention, first.technology) for report in reports if first]
