"""Every notebook runs from top to bottom."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_defines_nothing(path, monkeypatch):
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
