"""The same counts, added up along one axis: role, stage, layer, step or channel."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from analysis.energy.early import neurons_without_steps, sites_without_steps
from analysis.errors import InputError
from analysis.records import Run, SiteRecord
from analysis.reporting.axes import Axis
from analysis.reporting.columns import ACS, ENERGY, MACS, RATE, SHARE, SYNOPS
from analysis.reporting.report import Report
from analysis.reporting.report_tables import not_known_by_step, sites_table
from analysis.reporting.tables import Column, Row, Table

LARGEST_BY = {
    Axis.layer: "energy_pj",
    Axis.role: "energy_pj",
    Axis.stage: "energy_pj",
    Axis.step: "synops",
    Axis.channel: "firing_rate",
}


def breakdown_table(report: Report, axis: Axis) -> Table:
    """The counts of a report along an axis.

    Raises:
        InputError: If channels are asked for and the run did not count single neurons.
    """
    match axis:
        case Axis.layer:
            return sites_table(report)
        case Axis.role:
            return _grouped(report, axis, lambda site: site.role)
        case Axis.stage:
            return _grouped(report, axis, lambda site: stage_of(site.key.name))
        case Axis.step:
            return _by_step(report)
        case Axis.channel:
            return _by_channel(report)


def stage_of(path: str) -> str:
    """The stage of a layer: its path down to the first number, else its first part.

    Example:
        >>> [stage_of(p) for p in ("stages.0.1.conv1", "layer2.0.conv1", "encoder.stem.conv")]
        ['stages.0', 'layer2', 'encoder']
    """
    *holders, layer = path.split(".")
    for depth, part in enumerate(holders, start=1):
        if re.search(r"\d", part):
            return ".".join(holders[:depth])
    return holders[0] if holders else layer


def _grouped(report: Report, axis: Axis, name: Callable[[SiteRecord], str]) -> Table:
    groups: dict[str, list[SiteRecord]] = {}
    for site in report.run.at_every_step.sites:
        groups.setdefault(name(site), []).append(site)
    total = sum(report.energy.site_pj(site.key) for site in report.run.sites)
    return Table(
        name=f"by-{axis}",
        title=f"By {axis}, per sample",
        columns=(
            Column(name=str(axis), heading=str(axis)),
            Column(name="layers", heading="layers", kind="integer"),
            SYNOPS, ACS, MACS, ENERGY, SHARE,
        ),
        rows=tuple((group, *_sums(report, sites, total)) for group, sites in groups.items()),
    )  # fmt: skip


def _sums(
    report: Report, sites: Iterable[SiteRecord], total: float
) -> tuple[int, float, float, float, float, float]:
    sites, samples = list(sites), report.run.samples
    booked = [report.energy.charges[site.key] for site in sites]
    pj = sum(report.energy.site_pj(site.key) for site in sites)
    return (
        len({site.key.name for site in sites}),
        sum(site.synops for site in sites) / samples,
        float(sum(charge.acs for charge in booked) / samples),
        float(sum(charge.macs for charge in booked) / samples),
        pj,
        pj / total if total else 0.0,
    )


def _by_step(report: Report) -> Table:
    run = report.run
    unknown = (*sites_without_steps(run), *neurons_without_steps(run))
    sentence = "Layers that mix all steps at once have no synops of a step."
    return Table(
        name="by-step",
        title="By step, per sample",
        columns=(
            Column(name="step", heading="step"),
            Column(name="spikes", heading="spikes", kind="count"),
            RATE,
            SYNOPS,
        ),
        rows=tuple(_step_row(run, step) for step in range(run.steps)),
        sentence=" ".join(part for part in (sentence, not_known_by_step(unknown)) if part),
    )


def _step_row(run: Run, step: int) -> Row:
    """Spikes, rate and synops of a step, of the layers whose steps are known."""
    spikes = [n.spikes_by_step[step] for n in run.neurons if n.spikes_by_step]
    outputs = sum(n.outputs_by_step[step] for n in run.neurons if n.outputs_by_step)
    sites = run.at_every_step.sites
    synops = [site.synops_by_step[step] for site in sites if site.synops_by_step]
    return (
        f"t={step + 1}",
        sum(spikes) / run.samples if spikes or not run.neurons else None,
        sum(spikes) / outputs if outputs else None,
        sum(synops) / run.samples if synops or not sites else None,
    )


def _by_channel(report: Report) -> Table:
    run = report.run
    rows: list[Row] = []
    for neuron in run.neurons:
        if neuron.detail is None:
            raise InputError(
                "this run did not count single neurons; analyse with neuron_detail=True"
            )
        per_channel = neuron.outputs / len(neuron.detail.channels) or 1
        rows += [
            (f"{neuron.key} : {channel}", spikes / per_channel, spikes / run.samples)
            for channel, spikes in enumerate(neuron.detail.channels)
        ]
    return Table(
        name="by-channel",
        title="By channel",
        columns=(
            Column(name="channel", heading="neuron layer : channel"),
            RATE,
            Column(name="spikes", heading="spikes per sample", kind="count"),
        ),
        rows=tuple(rows),
    )
