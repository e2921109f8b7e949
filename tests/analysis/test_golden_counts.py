"""Spikes and events of the official implementation, call by call and step by step (float64)."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
import torch

import analysis
import gac

GOLDEN = Path(__file__).parent.parent / "golden"
CASES = [
    pytest.param(path.stem, marks=[pytest.mark.slow] if "224x224" in path.stem else [])
    for path in sorted((GOLDEN / "eval").glob("*.json"))
]
ORIGINS = {
    "image": "image",
    "current": "current",
    "relu": "current",
    "spikes": "spikes",
    "gated_spikes": "gated-spikes",
    "pooled_spikes": "pooled-spikes",
}


def _weights():
    spec = importlib.util.spec_from_file_location("golden_weights", GOLDEN / "weights.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _analysed(case):
    expected = json.loads((GOLDEN / "eval" / f"{case}.json").read_text())
    weights = _weights()
    keys = weights.load_keys(GOLDEN / "keys" / expected["keys_file"])
    state = {
        key: torch.from_numpy(array)
        for key, array in weights.state_arrays(keys, expected["seed"]).items()
    }
    steps = None if expected["model"]["gac"] else expected["model"]["T"]
    model = gac.load_state(state, steps=steps).double()
    images = torch.from_numpy(weights.make_input(expected["input_shape"], expected["seed"]))
    return expected, analysis.analyze(model, [images.double()], per_sample=True)


def _expected_kind(op, operand):
    """Their kinds mix values and origin; ours tell the two apart."""
    if op["input_max"] == 0 and op["input_min"] == 0:
        return {"silent"}
    if op["input_min"] == op["input_max"]:  # the pooled current of a single image: one level
        return {"spike", "ternary"}
    if op["input_kind"] == "binary":
        return {"spike"}
    if op["input_source"] == "pooled_spikes":
        return {"graded", "real"}  # multiples of 1 / (H * W), more than 16 of them on large maps
    return {"real"}


@pytest.mark.parametrize("case", CASES)
def test_counts_equal_those_of_the_official_implementation(case):
    expected, report = _analysed(case)
    batch = expected["input_shape"][0]
    run = report.run

    assert len(run.neurons) == len(expected["lif_float64"])
    spikes = [c for c in run.per_sample if c.kind == "neuron"]
    every_step = run.at_every_step.sites
    for counts, neuron, lif in zip(spikes, run.neurons, expected["lif_float64"], strict=True):
        assert [list(row) for row in counts.counts] == lif["spikes_per_image_step"], lif["site"]
        assert neuron.neurons == lif["neurons"]

    assert len(run.sites) == len(expected["ops_float64"])
    synops = [c for c in run.per_sample if c.kind == "site"]
    sites = zip(run.sites, every_step, strict=True)
    for counts, (ran, site), op in zip(synops, sites, expected["ops_float64"], strict=True):
        rows = [row * ran.stands_for for row in counts.counts]
        where = f"{site.key} against {op['module']}"
        assert site.dense_macs == op["dense_macs"], where
        assert site.inside_macs == op["inside_macs_per_image"] * batch, where
        assert site.synops == op["events"], where
        assert [sum(row) for row in rows] == op["events_per_image"], where
        if op.get("events_per_image_step"):
            assert [list(row) for row in rows] == op["events_per_image_step"], where
        assert site.in_rate == pytest.approx(op["nonzero_fraction"], rel=1e-12), where
        assert site.operand in _expected_kind(op, site.operand), where
        assert site.origin == ORIGINS[op["input_source"]], where
