"""The released networks, run in float64 against values of the released code."""

import json
from pathlib import Path

import pytest
import torch

import gac
from gac.official import find_layout

INDEX = json.loads((Path(__file__).parents[1] / "golden" / "index.json").read_text())


def _cases(kind):
    names = [case["case"] for case in INDEX["cases"] if case["kind"] == kind]
    slow = pytest.mark.slow
    return [pytest.param(name, marks=slow if "224x224" in name else ()) for name in names]


@pytest.mark.parametrize("case", _cases("eval"))
def test_logits_equal_the_released_networks(golden_case, case):
    golden = golden_case("eval", case)
    model = gac.load_state(golden.state, steps=golden.steps).double()
    with torch.no_grad():
        logits = model(golden.images)
    largest = abs(golden.logits).max()
    torch.testing.assert_close(logits, torch.from_numpy(golden.logits), rtol=0, atol=1e-8 * largest)


@pytest.mark.parametrize("case", _cases("train"))
def test_a_training_pass_equals_the_released_one(golden_case, case):
    golden = golden_case("train", case)
    expected = golden.document
    model = gac.load_state(golden.state, steps=golden.steps).double().train()
    logits = model(golden.images)
    loss = torch.nn.functional.cross_entropy(logits.mean(1), torch.tensor(expected["labels"]))
    loss.backward()

    largest = abs(golden.logits).max()
    torch.testing.assert_close(
        logits.detach(), torch.from_numpy(golden.logits), rtol=0, atol=1e-8 * largest
    )
    assert float(loss.detach()) == pytest.approx(expected["loss_float64"], rel=1e-10)

    own = model.state_dict()
    names = dict(find_layout(golden.state).pairs(model.config.blocks, own))
    for key, values in expected["grads_float64"].items():
        gradient = model.get_parameter(names[key]).grad
        _check_sums(gradient, key, golden, values)
        assert float(gradient.abs().max()) == pytest.approx(values["absmax"], rel=1e-10), key
    for key, values in expected["buffers_float64"].items():
        if key.endswith("num_batches_tracked"):
            assert int(own[names[key]]) == values
        else:
            _check_sums(own[names[key]], key, golden, values)


def _check_sums(tensor, key, golden, values):
    direction = torch.from_numpy(
        golden.probe(key, golden.state[key].shape, golden.document["seed"])
    )
    dot = float((tensor.flatten() * direction.flatten()).sum())
    norm = float(tensor.norm())
    assert norm == pytest.approx(values["l2"], rel=1e-10), key
    # A dot product can cancel: its rounding scales with the norm.
    assert dot == pytest.approx(values["dot"], rel=1e-10, abs=1e-10 * norm), key


def test_every_parameter_has_a_golden_gradient(golden_case):
    golden = golden_case("train", "cifar_gac_c10_t2_32x32_s1")
    model = gac.load_state(golden.state)
    names = dict(find_layout(golden.state).pairs(model.config.blocks, model.state_dict()))
    covered = {names[key] for key in golden.document["grads_float64"]}
    assert covered == {name for name, _ in model.named_parameters()}
