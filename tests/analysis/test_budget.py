"""Budgets: what is kept passes, what is broken on purpose fails and names the layer."""

from __future__ import annotations

import copy
from xml.etree import ElementTree as ET

import pytest
import torch
from torch import nn

import analysis
import gac
from analysis.reporting.budgets.budget import Limit, read_budget
from analysis.reporting.budgets.check import check
from analysis.reporting.budgets.outputs import broken_table, github_annotations, junit_xml
from analysis.reporting.budgets.write import write_budget
from analysis.reporting.terminal import plain_text
from gac.checkpoint import shipped_checkpoint

NAME = "stages.1.0.neuron1"


@pytest.fixture(scope="module")
def model():
    return gac.load(shipped_checkpoint()).model


def analysed(model):
    images = torch.rand(6, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    facts = {"data": "noise, 6 samples"}
    return analysis.analyze(model, [(images, torch.zeros(6, dtype=torch.long))], provenance=facts)


@pytest.fixture(scope="module")
def report(model):
    return analysed(model)


@pytest.fixture
def budget(report, tmp_path):
    write_budget(report, tmp_path / "budget.toml", "5%")
    return tmp_path / "budget.toml"


def broken(report, path):
    return [finding for finding in check(report, read_budget(path)) if finding.broken]


def test_a_report_keeps_the_budget_written_from_it(report, budget):
    findings = check(report, read_budget(budget))
    assert len(findings) > 30
    assert not [finding for finding in findings if finding.broken]
    assert {"total", "stages.0.0.conv1", NAME} <= {finding.where for finding in findings}


def test_the_limits_are_the_margin_around_what_was_measured(report, budget):
    limit = read_budget(budget).total["energy_pj"]
    measured = report.totals.energy_pj
    assert limit.min == pytest.approx(0.95 * measured, rel=1e-3)
    assert limit.min <= 0.95 * measured
    assert limit.max == pytest.approx(1.05 * measured, rel=1e-3)
    assert limit.max >= 1.05 * measured


def test_weights_scaled_up_break_the_rate_of_the_layer_that_reads_them(model, budget):
    wild = copy.deepcopy(model)
    with torch.no_grad():
        wild.get_submodule("stages.1.0").norm1.weight.mul_(3)  # current into its second neurons
    found = broken(analysed(wild), budget)
    high = {f.where: f for f in found if f.quantity == "firing_rate" and f.off > 0}
    assert "stages.1.0.neuron2" in high
    assert not any(f.where.startswith("stages.0") for f in found)  # what comes before is healthy
    table = plain_text(broken_table(found))
    assert "stages.1.0.neuron2" in table
    assert "firing_rate" in table


def test_a_silenced_layer_breaks_its_lower_limit(model, budget):
    silent = copy.deepcopy(model)
    with torch.no_grad():
        silent.get_submodule("stages.1.0").norm1.weight.zero_()
        silent.get_submodule("stages.1.0").norm1.bias.zero_()
    found = broken(analysed(silent), budget)
    low = {f.where: f for f in found if f.quantity == "firing_rate" and f.off < 0}
    assert low["stages.1.0.neuron2"].value == 0
    assert "below the minimum" in low["stages.1.0.neuron2"].sentence()


def test_limits_hold_at_their_ends_and_not_beyond(report, tmp_path):
    acs = float(report.totals.acs)
    for name, text, is_broken in (
        ("at", f"min = {acs!r}, max = {acs!r}", False),
        ("above", f"max = {acs * (1 - 1e-9)!r}", True),
        ("below", f"min = {acs * (1 + 1e-9)!r}", True),
    ):
        (tmp_path / name).write_text(f"schema = 1\n[total]\nacs = {{ {text} }}\n")
        assert bool(broken(report, tmp_path / name)) is is_broken, name


def test_energy_is_limited_under_the_convention_that_is_named(report, tmp_path):
    pj = float(report.under("eq17").totals.energy_pj)
    path = tmp_path / "budget.toml"
    path.write_text(f"schema = 1\n[conventions.eq17]\nenergy_pj = {{ max = {pj * 0.5!r} }}\n")
    (finding,) = broken(report, path)
    assert (finding.where, finding.value) == ("total, eq17", pj)
    path.write_text(f'schema = 1\nconvention = "eq17"\n[total]\nenergy_pj = {{ min = {pj!r} }}\n')
    assert not broken(report, path)


def test_a_pattern_holds_every_layer_it_fits(report, tmp_path):
    path = tmp_path / "budget.toml"
    path.write_text('schema = 1\n[layers."stages.*.neuron?"]\nfiring_rate = { max = 0.0 }\n')
    fitting = [n for n in report.neurons.site if n.startswith("stages.")]
    checked = check(report, read_budget(path))
    assert [finding.where for finding in checked] == fitting


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "schema"),
        ("schema = 2\n[total]\nacs = { max = 1 }", "schema: Input should be 1, got 2"),
        ("schema = 1", "no limits; give some in"),
        ("schema = 1\nlimits = 3", "limits: unknown key; known: schema, convention"),
        ("schema = 1\n[total]\nwatts = { max = 1 }", "total.watts: unknown quantity; known: acc"),
        ("schema = 1\n[total]\nacs = 3", "total.acs: expected a table such as { max = 1 }, got 3"),
        ("schema = 1\n[total]\nacs = { most = 3 }", "total.acs.most: unknown key; known: min, max"),
        ("schema = 1\n[total]\nacs = { max = 'a' }", "total.acs.max: Input should be a valid num"),
        ("schema = 1\n[total]\nacs = { max = nan }", "total.acs: min and max must be numbers of"),
        ("schema = 1\n[total]\nacs = { max = -1 }", "total.acs: min and max must be numbers of"),
        ("schema = 1\n[total]\nacs = { min = 2, max = 1 }", "total.acs: min is above max"),
        ("schema = 1\n[total]\nacs = {}", "total.acs: give min, max or both"),
        ("schema = 1\n[total\n", "not TOML"),
        ('schema = 1\n[layers."x"]\npower = { max = 1 }', "layers.x.power: unknown quantity; kno"),
    ],
)
def test_a_bad_budget_file_gets_one_line(text, message, tmp_path):
    (tmp_path / "budget.toml").write_text(text)
    with pytest.raises(analysis.InputError) as error:
        read_budget(tmp_path / "budget.toml")
    assert message in str(error.value)
    assert str(error.value).startswith(str(tmp_path / "budget.toml"))
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[layers."stages.9.*"]\nfiring_rate = { max = 1 }', "'stages.9.*' of the budget fits no"),
        ('[layers."head"]\nfiring_rate = { max = 1 }', "fits no layer with firing_rate; those are"),
        ("[conventions.guess]\nacs = { max = 1 }", "unknown convention 'guess'"),
        ('[total]\nacs = { max = 1 }\n[layers."*.x"]\nacs = { max = 1 }', "fits no layer with acs"),
    ],
)
def test_a_budget_that_does_not_fit_the_network_is_an_error(report, text, message, tmp_path):
    (tmp_path / "budget.toml").write_text(f"schema = 1\n{text}\n")
    with pytest.raises(analysis.InputError, match=r"\A[^\n]*\Z") as error:
        check(report, read_budget(tmp_path / "budget.toml"))
    assert message in str(error.value)


def test_a_budget_for_other_data_is_refused(report, budget):
    budget.write_text(budget.read_text().replace("noise, 6 samples", "digits test, 360 samples"))
    with pytest.raises(analysis.InputError, match="is for 'digits test, 360 samples', the run was"):
        check(report, read_budget(budget))


def test_a_missing_budget_says_how_to_write_one(tmp_path):
    with pytest.raises(analysis.InputError, match="no such budget; write one with gac-analyze"):
        read_budget(tmp_path / "budget.toml")


@pytest.mark.parametrize("margin", ["-1%", "100%", "much", "nan"])
def test_a_margin_is_a_share(report, margin, tmp_path):
    with pytest.raises(analysis.InputError, match="a margin is a share"):
        write_budget(report, tmp_path / "budget.toml", margin)
    assert not list(tmp_path.iterdir())


def test_accuracy_that_was_not_measured_cannot_be_limited(tmp_path):
    (tmp_path / "budget.toml").write_text("schema = 1\n[total]\naccuracy = { min = 0.9 }\n")
    plain = analysis.analyze(nn.Linear(2, 2), [torch.ones(1, 2)], steps=1)
    with pytest.raises(analysis.InputError, match="limits accuracy, but this run has none"):
        check(plain, read_budget(tmp_path / "budget.toml"))


def test_junit_and_annotations_name_the_layer_and_the_line(report, budget):
    text = budget.read_text()
    head, mark, tail = text.partition(f'[layers."{NAME}"]\n')
    rate, rest = tail.split("\n", 1)
    budget.write_text(f"{head}{mark}firing_rate = {{ max = 0.0001 }}\n{rest}")
    findings = check(report, read_budget(budget))
    suite = ET.fromstring(junit_xml(findings, "budget.toml")).find("testsuite")  # noqa: S314
    assert int(suite.get("tests")) == len(findings) == len(suite.findall("testcase"))
    failed = [case for case in suite.findall("testcase") if case.find("failure") is not None]
    assert [(case.get("classname"), case.get("name")) for case in failed] == [(NAME, "firing_rate")]
    (line,) = github_annotations(findings, budget)
    number = text[: text.index(rate)].count("\n") + 1
    assert f",line={number},title=Budget broken::{NAME}: firing_rate" in line
    assert "%25)" in line  # workflow commands need % escaped


def test_a_limit_shows_as_the_file_has_it():
    assert str(Limit(min=1.0)) == "min 1"


HAND_MADE = """# agreed with the hardware group in May
schema = 1
convention = "operand"
margin = "5%"

[total]
energy_pj = { max = 1e3 } # the battery

[conventions.eq17]
macs = { min = 1.0, max = 2.0 }

[layers."stages.*.neuron?"] # all of them alike
firing_rate = { max = 0.9 }

[layers.head]
synops = { min = 1.0, max = 2.0 }

[layers.gone]
synops = { max = 2.0 }
"""


def test_a_budget_written_anew_keeps_what_people_put_into_it(report, tmp_path):
    path = tmp_path / "budget.toml"
    path.write_text(HAND_MADE)
    changes = {change.place: change for change in write_budget(report, path, "10%")}
    text, budget = path.read_text(), read_budget(path)
    assert "# agreed with the hardware group in May" in text
    assert "# the battery" in text
    assert list(budget.total) == ["energy_pj"]  # what was taken out stays out
    assert budget.total["energy_pj"].min is None
    assert budget.total["energy_pj"].max == pytest.approx(1.1 * report.totals.energy_pj, rel=1e-3)
    macs = report.under("eq17").totals.macs
    assert budget.conventions["eq17"]["macs"].max == pytest.approx(1.1 * macs, rel=1e-3)
    assert budget.layers["stages.*.neuron?"] == {"firing_rate": Limit(max=0.9)}
    assert "gone" not in budget.layers
    assert "encoder.stem.conv" in budget.layers
    assert NAME not in budget.layers  # a pattern is about it
    assert changes["total.energy_pj.max"].before == "1000"
    assert changes["layers.gone.synops.max"].now is None
    assert changes["margin"].now == "10%"
    assert "layers.stages.*.neuron?.firing_rate.max" not in changes
    assert not [f for f in check(report, budget) if f.broken]
    assert write_budget(report, path, "10%") == ()
    assert path.read_text() == text
