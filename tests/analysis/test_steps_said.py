"""Where the number of steps comes from, and that it is said."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import analysis
from analysis.counting.steps import NAMES
from analysis.errors import InputError

X = [torch.ones(2, 3)]


def named(**attributes):
    model = nn.Linear(3, 2)
    for name, value in attributes.items():
        setattr(model, name, value)
    return model


@pytest.mark.parametrize("name", NAMES)
def test_the_model_may_say_its_steps_under_several_names(name):
    run = analysis.analyze(named(**{name: 4}), X).run
    assert run.steps == 4
    notes = run.provenance.get("notes", [])
    assert notes == ([] if name == "steps" else [f"T = 4, from the model's attribute {name}"])


def test_what_the_caller_says_goes_first():
    run = analysis.analyze(named(T=4, time_step=6), X, steps=2).run
    assert run.steps == 2
    assert "notes" not in run.provenance


def test_names_that_agree_are_one_voice_and_others_are_refused():
    assert analysis.analyze(named(T=4, num_steps=4), X).run.steps == 4
    with pytest.raises(InputError, match="disagree on the number of steps: T = 4, num_steps = 8"):
        analysis.analyze(named(T=4, num_steps=8), X)


@pytest.mark.parametrize("value", [0, -1, True, 4.0, "4", None, torch.tensor(4)])
def test_what_is_no_whole_number_says_nothing(value):
    with pytest.raises(InputError, match=r"steps is needed.*no attribute that says it"):
        analysis.analyze(named(T=value), X)
    if value is not None:
        with pytest.raises(InputError, match="steps must be a whole number of at least 1"):
            analysis.analyze(named(), X, steps=value)
