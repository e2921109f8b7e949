"""The report in the terminal: a summary read in ten seconds, then the tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from math import isnan
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from analysis.energy.charges import work_left_out
from analysis.energy.early import neurons_without_steps, sites_without_steps
from analysis.energy.layers import some
from analysis.errors import InputError
from analysis.records import Run
from analysis.reporting.axes import Axis
from analysis.reporting.by import LARGEST_BY, breakdown_table
from analysis.reporting.detail_tables import curve_table, has_curve
from analysis.reporting.report import Report
from analysis.reporting.report_tables import (
    constants_sentence,
    conventions_table,
    inputs_sentence,
    neurons_table,
    not_known_by_step,
    parts_table,
    rates_sentence,
)
from analysis.reporting.sections import Section
from analysis.reporting.spike_driven import not_spike_driven
from analysis.reporting.tables import Table, shown
from analysis.reporting.terminal import captured, print_table, terminal_tables
from analysis.reporting.text import joules, si

_NAMES = 12  # layers named in the summary
_CHANNELS = 20  # rows of the breakdown by channel, unless a number is asked for


def print_report(
    report: Report, console: Console, *, axis: Axis = Axis.layer, top: int | None = None
) -> None:
    """Prints a report: the summary, then its tables; arguments as of `breakdown`."""
    table = breakdown(report, axis=axis, top=top)
    print_summary(report, console)
    print_tables(report, table, console)


def breakdown(report: Report, *, axis: Axis = Axis.layer, top: int | None = None) -> Table:
    """The first table of a report.

    Args:
        report: What to show.
        axis: What the rows stand for.
        top: How many of its rows, largest first; all, in their own order, by default.

    Raises:
        InputError: If the run has no counts along the axis.
    """
    table = breakdown_table(report, axis)
    if top is None and axis is Axis.channel:
        top = _CHANNELS
    return table if top is None else table.top(top, LARGEST_BY[axis])


def print_summary(report: Report, console: Console) -> None:
    """Prints what is read in ten seconds, warnings first."""
    console.print(Group(*_summary(report)))


def print_tables(report: Report, table: Table, console: Console) -> None:
    """Prints a breakdown and the tables that every report has, and how it was made."""
    console.print(Group(*_tables(report, table, console.width)))


def print_section(section: Section, console: Console) -> None:
    """Prints the words and tables of a section."""
    console.print("", Text(section.lead), sep="\n")
    for table in section.tables:
        print_table(table, console)
    for note in section.notes:
        console.print(Text(note))


def summary(report: Report) -> str:
    """The lines of a report that are read in ten seconds, as text."""
    return captured(lambda console: console.print(Group(*_summary(report), _how(report))))


def _summary(report: Report) -> Iterator[RenderableType]:
    for warning in report.run.warnings:
        yield Text(f"warning: {warning}", style="yellow")
    yield _headline(report)
    yield ""
    yield from _not_spike_driven(report)
    yield _not_in_the_total(report)
    if report.run.constants:
        yield Text(constants_sentence(report.run))


def _tables(report: Report, table: Table, width: int) -> Iterator[RenderableType]:
    for part in (table, conventions_table(report), parts_table(report), neurons_table(report)):
        yield from _drawn(part, width)
    if has_curve(report.run):
        with suppress(InputError):  # counts that this needs are not known by step
            yield from _drawn(curve_table(report), width)
    yield from _sampling(report.run)
    for note in report.run.provenance.get("notes", ()):
        yield Text(f"note: {note}")
    yield from _own_rates(report)
    yield from _without_steps(report.run)
    yield _how(report)


def _drawn(table: Table, width: int) -> Iterator[RenderableType]:
    if table.rows:
        yield ""
        yield from terminal_tables(table, width)


def _headline(report: Report) -> RenderableType:
    run, totals, facts = report.run, report.totals, report.run.provenance
    grid = RichTable.grid(padding=(0, 2))
    grid.add_row("model", str(facts.get("model", "unnamed")))
    grid.add_row("data", f"{facts.get('data', f'{run.samples} samples')}, T = {run.steps}")
    if run.stated_rates:
        grid.add_row("estimate", f"nothing was measured; {rates_sentence(run)}")
    elif run.inputs:
        grid.add_row("input", inputs_sentence(run))
    if run.correct is not None:
        grid.add_row("accuracy", _with_interval(totals, "accuracy", partial(shown, kind="percent")))
    grid.add_row("firing rate", _with_interval(totals, "firing_rate", partial(shown, kind="rate")))
    grid.add_row(
        "accumulates", _with_interval(totals, "acs", partial(shown, kind="count")) + "  per sample"
    )
    grid.add_row(
        "multiply-acc.",
        _with_interval(totals, "macs", partial(shown, kind="count")) + "  per sample",
    )
    energy = Text(_with_interval(totals, "energy_pj", partial(shown, kind="joules")), style="bold")
    bound = "  (a lower bound: no price for some operations)" if report.energy.unpriced else ""
    energy.append(f"  per sample, {report.convention.name}, {report.technology.name}{bound}")
    grid.add_row(Text("energy", style="bold"), energy)
    ends = report.energy.price_range
    if ends is not None:
        words = f"{joules(ends.low)} to {joules(ends.high)}: its prices are ranges"
        grid.add_row("", f"{words}{bound}")
    return grid


def _with_interval(totals: Any, name: str, show: Any) -> str:
    value, low, high = totals[name], totals[f"{name}_low"], totals[f"{name}_high"]
    if isnan(low) or low == high:
        return str(show(value))
    return f"{show(value)}  [{show(low)}, {show(high)}]"


def _not_spike_driven(report: Report) -> Iterator[Text]:
    """Which weight layers read something else than spikes, and what they take of the energy."""
    found = not_spike_driven(report)
    yield Text(f"Not spike-driven: {found.sentence()}", style="bold")
    if found.names:
        yield Text(f"  {some(found.names, _NAMES)}")


def _not_in_the_total(report: Report) -> Text:
    run = report.run
    sizes = work_left_out(run, report.convention)
    parts = [f"{name} {si(size / run.samples)}" for name, size in sizes.items() if size]
    if report.energy.left_out_macs:
        parts.insert(0, f"weight layers left out {si(report.energy.left_out_macs)} dense MACs")
    text = Text("Not in the total", style="bold")
    text.append(
        f" (elements per sample): {', '.join([*parts, 'memory, wires, control'])}", "default"
    )
    return text


def _sampling(run: Run) -> Iterator[Text]:
    """Why a run ended before its data, with the one interval that allows for it."""
    found = run.sampling
    if found is None:
        return
    ends = "unknown"
    if found.low is not None and found.high is not None:
        ends = f"{si(found.low)}, {si(found.high)}"
    yield Text(
        f"\nSamples were drawn until the synops are known to ± {100 * found.target:g} %: "
        f"{'reached' if found.reached else 'not reached'} after {run.samples} samples, at look "
        f"{found.looks_used} of {found.looks_planned} planned.\nSynops per sample "
        f"{si(found.mean)} [{ends}] at {100 * found.level:.2f} %: 95 % shared by the planned "
        "looks. All other intervals do not allow for the looks."
    )


def _own_rates(report: Report) -> Iterator[Text]:
    found = report.energy.own_rates
    if found:
        yield Text(f"note: no neuron upstream, so the rate of its own input: {some(found)}")


def _without_steps(run: Run) -> Iterator[Text]:
    found = not_known_by_step((*sites_without_steps(run), *neurons_without_steps(run)))
    if found:
        yield Text(f"note: {found}")


def _how(report: Report) -> Text:
    facts = report.run.provenance
    made = ", ".join(f"{key} {facts[key]}" for key in ("device", "precision") if key in facts)
    if report.run.flipped is not None:
        made += (
            f"; {report.run.flipped} of {report.run.samples} samples have other counts in float64"
        )
    if report.run.stated_rates:
        words = "An estimate at rates that were stated: nothing was counted on data."
        return Text(f"\n{words}\n{priced_by(report)}", style="dim")
    return Text(
        f"\nCounts are exact for this run{' (' + made + ')' if made else ''}; intervals are 95 % "
        f"over samples and say nothing about other training seeds.\n{priced_by(report)}",
        style="dim",
    )


def priced_by(report: Report) -> str:
    """Convention and technology, each with its source, in a line each."""
    return (
        f"Convention {report.convention.describe()}: {report.convention.source}.\n"
        f"Technology {report.technology.describe()}: {report.technology.sources()}."
    )
