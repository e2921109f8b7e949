"""Tables in a terminal of any width: no column is lost, and every number stands whole."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

import analysis
from analysis.cli.analyze import main
from analysis.reporting.energy_sections import counterpart_section
from analysis.reporting.summary import print_report, summary
from analysis.reporting.tables import Column, Table, shown
from analysis.reporting.terminal import captured, print_table
from tests.analysis.reports import shipped_report


@pytest.fixture(scope="module")
def report():
    return shipped_report()


def printed(table, width):
    return captured(lambda console: print_table(table, console), width)


KINDS = ("integer", "count", "rate", "fraction", "ratio", "percent", "share", "joules", "text")


@st.composite
def tables(draw):
    kinds = draw(st.lists(st.sampled_from(KINDS), max_size=9))
    first = draw(st.sampled_from(["a", "stages.0.0.conv1", "x" * 70]))
    number = st.floats(0, 1) if "share" in kinds else st.floats(0, 1e15)
    row = [draw(st.sampled_from(["words", "two words"])) if k == "text" else draw(number)
           for k in kinds]  # fmt: skip
    columns = (Column(name=f"c{n}", heading=f"head{n}", kind=k) for n, k in enumerate(kinds))
    return Table(name="t", title="T", columns=(Column(name="layer", heading="layer"), *columns),
                 rows=((first, *row),))  # fmt: skip


@settings(deadline=None, max_examples=200)
@given(table=tables(), width=st.sampled_from([60, 80, 140]))
def test_every_column_and_every_number_stands_whole(table, width):
    text = printed(table, width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    for column, cell in zip(table.columns[1:], table.rows[0][1:], strict=True):
        assert column.heading in text
        assert shown(cell, column.kind) in text
    name = table.rows[0][0]
    assert name in re.sub(r"\s", "", text) or text.replace("\n", "").count("x") >= len(name)


def test_what_has_no_room_stands_in_a_table_below_with_its_rows_named():
    columns = tuple(Column(name=f"c{n}", heading=f"number {n}", kind="rate") for n in range(9))
    table = Table(
        name="t", title="Rates", columns=(Column(name="layer", heading="layer"), *columns),
        rows=(("conv1", *[n / 10 for n in range(9)]),),
    )  # fmt: skip
    assert printed(table, 60).splitlines() == [
        "Rates",
        "layer  number 0  number 1  number 2  number 3  number 4",
        "conv1    0.0000    0.1000    0.2000    0.3000    0.4000",
        "(continued)",
        "layer  number 5  number 6  number 7  number 8",
        "conv1    0.5000    0.6000    0.7000    0.8000",
    ]
    assert len(printed(table, 100).splitlines()) == 3


def test_the_summary_is_what_print_shows(report):
    text = str(report)
    assert text == summary(report)
    assert len(text.splitlines()) < 30
    assert shown(report.totals.energy_pj, "joules") in text
    assert "Not spike-driven: 9 of 15 weight layers" in text
    assert "Weight layers, per sample" not in text
    assert len(repr(report).splitlines()) == 1


def test_warnings_stand_above_the_numbers():
    import torch

    from tests.analysis.random_reports import FREE

    layer = torch.nn.Linear(2, 2)
    layer.weight.data.fill_(float("nan"))
    report = analysis.analyze(layer, [torch.ones(1, 2)], steps=1, technology=FREE)
    assert report.run.warnings
    assert str(report).startswith("warning: ")


def test_what_was_asked_for_stands_above_the_tables(entry_point):
    done = entry_point("gac-analyze", main)("--samples", "4", "--ann", "0.5")
    places = [done.stdout.index(words) for words in (
        "energy  ", "ReLU, dense", "Weight layers, per sample", "Conventions side by side",
    )]  # fmt: skip
    assert places == sorted(places)


def test_a_section_is_printed_at_80_columns_without_losing_a_column(report):
    console = Console(width=80, file=io.StringIO())
    print_report(report, console)
    text = console.file.getvalue()
    for heading in (
        "reads",
        "in_rate",
        "dense MACs",
        "share",
        "folk",
        "eq17-upstream",
        "stem; gate",
    ):
        assert heading in text
    for table in counterpart_section(report).tables:
        assert all(column.heading in printed(table, 80) for column in table.columns)
