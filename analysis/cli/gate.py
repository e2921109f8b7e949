"""Budgets on the command line: written, checked, told to people and to machines."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.text import Text

from analysis.energy import conventions
from analysis.energy import technology as technologies
from analysis.errors import InputError
from analysis.files import write_text
from analysis.reporting.budgets.budget import Budget, read_budget
from analysis.reporting.budgets.check import Finding, check, network_of
from analysis.reporting.budgets.outputs import (
    broken_table,
    changes_table,
    github_annotations,
    junit_xml,
)
from analysis.reporting.budgets.write import budget_text, parse_margin
from analysis.reporting.markdown import markdown_table
from analysis.reporting.report import Report
from analysis.reporting.terminal import WIDE, print_table

BROKEN = 1  # exit status
MARGIN = "10%"


@dataclass(frozen=True, kw_only=True)
class Gate:
    """What is asked of budgets.

    Attributes:
        check: A budget file to hold the run to.
        write: A budget file to write from the run.
        force: Whether it may change limits of a file that is there.
        margin: Of a written one; by default that of the file it replaces, or 10 %.
        junit: Where the checked limits go as test cases.
        technology: As it was asked for, so that a written budget finds it again.
    """

    check: Path | None = None
    write: Path | None = None
    force: bool = False
    margin: str | None = None
    junit: Path | None = None
    technology: str = "45nm-fp32"

    def read(self) -> Budget | None:
        """The budget; told before anything runs if it is unusable.

        Raises:
            InputError: If the file or the margin can't be used.
        """
        if self.margin is not None:
            parse_margin(self.margin)
        if self.check is None:
            return None
        budget = read_budget(self.check)
        try:
            for name in (budget.convention, *budget.conventions):
                conventions.convention(name)
            technologies.technology(budget.technology)
        except InputError as error:
            raise InputError(f"{self.check}: {error}") from error
        return budget


def hold(report: Report, gate: Gate, console: Console) -> int:
    """Writes and checks budgets; the exit status.

    Raises:
        InputError: If a budget does not fit the run, or a file can't be written.
    """
    if gate.write is not None:
        _write(report, gate, gate.write, console)
    budget = gate.read()
    if budget is None or gate.check is None:
        return 0
    findings = check(report, budget)
    if gate.junit is not None:
        write_text(gate.junit, junit_xml(findings, str(gate.check)))
    broken = any(finding.broken for finding in findings)
    _tell_people(findings, gate, budget, network_of(report), console)
    _tell_github(findings, gate.check)
    return BROKEN if broken else 0


def _write(report: Report, gate: Gate, file: Path, console: Console) -> None:
    """Writes a budget; one that is there changes only where that is seen and asked for."""
    margin = gate.margin or MARGIN
    text, changes = budget_text(report, file, margin, gate.technology)
    if changes:
        print_table(changes_table(changes, str(file)), _roomy(console))
    if changes and not gate.force:
        raise InputError(
            f"{file} holds limits already and {len(changes)} of its values would change, as shown; "
            "with --force they do"
        )
    write_text(file, text)
    console.print(f"\nBudget with a margin of {margin} written: {file}", markup=False)


def _tell_people(
    findings: Sequence[Finding], gate: Gate, budget: Budget, network: str | None, console: Console
) -> None:
    if not any(finding.broken for finding in findings):
        console.print(Text(f"\nBudget kept: {len(findings)} limits of {gate.check}", "green"))
        return
    print_table(broken_table(findings), _roomy(console))
    if budget.network not in (None, network):
        console.print(Text(f"\nThis budget is of {budget.network}, the run of {network}."))
        return
    console.print(
        Text("\nIf this is meant to be, look at what changes, then add --force and say why in the "
             "commit:")
    )  # fmt: skip
    command = update_command(sys.argv[1:], budget.margin or MARGIN)
    console.print(Text(f"  {command}"), soft_wrap=True)


def _roomy(console: Console) -> Console:
    """A log has room for whole names of layers."""
    return console if console.is_terminal else Console(width=max(console.width, WIDE))


def update_command(arguments: Sequence[str], margin: str) -> str:
    """The command that writes the budget anew, from the arguments that checked it.

    Example:
        >>> update_command(["a.pth", "--budget", "b.toml", "--junit=x.xml"], "5%")
        'gac-analyze a.pth --write-budget b.toml --margin 5%'
    """
    words = iter(arguments)
    kept: list[str] = []
    for word in words:
        name = word.partition("=")[0]
        if name == "--budget":
            word = word.replace("--budget", "--write-budget", 1)
        elif name in ("--junit", "--margin"):
            if name == word:
                next(words, None)
            continue
        kept.append(word)
    return shlex.join(["gac-analyze", *kept, "--margin", margin])


def _tell_github(findings: Sequence[Finding], file: Path) -> None:
    """Marks in the changed files and a table in the summary, inside a workflow of GitHub."""
    if os.environ.get("GITHUB_ACTIONS") != "true":
        return
    for line in github_annotations(findings, file):
        sys.stdout.write(line + "\n")
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary and any(finding.broken for finding in findings):
        table = broken_table(findings)
        with Path(summary).open("a", encoding="utf-8") as handle:
            handle.write(f"### {table.title}\n\n{markdown_table(table)}\n")
