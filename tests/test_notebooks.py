"""Every notebook runs from top to bottom."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_defines_nothing(path, tmp_path, monkeypatch):
    # A notebook reads and writes ../reports: here a copy of it.
    shutil.copytree(ROOT / "reports", tmp_path / "reports")
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    monkeypatch.setenv("MPLBACKEND", "Agg")
    mpl.use("Agg")
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    source = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert source
    assert not any(text.startswith(("def ", "class ")) or "\ndef " in text for text in source)
    names: dict[str, object] = {}
    for number, text in enumerate(source):
        exec(compile(text, f"{path.name}[{number}]", "exec"), names)  # noqa: S102 - our own cells
    plt.close("all")
