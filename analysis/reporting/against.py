"""One report against an older one: what moved the total, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass
from math import erfc, isnan, sqrt

from analysis.energy.energy import interval
from analysis.estimates import Z95, Estimate
from analysis.records import NeuronRecord, Run, moment_column
from analysis.reporting.report import Report
from analysis.reporting.tables import As, Column, Kind, Row, Table
from analysis.reporting.text import joules

_LEVEL = 0.05


@dataclass(frozen=True)
class Change:
    """A quantity of one layer before and after.

    Attributes:
        name: The layer.
        before, after: None where the layer is not there.
        chance: Probability of so large a difference between runs on other samples if nothing
            had changed; None without an interval. Normal approximation, runs independent.
    """

    name: str
    before: Estimate | None
    after: Estimate | None
    chance: float | None

    @property
    def delta(self) -> float:
        """After minus before; a layer that is not there counts 0."""
        return (self.after.value if self.after else 0.0) - (
            self.before.value if self.before else 0.0
        )


def unlike(new: Report, old: Report) -> tuple[str, ...]:
    """What differs between two runs besides what a network does: data, steps, input, network."""
    pairs = {
        "data": [_data(report) for report in (new, old)],
        "steps T": [str(report.run.steps) for report in (new, old)],
        "input": [_input(report.run) for report in (new, old)],
        "network": [_network(report) for report in (new, old)],
    }
    return tuple(
        f"{what} ({before} before, {now} now)"
        for what, (now, before) in pairs.items()
        if "" not in (now, before) and now != before
    )


def _data(report: Report) -> str:
    """The name of the data, without how many of its samples ran."""
    return str(report.run.provenance.get("data", "")).partition(",")[0]


def _input(run: Run) -> str:
    return ", ".join(f"{one.name} {one.kind}" for one in run.inputs)


def _network(report: Report) -> str:
    """What a network is made of: its weights differ from training to training."""
    parameters = report.run.provenance.get("parameters")
    shape = "" if parameters is None else f"{parameters:,} parameters, "
    return f"{shape}{len(report.run.sites)} weight operations"


def totals_table(new: Report, old: Report) -> Table:
    """Accuracy, rate, operations and energy before and now."""
    old = old.under(new.convention, new.technology)
    quantities: tuple[tuple[str, str, Kind], ...] = (
        ("accuracy", "accuracy", "percent"), ("firing_rate", "firing rate", "rate"),
        ("acs", "accumulates", "count"), ("macs", "multiply-accumulates", "count"),
        ("energy_pj", "energy", "joules"),
    )  # fmt: skip
    rows: list[Row] = []
    for name, label, kind in quantities:
        before, now = (float(r.totals.get(name, float("nan"))) for r in (old, new))
        if not (isnan(before) or isnan(now)):
            share = now / before - 1 if before else None
            rows.append((label, *(As(value, kind) for value in (before, now, now - before)), share))
    return Table(
        name="total-changes",
        title="Totals before and now, per sample",
        columns=(
            Column(name="quantity", heading="quantity"),
            *(Column(name=n, heading=n, kind="ratio") for n in ("before", "now", "change")),
            Column(name="relative", heading="relative", kind="percent"),
        ),
        rows=tuple(rows),
    )


def energy_changes(new: Report, old: Report) -> list[Change]:
    """Picojoules of every weight layer; the old run is priced like the new one."""
    old = old.under(new.convention, new.technology)
    return _changes(
        {str(site.key): new.energy.site_estimate(site.key) for site in new.run.sites},
        {str(site.key): old.energy.site_estimate(site.key) for site in old.run.sites},
    )


def rate_changes(new: Report, old: Report) -> list[Change]:
    """Firing rate of every neuron layer."""
    return _changes(_rates(new.run), _rates(old.run))


def _rates(run: Run) -> dict[str, Estimate]:
    return {str(n.key): _rate(run, n) for n in run.neurons}


def _rate(run: Run, neuron: NeuronRecord) -> Estimate:
    column = moment_column("spikes", neuron.site, neuron.call)
    return interval(run, neuron.firing_rate, {column: run.samples / (neuron.outputs or 1)})


def _changes(new: dict[str, Estimate], old: dict[str, Estimate]) -> list[Change]:
    names = dict.fromkeys([*new, *old])
    found = [Change(n, old.get(n), new.get(n), chance(old.get(n), new.get(n))) for n in names]
    return sorted(found, key=lambda change: abs(change.delta), reverse=True)


def chance(before: Estimate | None, after: Estimate | None) -> float | None:
    """Two-sided probability of a difference as large, if the true means were equal.

    Counts that are the same for every sample differ for certain, or not at all.

    Example:
        >>> round(chance(Estimate(10.0, 8.04, 11.96), Estimate(13.0, 11.04, 14.96)), 3)
        0.034
    """
    if before is None or after is None or isnan(before.high) or isnan(after.high):
        return None
    errors = [(estimate.high - estimate.value) / Z95 for estimate in (before, after)]
    error, difference = sqrt(sum(e * e for e in errors)), abs(after.value - before.value)
    if not error:
        return 0.0 if difference else 1.0
    return erfc(difference / error / sqrt(2))


def beyond_chance(changes: list[Change]) -> set[str]:
    """Names of the changes that stand at 5 % for all of them together (Holm).

    Example:
        >>> made = [Change(n, None, None, p) for n, p in (("a", 0.01), ("b", 0.04), ("c", 0.03))]
        >>> beyond_chance(made)
        {'a'}
    """
    known = sorted((c.chance, c.name) for c in changes if c.chance is not None)
    found: set[str] = set()
    for place, (probability, name) in enumerate(known):
        if probability * (len(known) - place) >= _LEVEL:
            break
        found.add(name)
    return found


def energy_table(new: Report, old: Report) -> Table:
    """What moved the energy, the largest change first."""
    changes = energy_changes(new, old)
    before = old.under(new.convention, new.technology).energy.energy_pj.value
    after = new.energy.energy_pj.value
    share = f" ({100 * (after / before - 1):+.2f} %)" if before else ""
    return _table(
        "energy-changes",
        f"Energy {joules(before, 4)} before, {joules(after, 4)} now{share}: what moved it",
        changes,
        "joules",
    )


def rate_table(new: Report, old: Report) -> Table:
    """Which neuron layers fire more or less, the largest change first."""
    before, after = old.run.firing_rate, new.run.firing_rate
    return _table(
        "rate-changes",
        f"Firing rate {before:.4f} before, {after:.4f} now",
        rate_changes(new, old),
        "rate",
    )


def _table(name: str, title: str, changes: list[Change], kind: Kind) -> Table:
    certain = beyond_chance(changes)
    rows: list[Row] = [
        (
            change.name,
            change.before.value if change.before else "absent",
            change.after.value if change.after else "absent",
            change.delta,
            change.delta / change.before.value if change.before and change.before.value else None,
            "" if change.chance is None else "yes" if change.name in certain else "no",
        )
        for change in changes
    ]
    return Table(
        name=name,
        title=title,
        columns=(
            Column(name="layer", heading="layer"),
            Column(name="before", heading="before", kind=kind),
            Column(name="now", heading="now", kind=kind),
            Column(name="change", heading="change", kind=kind),
            Column(name="relative", heading="relative", kind="percent"),
            Column(name="beyond_chance", heading="beyond chance"),
        ),
        rows=tuple(rows),
        sentence="Beyond chance: more than samples drawn anew would bring about, at 5 % for all "
        "rows together (Holm); the two runs are taken as independent, which is cautious where "
        "they saw the same samples. It says nothing about other training seeds.",
    )
