"""Every command in README and docs is run, in order, in a folder such as a user has it."""

from __future__ import annotations

import importlib.util
import os
import pickle
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import typer
from PIL import Image

from analysis.cli import analyze, evaluate, train

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", ROOT / "reports/README.md", *(ROOT / "docs").rglob("*.md")])
FENCE = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"\d+(?:\.\d+)?")
ELSEWHERE = ("make", "source", "pip", "git", "apt-get")  # of the checkout or of the machine
LINK = re.compile(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)")


def imported(file):
    """A module that lies in no package."""
    spec = importlib.util.spec_from_file_location(file.stem, file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def refresher():
    return imported(ROOT / "docs/refresh.py")


def blocks(page, kind):
    """The fenced blocks of one kind on a page: what stands behind the kind, and the text."""
    return [(head, text) for found, head, text in FENCE.findall(page.read_text()) if found == kind]


def commands(page):
    for _, text in blocks(page, "sh"):
        for line in text.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words:
                yield words


def unique(found):
    """Commands without repetitions."""
    return [list(words) for words in dict.fromkeys(map(tuple, found))]


def titled(head):
    found = re.search(r'title="([^"]+)"', head)
    return found and found[1]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """What the pages speak of: checkpoints, data, a folder to work in."""
    import gac
    from gac.checkpoint import shipped_checkpoint

    for name in ("runs/digits/last.pth", "seed0.pth", "seed1.pth", "seed2.pth"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(shipped_checkpoint(), tmp_path / name)
    torch.manual_seed(0)
    released = gac.build("msresnet8", classes=100, image_size=32)
    torch.save(gac.export_official(released), tmp_path / "official.pth")
    data = tmp_path / "DATA" / "cifar-100-python"
    data.mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 256, (20, 3072), dtype=np.uint8)
    for split in ("train", "test"):
        content = {"data": pixels, "fine_labels": list(range(20))}
        (data / split).write_bytes(pickle.dumps(content))
    for split in ("train", "val"):
        for place in range(4):
            folder = tmp_path / "DATA" / "imagenet" / split / f"n0000000{place % 2}"
            folder.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (40, 30), (place, 0, 0)).save(folder / f"{place}.JPEG")
    event_files = imported(ROOT / "tests/gac/event_files.py")
    recording = [(10 * k, k % 34, k % 30, k % 2) for k in range(200)]
    event_files.write_nmnist(tmp_path / "DATA", recording)
    event_files.write_cifar10dvs(tmp_path / "DATA", recording)
    packet = event_files.aedat3(event_files.packet(recording))
    pieces = [(gesture, 0, 2000) for gesture in range(1, 12)]
    event_files.write_gestures(tmp_path / "DATA", packet, pieces)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    yield tmp_path
    for name in ("mynet", "test_energy", "eventnet", "dvsnet", "sjnet", "snnnet"):
        sys.modules.pop(name, None)


def shortened(words):
    """The same command on fewer samples; a training checks everything, then stops before it."""
    if "gac-train" in words:  # by torchrun: one process is enough to plan
        words = words[words.index("gac-train") :]
    if words[0] == "gac-train":
        planned = [word.replace("cuda", "cpu") for word in words]
        return [*planned, "--dry-run", "--batch-size", "4"]
    counts = "gac-analyze" in words
    reads = any(word.endswith(".json") for word in words if not word.startswith("-"))
    if counts and not reads and not {"--samples", "--arch", "--conventions"} & set(words):
        return [*words, "--samples", "60"]
    return words


def run(words, monkeypatch, capfd):
    """Runs a command; gives back its status and what it said."""
    words = shortened(words)
    if words[0] == "gac-analyze":  # in this process: torch need not be loaded again
        monkeypatch.setattr("sys.argv", words)
        with pytest.raises(SystemExit) as ended:
            analyze.main()
        return ended.value.code, capfd.readouterr().err
    programs = {
        "gac-train": [sys.executable, "-m", "analysis.cli.train"],
        "gac-eval": [sys.executable, "-m", "analysis.cli.evaluate"],
        "torchrun": [sys.executable, "-m", "torch.distributed.run"],
        "pytest": [sys.executable, "-m", "pytest", "-p", "gac_energy_pytest"],
        "python": [sys.executable],
    }
    assert words[0] in programs, f"no way to run {shlex.join(words)}"
    done = subprocess.run(
        [*programs[words[0]], *words[1:]],
        env=os.environ | {
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(ROOT),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        },
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if words[0] == "gac-train" and "--output" in words:  # what that training would have left
        output = Path(words[words.index("--output") + 1])
        output.mkdir(parents=True, exist_ok=True)
        shutil.copy("runs/digits/last.pth", output)
    return done.returncode, done.stdout + done.stderr


def write_titled(page, folder):
    for kind, head, text in FENCE.findall(page.read_text()):
        name = titled(head)
        if name and kind in ("python", "csv", "toml", "yaml"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_of_a_page_runs(page, folder, monkeypatch, capfd):
    write_titled(page, folder)
    for words in unique(commands(page)):
        if words[0] not in ELSEWHERE:
            status, said = run(words, monkeypatch, capfd)
            assert status == 0, f"{shlex.join(words)}\n{said}"
    for head, text in blocks(page, "python"):
        if not titled(head):
            exec(compile(text, str(page), "exec"), names(page))  # noqa: S102 - our own pages


def names(page):
    """What the examples of README may take for granted."""
    if page.name != "README.md":
        return {}
    loader = [(torch.rand(8, 3, 16, 16), torch.zeros(8, dtype=torch.long))]
    return {"loader": loader}


def test_every_page_is_looked_at_and_most_have_commands():
    assert len(PAGES) > 15
    assert sum(bool(list(commands(page))) for page in PAGES) >= 9


def test_the_workflow_runs_the_budget():
    import yaml

    page = ROOT / "docs/guide/engineer.md"
    (workflow,) = (text for head, text in blocks(page, "yaml") if "workflows" in titled(head))
    steps = yaml.safe_load(workflow)["jobs"]["budget"]["steps"]
    budget = next(step["run"] for step in steps if "gac-analyze" in step.get("run", ""))
    assert shlex.split(budget) in list(commands(page))  # which the test above runs


def tidy(text):
    return re.sub(r"[\s█]+", " ", NUMBER.sub("#", text))


@pytest.mark.slow
@pytest.mark.parametrize("block", refresher().BLOCKS, ids=lambda block: block[1])
def test_what_a_page_shows_is_what_the_command_prints(block):
    """Words equal; numbers within 1 %, since float32 runs differ a little between machines."""
    page, marker, arguments = block
    shown = refresher().parts(page, marker)[1].strip()
    shown = shown.removeprefix("```text\n").removesuffix("\n```")
    printed = refresher().printed(*arguments)
    assert tidy(shown) == tidy(printed)
    numbers = [[float(n) for n in NUMBER.findall(text)] for text in (shown, printed)]
    assert numbers[0] == pytest.approx(numbers[1], rel=0.01, abs=0.02)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_a_page_points_to_is_there(page):
    for target in LINK.findall(page.read_text()):
        assert (page.parent / target).exists(), target


def test_every_option_for_training_is_in_the_docs():
    text = (ROOT / "docs/reference/command-line.md").read_text()
    for app in (train.app, evaluate.app):
        for parameter in typer.main.get_command(app).params:
            assert parameter.opts[0] in text or parameter.param_type_name == "argument"


def test_the_make_targets_named_in_the_readme_exist():
    makefile = (ROOT / "Makefile").read_text()
    named = {words[1] for page in PAGES for words in commands(page) if words[0] == "make"}
    assert named >= {"demo", "test", "check"}
    for target in named:
        assert f"\n{target}:" in makefile


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path):
    pytest.importorskip("mkdocs")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    quiet = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=quiet, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    page = SimpleNamespace(text=(tmp_path / "reference/python/index.html").read_text())
    assert "spike_budget" in (tmp_path / "guide/engineer/index.html").read_text()
    assert "Counts what a model does on batches of samples" in page.text
