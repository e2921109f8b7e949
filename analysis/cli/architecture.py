"""The energy of a network at stated rates, and the rates that energies need; without any data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

from rich.console import Console
from rich.text import Text

from analysis.cli.catalogue import built
from analysis.cli.custom import own_forward, own_model
from analysis.cli.provenance import made_by
from analysis.cli.question import Question
from analysis.energy.conventions import PRESETS, Convention
from analysis.energy.estimate import MARK, Solved, parse_energy, solve_rate
from analysis.energy.technology import Technology
from analysis.files import make_folder
from analysis.pipeline import estimate
from analysis.reporting.energy_sections import energy_sections, published_energies
from analysis.reporting.folder import write_report, write_tables
from analysis.reporting.published_tables import CANNOT, bookings_table, contents_table
from analysis.reporting.report import Report
from analysis.reporting.report_tables import conventions_table, parts_table
from analysis.reporting.sections import Section
from analysis.reporting.summary import priced_by, print_section
from analysis.reporting.tables import Column, Table
from analysis.reporting.terminal import print_table
from analysis.reporting.text import joules
from analysis.reporting.writers import read_report


def answer(asked: Question, rule: Convention, prices: Technology, output: Path | None) -> None:
    """Prints the energy of an architecture, and writes it to a folder if there is one.

    Raises:
        InputError: If a rate names no layer, or a file can't be written.
    """
    if output is not None:
        make_folder(output)
    report = _estimated(asked, rule, prices)
    console = Console()
    _print(report, asked, console)
    if output is not None:
        names = ", ".join(file.name for file in _write(report, asked, output))
        console.print(Text(f"\nWritten to {output}: {names}"))


def _write(report: Report, asked: Question, output: Path) -> list[Path]:
    """The report at stated rates; without any, the rates that energies need."""
    solved = list(_solved(report, asked))
    if asked.rates is None:
        return write_tables("Rates that energies need", solved, "implied", output)
    more = [
        Section(
            name="implied",
            title="Energies and the rates they need",
            short="Implied rates",
            lead="What an energy can contain of this architecture, and the rates it implies.",
            tables=tuple(solved),
        )
    ][: len(solved)]
    more += energy_sections(report, asked.wanted.for_pages())
    return write_report(report, output, more)


def _estimated(asked: Question, rule: Convention, prices: Technology) -> Report:
    """The network at the rates that are stated, or as a report has it."""
    if asked.of == "report":
        return read_report(asked.name).under(rule, prices)
    steps: int | None
    if asked.of == "arch":
        entry = built(asked.name, asked.steps, asked.shape)
        model, shape, steps = entry.model, entry.shape, entry.steps
    else:
        model, shape, steps = own_model(asked.name), asked.shape or (), asked.steps
    forward = {} if asked.forward is None else {"forward": own_forward(asked.forward, model)}
    size = " x ".join(map(str, shape[-2:] if asked.of == "arch" else shape))
    what = "image" if asked.of == "arch" else "input"
    return estimate(
        model,
        shape,
        asked.parsed_rates,
        convention=rule,
        technology=prices,
        steps=steps,
        provenance=made_by("gac-analyze") | {"model": f"{asked.name}, {what} {size}"},
        **asked.options,
        **forward,
    )


def _print(report: Report, asked: Question, console: Console) -> None:
    """By convention and by part if rates are stated; the rates that energies need."""
    whence = MARK if asked.of != "report" else "its operations, at the rate that an energy needs"
    console.print(Text(f"{asked.name}, T = {report.run.steps}: {whence}", style="bold"))
    if asked.rates is not None:
        console.print(f"rates: {asked.rates} (non-zero inputs of each layer after the stem)")
    for table in _tables(report, asked):
        print_table(table, console)
    for section in energy_sections(report, asked.wanted) if asked.rates is not None else ():
        print_section(section, console)
    console.print(Text(f"\n{priced_by(report)}", style="dim"))


def _tables(report: Report, asked: Question) -> Iterator[Table]:
    if asked.rates is not None:
        yield conventions_table(report)
        yield parts_table(report)
    yield from _solved(report, asked)


def _solved(report: Report, asked: Question) -> Iterator[Table]:
    for energy, who in _energies(asked, report.run.steps):
        yield contents_table(report.run, energy, report.technology, who)
        yield bookings_table(report.run, energy, report.technology, who)
        yield _solved_table(report, energy, who)


def _energies(asked: Question, steps: int) -> Iterable[tuple[Fraction, str]]:
    """Energies to solve for, picojoules, each with who says so."""
    if asked.solve is not None:
        return [(parse_energy(asked.solve), "as asked for")]
    return published_energies(asked.name, steps)


def _solved_table(report: Report, energy_pj: Fraction, who: str) -> Table:
    others = [rule for rule in PRESETS.values() if rule != report.convention]
    found = [
        solve_rate(report.run, energy_pj, rule, report.technology)
        for rule in (report.convention, *others)
    ]
    return Table(
        name="solved",
        title=f"The one rate that {joules(float(energy_pj), digits=4)} would need ({who})",
        columns=(
            Column(name="convention", heading="convention"),
            Column(name="rate", heading="rate", kind="rate"),
            Column(name="reason", heading="why there is none"),
        ),
        rows=tuple((s.convention, "cannot" if s.rate is None else s.rate, s.reason) for s in found),
        sentence=_verdict(report, energy_pj, found),
    )


def _verdict(report: Report, energy_pj: Fraction, found: Sequence[Solved]) -> str:
    """What an energy can be of a network, in words."""
    energy = joules(float(energy_pj), digits=4)
    contents = contents_table(report.run, energy_pj, report.technology, "")
    too_much = [f"{part} ({booked})" for part, booked, _, said in contents.rows if said == CANNOT]
    parts = f"{energy} cannot contain {', '.join(too_much)}. " if too_much else ""
    able = [f"{s.convention} at {s.rate:.4f}" for s in found if s.rate is not None]
    if not able:
        return f"{parts}No rate gives {energy} under any convention here."
    return f"{parts}One rate gives {energy} under {len(able)} of {len(found)} conventions: " + (
        ", ".join(able) + "."
    )
