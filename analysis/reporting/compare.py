"""Several reports in one table: the comparison of a paper."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, stdev
from typing import Any

from analysis.energy.energy import Energy
from analysis.energy.published import published
from analysis.reporting.columns import ENERGY, MACS
from analysis.reporting.report import Report
from analysis.reporting.tables import Cell, Column, Row, Spread, Table

METHOD = "method"  # what the runs of one method have in common, in a report's provenance
PARAMETERS = "parameters"
_NAMED = (
    Column(name="method", heading="method"),
    Column(name="data", heading="data", roomy=True),
)
_SPREAD = "Behind ±: the standard deviation over the training runs of one method."


def comparison_table(reports: Sequence[Report]) -> Table:
    """One row per method; deviations are over the runs of one method, its training seeds.

    Runs are of one method if they name the same method, data and steps.
    """
    methods = _methods(reports)
    first = reports[0]
    return Table(
        name="comparison",
        title=f"Methods compared, per sample, {first.convention.name}, {first.technology.name}",
        columns=(
            *_NAMED,
            Column(name="parameters", heading="parameters", kind="count"),
            Column(name="steps", heading="T", kind="integer"),
            Column(name="runs", heading="runs", kind="integer", meaning="training seeds"),
            Column(name="accuracy", heading="accuracy", kind="percent"),
            Column(name="firing_rate", heading="rate", kind="rate"),
            Column(name="acs", heading="SOPs", kind="count", meaning="accumulates"),
            MACS,
            ENERGY,
        ),
        rows=tuple(_row(*key, runs) for key, runs in methods.items()),
        sentence=_SPREAD,
    )


def comparison_energies_table(reports: Sequence[Report]) -> Table:
    """The energy of every method under every convention."""
    rules = [rule.name for rule, _ in reports[0].side_by_side()]
    return Table(
        name="comparison-energies",
        title="Energy under every convention, per sample",
        columns=(*_NAMED, *(Column(name=rule, heading=rule, kind="joules") for rule in rules)),
        rows=tuple(
            (name, data, *(_spread([_energy(run, rule) for run in runs]) for rule in rules))
            for (name, data, _), runs in _methods(reports).items()
        ),
        sentence=_SPREAD,
    )


def _methods(reports: Sequence[Report]) -> dict[tuple[str, str, int], list[Report]]:
    methods: dict[tuple[str, str, int], list[Report]] = {}
    for report in reports:
        facts = report.run.provenance
        name = str(facts.get(METHOD, facts.get("model", "unnamed")))
        key = (name, str(facts.get("data", "")), report.run.steps)
        methods.setdefault(key, []).append(report)
    return methods


def _row(name: str, data: str, steps: int, runs: Sequence[Report]) -> Row:
    parameters = runs[0].run.provenance.get(PARAMETERS)
    totals = [run.totals for run in runs]
    quantities = ("accuracy", "firing_rate", "acs", "macs", "energy_pj")
    return (
        name,
        data,
        parameters if isinstance(parameters, int) else None,
        steps,
        len(runs),
        *(_spread([total.get(quantity) for total in totals]) for quantity in quantities),
    )


def _energy(report: Report, rule: str) -> float | None:
    for convention, energy in report.side_by_side():
        if convention.name == rule and isinstance(energy, Energy):
            return energy.energy_pj.value
    return None


def _spread(values: Sequence[Any]) -> Cell:
    if any(value is None for value in values):
        return None
    if len(values) == 1:
        return float(values[0])
    return Spread(fmean(values), stdev(values))


def published_table() -> Table:
    """Rows of the literature, each with the convention it was counted under."""
    frame = published()
    columns = (
        Column(name="row", heading="method"),
        Column(name="parameters", heading="parameters", kind="count"),
        Column(name="steps", heading="T", kind="integer"),
        Column(name="top1", heading="accuracy", kind="percent"),
        Column(name="acs", heading="SOPs", kind="count"),
        Column(name="macs", heading="MACs", kind="count", roomy=True),
        Column(name="energy_pj", heading="printed energy", kind="joules"),
        Column(name="recomputed_pj", heading="recomputed", kind="joules",
               meaning="from the stated operations at the stated prices"),
        Column(name="preset", heading="counts as", meaning="the preset that counts so, if any"),
        Column(name="convention", heading="convention", roomy=True),
        Column(name="source", heading="source", roomy=True),
    )  # fmt: skip
    rows: list[Row] = [
        (
            row["row"], row["parameters_m"] * 1e6, row["steps"], row["top1"] / 100,
            row["acs_g"] * 1e9, row["macs_g"] * 1e9, row["printed_mj"] * 1e9,
            row["recomputed_mj"] * 1e9, row["preset"], row["convention"], row["source"],
        )
        for row in frame.to_dict("records")
    ]  # fmt: skip
    return Table(
        name="published",
        title="Published, as printed",
        columns=columns,
        rows=tuple(rows),
        sentence="Each row is counted in its own way; energies of different conventions do not "
        "compare. Empty cells were not stated. Recomputed differs from printed in rows whose own "
        "operations do not give their energy.",
    )
