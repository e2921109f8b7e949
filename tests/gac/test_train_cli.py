"""``gac-train`` as a person meets it: help, dry runs, mistakes, Ctrl-C, a real short run."""

import io
import json
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import fields
from types import SimpleNamespace

import pandas as pd
import pytest
import torch

import analysis
import gac
from analysis.cli import channels_last
from analysis.cli.errors import run
from analysis.cli.train import PROGRAM, app, main
from analysis.errors import InputError as AnalysisInputError
from gac.data import load_data
from gac.errors import InputError
from gac.msresnet import MSResNet
from gac.recipes import TrainConfig, meaning
from gac.registry import architecture

SHORT = [
    "--encoder", "direct", "--steps", "1", "--epochs", "1", "--batch-size", "256",
    "--rates-on", "4",
]  # fmt: skip


@pytest.fixture
def command(entry_point, monkeypatch, tmp_path):
    """Runs gac-train in an empty folder: (exit status, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    return entry_point(PROGRAM, main)


def test_a_short_run_trains_and_writes_both_checkpoints(command, tmp_path):
    status, out, err = command("--seed", 3, *SHORT)
    assert (status, err) == (0, "")
    assert "digits: 1,437 train and 360 test images, 16 x 16 pixels" in out
    assert "epoch 1/1  loss " in out
    assert sorted(path.name for path in (tmp_path / "runs/digits").iterdir()) == [
        "best.pth",
        "last.pth",
        "log.csv",
        "run.json",
        "snapshots",
    ]
    metadata = gac.load(tmp_path / "runs/digits/last.pth").metadata
    assert metadata.provenance.command == " ".join([PROGRAM, "--seed", "3", *SHORT])
    assert (metadata.provenance.seed, metadata.metrics["epoch"]) == (3, 1)
    assert metadata.metrics["test_samples"] == 360
    log = pd.read_csv(tmp_path / "runs/digits/log.csv")
    assert log.epoch.tolist() == [1]
    assert log.test_accuracy[0] == metadata.metrics["test_accuracy"]
    run = json.loads((tmp_path / "runs/digits/run.json").read_text())
    assert (run["training"]["seed"], run["network"]["encoder"]) == (3, "direct")


def test_the_rates_of_the_log_are_those_of_the_counter(command, tmp_path):
    command(*SHORT)
    log = pd.read_csv(tmp_path / "runs/digits/log.csv")
    checkpoint = gac.load(tmp_path / "runs/digits/last.pth")
    test = load_data("digits", preprocessing=checkpoint.metadata.preprocessing)
    report = analysis.analyze(checkpoint.model, [torch.stack([test[k][0] for k in range(4)])])
    for row in report.neurons.itertuples():
        assert log[f"rate {row.site}"][0] == pytest.approx(row.firing_rate)
    assert log.firing_rate[0] == pytest.approx(report.totals.firing_rate)
    assert log.energy_pj[0] == pytest.approx(report.totals.energy_pj)


def test_events_for_tensorboard_hold_the_log(command, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    command(*SHORT, "--tensorboard")
    events = EventAccumulator(str(tmp_path / "runs/digits")).Reload()
    (accuracy,) = events.Scalars("epoch/test_accuracy")
    log = pd.read_csv(tmp_path / "runs/digits/log.csv")
    assert (accuracy.step, accuracy.value) == (5, pytest.approx(log.test_accuracy[0]))


@pytest.mark.slow
def test_a_run_is_not_overwritten_but_resumed_or_thrown_away_when_asked(command, tmp_path):
    assert command(*SHORT)[0] == 0
    before = (tmp_path / "runs/digits/last.pth").read_bytes()
    status, _, err = command(*SHORT)
    assert status == 2
    assert "runs/digits holds a run: --resume goes on with it, --restart throws it away" in err
    assert (tmp_path / "runs/digits/last.pth").read_bytes() == before
    status, out, _ = command(*SHORT, "--resume")
    assert status == 0
    assert "epoch 1/1" not in out
    assert "every epoch was trained already: nothing is left to do" in out
    status, _, err = command(*SHORT, "--lr", 0.2, "--shift", 2, "--resume")
    assert status == 2
    assert "training.lr 0.1 there, 0.2 here; training.shift 1 there, 2 here" in err
    assert json.loads((tmp_path / "runs/digits/run.json").read_text())["training"]["lr"] == 0.1
    assert "epoch 1/1" in command(*SHORT, "--restart")[1]


def test_resume_starts_a_run_that_is_not_there(command, tmp_path):
    status, out, _ = command(*SHORT, "--resume", "--output", "new")
    assert status == 0
    assert "epoch 1/1" in out


def test_any_field_of_the_network_can_be_set(command):
    status, out, _ = command(
        "--network", "widths=[8,8,8]", "--network", "encoder=direct", "--dry-run"
    )
    assert status == 0
    assert "widths = [8, 8, 8]" in out
    for wrong, message in (
        ("widths", "--network takes FIELD=VALUE with one of steps, classes, "),
        ("wings=2", "--network takes FIELD=VALUE with one of steps, classes, "),
        ("widths=3", "MSResNetConfig: widths: Input should be"),
        ("steps=0", "steps must be at least 1, got 0"),
    ):
        status, _, err = command("--network", wrong, "--dry-run")
        assert status == 2
        assert message in err


def test_a_dry_run_prints_the_plan_and_writes_nothing(command, tmp_path):
    status, out, err = command("--epochs", 3, "--dry-run")
    assert (status, err) == (0, "")
    assert "msresnet8, gac encoder, 4 steps, 312,362 parameters" in out
    assert "3 epochs of 22 updates, batch 64" in out
    # 312,362 weights, their gradients and momentum, 4 bytes each: 3.57 MiB
    assert "memory per process, estimated for float32: 4 MiB for weights" in out
    resolved = tomllib.loads(out[out.index("model = ") :])
    assert resolved["training"]["epochs"] == 3
    assert resolved["network"]["neuron"]["threshold"] == 1.0
    assert resolved["data"]["preprocessing"]["image_size"] == 16
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_recipe_follows_the_data_and_the_data_the_recipe(command):
    assert (
        "mnist5k: 4,000 train and 1,000 test images" in command("--data", "mnist5k", "--dry-run")[1]
    )
    assert "mnist5k: 4,000 train" in command("--recipe", "mnist5k", "--dry-run")[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--recipe", "mnist"], "no recipe 'mnist'; known: digits, mnist5k, cifar10, cifar100"),
        (["--data", "mnist"], "unknown data set 'mnist'; known: digits, "),
        (["--data", "random"], "no recipe to train on 'random'; give one of digits, "),
        (["--recipe", "imagenet-r18"], "imagenet needs the folder it lies in: --data-root DIR"),
        (["--precision", "int8"], "unknown precision 'int8'; known: float32, "),
        (
            ["--budget-target", "0.1"],
            "budget_target 0.1 is of no budget; say which: rate or energy",
        ),
        (["--budget", "rate"], "a budget of rate needs its size: budget_target"),
        (["--keep", "0"], "Invalid value for '--keep'"),
        (["--model", "vgg"], "unknown model 'vgg'; known: "),
        (["--encoder", "rate"], "unknown encoder 'rate'; known: gac, direct, poisson, latency"),
        (["--gate", "half"], "unknown gate 'half'; known: full, temporal"),
        (["--encoder", "direct", "--gate", "off"], "gate 'off' needs the gac encoder"),
        (["--steps", "1"], "the gac encoder needs at least 2 steps"),
        (["--steps", "two"], "Invalid value for '--steps'"),
        (["--epochs", "0"], "epochs must be at least 1, got 0"),
        (["--lr", "-1"], "lr must be positive, got -1"),
        (["--lr", "nan"], "lr must be positive, got nan"),
        (["--batch-size", "5000"], "less than one batch of 5000"),
        (["--threads", "0"], "Invalid value for '--threads'"),
        (["--device", "tpu"], "unknown device 'tpu'; known: cpu, cuda"),
        (["--data", "cifar10"], "cifar10 needs the folder it lies in: --data-root DIR"),
        (["--data", "cifar10", "--data-root", "nowhere"], "--data-root nowhere is no folder"),
        (["--output", "/dev/null/runs"], "can't make the folder /dev/null/runs"),
        (["--speed", "9"], "No such option: --speed"),
        (["digits"], "unexpected extra argument"),
    ],
)
def test_bad_input_is_one_line_and_status_2(command, arguments, message):
    status, _, err = command(*arguments)
    assert status == 2
    assert err.startswith("gac-train: error: ")
    assert message in err
    assert err.count("\n") == 1


def test_a_folder_that_cannot_be_written_is_noticed_before_training(command, monkeypatch):
    def refuse(path, content):
        raise InputError(f"cannot write {path}: Permission denied")

    # root may write anywhere
    monkeypatch.setattr("analysis.cli.training_run.write_atomically", refuse)
    status, out, err = command("--output", "locked")
    assert status == 2
    assert err == "gac-train: error: cannot write locked/run.json: Permission denied\n"
    assert "epoch 1/" not in out


def test_both_packages_errors_end_alike(monkeypatch, capsys):
    def fail():
        raise AnalysisInputError("two\nlines")

    monkeypatch.setattr(app.registered_commands[0], "callback", fail)
    monkeypatch.setattr(sys, "argv", ["tool"])
    with pytest.raises(SystemExit) as ended:
        run(app, "tool")
    assert ended.value.code == 2
    assert capsys.readouterr().err == "tool: error: two lines\n"


def test_a_defect_ends_with_70_and_keeps_its_traceback(monkeypatch, tmp_path, capsys):
    def fail():
        raise ZeroDivisionError

    monkeypatch.setattr(app.registered_commands[0], "callback", fail)
    monkeypatch.setattr(sys, "argv", ["tool"])
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(SystemExit) as ended:
        run(app, "tool")
    assert ended.value.code == 70
    assert "ZeroDivisionError; traceback: " in capsys.readouterr().err
    (kept,) = tmp_path.glob("tool-*.txt")
    assert "raise ZeroDivisionError" in kept.read_text()


def test_every_option_has_help_and_the_help_has_an_example(command):
    status, out, _ = command("--help")
    assert status == 0
    assert "gac-train --recipe digits --epochs 5" in out
    text = " ".join(out.split())
    assert "Default 15 (digits), 40 (mnist5k), 250 (cifar10, cifar100, imagenet-r18, " in text
    for heading in ("What to train", "The run", "Optimiser", "Loss", "Augmentation"):
        assert f"\n{heading}:\n" in out


def test_every_setting_has_an_option_with_a_meaning(command):
    text = " ".join(command("--help")[1].split())
    for field in fields(TrainConfig):
        assert f"--{field.name.replace('_', '-')} " in text
        first_words = " ".join(meaning(field.name).split()[:3])[1:]
        assert first_words in text


def test_the_help_loads_no_torch():
    code = (
        "import sys; sys.argv[1:] = ['--help']\n"
        "from analysis.cli.train import main\n"
        "try: main()\n"
        "except SystemExit: assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_a_processor_that_channels_last_would_crash_is_told_beforehand(
    command, monkeypatch, tmp_path
):
    dies = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    monkeypatch.setattr("analysis.cli.channels_last.CHILD", dies)
    status, out, err = command(*SHORT, "--channels-last")
    assert (status, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert "ends with SIGSEGV on this processor" in err
    assert "leave --channels-last out" in err
    assert not (tmp_path / "runs").exists()


def test_the_trial_of_channels_last_is_an_update_on_the_networks_own_shapes(monkeypatch):
    seen = []
    network = architecture("msresnet8", image_size=8, widths=(8,), blocks=(1,), strides=(1,))
    settings = TrainConfig(batch_size=4, accumulate=2)

    def in_this_process(command, **told):
        assert command[-1] == channels_last.CHILD
        monkeypatch.setattr("sys.stdin", io.StringIO(told["input"]))
        monkeypatch.setattr(MSResNet, "forward", watch)
        channels_last.one_update()
        return SimpleNamespace(returncode=0)

    forward = MSResNet.forward

    def watch(self, images):
        weight = self.encoder.stem.conv.weight
        seen.append((tuple(images.shape), weight.is_contiguous(memory_format=torch.channels_last)))
        return forward(self, images)

    monkeypatch.setattr(channels_last.subprocess, "run", in_this_process)
    channels_last.try_channels_last(network, settings, [2, 3, 8, 8])
    assert seen == [((2, 3, 8, 8), True)] * 2
