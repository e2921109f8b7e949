"""What a run leaves in its folder."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from analysis.coding.comparison import coding_frame
from analysis.errors import InputError
from analysis.files import write_text
from analysis.reporting.bibliography import bibtex
from analysis.reporting.html.page import write_html
from analysis.reporting.latex import latex_table, write_latex
from analysis.reporting.markdown import markdown_table, write_markdown
from analysis.reporting.report import Report
from analysis.reporting.sections import Section
from analysis.reporting.tables import Table
from analysis.reporting.writers import write_csv, write_frame, write_table_csv


def write_report(report: Report, folder: Path, more: Sequence[Section] = ()) -> list[Path]:
    """Writes a report in every form.

    Args:
        report: What to write.
        folder: Where to; made if it is not there.
        more: Further sections, each table of which gets its CSV file.

    Returns:
        The files.

    Raises:
        InputError: If one can't be written; an old one then stays as it was.
    """
    report.to_json(folder / "report.json")
    write_html(report, folder / "report.html", more)
    write_markdown(report, folder / "report.md", more)
    write_latex(report, folder / "report.tex", more)
    cited = [key for section in more for key in section.cites]
    write_text(folder / "references.bib", bibtex(report, cited))
    write_csv(report, folder / "sites.csv")
    for name, frame in (
        ("neurons", report.neurons),
        ("steps", report.steps),
        ("conventions", report.by_role()),
    ):
        write_frame(report, frame, folder / f"{name}.csv")
    names = []
    if report.run.per_sample:
        with suppress(InputError):  # this convention needs counts that are not kept per sample
            write_frame(report, report.sample_energy(), folder / "samples.csv")
            names.append("samples.csv")
    if report.coding is not None:
        write_frame(report, coding_frame([report.coding]), folder / "coding.csv")
        names.append("coding.csv")
    names += ["report.json", "report.html", "report.md", "report.tex", "references.bib"]
    names += ["sites.csv", "neurons.csv", "steps.csv", "conventions.csv"]
    for table in (table for section in more for table in section.tables):
        write_table_csv(table, folder / f"{table.name}.csv")
        names.append(f"{table.name}.csv")
    return [folder / name for name in names]


def write_tables(tables: Sequence[Table], name: str, folder: Path) -> list[Path]:
    """Writes some tables together as Markdown and LaTeX, and each as CSV."""
    markdown = "\n\n".join(
        f"**{table.title}**\n\n{markdown_table(table)}\n\n{table.sentence}" for table in tables
    )
    write_text(folder / f"{name}.md", markdown + "\n")
    write_text(folder / f"{name}.tex", "\n\n".join(map(latex_table, tables)) + "\n")
    written = [folder / f"{name}.md", folder / f"{name}.tex"]
    for table in tables:
        write_table_csv(table, folder / f"{table.name}.csv")
        written.append(folder / f"{table.name}.csv")
    return written
