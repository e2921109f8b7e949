"""What a published energy can contain: the rate it implies under every way of booking its parts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

from analysis.energy.conventions import PRESETS, ChargedSteps, Convention
from analysis.energy.estimate import Solved, solve_rate
from analysis.energy.technology import Technology
from analysis.records import Run

GateAs = Literal["left out", "ACs", "MACs once", "MACs"]
RealAs = Literal["ACs", "MACs"]
STEM: tuple[ChargedSteps, ...] = ("free", "once", "every-step")
GATE: tuple[GateAs, ...] = ("left out", "ACs", "MACs once", "MACs")
REAL: tuple[RealAs, ...] = ("ACs", "MACs")
_GATE_RULES: dict[GateAs, dict[str, str]] = {
    "left out": {"gate": "free"},
    "ACs": {"gate": "every-step"},
    "MACs once": {"gate": "once", "gate_as": "dense-mac"},
    "MACs": {"gate": "every-step", "gate_as": "dense-mac"},
}


@dataclass(frozen=True, kw_only=True)
class Booking:
    """One way to book the parts of a network whose booking papers leave open.

    Attributes:
        stem: Steps that it is charged dense MACs.
        gate: How its sites are booked; ACs at the rate of their input.
        real: How shortcuts and readout are, which read real values.
        solved: The one rate of all inputs behind the stem at which the energy comes out.
    """

    stem: ChargedSteps
    gate: GateAs
    real: RealAs
    solved: Solved


def bookings(run: Run, energy_pj: Fraction, prices: Technology) -> Iterator[Booking]:
    """Every combination; a gate of ACs only where other real values are ACs too.

    A network without a gate has no choice there.
    """
    has_gate = any(site.role == "gate" for site in run.sites)
    for real in REAL:
        for stem in STEM:
            for gate in GATE if has_gate else GATE[:1]:
                if (gate, real) != ("ACs", "MACs"):
                    rule = convention_of(stem, gate, real)
                    solved = solve_rate(run, energy_pj, rule, prices)
                    yield Booking(stem=stem, gate=gate, real=real, solved=solved)


def convention_of(stem: ChargedSteps, gate: GateAs, real: RealAs) -> Convention:
    """The convention behind a booking: everything else an accumulate at the rate of its input."""
    changes = {"stem": stem, "real": "rate-ac" if real == "ACs" else "dense-mac"}
    rules = changes | _GATE_RULES[gate]
    name = f"stem {stem}, gate {gate}, other real values {real}"
    return replace(PRESETS["all-ac"], name=name, **rules)  # type: ignore[arg-type]
