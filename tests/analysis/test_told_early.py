"""What the options alone can tell is told without torch, and before anything runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

import analysis.cli.job_run
from gac.checkpoint import shipped_checkpoint

# A command that imports torch would end with 70.
SCRIPT = """
import sys
sys.modules["torch"] = None
from {module} import main
main()
"""


def without_torch(module, folder, *arguments):
    command = [sys.executable, "-c", SCRIPT.format(module=module), *map(str, arguments)]
    root = str(Path(__file__).parents[2])
    return subprocess.run(command, cwd=folder, env={"PYTHONPATH": root}, capture_output=True,
                          text=True, check=False)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("early")
    (path / "text.pth").write_text("no checkpoint")
    (path / "budget.toml").write_text(
        'schema = 1\nconvention = "guess"\n[total]\nacs = { max = 1 }\n'
    )
    (path / "prices.toml").write_text("nonsense")
    return path


@pytest.mark.parametrize(
    ("module", "line", "message"),
    [
        ("analyze", "missing.pth", "missing.pth does not exist"),
        ("analyze", "text.pth", "text.pth is not a torch checkpoint"),
        ("analyze", "--data mnist", "unknown data set 'mnist'"),
        ("analyze", "--data cifar10", "cifar10 needs the folder it lies in: --data-root DIR"),
        ("analyze", "--data cifar10 --data-root none", "--data-root none is no folder"),
        ("analyze", "--data my:loader", "--data my:loader gives batches to a model of your own"),
        ("analyze", "--model my --data digits", "--model takes package.module:name, not 'my'"),
        ("analyze", "--model my:net --data digits", "--model my:net: no module named 'my'"),
        ("analyze", "--model json:loads --data my:x", "--data my:x: no module named 'my'"),
        ("analyze", "--model json:loads --data digits --forward f", "--forward takes package.mod"),
        ("analyze", "--budget budget.toml", "budget.toml: unknown convention 'guess'"),
        ("analyze", "--budget none.toml", "none.toml: no such budget"),
        ("analyze", "--convention guess", "unknown convention 'guess'"),
        ("analyze", "--technology prices.toml", "prices.toml"),
        ("analyze", "--role stem", "--role takes GLOB=ROLE"),
        ("analyze", "--input picture", "--input takes [NAME=]KIND"),
        ("analyze", "--against none.json", "none.json"),
        ("analyze", "--arch msresnet9 --rates 0.1", "unknown model 'msresnet9'"),
        ("train", "--recipe nothing", "no recipe 'nothing'"),
        ("train", "--data nothing", "unknown data set 'nothing'"),
        ("train", "--data cifar10", "cifar10 needs the folder it lies in"),
        ("train", "--model nothing", "unknown model 'nothing'"),
        ("evaluate", "missing.pth", "missing.pth does not exist"),
        ("evaluate", "text.pth", "text.pth is not a torch checkpoint"),
        ("evaluate", "--data nothing", "unknown data set 'nothing'"),
        ("evaluate", "--precision int3", "unknown precision 'int3'; known: float32"),
    ],
)
def test_bad_options_are_told_without_torch(folder, module, line, message):
    done = without_torch(f"analysis.cli.{module}", folder, *line.split())
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not done.stdout


@pytest.mark.parametrize("bad", ["text", "other"])
def test_a_bad_input_is_told_before_the_good_ones_run(run, tmp_path, monkeypatch, bad):
    def never(*_arguments, **_keywords):
        raise AssertionError("something ran")

    monkeypatch.setattr(analysis.cli.job_run, "analyze", never)
    second = tmp_path / "second.pth"
    second.write_bytes(shipped_checkpoint().read_bytes())
    (tmp_path / "text.pth").write_text("no checkpoint")
    torch.save({"fc.weight": torch.ones(1)}, tmp_path / "other.pth")
    done = run(shipped_checkpoint(), second, tmp_path / f"{bad}.pth", "--samples", 2)
    assert done.returncode == 2, done.stderr
    assert f"{bad}.pth" in done.stderr
