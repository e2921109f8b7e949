"""Dimensions made by expanding or repeating: which are the steps and which are not."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import analysis

STEPS = 4  # as many as the picture has rows, and as channels
SIDE = 4


class Fire(nn.Module):
    """Spikes where a value is above 0.3."""

    def forward(self, x):
        return (x > 0.3).to(x.dtype)


def counts_of(network, images):
    """Synops, or spikes, by sample and step; name of the layer -> counts, one call each."""
    run = analysis.analyze(network, [images], steps=STEPS, neurons=[Fire], per_sample=True).run
    counts = [one for one in run.per_sample if one.kind != "input" and one.key.name]
    assert len({one.key.name for one in counts}) == len(counts)
    return {one.key.name: one.counts for one in counts}


class Gated(nn.Module):
    """Neurons, a gate and a pointwise convolution, once per step on a still image.

    All weights are one, so of an image of ones every neuron fires and the gate is open.
    """

    def __init__(self, gate):
        super().__init__()
        self.gate, self.fire, self.after = gate, Fire(), Fire()
        self.convolution = nn.Conv2d(STEPS, 2, 1, bias=False)
        nn.init.ones_(self.convolution.weight)

    def step(self, x):
        spikes = self.fire(x)
        return self.after(self.convolution(self.gate(spikes)))

    def forward(self, x):
        return torch.stack([self.step(x) for _ in range(STEPS)]).mean((0, 3, 4))


def mean(x, *dims):
    return x.mean(dims, keepdim=True)


GATES = {
    "of every channel": lambda x: x * mean(x, 2, 3).expand_as(x),
    "of every place": lambda x: x * mean(x, 1).expand_as(x),
    "of every column": lambda x: x * mean(x, 2).expand_as(x),
    "repeated": lambda x: x * mean(x, 2, 3).repeat(1, 1, SIDE, SIDE),
    "in place": lambda x: x.clone().mul_(mean(x, 2, 3).expand_as(x)),
    "where it is open": lambda x: torch.where(x > 0, mean(x, 2, 3).expand_as(x), x),
    "beside": lambda x: torch.cat([x[:, :2], mean(x, 2, 3).expand_as(x)[:, 2:]], 1),
}


@pytest.mark.parametrize("gate", GATES.values(), ids=GATES)
def test_a_gate_that_is_expanded_over_a_picture_makes_no_steps(gate):
    images = torch.ones(3, STEPS, SIDE, SIDE)
    counts = counts_of(Gated(gate), images)
    pixels = SIDE * SIDE
    assert counts == {
        "fire": ((STEPS * pixels,) * STEPS,) * 3,
        "convolution": ((STEPS * pixels * 2,) * STEPS,) * 3,
        "after": ((2 * pixels,) * STEPS,) * 3,
    }


class Function(nn.Module):
    """A linear layer without bias on four features, called as a function says."""

    def __init__(self, function):
        super().__init__()
        self.function, self.layer = function, nn.Linear(4, 5, bias=False)

    def forward(self, x):
        return self.function(self.layer, x)


def step_counts(function, x):
    return counts_of(Function(function), x)["layer"]


STEPS_OF_A_PICTURE = {
    "in front": lambda x: x.expand(STEPS, *x.shape),
    "behind the samples": lambda x: x.unsqueeze(1).expand(-1, STEPS, -1),
    "repeated in front": lambda x: x.repeat(STEPS, 1, 1),
    "repeated behind the samples": lambda x: x.repeat(1, STEPS).view(len(x), STEPS, -1),
}


@pytest.mark.parametrize("make", STEPS_OF_A_PICTURE.values(), ids=STEPS_OF_A_PICTURE)
def test_a_picture_that_is_expanded_over_the_steps_has_them(make):
    counts = step_counts(lambda layer, x: layer(make(x)), torch.ones(2, 4))
    assert counts == ((20,) * STEPS,) * 2


@pytest.mark.parametrize("gate", GATES.values(), ids=GATES)
def test_a_gate_before_the_steps_begin_makes_none(gate):
    """Of a picture that is the same at all steps, and repeated behind its first layer."""

    class Stem(nn.Module):
        def __init__(self):
            super().__init__()
            self.still, self.fire = nn.Conv2d(STEPS, STEPS, 1, bias=False), Fire()
            self.convolution = nn.Conv2d(STEPS, 2, 1, bias=False)

        def forward(self, x):
            x = self.still(gate(x)).repeat(STEPS, 1, 1, 1, 1)
            return self.convolution(self.fire(x).flatten(0, 1))

    nn.init.ones_((network := Stem()).still.weight)
    found = counts_of(network, torch.ones(3, STEPS, SIDE, SIDE))
    pixels = SIDE * SIDE
    assert found == {
        "still": ((STEPS * pixels * STEPS,),) * 3,  # ran once, for all steps
        "fire": ((STEPS * pixels,) * STEPS,) * 3,
        "convolution": ((STEPS * pixels * 2,) * STEPS,) * 3,
    }


def test_a_picture_that_is_expanded_meets_a_gate_made_of_all_steps_and_no_count_is_lost():
    def gated(layer, x):
        clip = x.unsqueeze(1).expand(-1, STEPS, -1)
        temporal = mean(clip, 2).flatten(1) @ torch.eye(STEPS)
        return layer(clip * temporal.unsqueeze(2))

    assert step_counts(gated, torch.ones(2, 4)) == ((20 * STEPS,),) * 2  # at which is not known


def test_a_loop_over_as_many_samples_as_steps_is_none_over_the_steps():
    class BySample(nn.Module):
        def __init__(self):
            super().__init__()
            self.fire = Fire()

        def forward(self, x):
            clip = x.unsqueeze(1).expand(-1, STEPS, -1)
            return torch.stack([self.fire(sample) for sample in clip]).mean(1)

    assert counts_of(BySample(), torch.eye(STEPS)) == {"fire": ((1,) * STEPS,) * STEPS}


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_weights_that_are_expanded_for_every_sample_of_a_product_make_no_steps(mode):
    class Tokens(nn.Module):
        """A layer on tokens whose features are outermost, in a loop over the steps."""

        def __init__(self):
            super().__init__()
            self.fire, self.first, self.second = Fire(), nn.Linear(4, 4), nn.Linear(4, 4)
            nn.init.ones_(self.first.weight)

        def forward(self, x):
            turns = [self.first(self.fire(x).mT.contiguous().mT) for _ in range(STEPS)]
            return torch.stack([self.second(turn) for turn in turns]).mean(0)

    with mode():
        counts = counts_of(Tokens(), torch.ones(STEPS, 3, 4))
    assert counts["first"] == counts["second"] == ((3 * 4 * 4,) * STEPS,) * STEPS
