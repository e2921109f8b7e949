"""The front page tells the truth."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NUMBER = re.compile(r"\d+(?:\.\d+)?")


def _updater():
    spec = importlib.util.spec_from_file_location("update_readme", ROOT / "docs/update_readme.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_demo_in_the_readme_is_what_the_command_prints():
    """Words equal; numbers within 1 %, since float32 runs differ a little between machines."""
    updater = _updater()
    shown = updater.parts()[1].strip().removeprefix("```text\n").removesuffix("\n```")
    printed = updater.demo_output()
    tidy = [re.sub(r"[\s█]+", " ", NUMBER.sub("#", text)) for text in (shown, printed)]
    assert tidy[0] == tidy[1]
    shown_numbers, printed_numbers = (
        [float(n) for n in NUMBER.findall(text)] for text in (shown, printed)
    )
    assert shown_numbers == pytest.approx(printed_numbers, rel=0.01, abs=0.02)


def test_every_file_the_readme_points_to_is_there():
    text = (ROOT / "README.md").read_text()
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert (ROOT / target).exists(), target


def test_the_commands_named_in_the_readme_exist():
    text = (ROOT / "README.md").read_text()
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"make (\w+) ", text)) - {"are"}:
        assert f"\n{target}:" in makefile
