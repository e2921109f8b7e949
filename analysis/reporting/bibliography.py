"""Which sources a report stands on, as BibTeX."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from importlib.resources import files

from analysis.reporting.report import Report

SOFTWARE = "gacenergy"
_CONVENTIONS = {
    "eq17": "yao2023attention",
    "eq17-upstream": "yao2023attention",
    "eq17+dE": "yao2023attention",
    "sew-table": "zhou2023spikformer",
    "folk": "bhattacharjee2023truly",
}
# By words of a price's source; each price names where it was read.
_PRICES = {
    "Horowitz": "horowitz2014computing",
    "Davies": "davies2018loihi",
    "Merolla": "merolla2014million",
    "SENECA": "seneca2023",
    "Spikformer": "zhou2023spikformer",
    "keras-spiking": "kerasspiking",
}


def entry(key: str) -> str:
    """The BibTeX entry of a source.

    Example:
        >>> entry("horowitz2014computing").splitlines()[0]
        '@inproceedings{horowitz2014computing,'
    """
    return _entries()[key]


@cache
def _entries() -> dict[str, str]:
    text = (files("analysis.reporting") / "sources.bib").read_text(encoding="utf-8")
    found = re.findall(r"^@\w+\{([^,]+),.*?^\}", text, re.DOTALL | re.MULTILINE)
    blocks = re.split(r"\n(?=@)", text.strip())
    return dict(zip(found, (block.strip() for block in blocks), strict=True))


def cited_by_convention(name: str) -> tuple[str, ...]:
    """Keys of the sources of a convention; none for this project's own."""
    key = _CONVENTIONS.get(name.partition(", ")[0])
    return (key,) if key else ()


def cited_by_prices(report: Report) -> tuple[str, ...]:
    """Keys of the sources of the price list; none for one that names others."""
    sources = [price.source for price in report.technology.operations.values()]
    found = (key for word, key in _PRICES.items() for source in sources if word in source)
    return tuple(dict.fromkeys(found))


def keys(report: Report, more: Iterable[str] = ()) -> tuple[str, ...]:
    """Keys of everything a report stands on: software, model, conventions shown, prices.

    Args:
        report: The report.
        more: Keys of what is shown besides.
    """
    shown = (rule.name for rule, _ in report.side_by_side())
    found = [
        SOFTWARE,
        *(key for key in report.run.provenance.get("cites", ()) if key in _entries()),
        *cited_by_prices(report),
        *(key for name in shown for key in cited_by_convention(name)),
        *more,
    ]
    return tuple(dict.fromkeys(found))


def bibtex(report: Report, more: Iterable[str] = ()) -> str:
    """The BibTeX file of a report and what is shown besides."""
    return "\n\n".join(entry(key) for key in keys(report, more)) + "\n"
