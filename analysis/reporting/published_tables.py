"""A published energy beside what the parts of a network cost, and the rates it implies."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from analysis.energy.bookings import GATE, REAL, STEM, Booking, bookings, convention_of
from analysis.energy.charges import Charge
from analysis.energy.conventions import ChargedSteps
from analysis.energy.energy import Energy
from analysis.energy.estimate import at_rates
from analysis.energy.technology import Technology
from analysis.records import Run
from analysis.reporting.breakdown import by_part
from analysis.reporting.tables import Cell, Column, Row, Table
from analysis.reporting.text import joules

CANNOT = "cannot be in it"  # of a part and an energy
_STEM_WORDS: dict[ChargedSteps, str] = {
    "free": "left out",
    "once": "MACs once",
    "every-step": "MACs T times",
}
_GATE_WORDS = {
    "left out": "no gate",
    "ACs": "gate as ACs",
    "MACs once": "MACs once",
    "MACs": "MACs T times",
}


def contents_table(run: Run, energy_pj: Fraction, prices: Technology, who: str) -> Table:
    """What an energy can and cannot contain of the parts of a network.

    Args:
        run: Any run of the network; its rates play no part.
        energy_pj: Picojoules.
        prices: At which parts are booked.
        who: Says so, for the title.
    """
    return Table(
        name="contents",
        title=f"What {joules(float(energy_pj), digits=4)} can contain ({who})",
        columns=(
            Column(name="part", heading="part"),
            Column(name="booked", heading="booked as"),
            Column(name="energy_pj", heading="energy", kind="joules"),
            Column(name="verdict", heading=f"in {joules(float(energy_pj), digits=4)}"),
        ),
        rows=tuple(_contents(run, energy_pj, prices)),
        sentence="Each part taken by itself. Energy of ACs at a rate of 1: multiply by the rate.",
    )


def _contents(run: Run, energy_pj: Fraction, prices: Technology) -> Iterator[Row]:
    parts = {site.role for site in run.sites}
    steps: tuple[ChargedSteps, ...] = ("every-step", "once")
    for step in steps if "stem" in parts else ():
        yield _dense_row(run, energy_pj, prices, "stem", step)
    for step in steps if "gate" in parts else ():
        yield _dense_row(run, energy_pj, prices, "spatial gate", step)
    if "gate" in parts:
        yield _rate_row(run, energy_pj, prices, "spatial gate")
    if "shortcut" in parts:
        yield _dense_row(run, energy_pj, prices, "shortcut", "every-step")
        yield _rate_row(run, energy_pj, prices, "shortcut")
    yield _rate_row(run, energy_pj, prices, "spiking")


def _dense_row(
    run: Run, energy_pj: Fraction, prices: Technology, part: str, step: ChargedSteps
) -> Row:
    rule = convention_of(step, "MACs once" if step == "once" else "MACs", "MACs")
    pj = _part_pj(Energy(run, rule, prices), part)
    if prices.pj("mac") is None:
        return part, _STEM_WORDS[step], "unpriced", ""
    left = energy_pj - pj
    verdict = f"leaves {joules(float(left), digits=4)}" if left >= 0 else CANNOT
    return part, _STEM_WORDS[step], float(pj), verdict


def _rate_row(run: Run, energy_pj: Fraction, prices: Technology, part: str) -> Row:
    pj = _part_pj(
        Energy(at_rates(run, Fraction(1)), convention_of("free", "ACs", "ACs"), prices), part
    )
    rate = float(energy_pj / pj) if pj else 1.0
    fits = "at any rate" if rate >= 1 else f"up to a rate of {rate:.4f}"
    return part, "ACs at a rate", float(pj), fits


def _part_pj(energy: Energy, part: str) -> Fraction:
    return energy.exact_pj(by_part(energy).get(part, Charge()))


def bookings_table(run: Run, energy_pj: Fraction, prices: Technology, who: str) -> Table:
    """The one rate that an energy implies under every booking of stem, gate and real values."""
    found = {(b.real, b.stem, b.gate): b for b in bookings(run, energy_pj, prices)}
    gates = [gate for gate in GATE if any(key[2] == gate for key in found)]
    return Table(
        name="implied-rates",
        title=f"The one rate that {joules(float(energy_pj), digits=4)} implies ({who})",
        columns=(
            Column(name="stem", heading="stem"),
            Column(name="real", heading="shortcuts"),
            *(Column(name=gate, heading=_GATE_WORDS[gate], kind="rate") for gate in gates),
        ),
        rows=tuple(
            (_STEM_WORDS[stem], real, *(_implied(found.get((real, stem, gate))) for gate in gates))
            for real in REAL
            for stem in STEM
        ),
        sentence="Rate: non-zero share of the input of every layer behind the stem, the same for "
        "all; no: with the nearest energy that some rate gives. Shortcuts stand for all other "
        "layers that read real values. One equation with one free rate fits many stories: that a "
        "rate is possible does not show that an energy was counted so.",
    )


def _implied(booking: Booking | None) -> Cell:
    if booking is None:
        return "-"
    solved = booking.solved
    if solved.rate is not None:
        return f"≤ {solved.rate:.4f}" if solved.reason else solved.rate
    return "refused" if solved.nearest_pj is None else f"no: {joules(solved.nearest_pj, digits=4)}"
