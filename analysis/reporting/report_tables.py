"""The tables of one report: totals, conventions, parts, layers, neurons, what is left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import isnan

from analysis.energy.charges import GATE_PRODUCT, Charge, is_event_stem, work_left_out
from analysis.energy.conventions import Convention
from analysis.energy.early import neurons_without_steps
from analysis.energy.energy import Energy
from analysis.energy.layers import some
from analysis.errors import InputError
from analysis.records import OperandKind, Run, SiteRecord
from analysis.reporting.breakdown import PARTS, by_part
from analysis.reporting.columns import ACS, ENERGY, LAYER, MACS, NEURON_LAYER, SHARE, SYNOPS
from analysis.reporting.report import Report
from analysis.reporting.tables import As, AtLeast, Cell, Column, Kind, Row, Table
from analysis.reporting.text import si

_TOTALS: tuple[tuple[str, str, Kind], ...] = (
    ("accuracy", "accuracy", "percent"),
    ("firing_rate", "firing rate, spikes per neuron and step", "rate"),
    ("spikes_per_synapse", "spikes per synapse and inference, spiking sites", "ratio"),
    ("acs", "accumulates (ACs) per sample", "count"),
    ("macs", "multiply-accumulates (MACs) per sample", "count"),
    ("energy_pj", "energy per sample", "joules"),
)


def totals_table(report: Report) -> Table:
    """Totals with their intervals, one row per quantity."""
    rows: list[Row] = []
    for name, label, kind in _TOTALS:
        if name in report.totals and not isnan(report.totals[name]):
            values = (report.totals[key] for key in (name, f"{name}_low", f"{name}_high"))
            rows.append((label, *(As(float(value), kind) for value in values)))
    ends = report.energy.price_range
    if ends is not None:
        at_ends = (As(pj, "joules") for pj in (ends.nominal, ends.low, ends.high))
        rows.append(("energy per sample, at the ends of its prices", *at_ends))
    return Table(
        name="totals",
        title=f"Totals under {report.convention.name}, {report.technology.name}",
        columns=(
            Column(name="quantity", heading="quantity"),
            *(Column(name=name, heading=name, kind="ratio") for name in ("mean", "low", "high")),
        ),
        rows=tuple(rows),
        sentence="Low and high are the ends of the 95 % interval over samples; they say nothing "
        "about other training seeds.",
    )


def conventions_table(report: Report) -> Table:
    """The run under every convention, one row each."""
    own = report.energy.energy_pj.value
    columns = (
        Column(name="convention", heading="convention"),
        ACS, MACS, ENERGY,
        Column(name="ratio", heading="ratio", kind="ratio", meaning="to this report's convention"),
        Column(name="left_out_macs", heading="left out, MACs", kind="count",
               meaning="dense MACs of layers that the convention does not price"),
        Column(name="settings", heading="stem; gate; spikes; real values; more", roomy=True),
    )  # fmt: skip
    return Table(
        name="conventions",
        title="Conventions side by side, per sample",
        columns=columns,
        rows=tuple(_convention_row(*entry, own) for entry in report.side_by_side()),
        sentence="The same counts, booked in different ways: none of the differences is the "
        "network's.",
    )


def _convention_row(rule: Convention, energy: Energy | InputError, own: float) -> Row:
    if isinstance(energy, InputError):
        return (rule.name, None, None, "refused", None, None, str(energy))
    pj = energy.energy_pj.value
    return (
        rule.name,
        energy.acs.value,
        energy.macs.value,
        AtLeast(pj) if energy.unpriced else pj,
        pj / own if own else None,
        energy.left_out_macs or None,
        _in_short(rule, energy.run),
    )


def _in_short(rule: Convention, run: Run) -> str:
    """The fields of a convention, those left out that say nothing unusual of this run."""
    events = any(is_event_stem(site, rule) for site in run.sites)
    gate = rule.gate if rule.gate_as == "other-sites" else f"{rule.gate} {rule.gate_as}"
    extra = (
        ("stem as", rule.stem_as, "mac"), ("events", rule.event_stem if events else "", ""),
        ("readout", rule.readout, "every-step"), ("pairs", rule.pairs, "as-other-sites"),
        ("rate at", rule.rate_at, "input"), ("graded", rule.graded, "as-real"),
        ("silent", rule.silent, "as-spike"),
        ("norm", rule.norm, "folded"), ("elementwise", rule.elementwise, "excluded"),
    )  # fmt: skip
    more = [f"{name} {value}" for name, value, usual in extra if value != usual]
    return "; ".join([rule.stem, gate, rule.spike, rule.real, *more])


def parts_table(report: Report) -> Table:
    """Energy of each part of the network, one column per convention."""
    entries = [(rule, e) for rule, e in report.side_by_side() if isinstance(e, Energy)]
    costs = [
        {name: _part_cell(energy, name, charge) for name, charge in by_part(energy).items()}
        for _, energy in entries
    ]
    columns = [
        Column(name=rule.name, heading=rule.name, kind="joules", roomy=place >= 4)
        for place, (rule, _) in enumerate(entries)
    ]
    return Table(
        name="parts",
        title="Energy by part of the network, per sample",
        columns=(Column(name="part", heading="part"), *columns),
        rows=tuple(
            (part, *(cost.get(part, "left out") for cost in costs))
            for part in PARTS
            if any(part in cost for cost in costs)
        ),
        sentence="Parts are the roles that the model declares for its layers; a gate is split "
        "into what mixes steps (temporal) and what does not (spatial).",
    )


def _part_cell(energy: Energy, part: str, charge: Charge) -> Cell:
    if charge.left_out_macs or (part == GATE_PRODUCT and part not in energy.work):
        return "left out"
    pj = float(energy.exact_pj(charge))
    if not energy.unpriced_of(charge):
        return pj
    return AtLeast(pj) if pj else "unpriced"


_VALUES: dict[OperandKind, str] = {
    "silent": "zeros only", "spike": "0 and one other value", "ternary": "0, a and -a",
    "graded": "small multiples of one value", "real": "real values",
}  # fmt: skip


def inputs_table(report: Report) -> Table:
    """One row per input of the model: whether it holds events or an image, and why."""
    return Table(
        name="inputs",
        title="What the network reads",
        columns=(
            Column(name="input", heading="input"),
            Column(name="kind", heading="taken for"),
            Column(name="said_by", heading="because", meaning="somebody said so, or its values"),
            Column(name="values", heading="values", meaning="over the whole run"),
            Column(name="rate", heading="not zero", kind="fraction"),
        ),
        rows=tuple(
            (one.name, one.kind, "said so" if one.said_by == "user" else "of its values",
             _VALUES[one.values], one.rate)
            for one in report.run.inputs
        ),
    )  # fmt: skip


def inputs_sentence(run: Run) -> str:
    """What each input holds and who says so, in a line; nothing where that is not known."""
    parts = [
        f"{one.name}, {'said to hold' if one.said_by == 'user' else 'by its values'} "
        f"{'events' if one.kind == 'events' else 'an image'} "
        f"({_VALUES[one.values]}, {100 * one.rate:.3g} % not zero)"
        for one in run.inputs
    ]
    return "; ".join(parts)


def rates_sentence(run: Run) -> str:
    """The rates of an estimate, as they were said; in a line."""
    shown = [f"{rate:g} of the inputs of {pattern}" for pattern, rate in run.stated_rates.items()]
    if [*run.stated_rates] == ["*"]:
        shown = [f"{run.stated_rates['*']:g} of the inputs of every layer behind the stem"]
    return f"non-zero are {some(shown)}"


def sites_table(report: Report) -> Table:
    """One row per weight operation, in the order they ran."""
    columns = (
        LAYER,
        Column(name="role", heading="role", roomy=True),
        Column(name="reads", heading="reads", meaning="operand kind and where it comes from"),
        Column(name="in_rate", heading="in_rate", kind="fraction", roomy=True,
               meaning="non-zero share of the input"),
        Column(name="ran", heading="ran", roomy=True,
               meaning="how often it ran per sample; one that ran once may stand for all steps"),
        replace(SYNOPS, roomy=True),
        Column(name="dense_macs", heading="dense MACs", kind="count", roomy=True,
               meaning="if no input were zero, padding included, at every step it stands for"),
        ENERGY, SHARE,
    )  # fmt: skip
    spent = {s.key: report.energy.site_pj(s.key) for s in report.run.sites}
    total = sum(spent.values())
    return Table(
        name="sites",
        title="Weight layers, per sample",
        columns=columns,
        rows=tuple(_site_row(s, report, spent[s.key], total) for s in report.run.sites),
    )


def _site_row(site: SiteRecord, report: Report, pj: float, total: float) -> Row:
    run, times = report.run, site.stands_for
    unpriced = report.energy.unpriced_of(report.energy.charges[site.key])
    return (
        str(site.key),
        site.role + (" ?" if site.role_source == "guess" else ""),
        f"{site.operand} · {site.origin.removesuffix('-spikes')}",
        site.in_rate,
        f"{round(site.executions, 2):g} of {run.steps}",
        times * site.synops / run.samples,
        times * site.dense_macs / run.samples,
        (AtLeast(pj) if pj else "unpriced") if unpriced else pj,
        pj / total if total else 0.0,
    )


def neurons_table(report: Report) -> Table:
    """One row per neuron layer and call, with its rate at each step where that is known."""
    run = report.run
    steps = tuple(
        Column(name=f"t{step}", heading=f"t={step}", kind="rate", roomy=step > 6)
        for step in range(1, run.steps + 1)
    )
    rows: list[Row] = []
    for neuron in run.neurons:
        rates = neuron.rate_by_step or ("-",) * run.steps
        rows.append((str(neuron.key), neuron.neurons, neuron.firing_rate, *rates))
    return Table(
        name="neurons",
        title="Firing rates: spikes per neuron and step",
        columns=(
            NEURON_LAYER,
            Column(name="neurons", heading="neurons", kind="integer"),
            Column(name="firing_rate", heading="rate", kind="rate"),
            *steps,
        ),
        rows=tuple(rows),
        sentence=not_known_by_step(neurons_without_steps(run)),
    )


def not_known_by_step(names: Sequence[str]) -> str:
    """Which layers have no counts of a step, in one line; nothing if all have."""
    return f"By step: not known for {some(names)}." if names else ""


def constants_sentence(run: Run) -> str:
    """The weight operations that no sample has a part in, in one line; nothing without any."""
    if not run.constants:
        return ""
    macs, names = sum(c.macs for c in run.constants), [str(c.key) for c in run.constants]
    return (
        f"Constants: {si(macs)} MACs per forward pass, in {len(names)} weight operations no sample "
        f"has a part in (foldable, not in the total): {some(names)}"
    )


def left_out_table(report: Report) -> Table:
    """What happens in the network and is not in the total, with its size per sample."""
    run = report.run
    rows: list[Row] = []
    if report.energy.left_out_macs:
        rows.append(("weight layers left out by the convention", "dense MACs",
                     report.energy.left_out_macs))  # fmt: skip
    sizes = work_left_out(run, report.convention)
    rows += [(name, "elements", size / run.samples) for name, size in sizes.items() if size]
    rows += [(name, "not counted", None) for name in ("memory", "wires", "control")]
    return Table(
        name="left-out",
        title="Not in the total, per sample",
        columns=(
            Column(name="work", heading="work"),
            Column(name="unit", heading="unit"),
            Column(name="size", heading="size", kind="count"),
        ),
        rows=tuple(rows),
        sentence="Elements are touched once each; what they would cost is another question.",
    )
