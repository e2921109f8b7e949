"""The command as a user runs it, on real files."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import torch

import gac
from analysis.reporting import writers

SCHEMA = json.loads(Path(writers.__file__).with_name("report.schema.json").read_text())


def test_without_an_argument_the_shipped_network_is_analysed(run, tmp_path):
    done = run("--samples", 24, "--output", tmp_path)
    assert done.returncode == 0, done.stderr
    for words in ("energy", "Not spike-driven", "Not in the total", "eq17", "digits test"):
        assert words in done.stdout
    table = json.loads((tmp_path / "report.json").read_text())
    jsonschema.validate(table, SCHEMA)
    assert table["run"]["samples"] == 24
    facts = table["run"]["provenance"]
    named = {"torch", "commit", "device", "precision", "seed", "preprocessing", "data", "command"}
    assert named <= set(facts)
    assert set(table["run"]["provenance"]["cites"]) == {"qiu2024gac", "hu2024msresnet"}
    assert len((tmp_path / "sites.csv").read_text().splitlines()) == 1 + len(table["run"]["sites"])


def test_single_samples_are_named_by_their_place_in_the_data(run, tmp_path):
    done = run("--samples", 24, "--per-sample", "--output", tmp_path)
    assert done.returncode == 0, done.stderr
    for words in (
        "Read out after each step",
        "Right and wrong answers",
        "cheapest and the dearest",
    ):
        assert words in done.stdout
    header, *rows = (tmp_path / "samples.csv").read_text().splitlines()
    assert header == "sample,energy_pj,label,predicted,correct,data,convention,technology"
    assert all(row.endswith("operand,45nm-fp32") for row in rows)
    places = [int(row.split(",")[0]) for row in rows]
    assert places == sorted(set(places))
    assert max(places) > 24  # of 360


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """A state dict of the released code's form."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("released") / "official.pth"
    torch.save(gac.export_official(gac.build("msresnet8")), path)
    return path


def test_random_input_marks_every_output(run, released, tmp_path):
    done = run(released, "--data", "random", "--samples", 4, "--output", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "random input: rates mean nothing" in done.stdout
    assert "accuracy" not in done.stdout
    assert "random input" in (tmp_path / "sites.csv").read_text().splitlines()[1]
    notes = json.loads((tmp_path / "report.json").read_text())["run"]["provenance"]["notes"]
    assert "random input: rates mean nothing" in notes


def test_the_same_seed_draws_the_same_samples(run, tmp_path):
    for name in ("a", "b"):
        assert run("--samples", 5, "--seed", 7, "--output", tmp_path / name).returncode == 0
    a, b = (json.loads((tmp_path / n / "report.json").read_text()) for n in ("a", "b"))
    assert a["run"]["sites"] == b["run"]["sites"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.pth"], "missing.pth"),
        (["{text}"], "not a"),
        (["--convention", "guess"], "unknown convention 'guess'; known: operand"),
        (["--technology", "7nm"], "unknown technology '7nm'"),
        (["--data", "mnist"], "unknown data set 'mnist'; known: digits"),
        (["--data", "cifar10"], "--data-root"),
        (["--data", "cifar10", "--data-root", "{folder}"], "cifar-10-batches-py"),
        (["--dtype", "int8"], "int8"),
        (["--samples", "0"], "--samples"),
        (["--device", "abacus"], "device 'abacus' can't be used"),
        (["--colour", "red"], "--colour"),
        (["--output", "{text}"], "can't make the folder"),
        (["{released}"], "give --data"),
    ],
)
def test_bad_input_gets_one_line_and_status_2(run, arguments, message, tmp_path, released):
    (tmp_path / "text").write_text("no checkpoint")
    places = {"text": tmp_path / "text", "folder": tmp_path, "released": released}
    done = run(*[argument.format(**places) for argument in arguments])
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.startswith("gac-analyze: error: ")
    assert len(done.stderr.splitlines()) == 1
    assert not done.stdout
