"""``gac-analyze`` on files and folders from an unknown hand, as a person calls it."""

import json
import pickle
import resource
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

import analysis.cli.job_run
import gac
from analysis.cli.analyze import main

RANDOM = "random input: rates mean nothing"


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs the entry point: exit status, stdout on one line, stderr."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["gac-analyze", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "300")
        with pytest.raises(SystemExit) as ended:
            main()
        written = capsys.readouterr()
        out = " ".join(written.out.split())
        return SimpleNamespace(status=ended.value.code, out=out, err=written.err)

    return call


@pytest.fixture
def released(tmp_path):
    """Writes a small released network, changed by ``wrap``, to a file."""

    def write(name, wrap=dict, **changes):
        torch.manual_seed(0)
        path = tmp_path / "released.pth"
        torch.save(wrap(gac.export_official(gac.build(name, **changes))), path)
        return path

    return write


@pytest.fixture
def root(tmp_path):
    """A data root with six pictures of CIFAR-10 and CIFAR-100 each, and two of ImageNet."""
    pixels = np.random.default_rng(0).integers(0, 256, (6, 3072), dtype=np.uint8)
    for file, key in (("cifar-10-batches-py/test_batch", ""), ("cifar-100-python/test", "fine_")):
        (tmp_path / file).parent.mkdir()
        content = {"data": pixels, f"{key}labels": [0, 1, 2, 3, 4, 5]}
        (tmp_path / file).write_bytes(pickle.dumps(content))
    for name in ("n01440764", "n01443537"):
        folder = tmp_path / "imagenet" / "val" / name
        folder.mkdir(parents=True)
        Image.new("RGB", (40, 30), (200, 100, 0)).save(folder / "1.JPEG")
    return tmp_path


def _parallel(state):
    """As DistributedDataParallel and a training script wrap it."""
    return {"state_dict": {f"module.{key}": value for key, value in state.items()}, "epoch": 3}


@pytest.mark.parametrize("wrap", [dict, _parallel, lambda state: {"model": state, "epoch": 3}])
def test_a_released_cifar_network_runs_on_an_archive(run, released, root, wrap):
    path = released("msresnet8", wrap, classes=100, image_size=32)
    done = run(path, "--data", "cifar100", "--data-root", root)
    assert (done.status, done.err) == (0, "")
    assert "cifar100 test, 6 of 6 samples, T = 4" in done.out
    assert "accuracy" in done.out
    assert "its preprocessing is unknown; the usual one of cifar100 is assumed" in done.out


def test_a_released_imagenet_network_runs_on_a_folder(run, released, root):
    small = {"stem_width": 8, "widths": (8, 8), "blocks": (1, 1), "strides": (2, 2), "steps": 2}
    path = released("msresnet18", _parallel, **small)
    done = run(path, "--data", "imagenet", "--data-root", root)
    assert (done.status, done.err) == (0, "")
    assert "imagenet test, 2 of 2 samples, T = 2" in done.out
    assert "no accuracy: the labels of this data are not the 1000 classes" in done.out


def test_labels_of_other_classes_give_no_accuracy(run, released, root):
    path = released("msresnet8", classes=100, image_size=32)
    done = run(path, "--data", "cifar10", "--data-root", root)
    assert (done.status, done.err) == (0, "")
    assert "no accuracy: the labels of this data are not the 100 classes" in done.out
    done = run("--data", "cifar10", "--data-root", root)  # ten classes, but those of the digits
    assert "no accuracy: the labels of this data are not the 10 classes" in done.out
    assert "trained on digits, analysed on cifar10" in done.out


def test_a_network_without_encoder_needs_its_steps(run, released):
    path = released("msresnet8", encoder="direct")
    refused = run(path, "--data", "random", "--samples", 2)
    assert refused.status == 2
    assert "on the command line --steps" in refused.err
    done = run(path, "--data", "random", "--samples", 2, "--steps", 3)
    assert done.status == 0
    assert "T = 3" in done.out


def test_random_data_is_marked_where_one_looks_first_and_in_the_file(run, tmp_path):
    done = run("--data", "random", "--samples", 2, "--output", tmp_path)
    assert done.status == 0
    assert f"data {RANDOM}, 2 of 256 samples" in done.out
    facts = json.loads((tmp_path / "report.json").read_text())["run"]["provenance"]
    assert facts["data"].startswith(RANDOM)
    assert RANDOM in facts["notes"]


def test_sixteen_bit_weights_are_accepted_and_said(run, released):
    path = released(
        "msresnet8",
        lambda state: {k: v.half() if v.is_floating_point() else v for k, v in state.items()},
    )
    done = run(path, "--data", "random", "--samples", 2)
    assert done.status == 0
    assert "weights stored as float16, widened" in done.out


class _Code:
    def __reduce__(self):
        return (Path.touch, (Path("executed"),))


def test_code_in_a_file_is_not_run(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"conv1_s.w": _Code()}, "code.pth")
    done = run("code.pth", "--data", "random")
    assert (done.status, done.out) == (2, "")
    assert "nothing of it was run" in done.err
    assert done.err.count("\n") == 1
    assert not Path("executed").exists()


def test_a_damaged_picture_is_named(run, released, root):
    picture = root / "imagenet/val/n01440764/1.JPEG"
    picture.write_bytes(b"no picture")
    done = run(released("msresnet8"), "--data", "imagenet", "--data-root", root)
    assert done.status == 2
    assert f"cannot read {picture}: " in done.err
    assert done.err.count("\n") == 1


def test_ctrl_c_is_one_line_and_status_130(run, monkeypatch):
    def interrupt(*_arguments, **_keywords):
        raise KeyboardInterrupt

    monkeypatch.setattr(analysis.cli.job_run, "analyze", interrupt)
    done = run("--samples", 2)
    assert (done.status, done.err) == (130, "gac-analyze: stopped\n")


def _command(*arguments, **keywords):
    program = Path(sys.executable).with_name("gac-analyze")
    return subprocess.run(
        [program, *arguments], stderr=subprocess.PIPE, text=True, check=False, **keywords
    )


def test_a_full_disk_behind_the_output_is_one_line():
    with Path("/dev/full").open("w") as full:
        done = _command("--help", stdout=full)
    assert done.returncode == 2
    assert done.stderr == "gac-analyze: error: [Errno 28] No space left on device\n"


@pytest.mark.slow
def test_a_full_disk_leaves_no_half_a_report(tmp_path):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))  # a write beyond it fails

    done = _command(
        "--samples", "2", "--output", tmp_path, stdout=subprocess.PIPE, preexec_fn=limit
    )
    assert done.returncode == 2
    assert (
        done.stderr == f"gac-analyze: error: can't write {tmp_path}/report.json: File too large\n"
    )
    assert not list(tmp_path.iterdir())
