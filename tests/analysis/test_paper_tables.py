"""The tables of a paper: what stands in them, and that they fit a page of two columns."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import replace

import pandas as pd
import pytest
import torch
from torch import nn

import analysis
from analysis.reporting.compare import methods
from analysis.reporting.comparison import Comparison
from analysis.reporting.latex import latex_table
from analysis.reporting.tables import Column, Spread, Table
from tests.analysis.reports import as_large_network, shipped_report

MOST = 5.0  # points that a line may stand out

ARTICLE = r"""\documentclass[twocolumn]{article}
\usepackage{booktabs}
\begin{document}
Words before. \input{%s}
\end{document}
"""


def compiled(folder, name):
    """What pdflatex says of a file of tables in an article of two columns."""
    program = shutil.which("pdflatex")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("continuous integration needs pdflatex: .ci/run installs it")
        pytest.skip("pdflatex is not installed")
    (folder / "paper.tex").write_text(ARTICLE % name)
    command = [program, "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    said = done.stdout.decode(errors="replace")
    assert done.returncode == 0, said[-2000:]
    return said


def assert_it_fits(said):
    wide = re.findall(r"Overfull \\[hv]box \(([\d.]+)pt too (?:wide|high)", said)
    assert [points for points in wide if float(points) > MOST] == []
    assert "Float too large" not in said


def linear(wide, rate, **settings):
    """A layer from 10 inputs to ``wide``, of which a share spike, on 10 samples."""
    x = torch.zeros(10, 10)
    x[:, : round(10 * rate)] = 1.0
    return analysis.analyze(nn.Linear(10, wide, bias=False), [x], steps=1, **settings)


@pytest.fixture(scope="module")
def runs():
    return [shipped_report(seed, training_seed=seed) for seed in range(2)]


@pytest.mark.slow
def test_every_table_of_a_report_fits_two_columns(runs, tmp_path):
    runs[0].save(tmp_path)
    assert_it_fits(compiled(tmp_path, "report"))


@pytest.mark.slow
def test_a_network_of_hundreds_of_layers_fits_as_well(runs, tmp_path):
    as_large_network(runs[0], 8).to_latex(tmp_path / "report.tex")
    assert_it_fits(compiled(tmp_path, "report"))


@pytest.mark.slow
def test_a_comparison_fits_two_columns(runs, tmp_path):
    rows = {"ours (GAC, 1-1-1)": runs, "direct coding, as published": runs[1], "SEW": runs[0]}
    found = analysis.compare(rows, baseline="SEW", zeros=0.5)
    found.save(tmp_path)
    assert_it_fits(compiled(tmp_path, "comparison"))


def test_a_comparison_says_what_a_paper_says():
    # 10 inputs of which 2 or 5 spike, each meets 10 weights: 20 and 50 ACs of 0.9 pJ
    found = analysis.compare({"ours": linear(10, 0.2), "dense": linear(10, 0.5)}, baseline="dense",
                             zeros=0)  # fmt: skip
    ours = found.frame.set_index("method").loc["ours"]
    assert (ours.acs, ours.macs, ours.steps) == (20, 0, 1)
    assert ours.energy_pj == pytest.approx(18)
    assert ours.to_baseline == pytest.approx(18 / 45)
    assert ours.to_ann_image == pytest.approx(18 / (100 * 4.6))  # 100 MACs of 4.6 pJ
    assert found.frame.to_baseline.tolist()[1] == 1
    headings = [column.heading for column in found.table.columns]
    assert headings == [
        "method", "data", "parameters", "T", "accuracy", "firing rate", "ACs", "MACs", "energy",
        "to baseline", "to ANN",
    ]  # fmt: skip


def test_runs_of_one_row_are_its_training_seeds():
    found = analysis.compare({"ours": [linear(10, 0.2), linear(10, 0.4)], "one": linear(10, 0.5)})
    ours = found.frame.set_index("method").loc["ours"]
    assert (ours.runs, ours.acs) == (2, 30)
    assert ours["acs deviation"] == pytest.approx(200**0.5)  # of 20 and 40
    assert pd.isna(found.frame["acs deviation"][1])


def test_all_rows_are_priced_like_the_first():
    rows = {"one": linear(10, 0.5), "two": linear(10, 0.5).under("all-ac", "loihi")}
    assert len(set(analysis.compare(rows).frame.energy_pj)) == 1


@pytest.mark.parametrize(
    ("reports", "options", "message"),
    [
        ({}, {}, "nothing to compare"),
        ([], {}, "nothing to compare"),
        ({"a": []}, {}, "row 'a': expected one report or several of one T, got no report"),
        ({"a": "report"}, {"baseline": "b"}, "unknown baseline 'b'; rows: 'a'"),
        ({"a": "report"}, {"zeros": 2.0}, "a share of zero activations from 0 to 1, got 2.0"),
    ],
)
def test_what_cannot_be_compared_gets_one_line(reports, options, message):
    if isinstance(reports, dict):
        reports = {n: linear(2, 0.5) if r == "report" else r for n, r in reports.items()}
    with pytest.raises(analysis.InputError, match=re.escape(message)):
        _ = analysis.compare(reports, **options).table


def test_what_has_no_price_is_a_lower_bound_without_a_ratio():
    image = analysis.analyze(nn.Linear(3, 2), [torch.rand(4, 3)], steps=1, technology="loihi")
    assert image.energy.unpriced == ("mac",)
    found = analysis.compare({"a": image, "b": image}, baseline="b", zeros=0)
    assert found.frame.to_baseline.isna().all()
    assert "≥" in str(found)


def test_a_comparison_prints_shows_and_saves_the_same_rows(tmp_path):
    found = analysis.compare({"ours": linear(10, 0.2), "a <b> & c": linear(10, 0.5)})
    assert str(found).splitlines()[1].startswith("method")
    assert "18.00 pJ" in str(found)
    assert "a &lt;b&gt; &amp; c" in found._repr_html_()
    written = {file.name for file in found.save(tmp_path)}
    assert written == {"comparison.html", "comparison.md", "comparison.tex", "comparison.csv",
                       "comparison-energies.csv"}  # fmt: skip
    frame = pd.read_csv(tmp_path / "comparison.csv")
    assert frame.energy_pj.tolist() == found.frame.energy_pj.tolist()
    page = (tmp_path / "comparison.html").read_text()
    assert "<h1>Methods compared</h1>" in page
    assert 'data-v="18.0"' in page
    for write, name in (
        (found.to_html, "html"),
        (found.to_markdown, "md"),
        (found.to_latex, "tex"),
    ):
        write(tmp_path / f"again.{name}")
        text = (tmp_path / f"again.{name}").read_text()
        assert text == (tmp_path / f"comparison.{name}").read_text()


def test_refused_conventions_and_guesses_stay_out_of_a_paper():
    torch.manual_seed(0)
    report = analysis.analyze(nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2)),
                              [torch.randn(3, 4)], steps=1)  # fmt: skip
    assert {site.role_source for site in report.run.sites} == {"guess"}
    from analysis.reporting.latex import latex

    text = latex(report)
    for body in re.findall(r"\\midrule(.*?)\\bottomrule", text, re.DOTALL):
        assert "?" not in body
        assert "refused" not in body


def numbers(width, rows=1):
    columns = tuple(Column(name=f"c{n}", heading=f"column {n}", kind="rate") for n in range(width))
    first = Column(name="layer", heading="layer")
    return Table(name="t", title="T", columns=(first, *columns),
                 rows=tuple((f"row {n}", *range(width)) for n in range(rows)))  # fmt: skip


@pytest.mark.parametrize(
    ("table", "kinds"),
    [(numbers(3), ["table"]), (numbers(8), ["table*"]), (numbers(15), ["table*", "table*"])],
)
def test_a_table_takes_one_column_both_or_several_parts(table, kinds):
    text = latex_table(table)
    assert re.findall(r"\\begin\{(table\*?)\}", text) == kinds
    assert text.count("row 0 &") == len(kinds)  # the first column stands in every part
    for place in range(len(table.columns) - 1):
        assert text.count(f"column {place} ") + text.count(f"column {place}\n") >= 1


def test_a_long_table_is_broken_into_pages_with_their_own_labels():
    text = latex_table(numbers(2, rows=100))
    assert re.findall(r"\\label\{(.*?)\}", text) == ["tab:t", "tab:t-2", "tab:t-3"]
    assert text.count(r"\toprule") == 3
    assert all(f"row {n} &" in text for n in range(100))


def test_reports_without_names_are_rows_as_on_the_command_line(runs):
    found = analysis.compare([runs[0], replace(runs[1], convention=runs[0].convention)])
    assert found.methods == methods(runs)
    assert isinstance(found, Comparison)


def test_the_command_line_compares_to_a_baseline_and_to_relus(runs, entry_point, tmp_path):
    from analysis.cli.analyze import main

    files = [tmp_path / f"{name}.json" for name in ("ours", "base")]
    runs[0].to_json(files[0])
    linear(10, 0.5).to_json(files[1])
    call = entry_point("gac-analyze", main)
    done = call(*files, "--baseline", files[1], "--ann", "0.5", "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "to baseline" in done.stdout
    frame = pd.read_csv(tmp_path / "out" / "comparison.csv")
    ratio = runs[0].totals.energy_pj / linear(10, 0.5).totals.energy_pj
    assert frame.to_baseline.tolist() == pytest.approx([ratio, 1])
    assert frame.to_ann_image.notna().all()
    assert "to baseline" in (tmp_path / "out" / "comparison.html").read_text()
    for arguments, message in (
        ((*files, "--baseline", "other.json"), "--baseline other.json is none of the inputs"),
        ((files[0], "--baseline", files[0]), "--baseline needs several inputs"),
    ):
        done = call(*arguments)
        assert done.returncode == 2
        assert message in done.stderr


def test_a_deviation_has_the_decimals_of_its_mean():
    columns = (Column(name="m", heading="method"), Column(name="a", heading="ACs", kind="count"),
               Column(name="p", heading="accuracy", kind="percent"))  # fmt: skip
    rows = (("ours", Spread(10.41e6, 4.4), Spread(0.9956, 0.00149)),)
    text = latex_table(Table(name="t", title="T", columns=columns, rows=rows))
    assert r"ours & 10.41 $\pm$ 0.00 & 99.56 $\pm$ 0.15 \\" in text
