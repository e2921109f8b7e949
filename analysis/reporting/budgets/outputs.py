"""What a checked budget says: to people, to JUnit readers, to GitHub."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

from analysis.reporting.budgets.check import Finding
from analysis.reporting.budgets.write import Change
from analysis.reporting.tables import Column, Row, Table


def broken_table(findings: Sequence[Finding]) -> Table:
    """The limits that were broken, worst first."""
    broken = sorted((f for f in findings if f.broken), key=_severity, reverse=True)
    return Table(
        name="budget",
        title=f"Budget broken: {len(broken)} of {len(findings)} limits",
        columns=(
            Column(name="where", heading="layer"),
            Column(name="quantity", heading="quantity"),
            Column(name="value", heading="measured"),
            Column(name="limit", heading="allowed"),
            Column(name="off", heading="off by"),
        ),
        rows=tuple(_row(finding) for finding in broken),
        sentence="Values are per sample; energies in picojoules.",
    )


def changes_table(changes: Sequence[Change], file: str) -> Table:
    """What writing a budget anew would change in it."""
    return Table(
        name="budget-changes",
        title=f"Changes in {file}",
        columns=(
            Column(name="place", heading="value"),
            Column(name="before", heading="in the file"),
            Column(name="now", heading="anew"),
        ),
        rows=tuple((c.place, c.before or "-", c.now or "-") for c in changes),
    )


def _severity(finding: Finding) -> float:
    end = finding.limit.max if finding.off > 0 else finding.limit.min
    return abs(finding.off) / end if end else float("inf")


def _row(finding: Finding) -> Row:
    severity = _severity(finding)
    sign = "+" if finding.off > 0 else "-"
    share = f" ({sign}{100 * severity:.1f} %)" if severity != float("inf") else ""
    return (
        finding.where,
        finding.quantity,
        f"{finding.value:.6g}",
        str(finding.limit),
        f"{finding.off:+.4g}{share}",
    )


def junit_xml(findings: Sequence[Finding], budget: str) -> str:
    """A JUnit file with one test case per limit and layer."""
    broken = [finding for finding in findings if finding.broken]
    suite = ET.Element(
        "testsuite", name=budget, tests=str(len(findings)), failures=str(len(broken)), errors="0"
    )
    for finding in findings:
        case = ET.SubElement(
            suite, "testcase", classname=finding.where, name=finding.quantity, time="0"
        )
        if finding.broken:
            failure = ET.SubElement(case, "failure", message=finding.sentence())
            failure.text = f"measured {finding.value!r}, allowed {finding.limit}"
    suites = ET.Element("testsuites")
    suites.append(suite)
    ET.indent(suites)
    return ET.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def github_annotations(findings: Sequence[Finding], budget: Path) -> list[str]:
    """Workflow commands that mark the broken limits in the budget file, one line each."""
    lines = budget.read_text(encoding="utf-8").splitlines()
    return [
        f"::error file={_property(str(budget))},line={line_of(finding, lines)},"
        f"title={_property('Budget broken')}::{_data(finding.sentence())}"
        for finding in findings
        if finding.broken
    ]


def line_of(finding: Finding, lines: Sequence[str]) -> int:
    """The line of a limit in its file, from 1; that of its table, or 1, where it can't be told."""
    *table, quantity = finding.table
    inside, best = False, 1
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if text.startswith("["):
            inside = text.strip("[] ") in (
                ".".join(table),
                ".".join([table[0], *map(_quoted, table[1:])]),
            )
            best = number if inside else best
        elif inside and text.partition("=")[0].strip() == quantity:
            return number
    return best


def _quoted(name: str) -> str:
    return f'"{name}"'


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
