"""`gac-analyze --arch`: the energy of an architecture at stated rates, without any data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

from rich.console import Console
from rich.text import Text

import gac
from analysis.cli.provenance import made_by
from analysis.cli.question import Question
from analysis.energy.conventions import PRESETS, Convention
from analysis.energy.estimate import MARK, parse_energy, solve_rate
from analysis.energy.technology import Technology
from analysis.files import make_folder
from analysis.pipeline import estimate
from analysis.reporting.energy_sections import energy_sections, published_energies
from analysis.reporting.folder import write_report, write_tables
from analysis.reporting.published_tables import bookings_table, contents_table
from analysis.reporting.report import Report
from analysis.reporting.report_tables import conventions_table, parts_table
from analysis.reporting.sections import Section
from analysis.reporting.summary import priced_by, print_section
from analysis.reporting.tables import Column, Table
from analysis.reporting.terminal import print_table
from analysis.reporting.text import joules


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
    model = gac.build(asked.name, **({} if asked.steps is None else {"steps": asked.steps}))
    side = model.config.image_size
    return estimate(
        model,
        (model.config.in_channels, side, side),
        asked.parsed_rates,
        convention=rule,
        technology=prices,
        provenance=made_by("gac-analyze") | {"model": f"{asked.name}, image {side} x {side}"},
    )


def _print(report: Report, asked: Question, console: Console) -> None:
    """By convention and by part if rates are stated; the rates that energies need."""
    console.print(Text(f"{asked.name}, T = {report.run.steps}: {MARK}", style="bold"))
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
    )
