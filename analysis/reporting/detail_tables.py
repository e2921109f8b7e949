"""Further tables of a report: single neurons, samples, steps, warnings, provenance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from analysis.records import RATE_BINS, Run
from analysis.reporting.columns import ACS, ENERGY, MACS, NEURON_LAYER
from analysis.reporting.plots import Histogram
from analysis.reporting.report import Report
from analysis.reporting.tables import Column, Row, Table

_ENDS = (
    Column(name="energy_pj_low", heading="low", kind="joules"),
    Column(name="energy_pj_high", heading="high", kind="joules"),
)


def single_neurons_table(report: Report) -> Table:
    """Dead and saturated neurons of every layer."""
    rows: list[Row] = []
    for neuron in report.run.neurons:
        if neuron.detail is not None:
            detail = neuron.detail
            rows.append(
                (
                    str(neuron.key), neuron.neurons, detail.dead, detail.dead / neuron.neurons,
                    detail.saturated, detail.saturated / neuron.neurons,
                )
            )  # fmt: skip
    return Table(
        name="single-neurons",
        title="Neurons that never fired, and that fired at every step of every sample",
        columns=(
            NEURON_LAYER,
            Column(name="neurons", heading="neurons", kind="integer"),
            Column(name="dead", heading="never fired", kind="integer"),
            Column(name="dead_share", heading="share", kind="percent"),
            Column(name="saturated", heading="always fired", kind="integer"),
            Column(name="saturated_share", heading="share", kind="percent"),
        ),
        rows=tuple(rows),
    )


def rate_histogram_table(report: Report) -> Table:
    """Neurons of every layer by their firing rate."""
    bins = tuple(
        Column(
            name=f"rate_{b}", heading=f"{b / RATE_BINS:.1f}-{(b + 1) / RATE_BINS:.1f}",
            kind="integer",
        )
        for b in range(RATE_BINS)
    )  # fmt: skip
    return Table(
        name="rate-histogram",
        title="Neurons by firing rate",
        columns=(NEURON_LAYER, *bins),
        rows=tuple(
            (str(n.key), *n.detail.histogram) for n in report.run.neurons if n.detail is not None
        ),
    )


def histogram_table(chart: Histogram) -> Table:
    """What a histogram of energies draws."""
    series = (Column(name=name, heading=name, kind="integer") for name, _ in chart.series)
    return Table(
        name="histogram",
        title=f"{chart.y_title} by {chart.x_title}",
        columns=(
            Column(name="from_pj", heading="from", kind="joules"),
            Column(name="to_pj", heading="to", kind="joules"),
            *series,
        ),
        rows=tuple(
            (chart.edges[b], chart.edges[b + 1], *(counts[b] for _, counts in chart.series))
            for b in range(len(chart.edges) - 1)
        ),
    )


def groups_table(report: Report) -> tuple[Table, ...]:
    """Energy of the samples of each class, and of those answered right and wrong."""
    if not report.run.labels:
        return ()
    return tuple(
        _groups(report, by, title)
        for by, title in (("correct", "Right and wrong answers"), ("label", "Classes"))
    )


def extremes_table(report: Report, count: int = 5) -> Table:
    """The cheapest and the dearest samples; all of them if they are few.

    Raises:
        InputError: As `Report.sample_energy`.
    """
    frame = report.sample_energy().sort_values("energy_pj", kind="stable")
    rows = frame.to_dict("records")
    ends = rows if len(rows) <= 2 * count else rows[:count] + rows[-count:]
    mean = float(frame.energy_pj.mean())
    answers = ("label", "predicted") if report.run.labels else ()
    return Table(
        name="extremes",
        title=f"The cheapest and the dearest of {len(rows)} samples",
        columns=(
            Column(name="sample", heading="sample", kind="integer"),
            ENERGY,
            Column(name="to_mean", heading="to the mean", kind="fraction"),
            *(Column(name=name, heading=name, kind="integer") for name in answers),
        ),
        rows=tuple(
            (
                row["sample"], row["energy_pj"], row["energy_pj"] / mean if mean else None,
                *(row[name] for name in answers),
            )
            for row in ends
        ),
        sentence="Samples are numbered from 0, by their place in the data.",
    )  # fmt: skip


def _groups(report: Report, by: Any, title: str) -> Table:
    words = {True: "right", False: "wrong"} if by == "correct" else {}
    rows: list[Row] = [
        (
            str(words.get(row[by], row[by])), int(row["samples"]), row["energy_pj"],
            row["energy_pj_low"], row["energy_pj_high"], row["energy_pj_min"],
            row["energy_pj_max"],
        )
        for row in report.sample_groups(by).to_dict("records")
    ]  # fmt: skip
    return Table(
        name=f"samples-by-{by}",
        title=f"{title}: energy per sample",
        columns=(
            Column(name=by, heading=by.replace("correct", "answer").replace("label", "class")),
            Column(name="samples", heading="samples", kind="integer"),
            ENERGY,
            *_ENDS,
            Column(name="energy_pj_min", heading="cheapest", kind="joules"),
            Column(name="energy_pj_max", heading="dearest", kind="joules"),
        ),
        rows=tuple(rows),
        sentence="Low and high are the ends of the 95 % interval of the mean.",
    )


def has_curve(run: Run) -> bool:
    """Whether the accuracy after each of several steps is known.

    It is not where labels are unknown, or a model gives one answer for all steps.
    """
    return 1 < run.steps == len(run.correct_by_step)


def curve_table(report: Report) -> Table:
    """Accuracy and energy if the network is read out after each step."""
    columns = (
        Column(name="accuracy", heading="accuracy", kind="percent"),
        Column(name="accuracy_low", heading="low", kind="percent"),
        Column(name="accuracy_high", heading="high", kind="percent"),
        ACS, MACS, ENERGY,
    )  # fmt: skip
    rows: list[Row] = [
        (f"t={row['step']}", *(float(row[column.name]) for column in columns))
        for row in report.curve.to_dict("records")
    ]
    return Table(
        name="curve",
        title="Read out after each step, per sample",
        columns=(Column(name="step", heading="steps"), *columns),
        rows=tuple(rows),
    )


def issues_table(report: Report) -> Table:
    """Whatever a reader should know before trusting a number."""
    run = report.run
    rows: list[Row] = [
        ("not counted", f"{name}, {times} times") for name, times in run.uncounted.items()
    ]
    rows += [("never ran", name) for name in run.never_ran]
    rows += [("warning", text) for text in run.warnings]
    rows += [
        ("unpriced", f"{name.upper()}: the energy is a lower bound")
        for name in report.energy.unpriced
    ]
    rows += [("rate of its own input", f"{n}: no neuron upstream") for n in report.energy.own_rates]
    return Table(
        name="issues",
        title="Uncounted operations, layers that never ran, warnings",
        columns=(Column(name="kind", heading="kind"), Column(name="what", heading="what")),
        rows=tuple(rows),
    )


def provenance_table(report: Report) -> Table:
    """How the run was made, and what its numbers are priced by."""
    rows: list[Row] = [
        ("samples, steps", f"{report.run.samples}, {report.run.steps}"),
        ("convention", f"{report.convention.describe()}: {report.convention.source}"),
        ("technology", f"{report.technology.describe()}: {report.technology.sources()}"),
        *_facts(report.run.provenance),
    ]
    return Table(
        name="provenance",
        title="Provenance",
        columns=(Column(name="fact", heading="fact"), Column(name="value", heading="value")),
        rows=tuple(rows),
    )


def _facts(facts: Mapping[str, Any]) -> Iterator[Row]:
    for name, value in facts.items():
        if name in ("notes", "module_parameters") or value is None:
            continue
        if isinstance(value, Mapping):
            value = ", ".join(f"{k} {v}" for k, v in value.items() if v is not None)
        elif isinstance(value, list | tuple):
            value = ", ".join(map(str, value))
        yield name.replace("_", " "), str(value)
