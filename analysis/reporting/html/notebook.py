"""What a notebook shows of a report and of tables: a piece of HTML with its own style."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.reporting.html.cards import cards
from analysis.reporting.html.templates import rendered
from analysis.reporting.report import Report
from analysis.reporting.report_tables import sites_table
from analysis.reporting.tables import Table


def report_fragment(report: Report) -> str:
    """The big numbers and the layers."""
    facts, run = report.run.provenance, report.run
    title = f"{facts.get('name') or facts.get('model', 'Unnamed model')}, "
    title += f"{facts.get('data', f'{run.samples} samples')}, T = {run.steps}"
    return rendered(
        "notebook.html.jinja", title=title, cards=cards(report), tables=[sites_table(report)]
    )


def tables_fragment(tables: Sequence[Table]) -> str:
    """Tables alone."""
    return rendered("notebook.html.jinja", title="", cards=(), tables=tables)
