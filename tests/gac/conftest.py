"""Golden reference values and networks small enough to run in milliseconds."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from gac.metadata import DataRecord, Metadata, Preprocessing, Provenance
from gac.registry import ARCHITECTURES
from gac.training import fresh_model

GOLDEN = Path(__file__).parents[1] / "golden"


def _rule():
    """The weight rule, a script beside the golden files."""
    spec = importlib.util.spec_from_file_location("golden_weights", GOLDEN / "weights.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


RULE = _rule()


@lru_cache(maxsize=1)
def _golden_state(model):
    keys = RULE.load_keys(GOLDEN / "keys" / f"{model}.json")
    return {name: torch.from_numpy(value) for name, value in RULE.state_arrays(keys, 1).items()}


def steps_of(model):
    """What the weights do not tell without the encoder; None where they do."""
    return int(model.rsplit("_t", 1)[1]) if "plain" in model else None


def _golden_case(kind, case):
    """One stored case: its document, logits, the released state dict and the input."""
    document = json.loads((GOLDEN / kind / f"{case}.json").read_text())
    model = document["keys_file"].removesuffix(".json")
    images = RULE.make_input(document["input_shape"], document["seed"])
    return SimpleNamespace(
        document=document,
        logits=np.load(GOLDEN / kind / f"{case}.npz")["logits_float64"],
        state=_golden_state(model),
        steps=steps_of(model),
        images=torch.from_numpy(images).double(),
        probe=RULE.probe,
    )


@pytest.fixture
def golden_case():
    return _golden_case


@pytest.fixture
def golden_keys():
    """(key rows of a released model, a state dict with those keys and random weights)."""

    def read(model):
        rows = json.loads((GOLDEN / "keys" / f"{model}.json").read_text())["keys"]
        generator = torch.Generator().manual_seed(0)
        tensors = {
            row["canonical"]: torch.rand(row["shape"], generator=generator)
            if row["dtype"] == "float32"
            else torch.randint(1000, row["shape"], generator=generator)
            for row in rows
        }
        return rows, {row["key"]: tensors[row["canonical"]] for row in rows}

    return read


@pytest.fixture
def tiny_config():
    """One block of 8 channels on 8 x 8 images, 2 steps, of the CIFAR family."""
    return replace(
        ARCHITECTURES["msresnet8"],
        steps=2,
        stem_width=4,
        widths=(8,),
        blocks=(1,),
        strides=(1,),
        image_size=8,
    )


@pytest.fixture
def tiny_model(tiny_config):
    return fresh_model(tiny_config, seed=0).eval()


@pytest.fixture
def preprocessing():
    return Preprocessing(image_size=8, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))


@pytest.fixture
def metadata(preprocessing):
    return Metadata(
        preprocessing=preprocessing,
        data=DataRecord(name="digits", split="by hand", seed=None),
        provenance=Provenance(
            command="gac-train",
            package_version="0",
            torch_version="2",
            commit=None,
            seed=0,
            threads=1,
            device="cpu",
            date="2026-01-01T00:00:00+00:00",
        ),
        metrics={"test_accuracy": 0.5, "epoch": 3},
        notes=("a note",),
    )
