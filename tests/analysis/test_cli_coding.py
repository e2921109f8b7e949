"""``gac-analyze --coding``: the code of a network as part of its report, and back from its file."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pandas as pd
import pytest
import torch

import analysis
import gac
from analysis.cli.analyze import main
from analysis.coding import frames
from analysis.reporting import writers
from gac.checkpoint import save_checkpoint, shipped_checkpoint
from gac.metadata import DataRecord, Metadata
from gac.training import fresh_model

SCHEMA = json.loads(Path(writers.__file__).with_name("report.schema.json").read_text())


@pytest.fixture
def run(entry_point):
    return entry_point("gac-analyze", main)


@pytest.fixture
def checkpoint(tmp_path):
    """A small untrained network in a file."""

    def write(**changes):
        config = gac.registry.architecture(
            "msresnet8",
            stem_width=4,
            widths=(4,),
            blocks=(1,),
            strides=(1,),
            image_size=8,
            **changes,
        )
        how = gac.data.preprocessing_for("digits", config)
        about = Metadata(
            preprocessing=how, data=DataRecord(name="digits", split="", seed=0), metrics={}
        )
        save_checkpoint(tmp_path / "net.pth", fresh_model(config, 1), about)
        return tmp_path / "net.pth"

    return write


def test_the_section_stands_in_every_form_of_the_report_and_says_whose_it_is(run, tmp_path):
    status, out, err = run("--samples", 100, "--coding", "--output", tmp_path)
    assert (status, err) == (0, "")
    page, text = ((tmp_path / f"report.{kind}").read_text() for kind in ("html", "md"))
    for form in (out, page, text):
        words = " ".join(form.split())
        assert "our reconstruction" in words
        assert "spikes that meet a closed gate" in words
        assert "linear read-out" in words
    table = json.loads((tmp_path / "report.json").read_text())
    jsonschema.validate(table, SCHEMA)
    report = analysis.read_report(tmp_path / "report.json")
    assert report.coding.encoder == "gac"
    assert (report.coding.samples, report.coding.steps, report.coding.layer) == (100, 4, 4096)
    assert report.under("eq17").coding == report.coding
    report.to_json(tmp_path / "again.json")
    assert analysis.read_report(tmp_path / "again.json") == report
    frame = pd.read_csv(tmp_path / "coding.csv")
    network = frame[frame.quantity == "network_accuracy"]
    assert network.value.tolist() == pytest.approx(report.curve.accuracy.tolist())
    assert set(frames.COLUMNS) < set(frame.columns)
    bits = frame.set_index("quantity").value["image_information"]
    pj = report.sites[report.sites.site.str.startswith("encoder.")].energy_pj.sum()
    per_pj = frame.set_index("quantity").value["information_per_pj"]
    assert per_pj == pytest.approx(bits * 4096 / pj)


def test_the_code_in_the_report_is_that_of_the_network(run, tmp_path):
    run("--samples", 40, "--coding", "--output", tmp_path, "--seed", 5)
    coding = analysis.read_report(tmp_path / "report.json").coding
    network = gac.load(shipped_checkpoint())
    data = gac.data.load_data("digits", preprocessing=network.metadata.preprocessing)
    order = torch.randperm(360, generator=torch.Generator().manual_seed(5))[:40].tolist()
    images = torch.stack([data[place][0] for place in order])
    frame = analysis.coding.compare(
        {"gac": network.model.spike_trains()}, images, most_neurons=512, seed=5
    )
    rate = frame.set_index("quantity").value["firing_rate"]
    found = {value.quantity: value.value for value in coding.measured}
    assert found["firing_rate"] == pytest.approx(rate, abs=1e-6)


def test_too_few_samples_of_a_class_leave_classes_out_and_say_so(run):
    status, out, _ = run("--samples", 20, "--coding")
    assert status == 0
    assert "Nothing is said of classes" in " ".join(out.split())
    assert "linear read-out" not in out


def test_a_report_is_asked_for_its_code_and_a_comparison_is_not(run, tmp_path):
    run("--samples", 60, "--coding", "--output", tmp_path / "with")
    run("--samples", 8, "--output", tmp_path / "without")
    status, out, _ = run(tmp_path / "with/report.json", "--coding", "--convention", "eq17")
    assert status == 0
    assert "Picojoules of the encoder: operand, 45nm-fp32." in " ".join(out.split())
    status, _, err = run(tmp_path / "without/report.json", "--coding")
    assert status == 2
    assert "report.json holds no analysis of the code; run its checkpoint with --coding" in err
    status, _, err = run(tmp_path / "with/report.json", tmp_path / "with/report.json", "--coding")
    assert status == 2
    assert "--coding takes one checkpoint or report, not several" in err


def test_a_report_without_it_has_no_such_section(run, tmp_path):
    status, out, _ = run("--samples", 8, "--output", tmp_path)
    assert status == 0
    assert "reconstruction" not in out
    assert analysis.read_report(tmp_path / "report.json").coding is None
    assert not (tmp_path / "coding.csv").exists()


def test_a_noisy_code_is_drawn_several_times(run, checkpoint, tmp_path):
    status, out, err = run(checkpoint(encoder="poisson"), "--samples", 60, "--coding")
    assert (status, err) == (0, "")
    assert "60 samples, 32 draws each, 256 of 256 neurons" in " ".join(out.split())


def test_an_ablated_gate_is_named(run, checkpoint):
    status, out, _ = run(checkpoint(gate="frozen"), "--samples", 60, "--coding")
    assert status == 0
    assert "gac (gate frozen) encoder" in " ".join(out.split())


def test_a_network_with_one_step_is_refused_before_anything_runs(run, checkpoint):
    status, out, err = run(checkpoint(encoder="direct", steps=1), "--coding")
    assert (status, out) == (2, "")
    assert "--coding needs at least 2 steps, the network has 1" in err


def test_a_pixel_code_on_noise_says_what_it_reads(run, checkpoint):
    status, _, err = run(checkpoint(encoder="latency"), "--data", "random", "--samples", 8)
    assert status == 2
    assert "the latency code reads intensities in [0, 1]" in err
    assert err.count("\n") == 1
