"""A report as one HTML file: no network, light and dark, printable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.files import write_text
from analysis.reporting.bibliography import bibtex
from analysis.reporting.html.cards import cards
from analysis.reporting.html.templates import rendered
from analysis.reporting.latex import latex_paragraph
from analysis.reporting.method import PLAIN, paragraph
from analysis.reporting.report import Report
from analysis.reporting.sections import Section, sections
from analysis.reporting.spike_driven import not_spike_driven

if TYPE_CHECKING:
    from markupsafe import Markup


def html_page(report: Report, more: Sequence[Section] = ()) -> str:
    """A report as a page.

    Args:
        report: What to show.
        more: Sections besides those that follow from the report: a crosscheck, say.
    """
    return rendered("page.html.jinja", **_content(report, more))


def write_html(report: Report, path: Path, more: Sequence[Section] = ()) -> None:
    """Writes a report as a page.

    Raises:
        InputError: If the file can't be written; an old one then stays as it was.
    """
    write_text(path, html_page(report, more))


def _content(report: Report, more: Sequence[Section]) -> Mapping[str, Any]:
    facts, found = report.run.provenance, list(sections(report, more))
    model, _, details = str(facts.get("name") or facts.get("model", "Unnamed model")).partition(
        ", "
    )
    made = (facts.get(key) for key in ("command", "date", "commit"))
    return {
        "title": f"Energy report: {model}",
        "svg": _svg,
        "model": model,
        "details": details,
        "data": facts.get("data", f"{report.run.samples} samples"),
        "steps": report.run.steps,
        "precision": facts.get("precision"),
        "notes": facts.get("notes", ()),
        "cards": cards(report),
        "driven": not_spike_driven(report),
        "sections": found,
        "section_tables": {s.name: {table.name for table in s.tables} for s in found},
        "paragraph": paragraph(report, PLAIN),
        "latex": latex_paragraph(report),
        "bibtex": bibtex(report, [key for section in more for key in section.cites]),
        "made": " · ".join(str(part) for part in made if part),
    }


def _svg(drawing: str, alt: str) -> Markup:
    from markupsafe import Markup, escape

    named = f"<title>{escape(alt)}</title>"
    return Markup(drawing.replace(">", f">{named}", 1))  # noqa: S704 - charts escape their texts
