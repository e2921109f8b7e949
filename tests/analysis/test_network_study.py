"""Studies of trained networks: their file is checked, trainings are kept, the table is whole."""

from __future__ import annotations

import pytest

from analysis.cli import network_study
from analysis.cli.network_study import Cell, read_study
from analysis.cli.networks import main
from analysis.errors import InputError
from tests.analysis.reports import shipped_report

STUDY = """
recipe = "digits"
seeds = [0, 1]

[networks]
direct = ["--encoder", "direct"]
"rate0.1" = ["--budget", "rate", "--budget-target", "0.1"]
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "study.toml").write_text(STUDY)
    return tmp_path


@pytest.fixture
def run(entry_point):
    return entry_point("networks", main)


def test_trainings_go_seed_by_seed_and_those_with_a_report_are_done(folder):
    study = read_study(folder)
    assert study.missing() == [
        Cell("direct", 0), Cell("rate0.1", 0), Cell("direct", 1), Cell("rate0.1", 1),
    ]  # fmt: skip
    shipped_report().to_json(study.file(Cell("rate0.1", 0)))
    assert Cell("rate0.1", 0) not in study.missing()
    assert {name: list(seeds) for name, seeds in study.reports().items()} == {"rate0.1": [0]}


def test_the_table_has_a_row_for_each_method_and_says_what_made_it(folder, run):
    study = read_study(folder)
    for seed in (0, 1):
        for method in ("direct", "rate0.1"):
            shipped_report(seed, method=method).to_json(study.file(Cell(method, seed)))
    status, out, err = run(folder)
    assert (status, err) == (0, "")
    assert out.startswith("4 of 4 trained\nWritten")
    text = (folder / "tables.md").read_text()
    assert "4 trainings of 4" in text
    assert "| direct | " in text
    assert text.count("- direct, seed") == 2


def test_without_a_report_nothing_is_written(folder, run):
    assert run(folder, "--most", 0) == (0, "0 of 4 trained\n", "")
    assert not (folder / "tables.md").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("recipe = ", "is no TOML"),
        ('recipe = "digits"', "expected networks, recipe, seeds, got recipe"),
        (STUDY.replace("digits", "nothing"), "no recipe 'nothing'"),
        (STUDY.replace("[0, 1]", "[]"), "seeds must be a list of whole numbers"),
        (STUDY.replace("[0, 1]", "[true]"), "seeds must be a list of whole numbers"),
        (STUDY.replace('"rate0.1"', '"a/b"'), "can't be part of a file's name"),
        (STUDY.replace('["--encoder", "direct"]', '"direct"'), "must be a list of arguments"),
    ],
)
def test_a_bad_study_is_told_in_one_line(folder, run, content, message):
    (folder / "study.toml").write_text(content)
    status, out, err = run(folder)
    assert (status, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


def test_a_folder_without_a_study_and_an_unknown_network_are_told(tmp_path, folder, run):
    with pytest.raises(InputError, match=r"can't read .*study\.toml"):
        read_study(tmp_path / "other")
    assert "unknown network 'gac'; known: direct, rate0.1" in run(folder, "--only", "gac")[2]


@pytest.mark.slow
def test_the_command_trains_what_is_missing_and_keeps_its_report(tmp_path, run):
    small = '["--epochs", "1", "--network", "widths=[8]", "--network", "blocks=[1]"'
    (tmp_path / "study.toml").write_text(
        f'recipe = "digits"\nseeds = [3]\n[networks]\ntiny = {small}, "--network", "strides=[1]"]\n'
    )
    status, out, err = run(tmp_path, "--runs", tmp_path / "runs")
    assert (status, err) == (0, "")
    assert "tiny, seed 3: " in out
    report = read_study(tmp_path).reports()["tiny"][3]
    assert report.run.samples == 360
    assert report.run.provenance["training_seed"] == 3
    assert report.run.provenance["command"].startswith("gac-networks ")
    assert report.run.provenance["method"] == "tiny"
    assert run(tmp_path)[1].startswith("1 of 1 trained\n")


@pytest.mark.slow
def test_a_training_that_fails_is_told(tmp_path, run):
    (tmp_path / "study.toml").write_text(
        'recipe = "digits"\nseeds = [0]\n[networks]\nbad = ["--lr", "-1"]\n'
    )
    status, _, err = run(tmp_path, "--runs", tmp_path / "runs")
    assert status == 2
    assert "the training of 'bad', seed 0, failed" in err


@pytest.mark.slow
def test_a_training_that_was_stopped_is_no_result(tmp_path, run, monkeypatch):
    """As if somebody had sent SIGTERM to the training alone: it saves, and ends with 0."""
    small = '"--network", "widths=[8]", "--network", "blocks=[1]", "--network", "strides=[1]"'
    (tmp_path / "study.toml").write_text(
        f'recipe = "digits"\nseeds = [0]\n[networks]\ntiny = ["--epochs", "2", {small}]\n'
    )
    stopper = (
        "import os, signal, subprocess, sys, time\n"
        "training = subprocess.Popen([sys.executable, *sys.argv[1:]], stdout=subprocess.PIPE)\n"
        "for line in training.stdout:\n"
        "    if line.startswith(b'epoch  1/2') or b'epoch 1/2' in line:\n"
        "        training.send_signal(signal.SIGTERM)\n"
        "sys.exit(training.wait())\n"
    )
    (tmp_path / "stopper.py").write_text(stopper)
    begun = network_study._run
    monkeypatch.setattr(
        network_study,
        "_run",
        lambda command, what: begun([command[0], str(tmp_path / "stopper.py"), *command[1:]], what),
    )
    status, _, err = run(tmp_path, "--runs", tmp_path / "runs")
    assert status == 2
    assert "was stopped; the same command goes on with it" in err
    assert read_study(tmp_path).missing() == [Cell("tiny", 0)]
    monkeypatch.setattr(network_study, "_run", begun)
    assert run(tmp_path, "--runs", tmp_path / "runs")[0] == 0
    assert not read_study(tmp_path).missing()
