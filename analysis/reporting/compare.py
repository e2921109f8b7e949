"""Several reports in one table: the comparison of a paper."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import isnan
from statistics import fmean, stdev
from typing import Any

from analysis.energy.ann import Reads, counterparts
from analysis.energy.energy import Energy
from analysis.energy.published import published
from analysis.reporting.columns import ACS, ENERGY, MACS
from analysis.reporting.report import Report
from analysis.reporting.tables import AtLeast, Cell, Column, Row, Spread, Table

METHOD = "method"  # what a run is of, in words, in a report's provenance
NAME = "name"  # what the user calls it
PARAMETERS = "parameters"
_NAMED = (
    Column(name="method", heading="method"),
    Column(name="data", heading="data", roomy=True),
)
_RUNS = Column(name="runs", heading="runs", kind="integer", meaning="training seeds")
_SPREAD = "Behind ±: the standard deviation over the training runs of one method."


@dataclass(frozen=True, kw_only=True)
class Method:
    """A row of a comparison: one network, or the same one from several training seeds.

    Attributes:
        name, data: In words.
        steps: Simulation steps T.
        runs: Its reports.
    """

    name: str
    data: str
    steps: int
    runs: tuple[Report, ...]


def methods(reports: Sequence[Report], files: Sequence[str] = ()) -> tuple[Method, ...]:
    """The rows of a comparison, in the order of the reports.

    Runs are of one method if network, training and data are known and equal, and their training
    seeds are known and differ. Every other report is a row of its own.

    Args:
        reports: What to compare.
        files: Where each came from; it names rows that nothing else tells apart.
    """
    groups: dict[Hashable, list[int]] = {}
    for place, report in enumerate(reports):
        groups.setdefault(_identity(report) or place, []).append(place)
    rows: dict[int, tuple[int, ...]] = {}
    for places in groups.values():
        seeds = [reports[place].run.provenance.get("training_seed") for place in places]
        together = len(set(seeds)) == len(seeds)
        rows |= {places[0]: tuple(places)} if together else {place: (place,) for place in places}
    in_order = [rows[place] for place in sorted(rows)]
    names = _names([reports[places[0]] for places in in_order],
                   [files[places[0]] if files else "" for places in in_order])  # fmt: skip
    return tuple(
        Method(
            name=name,
            data=str(reports[places[0]].run.provenance.get("data", "")),
            steps=reports[places[0]].run.steps,
            runs=tuple(reports[place] for place in places),
        )
        for name, places in zip(names, in_order, strict=True)
    )


def named(report: Report, name: str) -> Report:
    """A report under the name that the user gives it."""
    provenance = {**report.run.provenance, NAME: name}
    return replace(report, run=replace(report.run, provenance=provenance))


def _identity(report: Report) -> str | None:
    """What the runs of one method share; None where it is not known."""
    run, facts = report.run, report.run.provenance
    if not isinstance(facts.get("training_seed"), int) or "settings" not in facts:
        return None
    shared = [facts.get(key) for key in (NAME, METHOD, "settings", PARAMETERS, "data")]
    return json.dumps([*shared, run.steps], sort_keys=True, default=str)


def _names(reports: Sequence[Report], files: Sequence[str]) -> list[str]:
    """The names of rows: what the user says, else the method; with the file if several share it."""
    found = []
    for report in reports:
        facts = report.run.provenance
        found.append(str(facts.get(NAME) or facts.get(METHOD) or facts.get("model", "unnamed")))
    shared = {name for name, number in Counter(found).items() if number > 1}
    places = [file or str(r.run.provenance.get("checkpoint", f"report {n + 1}"))
              for n, (r, file) in enumerate(zip(reports, files, strict=True))]  # fmt: skip
    return [
        f"{place}: {name}" if name in shared else name
        for name, place in zip(found, places, strict=True)
    ]


def comparison_table(
    rows: Sequence[Method], *, baseline: Method | None = None, zeros: float | None = None
) -> Table:
    """One row per method; deviations are over its training seeds, see `methods`.

    Args:
        rows: What to compare, at least one.
        baseline: To whose energy the others stand in a ratio, if that is asked for.
        zeros: Share of activations that a ReLU network of the same shape skips (given, not
            measured); None for no ratio to such a network.

    Raises:
        InputError: If the share is none.
    """
    first = rows[0].runs[0]
    ratios = [*_to_baseline(baseline), *_to_relu(rows, zeros)]
    return Table(
        name="comparison",
        title=f"Methods compared, per sample, {first.convention.name}, {first.technology.name}",
        columns=(
            *_NAMED,
            Column(name="parameters", heading="parameters", kind="count"),
            Column(name="steps", heading="T", kind="integer"),
            *([_RUNS] if any(len(row.runs) > 1 for row in rows) else []),
            Column(name="accuracy", heading="accuracy", kind="percent"),
            Column(name="firing_rate", heading="firing rate", kind="rate"),
            ACS,
            MACS,
            ENERGY,
            *(ratio.column for ratio in ratios),
        ),
        rows=tuple((*_row(row, rows), *(ratio.of(row) for ratio in ratios)) for row in rows),
        sentence=" ".join(_sentences(rows, baseline, zeros)),
    )


def comparison_energies_table(rows: Sequence[Method]) -> Table:
    """The energy of every method under every convention."""
    rules = [rule.name for rule, _ in rows[0].runs[0].side_by_side()]
    return Table(
        name="comparison-energies",
        title="Energy under every convention, per sample",
        columns=(*_NAMED, *(Column(name=rule, heading=rule, kind="joules") for rule in rules)),
        rows=tuple(
            (m.name, m.data, *(_spread([_energy(run, rule) for run in m.runs]) for rule in rules))
            for m in rows
        ),
        sentence=" ".join(_sentences(rows)),
    )


@dataclass(frozen=True)
class _Ratio:
    """A column of ratios: of each method's energy to another one."""

    column: Column
    other: Callable[[Report], float | None]

    def of(self, method: Method) -> Cell:
        return _spread([self._of(run) for run in method.runs])

    def _of(self, run: Report) -> float | None:
        other = self.other(run)
        return run.energy.energy_pj.value / other if other and not run.energy.unpriced else None


def _to_baseline(baseline: Method | None) -> Iterator[_Ratio]:
    if baseline is None:
        return
    unpriced = any(run.energy.unpriced for run in baseline.runs)
    mean = None if unpriced else fmean(run.energy.energy_pj.value for run in baseline.runs)
    meaning = f"energy to that of {baseline.name}"
    column = Column(name="to_baseline", heading="to baseline", kind="ratio", meaning=meaning)
    yield _Ratio(column, lambda _: mean)


def _to_relu(rows: Sequence[Method], zeros: float | None) -> Iterator[_Ratio]:
    """One column for networks of images, two for those of events: frame by frame, or their sum."""
    if zeros is None:
        return
    found = {c.reads for row in rows for run in row.runs for c in counterparts(run.run, zeros)}
    for reads, words in _READS.items():
        if reads in found:
            column = Column(name=f"to_ann_{reads}", heading=words, kind="ratio",
                            meaning="energy to that of the same shape with ReLUs")  # fmt: skip
            yield _Ratio(column, partial(_relu_pj, zeros=zeros, reads=reads))


_READS: dict[Reads, str] = {
    "image": "to ANN", "frames": "to ANN, frames", "sum": "to ANN, sum",
}  # fmt: skip


def _relu_pj(report: Report, zeros: float, reads: Reads) -> float | None:
    for other in counterparts(report.run, zeros):
        if other.reads == reads:
            return other.energy_pj(report.technology)
    return None


def _sentences(
    rows: Sequence[Method], baseline: Method | None = None, zeros: float | None = None
) -> Iterator[str]:
    if any(len(row.runs) > 1 for row in rows):
        yield _SPREAD
    if baseline is not None:
        yield f"Baseline: {baseline.name}."
    if zeros is not None:
        skips = f"{100 * zeros:g} % of its activations skipped" if zeros else "dense"
        yield f"ANN: the same shape with ReLUs, {skips}, counted and not trained."


def _row(method: Method, rows: Sequence[Method]) -> Row:
    parameters = method.runs[0].run.provenance.get(PARAMETERS)
    totals = [run.totals for run in method.runs]
    quantities = ("accuracy", "firing_rate", "acs", "macs")
    several = any(len(row.runs) > 1 for row in rows)
    return (
        method.name,
        method.data,
        parameters if isinstance(parameters, int) else None,
        method.steps,
        *([len(method.runs)] if several else []),
        *(_spread([total.get(quantity) for total in totals]) for quantity in quantities),
        _total(method),
    )


def _total(method: Method) -> Cell:
    """Its energy; a lower bound where something has no price."""
    energies = [run.energy.energy_pj.value for run in method.runs]
    if any(run.energy.unpriced for run in method.runs):
        return AtLeast(fmean(energies))
    return _spread(energies)


def _energy(report: Report, rule: str) -> float | None:
    for convention, energy in report.side_by_side():
        if convention.name == rule and isinstance(energy, Energy):
            return energy.energy_pj.value
    return None


def _spread(values: Sequence[Any]) -> Cell:
    if any(value is None or isnan(value) for value in values):
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
