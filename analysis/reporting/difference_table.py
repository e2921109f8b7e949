"""What moves the number from one convention to another, as a table."""

from __future__ import annotations

from analysis.energy.conventions import Convention
from analysis.energy.difference import difference
from analysis.energy.energy import Energy
from analysis.reporting.columns import ACS, ENERGY, MACS
from analysis.reporting.tables import Cell, Column, Row, Table


def difference_table(energy: Energy, other: Convention) -> Table:
    """The field by field way from the convention of an energy to another.

    Raises:
        InputError: If one of them, or a step in between, can't be applied to the run.
    """
    after = Energy(energy.run, other, energy.technology)
    shares = difference(energy.run, energy.convention, other, energy.technology)
    rows: list[Row] = [(energy.convention.name, "", "", *_total(energy))]
    rows += [
        (s.field.replace("_", " "), s.before, s.after, *map(float, (s.acs, s.macs, s.energy_pj)))
        for s in shares
    ]
    rows.append((other.name, "", "", *_total(after)))
    return Table(
        name="difference",
        title=f"What moves the number: from {energy.convention.name} to {other.name}, per sample",
        columns=(
            Column(name="field", heading="field"),
            Column(name="before", heading="from"),
            Column(name="after", heading="to"),
            ACS,
            MACS,
            ENERGY,
        ),
        rows=tuple(rows),
        sentence="Fields change one after the other in this order; the rows add up exactly. What "
        "a single one moves depends on the order.",
    )


def _total(energy: Energy) -> tuple[Cell, Cell, Cell]:
    total, samples = energy.total, energy.run.samples
    pj = float(energy.exact_pj(total))
    return float(total.acs / samples), float(total.macs / samples), pj
