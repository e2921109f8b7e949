"""Sections on request: memory, counterparts, what moves the number, published energies."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from analysis.energy.conventions import Convention
from analysis.energy.estimate import parse_energy
from analysis.energy.published import published_rows
from analysis.energy.technology import Technology
from analysis.records import Run
from analysis.reporting.counterpart_table import counterpart_notes, counterpart_table
from analysis.reporting.difference_table import difference_table
from analysis.reporting.memory_tables import lemaire_table, memory_notes, models_table
from analysis.reporting.published_tables import bookings_table, contents_table
from analysis.reporting.report import Report
from analysis.reporting.sections import Section
from analysis.reporting.wanted import Wanted


def energy_sections(report: Report, wanted: Wanted) -> Iterator[Section]:
    """The sections asked for, and one for every energy published for this very architecture.

    Raises:
        InputError: If a share or a convention can't be used.
    """
    if wanted.versus is not None:
        yield difference_section(report, wanted.versus)
    if wanted.memory:
        yield memory_section(report)
    if wanted.zeros is not None:
        yield counterpart_section(report, wanted.zeros)
    architecture = report.run.provenance.get("architecture")
    for energy, who in published_energies(str(architecture), report.run.steps):
        yield published_section(report.run, energy, report.technology, who)


def memory_section(report: Report) -> Section:
    """The network under every model that prices memory."""
    return Section(
        name="memory",
        title="With memory",
        short="Memory",
        lead="Models that price memory accesses, addressing or moved bytes, each beside the same "
        "network without spikes.",
        tables=(models_table(report.run), lemaire_table(report.run)),
        notes=memory_notes(report.run),
        cites=(
            "lemaire2022analytical",
            "yan2024reconsidering",
            "dampfhoffer2023are",
            "davidson2021comparison",
        ),
    )


def counterpart_section(report: Report, zeros: float = 0.0) -> Section:
    """The network beside the same shape without spikes.

    Raises:
        InputError: If ``zeros`` is no share.
    """
    return Section(
        name="counterpart",
        title="Beside the same shape without spikes",
        short="Without spikes",
        lead="What the layers would cost with ReLUs and without the gate: counted "
        "operations, and no claim on the accuracy of a network that nobody trained.",
        tables=(counterpart_table(report.energy, zeros),),
        notes=counterpart_notes(report.energy, zeros),
    )


def difference_section(report: Report, other: Convention) -> Section:
    """What moves the number from the report's convention to another.

    Raises:
        InputError: If one of them can't be applied to the run.
    """
    return Section(
        name="difference",
        title=f"What moves the number: {report.convention.name} to {other.name}",
        short="What moves the number",
        lead="The same counts under two conventions, and the fields in which they differ.",
        tables=(difference_table(report.energy, other),),
    )


def published_energies(architecture: str, steps: int) -> Iterator[tuple[Fraction, str]]:
    """Energies published for an architecture of this package, picojoules, with who says so."""
    for row in published_rows():
        if (row["architecture"], row["steps"]) == (architecture, str(steps)):
            energy = parse_energy(f"{row['printed_mj']}mJ")
            yield energy, f"published: {row['source']}; how it was counted is {row['convention']}"


def published_section(run: Run, energy_pj: Fraction, prices: Technology, who: str) -> Section:
    """What an energy can contain of a network, and the rates it implies."""
    return Section(
        name="published-energy",
        title="A published energy beside this network",
        short="Published energy",
        lead=f"{float(energy_pj) / 1e9:g} mJ ({who}), and what it can and cannot contain. No rate "
        "measured here plays a part in it.",
        tables=(
            contents_table(run, energy_pj, prices, who),
            bookings_table(run, energy_pj, prices, who),
        ),
    )
