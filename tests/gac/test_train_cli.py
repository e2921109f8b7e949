"""``gac-train`` as a person meets it: help, dry runs, mistakes, Ctrl-C, a real short run."""

import subprocess
import sys

import pytest

import gac
import gac.training
from analysis.cli.errors import run
from analysis.cli.train import PROGRAM, app, main
from analysis.errors import InputError as AnalysisInputError
from gac.training import EpochRecord

SHORT = ["--encoder", "direct", "--steps", "1", "--epochs", "1", "--batch-size", "256"]


@pytest.fixture
def command(monkeypatch, capsys, tmp_path):
    """Runs gac-train in an empty folder: (exit status, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", [PROGRAM, *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return ended.value.code, captured.out, captured.err

    return call


def test_a_short_run_trains_and_writes_both_checkpoints(command, tmp_path):
    status, out, err = command("--seed", 3, *SHORT)
    assert (status, err) == (0, "")
    assert "digits: 1,437 train and 360 test images, 16 x 16 pixels" in out
    assert "epoch 1/1  loss " in out
    assert sorted(path.name for path in (tmp_path / "runs/digits").iterdir()) == [
        "best.pth",
        "last.pth",
    ]
    metadata = gac.load(tmp_path / "runs/digits/last.pth").metadata
    assert metadata.provenance.command == " ".join([PROGRAM, "--seed", "3", *SHORT])
    assert (metadata.provenance.seed, metadata.metrics["epoch"]) == (3, 1)
    assert metadata.metrics["test_samples"] == 360


def test_a_dry_run_prints_the_plan_and_writes_nothing(command, tmp_path):
    status, out, err = command("--dry-run")
    assert (status, err) == (0, "")
    assert "msresnet8, gac encoder, 4 steps, 312,362 parameters" in out
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "mnist"], "no recipe to train on 'mnist'; known: digits, cifar10, cifar100"),
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
        (["--threads", "0"], "threads must be at least 1, got 0"),
        (["--device", "tpu"], "unknown device 'tpu'; known: cpu, cuda"),
        (["--data", "cifar10"], "cifar10 needs the folder it lies in: --data-root DIR"),
        (["--data", "cifar10", "--data-root", "nowhere"], "expected data_batch_1, "),
        (["--output", "/dev/null/runs"], "cannot make the folder /dev/null/runs"),
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
    monkeypatch.setattr("os.access", lambda path, mode: False)  # root may write anywhere
    status, out, err = command("--output", "locked")
    assert (status, err) == (2, "gac-train: error: cannot write to the folder locked\n")
    assert "epoch 1/" not in out


@pytest.mark.parametrize(
    ("finished", "message"),
    [
        (0, "no epoch was finished, nothing was written"),
        (2, "kept last.pth (epoch 2) and best.pth in runs/digits"),
    ],
)
def test_ctrl_c_says_what_was_kept(command, monkeypatch, tmp_path, finished, message):
    def interrupted(*_arguments, **_keywords):
        for epoch in range(1, finished + 1):
            yield EpochRecord(epoch=epoch, loss=1, lr=0.1, test_correct=epoch, test_samples=10)
        raise KeyboardInterrupt

    monkeypatch.setattr(gac.training, "train", interrupted)
    status, _, err = command()
    assert status == 130
    assert err == f"gac-train: stopped; {message}\n"
    assert (tmp_path / "runs/digits/last.pth").exists() == bool(finished)


def test_both_packages_errors_end_alike(monkeypatch, capsys):
    def fail():
        raise AnalysisInputError("two\nlines")

    monkeypatch.setattr(app.registered_commands[0], "callback", fail)
    monkeypatch.setattr(sys, "argv", ["tool"])
    with pytest.raises(SystemExit) as ended:
        run(app, "tool")
    assert ended.value.code == 2
    assert capsys.readouterr().err == "tool: error: two lines\n"


def test_a_defect_keeps_its_traceback(monkeypatch):
    def fail():
        raise ZeroDivisionError

    monkeypatch.setattr(app.registered_commands[0], "callback", fail)
    monkeypatch.setattr(sys, "argv", ["tool"])
    with pytest.raises(ZeroDivisionError):
        run(app, "tool")


def test_every_option_has_help_and_the_help_has_an_example(command):
    status, out, _ = command("--help")
    assert status == 0
    assert "Example: gac-train --data digits" in out
    assert "default 15 (digits), 250 (cifar10, cifar100)" in " ".join(out.split())
    options = [line for line in out.splitlines() if line.startswith("  --")]
    assert len(options) > 10
    assert all(len(line.split("  ")) > 2 for line in options)  # name, gap, text


def test_the_help_loads_no_torch():
    code = (
        "import sys; sys.argv[1:] = ['--help']\n"
        "from analysis.cli.train import main\n"
        "try: main()\n"
        "except SystemExit: assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
