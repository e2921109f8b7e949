"""A report as Markdown: the same sections and tables as the page, without its figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from analysis.files import write_text
from analysis.reporting.method import PLAIN, paragraph
from analysis.reporting.report import Report
from analysis.reporting.report_tables import parts_table
from analysis.reporting.sections import Section, sections
from analysis.reporting.spike_driven import not_spike_driven
from analysis.reporting.tables import Table, shown


def markdown_table(table: Table) -> str:
    r"""A table in the form that GitHub draws.

    Example:
        >>> from analysis.reporting.tables import Column
        >>> name, n = Column(name="a", heading="a"), Column(name="n", heading="n", kind="integer")
        >>> table = Table(name="t", title="T", columns=(name, n), rows=(("x|y", 3),))
        >>> print(markdown_table(table))
        | a | n |
        | :-- | --: |
        | x\|y | 3 |
    """
    headings = [_escaped(column.heading) for column in table.columns]
    sides = ["--:" if column.numeric else ":--" for column in table.columns]
    rows = [
        [_escaped(shown(cell, c.kind)) for cell, c in zip(row, table.columns, strict=True)]
        for row in table.rows
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in (headings, sides, *rows))


def markdown_tables(tables: Sequence[Table]) -> str:
    """Some tables together, each with its title and how to read it."""
    blocks = []
    for table in tables:
        blocks += [f"**{_escaped(table.title)}**", markdown_table(table)]
        blocks += [_escaped(table.sentence)] if table.sentence else []
    return "\n\n".join(blocks)


def _escaped(text: str) -> str:
    for mark in ("\\", "|", "*", "_", "<", "`"):
        text = text.replace(mark, f"\\{mark}")
    return text


def markdown(report: Report, more: Sequence[Section] = ()) -> str:
    """A report as one Markdown document."""
    return "\n\n".join(_blocks(report, more)) + "\n"


def _blocks(report: Report, more: Sequence[Section]) -> Iterator[str]:
    facts = report.run.provenance
    yield f"# Spike and energy report: {_escaped(str(facts.get('model', 'unnamed model')))}"
    yield _escaped(f"{facts.get('data', f'{report.run.samples} samples')}, T = {report.run.steps}")
    yield f"**Not spike-driven:** {not_spike_driven(report).sentence()}"
    for section in sections(report, more):
        yield f"## {section.title}"
        yield _escaped(section.lead)
        tables = section.tables
        if section.name == "conventions":
            tables = (*tables, parts_table(report))
        drawn = {table.name for table in tables}
        tables += tuple(f.data for f in section.figures if f.data.name not in drawn)
        if tables:
            yield markdown_tables(tables)
        for note in section.notes:
            yield f"Note: {_escaped(note)}"
    yield "## How energy was computed"
    yield _escaped(paragraph(report, PLAIN))


def write_markdown(report: Report, path: Path, more: Sequence[Section] = ()) -> None:
    """Writes a report as Markdown.

    Raises:
        InputError: If the file can't be written; an old one then stays as it was.
    """
    write_text(path, markdown(report, more))
