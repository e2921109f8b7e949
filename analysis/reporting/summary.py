"""The report in the terminal: a summary read in ten seconds, then the tables."""

from __future__ import annotations

from collections.abc import Iterator
from math import isnan
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from analysis.energy.charges import work_left_out
from analysis.records import Run, SiteKey, SiteRecord
from analysis.reporting.convention_tables import conventions_table, parts_table
from analysis.reporting.report import Report
from analysis.reporting.text import WIDE, is_wide, joules, si, titled_table

_BAR = 6  # characters of a full bar


def print_report(report: Report, console: Console) -> None:
    """Prints a report, as much of it as the width has room for."""
    console.print(Group(*_parts(report, wide=is_wide(console))))


def _parts(report: Report, *, wide: bool) -> Iterator[RenderableType]:
    yield _headline(report)
    yield ""
    yield from _not_spike_driven(report)
    yield _not_in_the_total(report)
    yield ""
    yield conventions_table(report, wide=wide)
    yield ""
    yield parts_table(report, wide=wide)
    yield ""
    yield _sites(report, wide=wide)
    yield ""
    yield _neurons(report)
    yield from _sampling(report.run)
    for note in report.run.provenance.get("notes", ()):
        yield Text(f"note: {note}")
    for warning in report.run.warnings:
        yield Text(f"warning: {warning}", style="yellow")
    yield _how(report)


def _headline(report: Report) -> RenderableType:
    run, totals, facts = report.run, report.totals, report.run.provenance
    grid = Table.grid(padding=(0, 2))
    grid.add_row("model", str(facts.get("model", "unnamed")))
    grid.add_row("data", f"{facts.get('data', f'{run.samples} samples')}, T = {run.steps}")
    if run.correct is not None:
        grid.add_row("accuracy", _with_interval(totals, "accuracy", lambda x: f"{100 * x:.2f} %"))
    grid.add_row("firing rate", _with_interval(totals, "firing_rate", lambda x: f"{x:.4f}"))
    grid.add_row("accumulates", _with_interval(totals, "acs", si) + "  per sample")
    grid.add_row("multiply-acc.", _with_interval(totals, "macs", si) + "  per sample")
    energy = Text(_with_interval(totals, "energy_pj", joules), style="bold")
    bound = "  (a lower bound: no price for some operations)" if report.energy.unpriced else ""
    energy.append(f"  per sample, {report.convention.name}, {report.technology.name}{bound}")
    grid.add_row(Text("energy", style="bold"), energy)
    return grid


def _with_interval(totals: Any, name: str, show: Any) -> str:
    value, low, high = totals[name], totals[f"{name}_low"], totals[f"{name}_high"]
    if isnan(low) or low == high:
        return str(show(value))
    return f"{show(value)}  [{show(low)}, {show(high)}]"


def _not_spike_driven(report: Report) -> Iterator[Text]:
    """Which weight layers read something else than spikes, and what they take of the energy."""
    others = [s for s in report.run.sites if not is_spike_driven(s)]
    names = dict.fromkeys(s.key.name for s in others)
    layers = len({s.key.name for s in report.run.sites})
    total = sum(report.energy.site_pj(s.key) for s in report.run.sites)
    part = sum(report.energy.site_pj(s.key) for s in others)
    share = f"{100 * part / total:.1f} %" if total else "none"
    yield Text(
        f"Not spike-driven: {len(names)} of {layers} weight layers, {share} of the energy",
        style="bold",
    )
    if names:
        yield Text(f"  {', '.join(names)}")


def is_spike_driven(site: SiteRecord) -> bool:
    """Whether a site reads spikes; one that was silent does if it reads a neuron layer."""
    if site.operand == "silent":
        return site.origin not in ("image", "current")
    return site.operand in ("spike", "ternary") and site.origin != "image"


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


def _sites(report: Report, *, wide: bool) -> Table:
    title = "Weight layers, per sample"
    if not wide:
        title += f" (role, steps run and dense MACs: from {WIDE} columns on, or in sites.csv)"
    table = titled_table(title, "site")
    for heading in ("role", "reads") if wide else ("reads",):
        table.add_column(heading, no_wrap=True)
    numbers = ("in_rate", "ran", "synops", "dense MACs", "energy")
    for heading in numbers if wide else ("in_rate", "synops", "energy"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("share", no_wrap=True)
    spent = {s.key: report.energy.site_pj(s.key) for s in report.run.sites}
    total = sum(spent.values()) or 1.0
    for site in report.run.sites:
        cells = _site_cells(site, report, spent[site.key], spent[site.key] / total)
        table.add_row(*(text for text, always in cells if wide or always))
    return table


def _site_cells(
    site: SiteRecord, report: Report, pj: float, share: float
) -> list[tuple[str, bool]]:
    """The cells of a row, each with whether a narrow terminal shows it too."""
    samples = report.run.samples
    return [
        (str(site.key), True),
        (site.role, False),
        (f"{site.operand} · {site.origin.removesuffix('-spikes')}", True),
        (f"{site.in_rate:.3f}", True),
        (f"{site.executed_steps} of {report.run.steps}", False),
        (si(site.synops / samples), True),
        (si(site.dense_macs / samples), False),
        (joules(pj), True),
        (f"{'█' * round(_BAR * share):{_BAR}} {100 * share:4.1f} %", True),
    ]


def _neurons(report: Report) -> Table:
    table = titled_table("Firing rates: spikes per neuron and step", "neuron layer")
    table.add_column("neurons", justify="right")
    table.add_column("rate", justify="right")
    for step in range(report.run.steps):
        table.add_column(f"t={step}", justify="right")
    for neuron in report.run.neurons:
        cells = neuron.neurons * report.run.samples
        rates = [f"{spikes / cells:.3f}" for spikes in neuron.spikes_by_step]
        mean = f"{neuron.spikes / (cells * report.run.steps):.4f}"
        key = SiteKey(name=neuron.site, call=neuron.call)
        table.add_row(str(key), f"{neuron.neurons}", mean, *rates)
    return table


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


def _how(report: Report) -> Text:
    facts = report.run.provenance
    made = ", ".join(f"{key} {facts[key]}" for key in ("device", "precision") if key in facts)
    return Text(
        f"\nCounts are exact for this run{' (' + made + ')' if made else ''}; intervals are 95 % "
        f"over samples and say nothing about other training seeds.\n"
        f"Convention {report.convention.describe()}: {report.convention.source}.\n"
        f"Technology {report.technology.describe()}: {report.technology.sources()}.",
        style="dim",
    )
