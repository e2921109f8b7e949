"""The same run under every convention: as a whole, and by part of the network."""

from __future__ import annotations

from rich.table import Table

from analysis.energy.charges import GATE_PRODUCT, Charge
from analysis.energy.conventions import Convention
from analysis.energy.energy import Energy
from analysis.errors import InputError
from analysis.reporting.breakdown import PARTS, by_part
from analysis.reporting.report import Report
from analysis.reporting.text import WIDE, joules, si, titled_table


def conventions_table(report: Report, *, wide: bool) -> Table:
    """The run under every convention, one row each."""
    table = titled_table("Conventions side by side, per sample", "convention")
    for heading in ("ACs", "MACs", "energy", "ratio", "left out"):
        table.add_column(heading, justify="right", no_wrap=True)
    if wide:
        table.add_column("stem; gate; spikes; real values; more")
    own = report.energy.energy_pj.value
    for rule, energy in report.side_by_side():
        rules = _in_short(rule)
        if isinstance(energy, InputError):
            cells = ["", "", "refused", "", ""]
            rules = str(energy)
        else:
            cells = _priced(energy, own)
        table.add_row(rule.name, *cells, *[rules] * wide)
    return table


def _in_short(rule: Convention) -> str:
    """The fields of a convention, those left out that say nothing unusual."""
    gate = rule.gate if rule.gate_as == "other-sites" else f"{rule.gate} {rule.gate_as}"
    extra = (
        ("graded", rule.graded, "as-real"), ("silent", rule.silent, "as-spike"),
        ("norm", rule.norm, "folded"), ("elementwise", rule.elementwise, "excluded"),
    )  # fmt: skip
    more = [f"{name} {value}" for name, value, usual in extra if value != usual]
    return "; ".join([rule.stem, gate, rule.spike, rule.real, *more])


def parts_table(report: Report, *, wide: bool) -> Table:
    """Energy of each part of the network, under every convention if there is room."""
    entries = [(rule, e) for rule, e in report.side_by_side() if isinstance(e, Energy)]
    shown = entries if wide else entries[:4]
    title = "Energy by part of the network, per sample"
    if len(shown) < len(entries):
        title += f" (the other {len(entries) - len(shown)} conventions: from {WIDE} columns on)"
    table = titled_table(title, "part")
    costs = []
    for rule, energy in shown:
        table.add_column(rule.name, justify="right", overflow="fold")
        costs.append({name: _part_cell(energy, name, c) for name, c in by_part(energy).items()})
    for part in PARTS:
        if any(part in cost for cost in costs):
            table.add_row(part, *(cost.get(part, "left out") for cost in costs))
    return table


def _part_cell(energy: Energy, part: str, charge: Charge) -> str:
    if charge.left_out_macs or (part == GATE_PRODUCT and part not in energy.work):
        return "left out"
    pj = float(energy.exact_pj(charge))
    if not energy.unpriced_of(charge):
        return joules(pj, digits=4)
    return f">= {joules(pj, digits=4)}" if pj else "unpriced"


def _priced(energy: Energy, own: float) -> list[str]:
    pj = energy.energy_pj.value
    bound = ">= " if energy.unpriced else ""
    left_out = f"{si(energy.left_out_macs)} MACs" if energy.left_out_macs else ""
    ratio = f"{pj / own:.2f}" if own else ""
    return [si(energy.acs.value), si(energy.macs.value), bound + joules(pj), ratio, left_out]
