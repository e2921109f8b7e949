"""A report as one HTML file: no network, light and dark, printable."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.resources import files
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.files import write_text
from analysis.reporting.bibliography import bibtex
from analysis.reporting.figures import Figure
from analysis.reporting.latex import latex_paragraph
from analysis.reporting.method import PLAIN, paragraph
from analysis.reporting.report import Report
from analysis.reporting.sections import Section, sections
from analysis.reporting.spike_driven import not_spike_driven
from analysis.reporting.tables import Cell, number, shown

if TYPE_CHECKING:
    from markupsafe import Markup


@dataclass(frozen=True)
class Card:
    """One of the big numbers."""

    name: str
    value: str
    under: str


def html_page(report: Report, more: Sequence[Section] = ()) -> str:
    """A report as a page.

    Args:
        report: What to show.
        more: Sections besides those that follow from the report: a crosscheck, say.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    pages = Environment(
        loader=PackageLoader("analysis.reporting", "html"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    return pages.get_template("page.html.jinja").render(_content(report, more))


def write_html(report: Report, path: Path, more: Sequence[Section] = ()) -> None:
    """Writes a report as a page.

    Raises:
        InputError: If the file can't be written; an old one then stays as it was.
    """
    write_text(path, html_page(report, more))


def _content(report: Report, more: Sequence[Section]) -> Mapping[str, Any]:
    facts, found = report.run.provenance, list(sections(report, more))
    model, _, details = str(facts.get("model", "Unnamed model")).partition(", ")
    made = (facts.get(key) for key in ("command", "date", "commit"))
    return {
        "css": _asset("page.css"),
        "js": _asset("page.js"),
        "svg": _svg,
        "shown": shown,
        "number": _finite,
        "model": model,
        "details": details,
        "data": facts.get("data", f"{report.run.samples} samples"),
        "steps": report.run.steps,
        "precision": facts.get("precision"),
        "notes": facts.get("notes", ()),
        "cards": _cards(report),
        "driven": not_spike_driven(report),
        "sections": found,
        "section_tables": {s.name: {table.name for table in s.tables} for s in found},
        "paragraph": paragraph(report, PLAIN),
        "latex": latex_paragraph(report),
        "bibtex": bibtex(report, [key for section in more for key in section.cites]),
        "made": " · ".join(str(part) for part in made if part),
    }


def _asset(name: str) -> Markup:
    from markupsafe import Markup

    text = (files("analysis.reporting.html") / name).read_text(encoding="utf-8")
    return Markup(text)  # noqa: S704 - our own file


def _svg(figure: Figure) -> Markup:
    from markupsafe import Markup, escape

    named = f"<title>{escape(figure.alt)}</title>"
    return Markup(figure.svg.replace(">", f">{named}", 1))  # noqa: S704 - charts escape their texts


def _cards(report: Report) -> list[Card]:
    prices = f"{report.convention.name}, {report.technology.name}"
    energy = _card(report, "Energy per sample", "energy_pj", partial(shown, kind="joules"), prices)
    if report.energy.unpriced:
        energy = replace(energy, value=f"≥ {energy.value}")
    others = (
        ("Accuracy", "accuracy", partial(shown, kind="percent"), ""),
        ("Firing rate", "firing_rate", partial(shown, kind="rate"), "spikes per neuron and step"),
        ("Accumulates", "acs", partial(shown, kind="count"), "per sample"),
        ("Multiply-accumulates", "macs", partial(shown, kind="count"), "per sample"),
    )
    measured = (card for card in others if not isnan(report.totals.get(card[1], float("nan"))))
    return [energy, *(_card(report, *card) for card in measured)]


def _card(
    report: Report, name: str, quantity: str, show: Callable[[float], str], unit: str
) -> Card:
    value, low, high = (float(report.totals[quantity + end]) for end in ("", "_low", "_high"))
    known = not isnan(low) and show(low) != show(high)
    ends = f"{show(low)} to {show(high)}" if known else ""
    return Card(name, show(value), " · ".join(part for part in (ends, unit) if part))


def _finite(cell: Cell) -> float | None:
    """The number of a cell, None where it has none."""
    value = number(cell)
    return None if value == float("-inf") else value
