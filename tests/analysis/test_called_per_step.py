"""`loop=True`: the toolkit calls a model that is written for one step, T times per batch."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

import analysis
from analysis.counting.steps import over_steps
from analysis.errors import InputError

STEPS, SAMPLES, SIZE, CLASSES = 3, 5, 6, 4


def data(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


PICTURES, CLIPS = data(SAMPLES, SIZE), data(SAMPLES, STEPS, SIZE)
LABELS = torch.tensor([0, 1, 2, 3, 0])


class Integrate(nn.Module):
    """Integrates and fires; its membrane is an attribute that nobody resets."""

    def __init__(self):
        super().__init__()
        self.membrane = None

    def forward(self, current):
        before = 0 if self.membrane is None else self.membrane
        membrane = before + current
        spikes = (membrane > 0.5).float()
        self.membrane = membrane - 0.5 * spikes
        return spikes


class OneStep(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.fires = nn.Linear(SIZE, 8), Integrate()
        self.last = nn.Linear(8, CLASSES)

    def forward(self, x):
        return self.last(self.fires(self.first(x)))


class HandsOut(OneStep):
    """The same with a membrane that the caller keeps."""

    def __init__(self):
        super().__init__()
        self.fires = nn.Identity()

    def forward(self, x, mem=None):
        membrane = (0 if mem is None else mem) + self.first(x)
        spikes = (membrane > 0.5).float()
        return self.last(spikes), membrane - 0.5 * spikes


def figures(report):
    run = replace(report.run, provenance={})
    return run.sites, run.neurons, run.elementwise, run.correct, run.correct_by_step, run.inputs


def by_hand(model, frames):
    """A loop as a user writes it; `frames` gives the input of each step."""

    def forward(x):
        return torch.stack([model(frame) for frame in frames(x)], 1)

    return forward


@pytest.mark.parametrize(
    ("x", "frames", "more"),
    [
        (PICTURES, lambda x: [x] * STEPS, {}),
        (CLIPS, lambda x: x.unbind(1), {}),
        (CLIPS.transpose(0, 1), lambda x: x.unbind(0), {}),
        (CLIPS.transpose(0, 1), lambda x: x.unbind(0), {"time_layout": "TB"}),
        (CLIPS[:STEPS], lambda x: x.unbind(1), {"time_layout": "BT"}),
    ],
)
def test_the_figures_are_those_of_a_loop_by_hand(x, frames, more):
    model, labels = OneStep(), LABELS[: 3 if x.shape[0] == x.shape[1] else 5]
    looped = analysis.analyze(model, [(x, labels)] * 2, steps=STEPS, loop=True, **more)
    hand = analysis.analyze(
        model, [(x, labels)] * 2, steps=STEPS, forward=by_hand(model, frames), **more
    )
    assert figures(looped) == figures(hand)
    assert looped.run.samples == 2 * len(labels)
    assert looped.run.sites[1].executions == STEPS
    assert len(looped.run.correct_by_step) == STEPS
    assert model.fires.membrane is None


def test_a_membrane_that_the_caller_left_is_what_every_pass_starts_from():
    model = OneStep()
    rested = analysis.analyze(model, [PICTURES, PICTURES], steps=STEPS, loop=True).run
    once = analysis.analyze(model, [PICTURES], steps=STEPS, loop=True).run
    assert [s.synops for s in rested.sites] == [2 * s.synops for s in once.sites]


def test_a_state_that_the_model_hands_out_goes_back_in():
    with_attribute = analysis.analyze(OneStep(), [(PICTURES, LABELS)], steps=STEPS, loop=True).run
    handed = analysis.analyze(HandsOut(), [(PICTURES, LABELS)], steps=STEPS, loop=True).run
    assert [s.synops for s in handed.sites] == [s.synops for s in with_attribute.sites]
    assert handed.correct_by_step == with_attribute.correct_by_step
    assert handed.sites[1].synops_by_step != (handed.sites[1].synops // STEPS,) * STEPS


class Needs(HandsOut):
    def forward(self, x, mem):
        return super().forward(x, mem)


def test_a_state_that_nobody_begins_is_asked_for():
    with pytest.raises(InputError, match=r"the model wants mem besides its inputs.*--forward"):
        analysis.analyze(Needs(), [PICTURES], steps=STEPS, loop=True)
    forward = HandsOut()
    assert analysis.analyze(forward, [PICTURES], steps=STEPS, loop=True).run.samples == SAMPLES


def test_as_many_samples_as_steps_do_not_tell_which_is_which():
    square = CLIPS[:STEPS]
    with pytest.raises(InputError, match="clips of 3 x 3 samples and steps do not tell"):
        analysis.analyze(OneStep(), [square], steps=STEPS, loop=True)
    known = analysis.analyze(OneStep(), [CLIPS, square], steps=STEPS, loop=True)  # by the first
    assert known.run.samples == SAMPLES + STEPS


def test_other_inputs_come_again_at_every_step():
    class Scaled(OneStep):
        def forward(self, x, gain):
            return super().forward(x * gain)

    model, gain = Scaled(), torch.ones(SAMPLES, 1)
    run = analysis.analyze(model, [{"x": CLIPS, "gain": gain}], steps=STEPS, loop=True).run
    plain = analysis.analyze(model, [{"x": PICTURES, "gain": gain}], steps=STEPS, loop=True).run
    assert [s.executions for s in run.sites] == [s.executions for s in plain.sites] == [3, 3]
    assert [s.synops for s in run.sites] != [s.synops for s in plain.sites]


def test_the_first_tensor_of_several_is_what_is_read_out():
    spikes, membranes = torch.ones(2, 4), torch.zeros(2, 4)
    assert over_steps([(spikes, membranes)] * 3).tolist() == torch.ones(2, 3, 4).tolist()
    assert isinstance(over_steps([torch.ones(2, 4, 4)]), list)  # no logits: as it came
    assert isinstance(over_steps([torch.ones(2, 4), torch.ones(3, 4)]), list)


MODULE = """
import torch
from tests.analysis.test_called_per_step import LABELS, PICTURES, HandsOut, Needs, OneStep

batches = [(PICTURES, LABELS)]
number = 3

def loop(model, x):
    membrane, found = torch.zeros(len(x), 8), []
    for _ in range(3):
        logits, membrane = model(x, membrane)
        found.append(logits)
    return torch.stack(found, 1)
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "perstep.py").write_text(MODULE)
    monkeypatch.syspath_prepend(Path(__file__).parents[2])
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    sys.modules.pop("perstep", None)


@pytest.mark.parametrize(
    "arguments",
    [
        ("perstep:OneStep", "--loop"),
        ("perstep:HandsOut", "--loop"),
        ("perstep:Needs", "--forward", "perstep:loop", "--time-layout", "loop"),
    ],
)
def test_the_command_line_calls_once_per_step_or_a_function_of_the_users(run, project, arguments):
    done = run("--model", *arguments, "--data", "perstep:batches", "--steps", STEPS,
               "--neurons", "fires", "--output", "out")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert ("note" in done.stdout and "3 times per batch" in done.stdout) == ("--loop" in arguments)
    found = json.loads(Path("out/report.json").read_text())["run"]
    by_hand = analysis.analyze(OneStep(), [(PICTURES, LABELS)], steps=STEPS, loop=True).run
    assert [s["synops"] for s in found["sites"]] == [s.synops for s in by_hand.sites]
    assert found["correct"] == by_hand.correct


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--loop"], "--loop and --forward are for a model of your own: --model"),
        (["--model", "perstep:Needs", "--loop"], "the model wants mem besides its inputs"),
        (["--model", "perstep:OneStep", "--forward", "perstep:number"], "is a int, not a functi"),
        (["--model", "perstep:OneStep", "--loop", "--crosscheck"], "--crosscheck runs the model o"),
    ],
)
def test_bad_input_gets_one_line_and_status_2(run, project, arguments, message):
    done = run(*arguments, "--data", "perstep:batches", "--steps", STEPS)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not done.stdout
