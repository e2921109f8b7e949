"""Starting is cheap: nothing heavy is imported before it is needed."""

from __future__ import annotations

import subprocess
import sys

import pytest

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
