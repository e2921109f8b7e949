"""Accuracy beside energy over the steps, from one run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.energy.charges import needs_whole_run
from analysis.energy.early import up_to
from analysis.energy.energy import Energy
from analysis.errors import InputError
from analysis.estimates import Estimate, proportion

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("step", "accuracy", "accuracy_low", "accuracy_high", "acs", "macs", "energy_pj")


def curve_frame(energy: Energy) -> pd.DataFrame:
    """One row per step the network could be read out after.

    Raises:
        InputError: If the convention needs the levels of an operand, which are not kept by step,
            or something ran whose steps are not known.
    """
    import pandas as pd

    rule = energy.convention
    levels = [str(site.key) for site in energy.run.sites if needs_whole_run(site, rule)]
    if levels:
        raise InputError(
            f"convention {rule.name!r} charges {', '.join(levels)} by levels or by two rates, "
            "which a run does not keep by step; use graded as-real"
        )
    rows = [_row(energy, step) for step in range(1, energy.run.steps + 1)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _row(energy: Energy, step: int) -> tuple[float, ...]:
    run = up_to(energy.run, step)
    booked = Energy(run, energy.convention, energy.technology)
    nothing = Estimate(float("nan"))
    right = nothing if run.correct is None else proportion(run.correct, run.samples)
    total = booked.total
    return (
        step, right.value, right.low, right.high, float(total.acs / run.samples),
        float(total.macs / run.samples), float(booked.exact_pj(total)),
    )  # fmt: skip
