"""The comparison of encoders on trained networks: resumable, and honest about what it shows."""

from __future__ import annotations

import json
from dataclasses import replace

import pandas as pd
import pytest
import torch

from analysis.cli.encoder_study import ENCODINGS, Cell, Study, with_gate
from analysis.cli.encoders import main
from analysis.drawings.encoders import encoders_compared
from analysis.errors import InputError
from analysis.reporting.encoder_tables import RUN_COLUMNS, frame_of, over_seeds, tables
from gac.registry import architecture
from gac.training import fresh_model


@pytest.fixture
def run(entry_point):
    return entry_point("encoders", main)


def measured(accuracies):
    """Runs of two encoders at T = 2, one accuracy per seed."""
    rows = [
        (encoder, 2, seed, "accuracy", None, value)
        for encoder, values in accuracies.items()
        for seed, value in enumerate(values)
    ]
    return pd.DataFrame(rows, columns=list(RUN_COLUMNS)).astype({"step": "Int64"})


@pytest.mark.slow
def test_the_command_trains_what_is_missing_and_goes_on(run, tmp_path):
    options = ["--output", tmp_path, "--epochs", 1, "--steps", 2, "--seeds", 2, "--only", "gac"]
    status, out, err = run(*options, "--most", 1)
    assert (status, err) == (0, "")
    assert out.startswith("0 of 24 trained\ngac, T = 2, seed 0: ")
    first = (tmp_path / "runs.csv").read_text()
    status, out, _ = run(*options)
    assert out.startswith("1 of 24 trained\ngac, T = 2, seed 1: ")
    assert (tmp_path / "runs.csv").read_text().startswith(first)
    assert run(*options)[1].startswith("2 of 24 trained\nWritten")
    frame = frame_of(tmp_path / "runs.csv")
    assert not frame.duplicated(["encoder", "steps", "seed", "quantity", "step"]).any()
    wanted = {
        "accuracy", "firing_rate", "energy_pj", "image_information", "dynamic_duration",
        "gate_rank", "gated_off_spikes", "accuracy_then_frozen", "readout_accuracy",
    }  # fmt: skip
    assert wanted <= set(frame.quantity)
    text = (tmp_path / "tables.md").read_text()
    made = json.loads((tmp_path / "settings.json").read_text())["made"]
    assert all(f"    {facts['command']}" in text for facts in made)
    assert "our reconstruction" in text
    assert (tmp_path / "encoders-compared.png").stat().st_size > 10_000
    status, _, err = run(*options[:2], "--epochs", 3)
    assert status == 2
    assert "holds runs with other settings" in err


@pytest.mark.slow
def test_the_same_cell_gives_the_same_numbers(tmp_path, monkeypatch):
    monkeypatch.setattr("analysis.cli.encoder_study.DRAWS", 4)
    frames = []
    for name in ("one", "other"):
        study = Study(tmp_path / name, (2,), 2, 1, 1)
        study.train(Cell("poisson", 2, 1))
        frames.append(study.found())
    pd.testing.assert_frame_equal(*frames)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "morse"], "unknown encoder 'morse'; known: direct; gac; gac, temporal only"),
        (["--steps", "1"], "steps must be at least 2, got 1: nothing changes"),
        (["--seeds", "1"], "--seeds"),
    ],
)
def test_bad_input_is_one_line(run, tmp_path, arguments, message):
    status, _, err = run("--output", tmp_path, *arguments)
    assert status == 2
    assert message in err
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", ["", "[1]", "{", '{"settings": {}}'])
def test_damaged_settings_are_told(run, tmp_path, content):
    (tmp_path / "settings.json").write_text(content)
    status, _, err = run("--output", tmp_path, "--most", 0)
    assert status == 2
    assert "settings.json" in err


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n", ",".join(RUN_COLUMNS) + "\ngac,x,0,a,,1\n"])
def test_damaged_results_are_told(tmp_path, content):
    path = tmp_path / "runs.csv"
    path.write_text(content)
    with pytest.raises(InputError, match=r"runs\.csv"):
        frame_of(path)


def test_without_anything_trained_there_is_nothing_to_write(run, tmp_path):
    status, out, _ = run("--output", tmp_path, "--most", 0)
    # at 2 steps a third of them is no hidden unit
    assert (status, out) == (0, f"0 of {(2 * len(ENCODINGS) - 1) * 5} trained\n")


def test_an_encoder_is_better_or_worse_only_beyond_chance():
    frame = measured(
        {
            "direct": [0.98, 0.97, 0.98],
            "clearly": [0.90, 0.91, 0.90],
            "maybe": [0.99, 0.96, 0.97],
            "ahead": [0.995, 0.99, 0.995],
        }
    )
    text = tables(frame, [], epochs=1)
    verdicts = {
        line.split(" | ")[0].strip("| "): line.split(" | ")[-1].strip(" |")
        for line in text.splitlines()
        if line.startswith("| ") and line.count("|") == 4
    }
    assert verdicts["clearly"] == "worse"
    assert verdicts["ahead"] == "better"
    assert verdicts["maybe"] == "no difference that these seeds could show"


def test_means_over_seeds_have_students_interval():
    found = over_seeds(measured({"direct": [0.96, 0.98, 0.97]}))[2, "direct", "accuracy"]
    reach = 4.303 * 0.01 / 3**0.5  # t with two degrees of freedom
    assert found.value == pytest.approx(0.97)
    assert found.high - found.value == pytest.approx(reach, rel=1e-3)


def test_a_single_seed_has_no_interval_and_no_verdict():
    frame = measured({"direct": [0.98], "gac": [0.90]})
    text = tables(frame, [], epochs=1)
    assert "[" not in text.split("## T = 2")[1]
    assert "no difference that these seeds could show" in text
    drawing = encoders_compared(frame)
    assert list(drawing.data.encoder) == ["direct", "gac"]
    assert drawing.data.low.isna().all()


def test_a_gate_changed_after_training_keeps_all_other_weights():
    sizes = {"stem_width": 4, "widths": (4,), "blocks": (1,), "strides": (1,), "image_size": 8}
    model = fresh_model(architecture("msresnet8", **sizes), 1).eval()
    images = torch.rand(2, 3, 8, 8)
    for mode in ("frozen", "permuted", "off"):
        other = with_gate(model, mode)
        assert other.config == replace(model.config, gate=mode)
        state = model.state_dict()
        assert all(torch.equal(value, state[name]) for name, value in other.state_dict().items())
        assert torch.equal(other.encoder.stem(images), model.encoder.stem(images))
    assert torch.equal(with_gate(model, "full")(images), model(images))
