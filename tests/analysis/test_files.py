"""Every file of a report says the same numbers as report.json."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess

import pytest

import analysis
from analysis.energy.conventions import PRESETS, rules
from analysis.reporting import folder as folders
from analysis.reporting.bibliography import bibtex, keys
from analysis.reporting.folder import write_report
from analysis.reporting.latex import latex_paragraph
from analysis.reporting.method import PHRASES, PLAIN, paragraph
from tests.analysis.reports import shipped_report

PREFIX = {"p": 1e-12, "n": 1e-9, "µ": 1e-6, "m": 1e-3, "": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}


@pytest.fixture(scope="module")
def report():
    return shipped_report()


@pytest.fixture(scope="module")
def folder(report, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    write_report(report, folder)
    return folder


def plain(text):
    """A number with a prefix and a unit, in joules where it is an energy."""
    number, _, unit = text.partition(" ")
    return float(number.replace(",", "")) * PREFIX[unit.removesuffix("J")]


def markdown_rows(text, first_heading):
    lines = text.split(f"| {first_heading} |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("| ").split("|")] for line in lines]


def test_csv_files_hold_the_numbers_of_the_json(report, folder):
    again = analysis.read_report(folder / "report.json")
    sites = list(csv.DictReader(io.StringIO((folder / "sites.csv").read_text())))
    assert [float(row["energy_pj"]) for row in sites] == list(again.sites.energy_pj)
    assert {row["data"] for row in sites} == {"digits_test, 12 of 360 samples"}
    neurons = list(csv.DictReader(io.StringIO((folder / "neurons.csv").read_text())))
    assert [float(row["firing_rate"]) for row in neurons] == list(again.neurons.firing_rate)
    steps = list(csv.DictReader(io.StringIO((folder / "steps.csv").read_text())))
    spikes = sum(int(row["total_spikes"]) for row in steps if row["total_spikes"])
    assert spikes == sum(neuron.spikes for neuron in again.run.neurons)


def test_markdown_holds_the_numbers_of_the_json(folder):
    table = json.loads((folder / "report.json").read_text())
    rows = markdown_rows((folder / "report.md").read_text(), "convention")
    assert [row[0] for row in rows] == [entry["convention"] for entry in table["conventions"]]
    for row, entry in zip(rows, table["conventions"], strict=True):
        assert plain(row[3]) == pytest.approx(entry["energy_pj"] * 1e-12, rel=5e-4)
        assert plain(row[1]) == pytest.approx(entry["acs"], rel=5e-3)
        assert plain(row[2]) == pytest.approx(entry["macs"], rel=5e-3)


def latex_numbers(text, label):
    body = text.split(rf"\label{{tab:{label}}}", 1)[1].split(r"\end{tabular}", 1)[0]
    head, rows = body.split(r"\midrule", 1)
    units = re.findall(r"\((?:\$\\mu\$J|[a-zA-Z]+)\)", head.splitlines()[-2])
    lines = rows.split(r"\bottomrule")[0].strip().splitlines()
    return units, [[cell.strip() for cell in line.rstrip("\\ ").split("&")] for line in lines]


def test_latex_holds_the_numbers_of_the_json(folder):
    table = json.loads((folder / "report.json").read_text())
    units, rows = latex_numbers((folder / "report.tex").read_text(), "conventions")
    assert units == ["(M)", "(M)", r"($\mu$J)", "(M)"]
    for row, entry in zip(rows, table["conventions"], strict=True):
        assert float(row[1]) * 1e6 == pytest.approx(entry["acs"], rel=5e-4)
        assert float(row[2]) * 1e6 == pytest.approx(entry["macs"], rel=5e-4)
        assert float(row[3]) * 1e6 == pytest.approx(entry["energy_pj"], rel=5e-4)


def test_the_page_holds_the_full_numbers_of_the_json(folder):
    table = json.loads((folder / "report.json").read_text())
    page = (folder / "report.html").read_text()
    body = page.split('id="t-conventions"', 1)[1].split("</tbody>", 1)[0]
    values = [float(v) for v in re.findall(r'data-v="([^"]+)"', body)]
    for entry in table["conventions"]:
        assert {entry["acs"], entry["macs"], entry["energy_pj"]} <= set(values)


def test_texts_from_outside_stay_texts(folder):
    page = (folder / "report.html").read_text()
    assert "small &lt;net&gt; &amp; friends" in page
    assert "<tag>" not in page
    assert r"digits\_test" in (folder / "report.tex").read_text()
    assert r"digits\_test" in (folder / "report.md").read_text()


@pytest.mark.parametrize("engine", ["pdflatex"])
def test_latex_compiles(folder, tmp_path, engine):
    program = shutil.which(engine)
    if program is None:
        pytest.skip(f"{engine} is not installed")
    for name in ("report.tex", "references.bib"):
        shutil.copy(folder / name, tmp_path)
    (tmp_path / "paper.tex").write_text(
        "\\documentclass{article}\\usepackage[margin=1cm,landscape]{geometry}"
        "\\usepackage{booktabs}\\begin{document}\\small\\input{report}\\end{document}\n"
    )
    command = [program, "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "paper.pdf").read_bytes().startswith(b"%PDF")


def test_every_value_of_every_field_has_its_phrase():
    assert set(PHRASES) == {(field, value) for field, known in rules().items() for value in known}


@pytest.mark.parametrize("name", PRESETS)
def test_the_paragraph_says_what_was_used(report, name):
    other = report.under(name)
    text = paragraph(other, PLAIN)
    assert f"convention {name}" in text
    assert "E = E_MAC x MACs + E_AC x ACs, with E_MAC = 4.6 pJ and E_AC = 0.9 pJ" in text
    for field in ("stem", "spike", "real"):
        assert PHRASES[field, getattr(other.convention, field)] in text
    assert "memory traffic" in text


def test_a_price_that_is_missing_makes_a_lower_bound(report):
    text = paragraph(report.under("operand", "loihi"), PLAIN)
    assert "E = E_AC x ACs, with E_AC = 23.6 pJ" in text
    assert "a lower bound" in text
    assert "at least" in text


def test_neuron_updates_are_in_the_formula_where_they_are_charged(report):
    assert "E_update" not in paragraph(report.under("operand", "loihi"), PLAIN)
    charged = report.under("operand, elementwise included", "loihi")
    assert "E_AC x ACs + E_update x updates" in paragraph(charged, PLAIN)


def test_every_citation_has_its_entry(report):
    text = latex_paragraph(report)
    cited = {key for found in re.findall(r"\\cite\{([^}]+)\}", text) for key in found.split(",")}
    entries = set(re.findall(r"^@\w+\{([^,]+),", bibtex(report), re.MULTILINE))
    assert {"gacenergy", "horowitz2014computing"} <= cited <= entries
    assert entries == set(keys(report))
    assert {"qiu2024gac", "yao2023attention", "zhou2023spikformer"} <= entries


def test_every_source_that_a_section_names_has_its_entry(report):
    from analysis.cli.present import _literature
    from analysis.reporting.energy_sections import memory_section

    for section in (memory_section(report), _literature()):
        assert section.cites
        text = bibtex(report, section.cites)
        assert all(f"{{{key}," in text for key in section.cites)


@pytest.mark.parametrize(
    ("call", "trouble", "told"),
    [
        ("write_text", OSError(28, "No space left on device"), analysis.InputError),
        ("replace", KeyboardInterrupt(), KeyboardInterrupt),
    ],
    ids=["full disk", "Ctrl-C"],
)
def test_trouble_while_writing_leaves_the_old_page(
    call, trouble, told, report, folder, monkeypatch
):
    from pathlib import Path

    from analysis.reporting.html.page import write_html

    before = (folder / "report.html").read_text()

    def fails(*_args, **_kwargs):
        raise trouble

    monkeypatch.setattr(Path, call, fails)
    with pytest.raises(told, match="No space left" if told is analysis.InputError else None):
        write_html(report, folder / "report.html")
    monkeypatch.undo()
    assert (folder / "report.html").read_text() == before
    assert not list(folder.glob(".*"))


def test_the_page_is_written_last(tmp_path, monkeypatch):
    there = []
    write = folders.write_html

    def noting(report, path, more=()):
        there.extend(file.name for file in tmp_path.iterdir())
        write(report, path, more)

    monkeypatch.setattr(folders, "write_html", noting)
    written = write_report(shipped_report(), tmp_path)
    assert {file.name for file in written} - {*there} == {"report.html"}
