"""Energy taken apart: by part of the network, by field of a convention."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from analysis.energy.charges import GATE_PRODUCT, Charge, part_of, work_done
from analysis.energy.conventions import Convention
from analysis.energy.difference import difference
from analysis.energy.energy import Energy
from analysis.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pandas as pd

    from analysis.reporting.report import Report

PARTS = (
    "stem", "temporal gate", "spatial gate", GATE_PRODUCT, "spiking", "shortcut", "readout",
    "other", "other work",
)  # fmt: skip


def by_part(energy: Energy) -> dict[str, Charge]:
    """What every part of the network is charged, over all samples; parts that exist only.

    The gate product counts as a part also where it is not charged.
    """
    booked: dict[str, list[Charge]] = defaultdict(list)
    for site in energy.run.sites:
        booked[part_of(site)].append(energy.charges[site.key])
    if any(name == GATE_PRODUCT for name, _, _ in work_done(energy.run)):
        booked[GATE_PRODUCT] = []
    for name, charge in energy.work.items():
        booked[name if name == GATE_PRODUCT else "other work"].append(charge)
    return {part: Charge.sum(booked[part]) for part in PARTS if part in booked}


def by_role_frame(priced: Iterable[tuple[Convention, Energy | InputError]]) -> pd.DataFrame:
    """One row per convention and part, per sample; no row where a convention is refused."""
    import pandas as pd

    columns = ["convention", "part", "acs", "macs", "energy_pj", "left_out_macs"]
    return pd.DataFrame(list(_rows(priced)), columns=columns)


def _rows(
    priced: Iterable[tuple[Convention, Energy | InputError]],
) -> Iterator[tuple[str, str, float, float, float, float]]:
    for rule, energy in priced:
        if isinstance(energy, InputError):
            continue
        samples = energy.run.samples
        for part, c in by_part(energy).items():
            pj, left_out = float(energy.exact_pj(c)), c.left_out_macs / samples
            yield rule.name, part, float(c.acs / samples), float(c.macs / samples), pj, left_out


def difference_frame(report: Report, one: Convention, other: Convention) -> pd.DataFrame:
    """One row per field that differs, in the fixed order; what it moves, per sample."""
    import pandas as pd

    rows = [
        (s.field, s.before, s.after, float(s.acs), float(s.macs), float(s.energy_pj))
        for s in difference(report.run, one, other, report.technology)
    ]
    columns = ["field", "before", "after", "acs", "macs", "energy_pj"]
    return pd.DataFrame(rows, columns=columns)
