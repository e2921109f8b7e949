"""What a run leaves in its folder."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.coding.frames import coding_frame
from analysis.errors import InputError
from analysis.files import write_text
from analysis.reporting.bibliography import bibtex
from analysis.reporting.html.page import write_html
from analysis.reporting.html.tables import tables_page
from analysis.reporting.latex import latex_tables, write_latex
from analysis.reporting.markdown import markdown_tables, write_markdown
from analysis.reporting.report import Report
from analysis.reporting.sections import Section
from analysis.reporting.tables import Table
from analysis.reporting.writers import write_frame, write_table_csv

if TYPE_CHECKING:
    import pandas as pd


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
    page, notes, paper = (folder / f"report.{kind}" for kind in ("html", "md", "tex"))
    report.to_json(folder / "report.json")
    write_markdown(report, notes, more)
    write_latex(report, paper, more)
    cited = [key for section in more for key in section.cites]
    write_text(folder / "references.bib", bibtex(report, cited))
    tables = [table for section in more for table in section.tables]
    others = [*write_frames(report, folder), *_table_files(tables, folder)]
    write_html(report, page, more)  # last: where a new page stands, all it is made of does
    return [folder / "report.json", page, notes, paper, folder / "references.bib", *others]


def write_frames(report: Report, folder: Path) -> list[Path]:
    """Writes the frames of a report as CSV; the files.

    Raises:
        InputError: If one can't be written; an old one then stays as it was.
    """
    frames = {folder / f"{name}.csv": frame for name, frame in _frames(report).items()}
    for file, frame in frames.items():
        write_frame(report, frame, file)
    return [*frames]


def _frames(report: Report) -> dict[str, pd.DataFrame]:
    """What goes into CSV files, by name."""
    frames = {
        "inputs": report.inputs,
        "sites": report.sites,
        "neurons": report.neurons,
        "steps": report.steps,
        "conventions": report.by_role(),
    }
    if report.run.per_sample:
        with suppress(InputError):  # this convention needs counts that are not kept per sample
            frames["samples"] = report.sample_energy()
    if report.coding is not None:
        frames["coding"] = coding_frame([report.coding])
    return frames


def write_tables(title: str, tables: Sequence[Table], name: str, folder: Path) -> list[Path]:
    """Writes some tables together as a page, Markdown and LaTeX, and each as CSV; the files."""
    page, notes, paper = (folder / f"{name}.{kind}" for kind in ("html", "md", "tex"))
    write_text(page, tables_page(title, tables))
    write_text(notes, markdown_tables(tables) + "\n")
    write_text(paper, latex_tables(tables) + "\n")
    return [page, notes, paper, *_table_files(tables, folder)]


def _table_files(tables: Sequence[Table], folder: Path) -> list[Path]:
    """Each table as CSV."""
    files = [folder / f"{table.name}.csv" for table in tables]
    for table, file in zip(tables, files, strict=True):
        write_table_csv(table, file)
    return files
