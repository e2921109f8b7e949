"""Any report can be shown and written in every form, and no cell says what is no number."""

from __future__ import annotations

import csv
import io
import re
from html.parser import HTMLParser

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from rich.console import Console
from torch import nn

import analysis
from analysis.errors import InputError
from analysis.reporting.energy_sections import counterpart_section, memory_section
from analysis.reporting.folder import write_report
from analysis.reporting.summary import print_report, print_section
from analysis.reporting.validity import contradiction
from tests.analysis.random_reports import reports

NO_NUMBER = re.compile(r"(?<![\w-])[+-]?(nan|NaN|NaT|inf|Infinity|None|<NA>)(?![\w-])")


class Spike(nn.Module):
    def forward(self, current):
        return (current > 0).to(current.dtype)


class Averaged(nn.Module):
    """Gives the mean of its logits over the steps, as most published networks do."""

    steps = 4

    def __init__(self):
        super().__init__()
        self.first, self.spike, self.last = nn.Linear(6, 8), Spike(), nn.Linear(8, 3)

    def forward(self, x):
        return torch.stack([self.last(self.spike(self.first(x))) for _ in range(4)]).mean(0)


def test_logits_averaged_over_the_steps_leave_every_file_and_no_curve(tmp_path):
    torch.manual_seed(0)
    batches = [(torch.randn(5, 6), torch.arange(5) % 3)]
    report = analysis.analyze(Averaged(), batches)
    assert len(report.run.correct_by_step) == 1
    written = write_report(report, tmp_path)
    assert {"report.html", "report.md", "report.tex", "references.bib"} <= {f.name for f in written}
    assert all(file.exists() for file in written)
    page = (tmp_path / "report.html").read_text()
    assert 'id="t-curve"' not in page
    assert f"{100 * report.totals.accuracy:.2f} %" in page
    assert "Read out after each step" not in printed(report, 120)


def printed(report, width):
    console = Console(width=width, file=io.StringIO())
    print_report(report, console)
    return console.file.getvalue()


class Cells(HTMLParser):
    """The text of every cell, heading and label of a page, and its raw values."""

    def __init__(self):
        super().__init__()
        self.found, self._inside = [], 0

    def handle_starttag(self, tag, attrs):
        known = dict(attrs)
        self.found += [known[key] for key in ("data-v", "style") if known.get(key)]
        self._inside += tag in ("td", "text")

    def handle_endtag(self, tag):
        self._inside -= tag in ("td", "text")

    def handle_data(self, data):
        if self._inside:
            self.found.append(data)


def csv_cells(folder):
    for file in folder.glob("*.csv"):
        for row in csv.reader(io.StringIO(file.read_text(encoding="utf-8"))):
            yield from row


def markdown_cells(text):
    for line in text.splitlines():
        if line.startswith("| "):
            yield from re.split(r"(?<!\\)\|", line)


def latex_cells(text):
    for body in re.findall(r"\\midrule(.*?)\\bottomrule", text, re.DOTALL):
        yield from re.split(r"(?<!\\)&", body)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
@given(report=reports())
@pytest.mark.slow
def test_any_report_is_written_in_every_form(report, tmp_path_factory):
    assert contradiction(report.run) is None
    try:
        _ = report.energy.charges
    except InputError:
        assume(False)
    folder = tmp_path_factory.mktemp("any")
    more = [memory_section(report), counterpart_section(report, 0.5)]
    for file in write_report(report, folder, more):
        assert file.stat().st_size > 0, file
    assert analysis.read_report(folder / "report.json") == report
    page = Cells()
    page.feed((folder / "report.html").read_text(encoding="utf-8"))
    cells = [
        *csv_cells(folder),
        *markdown_cells((folder / "report.md").read_text(encoding="utf-8")),
        *latex_cells((folder / "report.tex").read_text(encoding="utf-8")),
        *page.found,
    ]
    assert [cell for cell in cells if NO_NUMBER.search(cell)] == []


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
@given(report=reports())
@pytest.mark.slow
def test_any_report_fits_any_terminal(report):
    try:
        _ = report.energy.charges
    except InputError:
        assume(False)
    for width in (60, 80, 140):
        console = Console(width=width, file=io.StringIO())
        print_report(report, console)
        for section in (memory_section(report), counterpart_section(report, 0.5)):
            print_section(section, console)
        text = console.file.getvalue()
        assert max(map(len, text.splitlines())) <= width
        assert NO_NUMBER.search(text) is None, NO_NUMBER.search(text)
