"""Starting is cheap: nothing heavy is imported before it is needed."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

import analysis

HEAVY = ("torch", "torchvision", "pandas", "matplotlib", "sklearn", "pydantic")


@pytest.mark.parametrize(
    "code",
    [
        "import analysis",
        "import gac",
        "import analysis.cli.analyze",
        "import analysis.cli.train",
        "import gac; gac.ARCHITECTURES; dir(gac)",
        "import analysis; analysis.convention('eq17'); analysis.technology('45nm-fp32')",
    ],
)
def test_importing_loads_nothing_heavy(code):
    check = f"{code}; import sys; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("package", ["analysis", "gac"])
def test_every_public_name_can_be_had(package):
    check = f"import {package} as p; print(all(hasattr(p, name) for name in p.__all__))"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = __import__(package).nothing


def test_a_report_is_priced_again_without_loading_torch(tmp_path):
    file = tmp_path / "report.json"
    layer = torch.nn.Linear(2, 2)
    analysis.analyze(layer, [torch.ones(1, 2)], steps=1).to_json(file)
    check = (
        "import sys; from analysis.cli.analyze import app\n"
        "app(standalone_mode=False); print('torch' in sys.modules)"
    )
    command = [sys.executable, "-c", check, str(file), "--convention", "eq17"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "per sample, eq17" in done.stdout
    assert done.stdout.splitlines()[-1] == "False"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["missing.pth"], "missing.pth does not exist"),
        (["--arch", "nope", "--rates", "0.2"], "unknown model 'nope'"),
        (["--arch", "msresnet18", "--rates", "7"], "a rate must be between 0 and 1, got 7"),
        (["--arch", "msresnet18", "--solve-rate", "much"], "expected an energy"),
    ],
)
def test_bad_arguments_are_told_without_loading_torch(arguments, words):
    check = (
        "import sys; from analysis.cli.analyze import app\n"
        f"try: app({arguments!r}, standalone_mode=False)\n"
        "except Exception as error: print(error, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(words)
    assert done.stdout.strip().endswith("False")
