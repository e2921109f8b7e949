"""The fixture as a user's project has it: pytest in a folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
TEST = """
import torch

def test_budget(spike_budget):
    torch.manual_seed(0)
    layer = torch.nn.Linear(4, 3, bias=False)
    spikes = torch.tensor([[1.0, 0.0, {last}, 1.0]])
    report = spike_budget(layer, [spikes], "budget.toml", steps=1)
    assert report.run.samples == 1
"""


@pytest.fixture
def project(tmp_path):
    """Runs pytest in an own folder; gives back its status and what it printed."""

    def run(*arguments, last=0.0):
        (tmp_path / "test_budget.py").write_text(TEST.format(last=last))
        command = [sys.executable, "-m", "pytest", "-q", "-p", "gac_energy_pytest"]
        done = subprocess.run(
            [*command, "-p", "no:cacheprovider", *arguments],
            cwd=tmp_path,
            env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout

    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    return run


@pytest.mark.slow
def test_a_budget_is_written_kept_and_broken(project, tmp_path):
    status, text = project()
    assert status == 1
    assert "no such budget" in text
    assert project("--write-spike-budgets")[0] == 0
    # two of four inputs spike, three outputs each
    assert "synops = { min = 5.4, max = 6.6 }" in (tmp_path / "budget.toml").read_text()
    assert project()[0] == 0
    status, text = project(last=1.0)
    assert status == 1
    for words in ("Budget broken", "synops", "9", "+2.4 (+36.4 %)", "--write-spike-budgets"):
        assert words in text
    assert "Traceback" not in text


def test_pytest_finds_the_plugin_and_it_needs_no_torch():
    table = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (module,) = table["project"]["entry-points"]["pytest11"].values()
    check = f"import {module}, sys; print({{'torch', 'pandas'}} & {{*sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip().endswith("set()")
