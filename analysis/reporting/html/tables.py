"""A page of tables alone: a comparison, say."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.reporting.html.templates import rendered
from analysis.reporting.tables import Table


def tables_page(title: str, tables: Sequence[Table]) -> str:
    """Tables as one self-contained page, to be sorted, filtered and saved."""
    return rendered("tables.html.jinja", title=title, tables=tables)
