"""Weights as people save them, for `--model`: wrapped, prefixed, beside options and states."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from analysis.cli.weights import load_weights
from analysis.errors import InputError
from gac.errors import InputError as FileError


def build():
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))


def trained():
    model = build()
    with torch.no_grad():
        for number, parameter in enumerate(model.parameters()):
            parameter.fill_(float(number + 2))
    model[1].running_var.fill_(7.0)
    return model


def prefixed(prefix):
    return {prefix + name: tensor for name, tensor in trained().state_dict().items()}


PLAIN = prefixed("")
OPTIONS = argparse.Namespace(lr=0.1, sizes=[1, 2])
FILES = {
    "plain": PLAIN,
    **{key: {key: PLAIN, "epoch": 3} for key in (
        "net", "state_dict", "model", "model_state_dict", "state", "state_dict_ema", "ema",
        "module",
    )},
    **{prefix: {"state_dict": prefixed(prefix)} for prefix in (
        "module.", "_orig_mod.", "model.", "net.", "module._orig_mod.", "_orig_mod.module.",
    )},
    "lightning": {"state_dict": {**prefixed("model."), "loss.weight": torch.ones(2)}, "epoch": 1},
    "averaged": {**prefixed("module."), "n_averaged": torch.tensor(5)},
    "compiled inside": {n.replace("0.", "0._orig_mod."): x for n, x in PLAIN.items()},
    "deepspeed": {"module": prefixed("module."), "global_steps": 100},
    "nested": {"model": {"state_dict": PLAIN}, "args": OPTIONS},
    "options and numbers of numpy": {
        "net": PLAIN, "acc": np.float64(91.5), "epoch": np.int64(3), "best": np.bool_(True),
        "losses": np.arange(4.0), "names": np.array(["a", "b"]), "args": OPTIONS,
    },
    "old batch norm": {n: x for n, x in PLAIN.items() if "num_batches" not in n},
}  # fmt: skip


@pytest.mark.parametrize("kind", list(FILES))
def test_the_weights_arrive(tmp_path, kind):
    torch.save(FILES[kind], tmp_path / "saved.pth")
    model = build()
    notes = load_weights(model, tmp_path / "saved.pth", option="--model mine:build")
    for name, tensor in trained().state_dict().items():
        assert torch.equal(model.state_dict()[name], tensor), name
    around = {"lightning": ["not part of the model, left out: loss.weight"],
              "averaged": ["not part of the model, left out: n_averaged"]}  # fmt: skip
    assert notes == around.get(kind, [])


def test_of_two_sets_of_weights_the_first_is_taken_and_said(tmp_path):
    content = {"state_dict_ema": build().state_dict(), "state_dict": PLAIN}
    torch.save(content, tmp_path / "saved.pth")
    model = build()
    notes = load_weights(model, tmp_path / "saved.pth", option="--model mine:build")
    assert torch.equal(model[0].weight, trained()[0].weight)
    assert notes == ["weights under 'state_dict'; not those under state_dict_ema"]


class Neuron(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("v_mem", torch.zeros(1))
        self.tau = nn.Parameter(torch.tensor(2.0))


def neurons(batch=None):
    model = nn.Sequential(nn.Linear(3, 4), Neuron())
    if batch is not None:
        model[1].v_mem = torch.ones(batch, 4)
    return model


@pytest.mark.parametrize("batch", [None, 1, 64])
def test_the_state_of_neurons_is_no_weight(tmp_path, batch):
    state = {**neurons(batch).state_dict(), "1.v": torch.ones(5), "1.tau": torch.tensor(9.0)}
    torch.save(state, tmp_path / "saved.pth")
    model = neurons()
    (note,) = load_weights(model, tmp_path / "saved.pth", option="--model mine:build")
    assert note == "saved state of neurons left out, it is no weight: 1.v_mem, 1.v"
    assert model[1].v_mem.tolist() == [0.0]
    assert model[1].tau == 9


def test_state_of_sinabs_saved_in_the_middle_of_training(tmp_path):
    layers = pytest.importorskip("sinabs.layers")
    net = nn.Sequential(nn.Linear(3, 4), layers.LIF(tau_mem=20.0))
    net(torch.rand(8, 5, 3))
    torch.save({"net": net.state_dict()}, tmp_path / "saved.pth")
    fresh = nn.Sequential(nn.Linear(3, 4), layers.LIF(tau_mem=20.0))
    (note,) = load_weights(fresh, tmp_path / "saved.pth", option="--model mine:build")
    assert "left out, it is no weight: 1.v_mem" in note
    assert torch.equal(fresh[0].weight, net[0].weight)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s.pop("0.weight"), r"only in the model: 0\.weight; --model takes"),
        (lambda s: s.pop("1.running_var"), r"only in the model: 1\.running_var;"),
        (lambda s: s.update({"head.weight": torch.ones(1)}), r"only in the file: head\.weight;"),
        (
            lambda s: s.update({"0.weight": torch.ones(4, 5)}),
            r"of other shapes: 0\.weight \(4x5 in the file, 4x3 in the model\)",
        ),
    ],
)
def test_another_networks_weights_are_refused_by_name(tmp_path, change, words):
    state = dict(PLAIN)
    change(state)
    torch.save({"net": state}, tmp_path / "saved.pth")
    with pytest.raises(InputError, match=words) as caught:
        load_weights(build(), tmp_path / "saved.pth", option="--model mine:build")
    assert "saved.pth does not fit the model of --model mine:build: " in str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([1, 2], "saved.pth holds a list, no weights"),
        ({"epoch": 3, "optimizer": {}}, "holds no weights .* its keys are epoch, optimizer"),
    ],
)
def test_a_file_without_weights_says_what_it_holds(tmp_path, content, words):
    torch.save(content, tmp_path / "saved.pth")
    with pytest.raises(InputError, match=words):
        load_weights(build(), tmp_path / "saved.pth", option="--model mine:build")


def test_an_object_of_another_class_is_named_and_never_made(tmp_path, monkeypatch):
    config = type("Config", (), {"__module__": "mylab"})
    monkeypatch.setitem(sys.modules, "mylab", argparse.Namespace(Config=config))
    torch.save({"net": PLAIN, "config": config()}, tmp_path / "saved.pth")
    with pytest.raises(FileError, match=r"mylab\.Config.*torch\.save\(model\.state_dict\(\)"):
        load_weights(build(), tmp_path / "saved.pth", option="--model mine:build")


def test_the_report_says_what_was_left_out(run, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2])
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(
        "import torch\nfrom tests.analysis.test_weights_files import build\n"
        "batches = [torch.ones(5, 3)]\n"
    )
    torch.save(FILES["lightning"], "saved.pth")
    done = run("saved.pth", "--model", "mine:build", "--data", "mine:batches", "--steps", 1)
    assert done.returncode == 0, done.stderr
    assert "not part of the model, left out: loss.weight" in done.stdout
    torch.save(FILES["lightning"]["state_dict"], "saved.pth")
    refused = run("saved.pth")
    assert refused.returncode == 2
    assert "not a GAC MS-ResNet" in refused.stderr
    assert "--model package.module:function" in refused.stderr
