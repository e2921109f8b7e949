from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pandas as pd
import pydantic
import pytest
import torch

import analysis
import gac
from analysis.energy.conventions import PRESETS, convention
from analysis.energy.early import up_to
from analysis.reporting import report_tables, writers
from analysis.reporting.summary import print_report

SCHEMA_FILE = Path(writers.__file__).with_name("report.schema.json")


@pytest.fixture(scope="module")
def report():
    torch.manual_seed(0)
    model = gac.build("msresnet8", steps=2)
    batches = [(torch.randn(n, 3, 8, 8), torch.zeros(n, dtype=torch.long)) for n in (3, 2)]
    return analysis.analyze(model, batches, per_sample=True, provenance={"model": "small"})


def test_a_report_survives_the_round_trip_through_json(report, tmp_path):
    report.to_json(tmp_path / "report.json")
    again = analysis.read_report(tmp_path / "report.json")
    assert again == report
    pd.testing.assert_frame_equal(again.sites, report.sites)
    pd.testing.assert_frame_equal(again.samples, report.samples)


def test_the_json_follows_the_committed_schema(report, tmp_path):
    report.to_json(tmp_path / "report.json")
    table = json.loads((tmp_path / "report.json").read_text())
    jsonschema.validate(table, json.loads(SCHEMA_FILE.read_text()))
    assert [entry["convention"] for entry in table["conventions"]] == [
        "operand",
        "operand-sparse",
        "operand-once",
        "eq17",
        "eq17-upstream",
        "eq17+dE",
        "sew-table",
        "all-ac",
        "folk",
    ]


@pytest.mark.skipif(
    tuple(map(int, pydantic.VERSION.split(".")[:2])) < (2, 14),
    reason="older pydantic leaves descriptions out of a schema",
)
def test_the_committed_schema_is_that_of_the_code():
    assert json.loads(SCHEMA_FILE.read_text()) == writers.json_schema()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a readable report"),
        ("[]", "expected a report of schema 2 or 1, got None"),
        ('{"schema": 3}', "expected a report of schema 2 or 1, got 3"),
        ('{"schema": 2}', "not a valid report: run: Field required"),
        ('{"schema": 1}', "not a valid report of schema 1: no 'run'"),
        ('{"schema": 1, "run": []}', "not a valid report of schema 1: list indices must be"),
    ],
)
def test_a_file_that_is_no_report_gets_one_line(text, message, tmp_path):
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(analysis.InputError, match=message):
        analysis.read_report(tmp_path / "report.json")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("samples",), 0, "at least 1 sample and 1 step, got 0 and 2"),
        (("steps",), 0, "at least 1 sample and 1 step, got 5 and 0"),
        (("sites", 0, "synops"), -5, "site encoder.stem.conv: a count is negative"),
        (("sites", 0, "nonzeros"), 10**9, "site encoder.stem.conv: 1000000000 non-zero inputs of"),
        (("sites", 0, "inside_macs"), 10**9, "1000000000 MACs inside of"),
        (("sites", 0, "executions"), -1.0, "site encoder.stem.conv: a count is negative"),
        (("sites", 0, "stands_for"), 3, "stands for 3 steps, expected 1 or 2"),
        (("sites", 0, "mixes_steps"), True, "mixes all steps, and stands for each of them"),
        (("sites", -1, "synops_by_step"), [0, 1], "counts of steps add up to 1, not to"),
        (("sites", -1, "nonzeros_by_step"), [0, 1], "counts of steps add up to 1, not to"),
        (("neurons", 0, "spikes_by_step"), [1], "counts of 1 steps, expected 2"),
        (("neurons", 0, "spikes_by_step"), [1, 0], "counts of steps add up to 1, not to"),
        (("neurons", 0, "spikes_by_step"), None, "not both known by step"),
        (("neurons", 0, "outputs_by_step"), [0, 1], "counts of steps add up to 1, not to"),
        (("neurons", 0, "neurons"), 0, "neuron layer encoder.neuron: 0 neurons"),
        (("neurons", 0, "spikes"), -1, "neuron layer encoder.neuron: -1 spikes"),
        (("neurons", 0, "outputs"), 3, "neuron layer encoder.neuron: 3 outputs of 1024 neurons"),
        (("elementwise", 0, "elements"), -1, "negative number of elements"),
        (("elementwise", 0, "stands_for"), 4, "stands for 4 steps, expected 1 or 2"),
        (("constants",), [{"key": {"name": "w"}, "macs": -1}], "constant w: negative number"),
        (("moments", "mean"), [1.0], "moments of"),
        (("moments", "scatter"), [[1.0]], "moments of"),
        (("moments", "mean", 0), float("nan"), "a moment is no number"),
        (("correct",), 6, "6 right answers of 5 samples"),
        (("labels",), [1], "1 labels of 5 samples"),
        (("per_sample", 0, "counts"), [[1, 2]], "1 rows, expected 5"),
    ],
)
def test_numbers_that_contradict_each_other_get_one_line(report, path, value, message, tmp_path):
    report.to_json(tmp_path / "report.json")
    table = json.loads((tmp_path / "report.json").read_text())
    *way, last = path
    place = table["run"]
    for step in way:
        place = place[step]
    place[last] = value
    (tmp_path / "report.json").write_text(json.dumps(table))
    with pytest.raises(analysis.InputError, match="its numbers don't fit together") as error:
        analysis.read_report(tmp_path / "report.json")
    assert message in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_pricing_again_needs_no_model_and_changes_no_count(report):
    other = report.under("eq17")
    assert other.run is report.run
    assert other.under("operand").totals.equals(report.totals)
    assert other.totals.energy_pj != report.totals.energy_pj


def test_the_sites_add_up_to_the_totals(report):
    for column in ("acs", "macs", "energy_pj"):
        assert report.sites[column].sum() == pytest.approx(report.totals[column], rel=1e-12)


def test_frames_show_what_stands_for_both_steps_at_each_of_them(report):
    stem, row = report.run.sites[0], report.sites.iloc[0]
    assert (stem.executions, stem.stands_for) == (row.executed_steps, row.repeats) == (1, 2)
    for count in ("dense_macs", "inside_macs", "synops"):
        assert row[count] == 2 * getattr(stem, count) / 5
    of_stem = report.steps[report.steps.site == stem.key.name]
    assert list(of_stem.total_synops) == [stem.synops, stem.synops]
    of_samples = report.samples.query("kind == 'site'").query(f"site == '{stem.key.name}'")
    by_step = of_samples.groupby("step")["count"].sum()
    assert by_step.to_dict() == {1: stem.synops, 2: stem.synops}


def test_the_parts_add_up_to_every_convention(report):
    frame = report.by_role()
    for rule, energy in report.side_by_side():
        part = frame[frame.convention == rule.name]
        assert part.energy_pj.sum() == pytest.approx(energy.energy_pj.value, rel=1e-12)
        assert part.left_out_macs.sum() == pytest.approx(energy.left_out_macs)
    names = ["stem", "temporal gate", "spatial gate", "gate product", "spiking", "shortcut"]
    assert list(frame.part.unique()) == [*names, "readout"]


def test_the_gate_product_is_two_multiplications_per_element_and_step(report):
    product = report.by_role().query("part == 'gate product' and convention == 'eq17+dE'")
    assert product.macs.item() == 2 * 2 * 16 * 8 * 8  # 2 steps, 16 x 8 x 8 elements


def test_a_difference_adds_up_to_the_totals(report):
    frame = report.difference("operand", "folk")
    both = [report.under(name).totals.energy_pj for name in ("operand", "folk")]
    assert frame.energy_pj.sum() == pytest.approx(both[1] - both[0])
    assert list(frame.columns) == ["field", "before", "after", "acs", "macs", "energy_pj"]


@pytest.mark.parametrize("name", PRESETS)
def test_the_samples_energy_adds_up_to_the_total(report, name):
    energy = report.under(name).sample_energy().energy_pj
    assert energy.mean() == pytest.approx(report.under(name).totals.energy_pj, rel=1e-12)


def test_the_energy_of_a_sample_is_that_of_running_it_alone():
    torch.manual_seed(0)
    layer, x = torch.nn.Linear(4, 3, bias=False), torch.randn(3, 4).relu()
    together = analysis.analyze(layer, [x], steps=1, per_sample=True, convention="operand-sparse")
    alone = [
        analysis.analyze(layer, [x[i : i + 1]], steps=1, convention="operand-sparse")
        for i in range(3)
    ]
    expected = [report.totals.energy_pj for report in alone]
    assert together.sample_energy().energy_pj.tolist() == pytest.approx(expected)


def test_what_needs_levels_is_refused_by_sample_and_by_step():
    batch = torch.tensor([[0.0, 1.0, 3.0]])
    rule = convention("operand", graded="repeat-ac")
    layer = torch.nn.Linear(3, 3, bias=False)
    report = analysis.analyze(
        layer, [batch], steps=1, per_sample=True, levels=True, convention=rule
    )
    assert report.totals.acs == 12  # units of 1 and 3, each meets 3 weights
    with pytest.raises(analysis.InputError, match="does not keep per sample"):
        report.sample_energy()
    with pytest.raises(analysis.InputError, match="does not keep by step"):
        _ = report.curve


def test_samples_are_grouped_by_class_and_by_answer(report):
    samples = report.sample_energy()
    assert list(samples.columns) == ["sample", "energy_pj", "label", "predicted", "correct"]
    for by in ("label", "predicted", "correct"):
        groups = report.sample_groups(by)
        assert groups.samples.sum() == report.run.samples
        mean = (groups.samples * groups.energy_pj).sum() / report.run.samples
        assert mean == pytest.approx(samples.energy_pj.mean())
        assert (groups.energy_pj_min <= groups.energy_pj).all()
    (everything,) = report.sample_groups("label").itertuples()
    total = report.totals
    assert everything.energy_pj_low == pytest.approx(total.energy_pj_low, rel=1e-9)
    assert everything.energy_pj_high == pytest.approx(total.energy_pj_high, rel=1e-9)


def test_a_group_of_one_sample_has_no_interval():
    batch = (torch.eye(2), torch.tensor([0, 1]))
    report = analysis.analyze(torch.nn.Linear(2, 2), [batch], steps=1, per_sample=True)
    assert report.sample_groups("label").energy_pj_low.isna().all()


def test_samples_without_labels_have_no_groups():
    report = analysis.analyze(torch.nn.Linear(1, 1), [torch.ones(1, 1)], steps=1, per_sample=True)
    with pytest.raises(analysis.InputError, match="had no labels"):
        report.sample_groups("label")


@pytest.mark.parametrize("name", PRESETS)
def test_the_curve_ends_at_the_total_and_never_falls(report, name):
    priced = report.under(name)
    curve, totals = priced.curve, priced.totals
    assert curve.step.tolist() == [1, 2]
    for column in ("acs", "macs", "energy_pj", "accuracy", "accuracy_low"):
        assert curve[column].iloc[-1] == pytest.approx(totals[column], rel=1e-12)
    assert curve.energy_pj.is_monotonic_increasing


def test_the_curve_by_hand():
    # 2 steps, a static input: dense MACs halve at step 1, once stays; spikes as they fell
    torch.manual_seed(0)
    model = gac.build("msresnet8", steps=2)
    report = analysis.analyze(model, [torch.randn(2, 3, 8, 8)])
    first = up_to(report.run, 1)
    for site, whole in zip(first.sites, report.run.sites, strict=True):
        if whole.mixes_steps:  # the temporal attention sees all steps at once
            assert site == whole
        elif whole.stands_for == 2:
            assert site == replace(whole, stands_for=1)
        else:
            assert site.synops == whole.synops_by_step[0]
            assert 2 * site.dense_macs == whole.dense_macs
    for neuron, whole in zip(first.neurons, report.run.neurons, strict=True):
        assert neuron.spikes == whole.spikes_by_step[0]
    once = report.under("operand-once")
    parts = once.by_role().query("convention == 'operand-once'").set_index("part").energy_pj
    assert once.curve.energy_pj[0] > parts["stem"] + parts["spatial gate"]
    assert up_to(report.run, 2) is report.run
    with pytest.raises(analysis.InputError, match="1 to 2 steps"):
        up_to(report.run, 3)


def test_samples_add_up_to_steps_and_sites(report):
    counts = report.samples.groupby(["kind", "site", "index", "call"])["count"].sum()
    for site in report.run.sites:
        key = ("site", site.key.name, site.key.index, site.key.call)
        assert counts[key] == site.stands_for * site.synops
    by_step = report.samples.query("kind == 'neuron'").groupby(["site", "step"])["count"].sum()
    frame = report.steps.query("kind == 'neuron'").set_index(["site", "step"]).total_spikes
    assert by_step.to_dict() == frame.to_dict()


def test_samples_that_were_not_kept_are_asked_for():
    report = analysis.analyze(torch.nn.Linear(1, 1), [torch.ones(1, 1)], steps=1)
    with pytest.raises(analysis.InputError, match="per_sample=True"):
        _ = report.samples


def test_a_folder_that_cannot_be_written_gets_one_line(report, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(analysis.InputError, match="can't make the folder"):
        report.to_json(tmp_path / "file" / "report.json")


@pytest.mark.parametrize("width", [60, 80, 160])
def test_the_summary_fits_the_terminal(report, width):
    from rich.console import Console

    console = Console(width=width, file=io.StringIO())
    print_report(report, console)
    text = console.file.getvalue()
    assert max(map(len, text.splitlines())) <= width
    headings = (
        "Not spike-driven",
        "Not in the total",
        "Conventions side by side",
        "Energy by part",
    )
    for heading in headings:
        assert heading in text


def test_a_model_without_neurons_has_no_firing_rate_and_no_interval_of_one():
    layer = torch.nn.Linear(2, 2)
    report = analysis.analyze(layer, [torch.randn(3, 2)], steps=1)
    assert report.totals[["firing_rate", "firing_rate_low", "firing_rate_high"]].isna().all()


def test_an_operation_of_the_model_itself_has_a_name_in_tables():
    report = analysis.analyze(torch.nn.Linear(2, 2), [torch.randn(3, 2)], steps=1)
    (row,) = report_tables.sites_table(report).rows
    assert row[0] == "(model)"


def test_a_convention_of_older_words_stands_once_among_all(report):
    older = replace(report, convention=replace(report.convention, source="older words"))
    names = [rule.name for rule, _ in older.side_by_side()]
    assert names.count("operand") == 1
    assert len(names) == len(PRESETS)
