"""``gac-eval`` as a person meets it."""

import json

import pytest
import torch

import gac
from analysis.cli.evaluate import PROGRAM, main
from gac.checkpoint import shipped_checkpoint
from gac.data import load_data


@pytest.fixture
def command(entry_point, monkeypatch, tmp_path):
    """Runs gac-eval in an empty folder: (exit status, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    return entry_point(PROGRAM, main)


def test_the_shipped_network_step_by_step(command, tmp_path):
    status, out, err = command("--output", "eval.json")
    assert (status, err) == (0, "")
    found = json.loads((tmp_path / "eval.json").read_text())
    network = gac.load(shipped_checkpoint())
    test = load_data("digits", preprocessing=network.metadata.preprocessing)
    images = torch.stack([test[k][0] for k in range(len(test))])
    labels = torch.tensor([test[k][1] for k in range(len(test))])
    with torch.no_grad():
        logits = network.model(images)
    right = [int((logits[:, :t].mean(1).argmax(1) == labels).sum()) for t in (1, 2, 3, 4)]
    # Folding norms moves sums by their last bits: at most one image may change sides.
    assert found["correct_by_step"] == pytest.approx(right, abs=1)
    assert (found["samples"], found["correct"]) == (360, found["correct_by_step"][-1])
    assert f"top-1       {100 * found['correct'] / 360:.2f} %" in out
    assert "note: weights of the last epoch" in out


def test_the_weights_go_out_in_the_released_format_and_come_back(command, tmp_path):
    assert command("--export-official", "official.pth")[0] == 0
    own, back = gac.load(shipped_checkpoint()), gac.load(tmp_path / "official.pth")
    state = back.model.state_dict()
    assert all(torch.equal(state[name], t) for name, t in own.model.state_dict().items())


@pytest.mark.parametrize("precision", ["float64", "bf16"])
def test_other_precisions_answer_too(command, precision):
    status, out, _ = command("--precision", precision)
    assert status == 0
    assert float(out.split("top-1")[1].split("%")[0]) > 98


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.pth"], "missing.pth does not exist"),
        (["--data", "cifar100", "--data-root", "x"], "--data-root x is no folder"),
        (["--data", "random"], "no accuracy on random: its labels are not the 10 classes"),
        (["--precision", "int8"], "unknown precision 'int8'; known: float32, float64, bf16, fp16"),
        (["--device", "tpu"], "device 'tpu' can't be used"),
        (["--batch-size", "0"], "Invalid value for '--batch-size'"),
        (["--export-official", "/dev/null/x"], "cannot write /dev/null/x"),
    ],
)
def test_bad_input_is_one_line_and_status_2(command, arguments, message):
    status, _, err = command(*arguments)
    assert status == 2
    assert err.startswith("gac-eval: error: ")
    assert message in err
    assert err.count("\n") == 1
