"""Random networks in random layouts: every sample and step has the counts it has alone.

A network is a list of operations on clips ``(B, T, C, H, W)``. Each runs in one of many layouts
(flattened either way, a loop over steps or samples, pieces of a clip), which changes no value.
What it should count is written down while it runs on one sample alone, from its values. All of
these are multiples of small fractions, so that no sum depends on its order.
"""

from __future__ import annotations

from functools import partial

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

import analysis

CHANNELS, SIDE = 4, 3


def rows(function, x):
    """A function of ``(N, C, H, W)`` on samples and steps flattened, samples outside."""
    return function(x.flatten(0, 1)).unflatten(0, x.shape[:2])


def rows_steps_outside(function, x):
    return rows(function, x.transpose(0, 1)).transpose(0, 1)


def rows_channels_last(function, x):
    flat = x.flatten(0, 1).contiguous(memory_format=torch.channels_last)
    return function(flat).unflatten(0, x.shape[:2])


def loop(function, x):
    return torch.stack([function(x[:, t]) for t in range(x.shape[1])], 1)


def loop_over_samples(function, x):
    return torch.stack([function(sample) for sample in x])


def two_pieces(function, x):
    return torch.cat([rows(function, piece) for piece in (x[:, :1], x[:, 1:]) if piece.shape[1]], 1)


def filled(function, x):
    """Into a tensor that is there before, step by step."""
    result = None
    for t in range(x.shape[1]):
        part = function(x[:, t])
        result = x.new_zeros(*x.shape[:2], *part.shape[1:]) if result is None else result
        result[:, t] = part
    return result


def filled_steps_outside(function, x):
    result = x.new_empty(x.shape[1], x.shape[0], *x.shape[2:])
    for t in range(x.shape[1]):
        result[t] = function(x[:, t])
    return result.transpose(0, 1)


def filled_by_sample(function, x):
    result = torch.empty_like(x, memory_format=torch.contiguous_format)
    for b, sample in enumerate(x):
        result[b] = function(sample)
    return result


def joined(function, x):
    return torch.cat([function(x[:, t]) for t in range(x.shape[1])]).unflatten(
        0, (x.shape[1], x.shape[0])
    ).transpose(0, 1)  # fmt: skip


LAYOUTS = [
    rows, rows_steps_outside, rows_channels_last, loop, loop_over_samples, two_pieces, filled,
    filled_steps_outside, filled_by_sample, joined,
]  # fmt: skip


def leaky(x):
    """Spikes of leaky neurons, in a loop over the steps."""
    membrane, spikes = torch.zeros_like(x[:, 0]), []
    for current in x.unbind(1):
        membrane = 0.5 * membrane + current
        spikes.append((membrane > 0.3).to(x.dtype))
        membrane = membrane * (1 - spikes[-1])
    return torch.stack(spikes, 1)


def step_later(x):
    return torch.cat([torch.zeros_like(x[:, :1]), x[:, :-1]], 1)


def change(x):
    return torch.cat([x[:, :1], x[:, 1:] - x[:, :-1]], 1)


WITHOUT_WEIGHTS = {
    "leaky": leaky,
    "step later": step_later,
    "change": change,
    "relu": torch.relu,
    "changed in place": lambda x: x.clone().relu_().mul_(2),
    "residual": lambda x: x + x.flip(3),
    "gated": lambda x: x * x.sum((3, 4), keepdim=True).sign(),
    "gated by places": lambda x: x * x.sum((3, 4), keepdim=True).sign().expand_as(x),
    "gated by channels": lambda x: x * x.sum(2, keepdim=True).sign().expand_as(x),
    "one of the channels": lambda x: (x == x.amax(2, keepdim=True)).to(x.dtype),
    "joined channels": lambda x: torch.cat([x[:, :, 1:], x[:, :, :1]], 2),
}


def features(layer, x):
    return layer(x.movedim(1, -1)).movedim(-1, 1)


def tokens(layer, x):
    return layer(x.flatten(2)).view_as(x)


def call(layer, x):
    return layer(x)


class Fire(nn.Module):
    def forward(self, x):
        return (x > 0.3).to(x.dtype)


# What makes the layer, how it is called, and what it counts at one sample and step, by its
# input: synops, or spikes of its output.
LAYERS = {
    "convolution": (lambda: nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1), call),
    "features": (lambda: nn.Linear(CHANNELS, CHANNELS), features),
    "tokens": (lambda: nn.Linear(SIDE**2, SIDE**2), tokens),
    "neurons": (Fire, call),
}


def count(layer, x):
    """Synops of a layer, or spikes of neurons, by brute force; ``x`` is ``(C, H, W)``."""
    if isinstance(layer, Fire):
        return int(layer(x).sum())
    met = (x != 0).double()[None]
    if isinstance(layer, nn.Conv2d):
        return int(functional.conv2d(met, torch.ones_like(layer.weight), padding=1).sum())
    return int(met.sum()) * layer.out_features


class Network(nn.Module):
    """Operations one after another, all steps at once or the whole once per step."""

    def __init__(self, operations, steps, looped):
        super().__init__()
        torch.manual_seed(0)
        self.operations, self.steps, self.looped = operations, steps, looped
        self.layers = nn.ModuleList(
            LAYERS[kind][0]() if kind in LAYERS else nn.Identity() for kind, _ in operations
        )
        for weights in self.parameters():
            nn.init.trunc_normal_(weights.data, 0, 1, -2, 2).mul_(2).round_().div_(4)
        self.alone = None  # counts of a single sample: layer -> one per step

    def forward(self, x):
        still = x.dim() == 4
        if not self.looped:
            return self.run(x[:, None].expand(-1, self.steps, -1, -1, -1) if still else x)
        turns = [x if still else x[:, t] for t in range(self.steps)]
        return torch.stack([self.run(turn[:, None]) for turn in turns], 1)

    def run(self, x):
        for layer, (kind, layout) in zip(self.layers, self.operations, strict=True):
            if kind in WITHOUT_WEIGHTS:
                x = WITHOUT_WEIGHTS[kind](x)
                continue
            if self.alone is not None:
                self.alone.setdefault(layer, []).extend(count(layer, step) for step in x[0])
            x = layout(partial(LAYERS[kind][1], layer), x)
        return x.mean((3, 4))

    @torch.no_grad()
    def counts_alone(self, sample):
        """Of one sample: name of the layer -> counts by step."""
        self.alone = {}
        self(sample[None])
        names = {layer: name for name, layer in self.named_modules()}
        counts, self.alone = {names[k]: v for k, v in self.alone.items()}, None
        return counts


def counted(run, sample):
    """Counts of one sample: name of the layer -> counts by step, all calls together.

    Of a layer whose steps are not known a single count.
    """
    found = {}
    for one in run.per_sample:
        if one.kind != "input" and one.key.name:  # the whole network may look like a neuron
            found.setdefault(one.key.name, []).append(one.counts[sample])
    return {
        name: [sum(step) for step in zip(*calls, strict=True)]
        if all(len(call) == run.steps for call in calls)
        else [sum(map(sum, calls))]
        for name, calls in found.items()
    }


def agree(found, expected):
    """Whether counts are equal, step by step where steps are known."""
    return found.keys() == expected.keys() and all(
        found[name] == by_step or found[name] == [sum(by_step)]
        for name, by_step in expected.items()
    )


@st.composite
def networks(draw):
    kinds = st.sampled_from([*LAYERS, *LAYERS, *WITHOUT_WEIGHTS])
    operations = draw(st.lists(st.tuples(kinds, st.sampled_from(LAYOUTS)), min_size=1, max_size=6))
    looped, still = draw(st.booleans()), draw(st.booleans())
    if looped:  # a loop over steps is known by its neurons, or by the steps of a clip
        operations = [("neurons", rows), *operations]
    elif still:  # pieces of what is the same at all steps can't be told from the whole
        operations = [(kind, rows if how is two_pieces else how) for kind, how in operations]
    return operations, looped, still


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(networks(), st.integers(1, 4), st.integers(1, 4), st.integers(0, 99))
def test_in_any_layout_every_sample_and_step_has_the_counts_it_has_alone(
    mode, drawn, steps, samples, seed
):
    operations, looped, still = drawn
    network = Network(operations, steps, looped).double().eval()
    shape = (samples, CHANNELS, SIDE, SIDE) if still else (samples, steps, CHANNELS, SIDE, SIDE)
    generator = torch.Generator().manual_seed(seed)
    images = (torch.randn(shape, generator=generator) * 2).round().double() / 4
    with mode():
        run = analysis.analyze(network, [images], steps=steps, neurons=[Fire], per_sample=True).run
    for place, sample in enumerate(images):
        assert agree(counted(run, place), network.counts_alone(sample))
