"""How a command ends where something goes wrong that is no bad input."""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

import pytest

import analysis.cli.evaluation
import analysis.cli.job_run
import analysis.cli.training_run
from analysis.cli import evaluate, train

MODULE = """
import sys
import torch
from torch import nn

class Broken(nn.Module):
    def forward(self, x):
        return x.colour

class Reads(nn.Module):
    def forward(self, x):
        open("not there")

def broken():
    return Broken()

def reads():
    return Reads()

def misfit():
    return nn.Linear(3, 2)

def fails():
    raise KeyError("weights")

def leaves():
    sys.exit(0)

def sound():
    return nn.Sequential(nn.Linear(6, 2))

def batches():
    return [torch.rand(5, 6)]

def tired():
    yield torch.rand(5, 6)
    raise ValueError("no more")
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder of a user with a module of their own, and a temporary folder."""
    (tmp_path / "theirs.py").write_text(MODULE)
    (tmp_path / "tmp").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    yield tmp_path
    sys.modules.pop("theirs", None)


@pytest.mark.parametrize(
    ("model", "data", "words"),
    [
        ("broken", "batches", r"in the model (\S*theirs.py, line 8, in forward): AttributeError: "),
        ("reads", "batches", r"in the model (\S*theirs.py, line 12, in forward): FileNotFoundErr"),
        ("misfit", "batches", r"in the model (modules/linear.py, line \d+, in forward): RuntimeE"),
        ("fails", "batches", r"in what --model names (\S*theirs.py, line 24, in fails): KeyError"),
        ("leaves", "batches", r"in what --model names (\S*theirs.py, line 27, in leaves): System"),
        ("sound", "tired", r"in the loader of batches (\S*theirs.py, line 37, in tired): ValueEr"),
    ],
)
def test_an_error_of_the_users_code_ends_with_70_and_says_where(run, project, model, data, words):
    done = run("--model", f"theirs:{model}", "--data", f"theirs:{data}", "--steps", 1)
    assert done.returncode == 70, done.stderr
    assert not done.stdout
    assert len(done.stderr.splitlines()) == 1
    words = words.replace("(", r"\(").replace(")", r"\)")
    assert re.match(f"gac-analyze: error: {words}", done.stderr), done.stderr
    (file,) = (project / "tmp").glob("gac-analyze-*.txt")
    assert done.stderr.endswith(f"; traceback: {file}\n")
    assert "Traceback (most recent call last)" in file.read_text()
    assert "theirs:" in file.read_text().splitlines()[0]  # the command


def test_a_module_that_python_cannot_read_is_the_users(run, project):
    Path("unfinished.py").write_text("def build(:\n")
    done = run("--model", "unfinished:build", "--data", "theirs:batches")
    assert done.returncode == 70
    assert "error: in a module of yours (" in done.stderr
    assert "SyntaxError" in done.stderr


@pytest.mark.parametrize(
    ("program", "main", "where", "function", "arguments"),
    [
        ("gac-analyze", None, analysis.cli.job_run, "made_by", ["--samples", "2"]),
        ("gac-train", train.main, analysis.cli.training_run, "described", ["--dry-run"]),
        ("gac-eval", evaluate.main, analysis.cli.evaluation, "made_by", []),
    ],
)
def test_a_defect_of_this_package_says_so_and_is_no_broken_budget(
    run, entry_point, project, monkeypatch, program, main, where, function, arguments
):
    def broken(*_):
        return {}["nothing"]

    broken.__code__ = broken.__code__.replace(co_filename=where.__file__)
    monkeypatch.setattr(where, function, broken)
    done = (run if main is None else entry_point(program, main))(*arguments)
    assert done.returncode == 70, done.stderr
    assert done.stderr.startswith(f"{program}: error: in gac-energy itself (cli/")
    assert "KeyError: 'nothing'; please report it with its traceback: " in done.stderr


def test_a_traceback_that_cannot_be_written_is_printed(run, project, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(project / "nowhere"))
    done = run("--model", "theirs:fails", "--data", "theirs:batches")
    assert done.returncode == 70
    assert "Traceback (most recent call last)" in done.stderr
    assert done.stderr.splitlines()[-1].endswith(
        "traceback: above; it can't be written to a file: No such file or directory"
    )
