"""`gac-analyze` under torchrun, and its options that need more than one look or tool."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

import analysis
from analysis.cli.analyze import main
from analysis.cli.processes import Place, joined
from analysis.errors import InputError

ROOT = Path(analysis.__file__).parents[1]
TORCHRUN = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}


@pytest.fixture
def run(entry_point):
    """Runs the command; gives back status, stdout and stderr."""
    return entry_point("gac-analyze", main)


def test_without_torchrun_there_is_one_process():
    assert Place.of_this_process() == Place(rank=0, world=1, local=0)


def test_torchrun_says_who_this_process_is(monkeypatch):
    for name, value in {**TORCHRUN, "RANK": "1", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    place = Place.of_this_process()
    assert place == Place(rank=1, world=2, local=0)
    assert not place.speaks


@pytest.mark.parametrize(("samples", "world"), [(7, 2), (1, 2), (5, 3), (4, 4), (2, 5)])
def test_every_sample_is_run_by_one_process(samples, world):
    shares = [Place(rank=rank, world=world).share(samples) for rank in range(world)]
    assert sorted(place for share in shares for place in share) == list(range(samples))


def test_each_process_takes_a_gpu_of_its_own():
    second = Place(rank=1, world=2, local=1)
    assert second.device("cuda") == "cuda:1"
    assert second.device("cpu") == "cpu"
    assert Place().device("cuda:1") == "cuda:1"
    with pytest.raises(InputError, match="cuda:0 is one GPU"):
        second.device("cuda:0")


def test_processes_that_can_not_meet_get_a_clear_line(monkeypatch):
    for name, value in {**TORCHRUN, "RANK": "0", "LOCAL_RANK": "0", "MASTER_PORT": "x"}.items():
        monkeypatch.setenv(name, value)
    with (
        pytest.raises(InputError, match="can't join the other processes"),
        joined(Place(world=2), torch.device("cpu")),
    ):
        pass
    monkeypatch.setenv("RANK", "first")
    with pytest.raises(InputError, match="variables of torchrun"):
        Place.of_this_process()


@pytest.mark.slow
def test_the_crosscheck_is_printed_and_written(run, tmp_path):
    status, out, _ = run("--samples", 2, "--crosscheck", "--output", tmp_path)
    assert status == 0
    for tool in ("FlopCounterMode", "fvcore", "thop"):
        assert f"{tool}: 15 of 15 weight layers equal" in out
    table = pd.read_csv(tmp_path / "crosscheck.csv")
    assert (table[table.tool == "FlopCounterMode"].difference == 0).all()
    assert "crosscheck.csv" in out


def test_a_run_may_stop_early_and_says_so(run, tmp_path):
    status, out, _ = run("--until-ci", "5%", "--dtype", "float64", "--output", tmp_path)
    assert status == 0
    found = json.loads((tmp_path / "report.json").read_text())["run"]
    assert found["samples"] == 64
    assert found["provenance"]["data"] == "digits test, 64 of 360 samples"
    assert (found["sampling"]["looks_planned"], found["sampling"]["looks_used"]) == (4, 1)
    words = " ".join(out.split())
    assert "± 5 %: reached after 64 samples, at look 1 of 4 planned" in words
    assert "at 98.75 %: 95 % shared by the planned looks" in words


@pytest.mark.parametrize("share", ["1", "0", "100%", "-1%", "narrow", "nan", ""])
def test_a_share_that_is_none_gets_one_line(run, share):
    status, out, err = run("--until-ci", share)
    assert (status, out) == (2, "")
    assert "--until-ci takes a share between 0 and 1 such as 1% or 0.01" in err
    assert len(err.splitlines()) == 1


def torchrun(processes, *arguments):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", str(processes), "--no-python"]
    command += [str(Path(sys.executable).with_name("gac-analyze"))]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [*command, *map(str, arguments)],
        capture_output=True, text=True, check=False, env=environment, timeout=300,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("samples", [1, 7])
def test_torchrun_prints_once_and_counts_the_same(run, tmp_path, samples):
    options = ("--samples", samples, "--batch-size", 2, "--dtype", "float64")
    done = torchrun(2, *options, "--output", tmp_path / "two")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("firing rate") == 1
    assert run(*options, "--output", tmp_path / "one")[0] == 0
    one, two = (
        json.loads((tmp_path / name / "report.json").read_text())["run"] for name in ("one", "two")
    )
    assert two["provenance"]["processes"] == 2
    assert two["samples"] == samples
    for what in ("sites", "neurons", "elementwise", "correct", "warnings", "uncounted"):
        assert one[what] == two[what], what


@pytest.mark.slow
def test_torchrun_with_an_option_for_one_process_ends_in_words():
    done = torchrun(2, "--samples", 4, "--until-ci", "1%")
    assert done.returncode != 0
    assert "needs all samples in one process" in done.stderr
    assert done.stderr.startswith("gac-analyze: error: ")  # what follows is torchrun's own
