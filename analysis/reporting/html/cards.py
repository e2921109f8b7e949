"""The big numbers of a report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from math import isnan

from analysis.reporting.report import Report
from analysis.reporting.tables import shown


@dataclass(frozen=True)
class Card:
    """One of the big numbers."""

    name: str
    value: str
    under: str


def cards(report: Report) -> list[Card]:
    """Energy, and what else is known."""
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
