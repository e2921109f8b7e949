"""Any network at stated rates, and the rates that an energy needs, without any data."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pandas as pd
import pytest

MODULE = """
import torch
from torch import nn

class Fire(nn.Module):
    def forward(self, x):
        return (x > 0).float()

class Net(nn.Module):
    time_step = 4

    def __init__(self):
        super().__init__()
        self.stem, self.fire = nn.Linear(6, 4, bias=False), Fire()
        self.head = nn.Linear(4, 2, bias=False)

    def forward(self, x):
        return torch.stack([self.head(self.fire(self.stem(x))) for _ in range(4)], 1)

def build():
    torch.manual_seed(0)
    return Net()

def step():
    return nn.Sequential(nn.Linear(6, 4, bias=False), Fire(), nn.Linear(4, 2, bias=False))

def repeat(model, x):
    return torch.stack([model(x) for _ in range(3)], 1)
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "mynet.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield tmp_path
    sys.modules.pop("mynet", None)


def sites(folder):
    return json.loads((Path(folder) / "report.json").read_text())["run"]["sites"]


def test_a_model_of_ones_own_is_priced_at_a_rate(run, project):
    done = run("--model", "mynet:build", "--rates", 0.25, "--input-shape", "6", "--role",
               "head=spiking", "--role", "stem=stem", "--output", "out")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "mynet:build, T = 4: architecture counts at stated rates" in done.stdout
    stem, head = sites("out")
    assert stem["synops"] == 4 * 6 * 4  # T x in x out: an image has no zeros
    assert head["synops"] == 4 * 4 * 2 * 0.25


@pytest.mark.parametrize("how", [("--loop",), ("--forward", "mynet:repeat")])
def test_a_model_of_one_step_is_priced_over_its_steps(run, project, how):
    done = run("--model", "mynet:step", *how, "--steps", 3, "--rates", 0.5, "--input-shape", "6",
               "--neurons", "Fire", "--output", "out")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert sum(site["executions"] for site in sites("out")) == 2 * 3


def test_noise_has_the_shape_that_was_asked_for_whatever_the_batches(run, project):
    for size in (2, 5):
        done = run("--model", "mynet:build", "--data", "random", "--input-shape", "6",
                   "--samples", 5, "--batch-size", size, "--output", f"out{size}")  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "random input: rates mean nothing, 5 samples, T = 4" in done.stdout
        assert "T = 4, from the model's attribute time_step" in done.stdout
    assert sites("out2") == sites("out5")


def test_the_rate_for_an_energy_follows_from_a_report_as_from_the_architecture(run, tmp_path):
    assert run("--samples", 3, "--output", tmp_path / "report").returncode == 0
    by_arch = run("--arch", "msresnet8", "--solve-rate", "10uJ", "--output", tmp_path / "arch")
    by_report = run(tmp_path / "report" / "report.json", "--solve-rate", "10uJ", "--output",
                    tmp_path / "again")  # fmt: skip
    assert (by_arch.returncode, by_report.returncode) == (0, 0), by_report.stderr
    one, other = (pd.read_csv(tmp_path / name / "solved.csv") for name in ("arch", "again"))
    assert one.rate.notna().any()
    assert list(one.convention) == list(other.convention)
    for mine, theirs in zip(one.rate, other.rate, strict=True):
        assert mine == theirs or float(mine) == pytest.approx(float(theirs), rel=1e-3)
    text = " ".join(by_report.stdout.split())
    assert "10 µJ cannot contain spatial gate (MACs T times). One rate gives 10 µJ under" in text


def test_no_rate_at_all_is_said_in_a_sentence(run, project):
    done = run("--model", "mynet:build", "--solve-rate", "1J", "--input-shape", "6")
    assert done.returncode == 0, done.stderr
    assert "No rate gives 1 J under any convention here." in " ".join(done.stdout.split())


def test_a_network_of_torchvision_has_the_macs_that_others_count(run, tmp_path):
    done = run("--arch", "torchvision/resnet18", "--rates", 0.5, "--output", tmp_path)
    assert done.returncode == 0, done.stderr
    dense = sum(site["dense_macs"] for site in sites(tmp_path))
    assert dense == 1_814_073_344  # half of what FlopCounterMode says; torchvision: 1.81


def test_timm_is_asked_for_where_it_is_not_installed(run):
    if importlib.util.find_spec("timm"):
        pytest.skip("it is installed")
    done = run("--arch", "timm/resnet18", "--rates", 0.5)
    assert done.returncode == 2
    assert "needs timm, which is not installed: pip install timm" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "mynet:build", "--rates", "0.1"], "--model needs --input-shape, such as 3,3"),
        (
            ["--model", "mynet:build", "--rates", "0.1", "--input-shape", "3,x"],
            "whole numbers such",
        ),
        (["--model", "mynet:build", "--rates", "2", "--input-shape", "6"], "between 0 and 1"),
        (["w.pth", "--model", "mynet:build", "--rates", "0.1"], "play no part: leave out w.pth"),
        (["--model", "mynet:build", "--arch", "msresnet8", "--rates", "1"], "not both"),
        (["--rates", "0.1"], "--rates and --solve-rate need a network: --arch NAME, --model"),
        (["r.json", "--rates", "0.1"], "--rates and --solve-rate need a network"),
        (["r.json", "--solve-rate", "1mJ", "--samples", "3"], "so --samples would do nothing"),
        (["r.json", "--solve-rate", "1 horse"], "expected an energy such as 1.49mJ"),
        (["--input-shape", "6"], "--input-shape needs --model with --data random, or --rates"),
        (["--arch", "torchvision/resnet19", "--rates", "1"], "near: torchvision/resnet18"),
        (["--arch", "resnet18", "--rates", "1"], "timm/NAME"),
    ],
)
def test_bad_input_gets_one_line_and_status_2(run, project, arguments, message):
    done = run(*arguments)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not done.stdout
