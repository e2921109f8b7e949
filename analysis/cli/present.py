"""From inputs to what is printed, written and checked: one report, or several side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.text import Text

from analysis.cli.gate import Gate, hold
from analysis.cli.idle import is_report
from analysis.cli.job import Job, Outcome
from analysis.energy.conventions import Convention
from analysis.energy.technology import Technology
from analysis.errors import InputError
from analysis.files import make_folder
from analysis.reporting.against import energy_table, rate_table, unlike
from analysis.reporting.against import totals_table as against_totals
from analysis.reporting.axes import Axis
from analysis.reporting.compare import (
    methods,
    named,
    published_table,
)
from analysis.reporting.comparison import Comparison
from analysis.reporting.crosscheck_table import crosscheck_section, print_crosscheck
from analysis.reporting.detail_tables import extremes_table, groups_table
from analysis.reporting.energy_sections import energy_sections
from analysis.reporting.folder import write_report
from analysis.reporting.report import Report
from analysis.reporting.sections import Section, coding_section
from analysis.reporting.summary import breakdown, print_section, print_summary, print_tables
from analysis.reporting.terminal import print_table
from analysis.reporting.wanted import Wanted
from analysis.reporting.writers import read_report


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What is to come out.

    Attributes:
        inputs: Checkpoints to run and reports to read; the shipped network if there are none.
        names: What to call them, one each; none: what they call themselves.
        output: Folder for files.
        axis, top: Of the printed breakdown.
        baseline: The input to whose energy the others stand in a ratio.
        against: An older report to compare with.
        anyway: Whether to compare runs that differ in data, steps, input or network.
        published: Whether to show the rows of the literature.
        gate: What is asked of budgets.
        wanted: Further sections.
        samples: Whether to print the tables of single samples.
    """

    inputs: tuple[Path, ...] = ()
    names: tuple[str, ...] = ()
    output: Path | None = None
    axis: Axis = Axis.layer
    top: int | None = None
    against: Path | None = None
    anyway: bool = False
    baseline: Path | None = None
    published: bool = False
    gate: Gate = field(default_factory=Gate)
    wanted: Wanted = field(default_factory=Wanted)
    samples: bool = False


def present(job: Job, wish: Wish, rule: Convention, prices: Technology) -> int:
    """Does all of it; the exit status.

    Raises:
        InputError: If an input can't be used, or a file can't be written.
    """
    several = len(wish.inputs) > 1
    _check(job, wish, several=several)
    wish.gate.read()
    older = None if wish.against is None else read_report(wish.against)
    if wish.output is not None:
        make_folder(wish.output)
    ready = [_ready(job, file, rule, prices) for file in wish.inputs or (None,)]
    outcomes = [run() for run in ready]  # not before all of them can be used
    if wish.names:
        pairs = zip(outcomes, wish.names, strict=True)
        outcomes = [replace(each, report=named(each.report, name)) for each, name in pairs]
    if not outcomes[0].speaks:
        return 0
    console = Console()
    if several:
        _present_several(outcomes, wish, console)
        return 0
    return _present_one(outcomes[0], wish, older, console)


def _check(job: Job, wish: Wish, *, several: bool) -> None:
    single = {
        "--against": wish.against, "--budget": wish.gate.check,
        "--write-budget": wish.gate.write, "--crosscheck": job.crosscheck or None,
        "--coding": job.coding or None,
    }  # fmt: skip
    asked = [name for name, value in single.items() if value is not None]
    if several and asked:
        raise InputError(f"{', '.join(asked)} takes one checkpoint or report, not several")
    if wish.gate.junit is not None and wish.gate.check is None:
        raise InputError("--junit needs --budget")
    if wish.anyway and wish.against is None:
        raise InputError("--anyway needs --against")
    if wish.gate.force and wish.gate.write is None:
        raise InputError("--force needs --write-budget")
    if wish.gate.margin is not None and wish.gate.write is None:
        raise InputError("--margin needs --write-budget")
    if job.model is not None and any(is_report(file) for file in wish.inputs):
        raise InputError("--model runs checkpoints; a report needs no model")
    if wish.names and len(wish.names) != max(len(wish.inputs), 1):
        raise InputError(
            f"--name is given once for each input: {len(wish.names)} names for "
            f"{max(len(wish.inputs), 1)}"
        )
    if wish.baseline is not None:
        if wish.baseline.resolve() not in {file.resolve() for file in wish.inputs}:
            raise InputError(f"--baseline {wish.baseline} is none of the inputs")
        if not several:
            raise InputError("--baseline needs several inputs, one of them the baseline")
    seen: dict[Path, Path] = {}
    for file in wish.inputs:
        if seen.setdefault(file.resolve(), file) is not file:
            raise InputError(f"{file} is given twice: one file is one run, not two seeds")


def _ready(
    job: Job, file: Path | None, rule: Convention, prices: Technology
) -> Callable[[], Outcome]:
    """Reads a report and prices it as asked, or loads a checkpoint: what is left is to run it."""
    if file is not None and is_report(file):
        report = read_report(file).under(rule, prices)
        if job.coding and report.coding is None:
            raise InputError(
                f"{file.name} holds no analysis of the code; run its checkpoint with --coding"
            )
        return partial(Outcome, report)
    from analysis.cli.job_run import loaded, run_job

    return partial(run_job, job, loaded(job, file), rule, prices)


def _present_one(outcome: Outcome, wish: Wish, older: Report | None, console: Console) -> int:
    """The summary, what was asked for, and then the tables that are always there."""
    report = outcome.report
    table = breakdown(report, axis=wish.axis, top=wish.top)
    print_summary(report, console)
    more: list[Section] = []
    if outcome.crosscheck is not None:
        print_crosscheck(outcome.crosscheck, console)
        more.append(crosscheck_section(outcome.crosscheck))
    differ = () if older is None else unlike(report, older)
    if older is not None and (wish.anyway or not differ):
        more.append(_changes(report, older, differ))
    if wish.published:
        more.append(_literature())
    if wish.samples:
        for each in (*groups_table(report), extremes_table(report)):
            print_table(each, console)
    own = [section] if (section := coding_section(report)) else []
    further = energy_sections(report, wish.wanted)
    for section in (*own, *more[outcome.crosscheck is not None :], *further):
        print_section(section, console)
    more += energy_sections(report, wish.wanted.for_pages())
    written = [] if wish.output is None else write_report(report, wish.output, more)
    status = hold(report, wish.gate, console)
    print_tables(report, table, console)
    if written:
        _written(written, console)
    if differ and not wish.anyway:
        raise InputError(
            f"--against {wish.against}: not compared, as the runs differ in {', '.join(differ)}; "
            "--anyway compares them"
        )
    return status


def _changes(report: Report, older: Report, differ: Sequence[str]) -> Section:
    return Section(
        name="changes",
        title="Against an older report",
        short="Changes",
        lead="What moved since then, the largest change first, under the same prices.",
        tables=(
            against_totals(report, older),
            energy_table(report, older),
            rate_table(report, older),
        ),
        notes=(f"The runs differ in {', '.join(differ)}.",) if differ else (),
    )


def _literature() -> Section:
    return Section(
        name="published",
        title="Published energies",
        short="Published",
        lead="Rows of the literature as they are printed, each with the convention it states.",
        tables=(published_table(),),
        cites=("zhou2023spikformer", "zhou2023spikingformer", "yao2023spikedriven", "qiu2024gac"),
    )


def _present_several(outcomes: Sequence[Outcome], wish: Wish, console: Console) -> None:
    reports = [outcome.report for outcome in outcomes]
    found = _comparison(reports, wish)
    for table in found.tables:
        print_table(table, console)
    if wish.output is None:
        return
    written = found.save(wish.output)
    for place, (file, report) in enumerate(zip(wish.inputs, reports, strict=True)):
        report.to_json(wish.output / f"{place + 1}-{file.stem}.json")
        written.append(wish.output / f"{place + 1}-{file.stem}.json")
    _written(written, console)


def _comparison(reports: Sequence[Report], wish: Wish) -> Comparison:
    rows = methods(reports, [file.name for file in wish.inputs])
    baseline = None
    if wish.baseline is not None:
        place = [file.resolve() for file in wish.inputs].index(wish.baseline.resolve())
        baseline = next(row for row in rows if any(run is reports[place] for run in row.runs))
    more = (published_table(),) if wish.published else ()
    return Comparison(methods=rows, baseline=baseline, zeros=wish.wanted.zeros, more=more)


def _written(files: Sequence[Path], console: Console) -> None:
    folder = files[0].parent
    names = ", ".join(file.name for file in files)
    console.print(Text(f"\nWritten to {folder}: {names}"))
