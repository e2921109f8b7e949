"""The figures of a report: each a drawing with its words and the data it shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import isnan

from analysis.energy.charges import GATE_PRODUCT, part_of
from analysis.energy.energy import Energy
from analysis.records import RATE_BINS
from analysis.reporting.breakdown import PARTS, by_part
from analysis.reporting.charts import Bar, HeatMap, Part, heat_map, stacked_bars
from analysis.reporting.detail_tables import (
    curve_table,
    histogram_table,
    rate_histogram_table,
)
from analysis.reporting.plots import Histogram, Point, axis_start, curve, histogram
from analysis.reporting.report import Report
from analysis.reporting.report_tables import neurons_table, parts_table, sites_table
from analysis.reporting.svg import NARROW, WIDE
from analysis.reporting.tables import Table, shown
from analysis.reporting.text import joules

_BINS = 24  # of the histogram of samples


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """The same as SVG text for screens and paper, and for telephones."""

    wide: str
    narrow: str


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A drawing for people who see it, and for those who don't.

    Attributes:
        name: For anchors.
        drawing: In two widths.
        alt: What it shows, in words.
        sentence: How to read it, below the drawing.
        data: What it draws.
        legend: What its colours stand for.
    """

    name: str
    drawing: Drawing
    alt: str
    sentence: str
    data: Table
    legend: tuple[str, ...] = ()


def _drawn(draw: Callable[..., str]) -> Drawing:
    return Drawing(wide=draw(width=WIDE), narrow=draw(width=NARROW))


def conventions_figure(report: Report) -> Figure:
    """Energy under every convention, stacked by part of the network."""
    bars, parts = [], set()
    for rule, energy in report.side_by_side():
        if isinstance(energy, Energy):
            spent = {n: float(energy.exact_pj(c)) for n, c in by_part(energy).items()}
            pieces = tuple(Part(n, spent[n]) for n in PARTS if spent.get(n))
            parts |= {piece.series for piece in pieces}
            total = ("≥ " if energy.unpriced else "") + shown(energy.energy_pj.value, "joules")
            bars.append(Bar(rule.name, pieces, total))
    words = "; ".join(f"{bar.label} {bar.text}" for bar in bars)
    return Figure(
        name="by-convention",
        drawing=_drawn(partial(stacked_bars, bars, joules)),
        alt=f"Energy per sample under {len(bars)} conventions: {words}.",
        sentence="Energy per sample under each convention, stacked by part of the network. Parts "
        "that a convention leaves out are missing from its bar.",
        data=parts_table(report),
        legend=tuple(name for name in PARTS if name in parts),
    )


def layers_figure(report: Report) -> Figure:
    """Energy of every weight layer, coloured by its part of the network."""
    spent = [(site, report.energy.site_pj(site.key)) for site in report.run.sites]
    total = sum(pj for _, pj in spent) or 1.0
    bars = [
        Bar(str(site.key), (Part(part_of(site), pj),), shown(pj / total, "share"))
        for site, pj in spent
    ]
    used = {part_of(site) for site, _ in spent}
    return Figure(
        name="by-layer",
        drawing=_drawn(partial(stacked_bars, bars, joules)),
        alt=f"Energy per sample of {len(bars)} weight operations in the order they run. "
        + dearest_sentence(report),
        sentence=f"Energy per sample of each weight layer under {report.convention.name}, in the "
        "order they run, with its share.",
        data=sites_table(report),
        legend=tuple(name for name in PARTS if name in used and name != GATE_PRODUCT),
    )


def dearest_sentence(report: Report) -> str:
    """Which layer costs most, in one sentence."""
    spent = {site.key: report.energy.site_pj(site.key) for site in report.run.sites}
    total = sum(spent.values())
    if not total:
        return "No weight layer costs anything under this convention and price list."
    key = max(spent, key=lambda k: spent[k])
    share = shown(spent[key] / total, "share")
    return (
        f"The dearest layer is {key}: {shown(spent[key], 'joules')}, {share} of all weight layers."
    )


def rates_figure(report: Report) -> Figure:
    """Firing rate of every neuron layer at every step; those whose steps are known."""
    run = report.run
    known = {str(n.key): n.rate_by_step for n in run.neurons if n.rate_by_step is not None}
    rows, values = tuple(known), tuple(known.values())
    chart = HeatMap(
        rows=rows,
        columns=tuple(f"t={step}" for step in range(1, run.steps + 1)),
        values=values,
        column_title="step",
        most=max((rate for row in values for rate in row), default=0.0),
    )
    return Figure(
        name="rates-by-step",
        drawing=_drawn(partial(heat_map, chart, partial(shown, kind="fraction"))),
        alt=f"Firing rates of {len(rows)} neuron layers at {run.steps} steps. "
        + rates_sentence(report),
        sentence="Spikes per neuron at each step, averaged over samples; the strongest colour is "
        f"the highest rate here, {chart.most:.3f}. {neurons_table(report).sentence}".rstrip(),
        data=neurons_table(report),
    )


def rates_sentence(report: Report) -> str:
    """The mean rate and the two ends, in one sentence."""
    run = report.run
    rates = {str(n.key): n.firing_rate for n in run.neurons}
    low, high = min(rates, key=lambda k: rates[k]), max(rates, key=lambda k: rates[k])
    return (
        f"The mean over all neurons is {run.firing_rate:.4f} spikes per neuron and step, from "
        f"{rates[low]:.4f} ({low}) to {rates[high]:.4f} ({high})."
    )


def rate_histogram(report: Report) -> Figure:
    """Neurons of the whole network by their firing rate."""
    details = [n.detail for n in report.run.neurons if n.detail is not None]
    counts = tuple(sum(d.histogram[b] for d in details) for b in range(RATE_BINS))
    dead, neurons = sum(d.dead for d in details), sum(counts)
    chart = Histogram(
        edges=tuple(b / RATE_BINS for b in range(RATE_BINS + 1)),
        series=(("neurons", counts),),
        x_title="firing rate, spikes per step",
        y_title="neurons",
    )
    return Figure(
        name="rate-histogram",
        drawing=_drawn(partial(histogram, chart, lambda rate: f"{rate:.1f}")),
        alt=f"{neurons:,} neurons by their firing rate; {counts[0]:,} fire at less than 0.1.",
        sentence=f"Single neurons by their firing rate over all samples and steps: {dead:,} of "
        f"{neurons:,} never fired.",
        data=rate_histogram_table(report),
    )


def samples_figure(report: Report) -> Figure:
    """Samples by their energy, those answered right and wrong apart where labels are known.

    Raises:
        InputError: If the energy of a sample does not follow from the counts that were kept.
    """
    import numpy as np

    frame = report.sample_energy()
    _, edges = np.histogram(frame.energy_pj, bins=_BINS if len(frame) > _BINS else 8)
    groups = [("samples", frame)]
    if "correct" in frame:
        groups = [("right", frame[frame.correct]), ("wrong", frame[~frame.correct])]
    series = tuple(
        (name, tuple(int(c) for c in np.histogram(found.energy_pj, edges)[0]))
        for name, found in groups
    )
    chart = Histogram(
        edges=tuple(float(edge) for edge in edges),
        series=series,
        x_title="energy per sample",
        y_title="samples",
    )
    digits = _digits_between(chart.edges)
    return Figure(
        name="by-sample",
        drawing=_drawn(partial(histogram, chart, lambda pj: joules(pj, digits))),
        alt=samples_sentence(report),
        sentence=f"Samples by their energy under {report.convention.name}"
        + (", those answered right and wrong apart." if len(series) > 1 else "."),
        data=histogram_table(chart),
        legend=tuple(name for name, _ in series) if len(series) > 1 else (),
    )


def _digits_between(edges: tuple[float, ...]) -> int:
    """Digits that keep neighbouring edges apart."""
    for digits in range(3, 8):
        if len({f"{edge:.{digits}g}" for edge in edges}) == len(set(edges)):
            return digits
    return 8


def samples_sentence(report: Report) -> str:
    """The spread over samples, in one sentence."""
    pj = report.sample_energy().energy_pj
    if not pj.mean():
        return f"All {len(pj)} samples cost nothing under this convention and price list."
    spread = (
        "" if isnan(pj.std()) else f", standard deviation {shown(pj.std() / pj.mean(), 'percent')}"
    )
    return (
        f"{len(pj)} samples cost {joules(pj.min(), 4)} to {joules(pj.max(), 4)} each, "
        f"{joules(pj.mean(), 4)} in the mean{spread}."
    )


def curve_figure(report: Report) -> Figure:
    """Accuracy against energy, read out after each step.

    Raises:
        InputError: If the convention needs counts that are not kept by step.
    """
    rows = report.curve.to_dict("records")
    points = [
        Point(
            row["energy_pj"], row["accuracy"], row["accuracy_low"], row["accuracy_high"],
            f"t={row['step']}",
        )
        for row in rows
    ]  # fmt: skip
    words = "; ".join(
        f"{p.label} {shown(p.y, 'percent')} at {shown(p.x, 'joules')}" for p in points
    )
    return Figure(
        name="accuracy-energy",
        drawing=_drawn(partial(curve, points, ("energy per sample", "accuracy"), joules)),
        alt=f"Accuracy against energy after each step: {words}.",
        sentence="Accuracy of the mean of the logits up to a step, with its 95 % interval, "
        "against the energy spent so far. The axis of the accuracy starts at "
        f"{100 * axis_start(points):.0f} %.",
        data=curve_table(report),
    )
