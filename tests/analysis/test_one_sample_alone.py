"""Random programs: a batch counts what its samples count alone, however they come.

A program has inputs of several shapes in one of many wrappings and storages, layers that see each
step or all of them, neurons, states of zeros, weights made of weights, and a readout; its clips
differ in length from batch to batch. What layers and neurons should count is also found by hooks.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

import analysis

SIZE, STEPS, CLASSES = 4, 4, 3


class Fire(nn.Module):
    """Spikes of a size where a value is above 0.3."""

    def __init__(self, height=1.0):
        super().__init__()
        self.height = height

    def forward(self, x):
        return (x > 0.3).to(x.dtype) * self.height


class Position(nn.Module):
    """A bias made from a table by a small network: no sample has a part in it."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(2, 3), nn.Linear(3, SIZE)
        self.register_buffer("table", torch.arange(4.0).view(2, 2) / 4)

    def forward(self, x):
        return x + self.two(torch.relu(self.one(self.table))).mean(0)


class Beside(nn.Module):
    """Another input of the same samples, through a layer; the same at all steps."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, SIZE)

    def forward(self, x, beside):
        return x + self.layer(beside).unsqueeze(1)


class Zeros(nn.Module):
    """A first state of zeros, through a norm and a layer."""

    def __init__(self):
        super().__init__()
        self.norm, self.layer = nn.LayerNorm(SIZE), nn.Linear(SIZE, SIZE)
        nn.init.constant_(self.norm.bias, 0.5)

    def forward(self, x):
        return x + self.layer(self.norm(torch.zeros(len(x), 1, SIZE, dtype=x.dtype)))


class Pairs(nn.Module):
    """Spikes that meet spikes, feature by feature, and count to one mask."""

    def __init__(self):
        super().__init__()
        self.q, self.k = Fire(), Fire()

    def forward(self, x):
        return x + 0.25 * (self.q(x).unsqueeze(-1) @ self.k(x).unsqueeze(-2)).sum(-1)


class Each(nn.Module):
    """A layer on samples and steps in one axis."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(x.flatten(0, 1)).unflatten(0, x.shape[:2])


PARTS = {
    "layer": lambda: nn.Linear(SIZE, SIZE),
    "layer of rows": lambda: Each(nn.Linear(SIZE, SIZE, bias=False)),
    "layer with normed weights": lambda: weight_norm(nn.Linear(SIZE, SIZE)),
    "neurons": Fire,
    "tall neurons": lambda: Fire(1.5),
    "batch norm": lambda: Each(nn.BatchNorm1d(SIZE)),
    "layer norm": lambda: nn.LayerNorm(SIZE),
    "relu": nn.ReLU,
    "position": Position,
    "beside": Beside,
    "zeros": Zeros,
    "pairs": Pairs,
}
READOUTS = {
    "mean": lambda x: x.mean(1),
    "sum": lambda x: x.sum(1),
    "most": lambda x: x.amax(1),
    "last": lambda x: x[:, -1],
    "each": lambda x: x,
}
WRAPPINGS = {
    "named": lambda clip, beside: {"clip": clip, "beside": beside},
    "named, other order": lambda clip, beside: {"beside": beside, "clip": clip},
    "tuple": lambda clip, beside: {"data": (clip, beside)},
    "list, other order": lambda clip, beside: {"data": [beside, clip]},
    "nested": lambda clip, beside: {"data": {"more": {"beside": beside}, "clip": [clip]}},
}
STORAGES = {
    "contiguous": lambda clip: clip.contiguous(),
    "cut": lambda clip: torch.cat([clip, clip + 1], 1)[:, : clip.shape[1]],
    "every other frame": lambda clip: clip.repeat_interleave(2, 1)[:, ::2],
    "every other sample": lambda clip: clip.repeat_interleave(2, 0)[::2],
    "some features": lambda clip: torch.cat([clip + 1, clip], 2)[..., SIZE:],
    "time last": lambda clip: clip.permute(0, 2, 1).contiguous().permute(0, 2, 1),
    "time first": lambda clip: clip.transpose(0, 1).contiguous().transpose(0, 1),
    "samples last": lambda clip: clip.permute(1, 2, 0).contiguous().permute(2, 0, 1),
}
LOOPS = ["all steps", "steps outside", "loop", "loop that ends early", "recurrent loop"]


def tensors(data):
    """The clip and what is beside it, out of any wrapping."""
    if isinstance(data, torch.Tensor):
        return [data]
    parts = data.values() if isinstance(data, dict) else data
    return [one for part in parts for one in tensors(part)]


class Program(nn.Module):
    def __init__(self, parts, loop, readout):
        super().__init__()
        torch.manual_seed(0)
        self.parts = nn.ModuleList(PARTS[name]() for name in parts)
        self.loop, self.readout = loop, READOUTS[readout]
        self.back, self.back_fire = nn.Linear(SIZE, SIZE, bias=False), Fire()
        self.hidden, self.last = nn.Linear(SIZE, 5), nn.Linear(5, CLASSES)
        with torch.no_grad():
            for weights in self.parameters():  # small fractions: no sum depends on its order
                weights.copy_((torch.randn_like(weights) * 3).round() / 4)
        for part in self.modules():
            if isinstance(part, nn.BatchNorm1d):
                part.running_mean.fill_(0.25)

    def forward(self, **data):
        beside, clip = sorted(tensors(data), key=torch.Tensor.dim)
        if self.loop == "all steps":
            x = self.run(clip, beside)
        elif self.loop == "steps outside":
            x = self.run(clip.transpose(0, 1).contiguous().transpose(0, 1), beside)
        else:
            x = torch.cat(list(self.turns(clip, beside)), 1)
        return self.last(torch.relu(self.hidden(self.readout(x))))

    def turns(self, clip, beside):
        state = clip.new_zeros(len(clip), 1, SIZE)
        for t in range(clip.shape[1]):
            x = clip[:, t : t + 1]
            if self.loop == "recurrent loop":
                x = x + self.back(state)
            x = self.run(x, beside)
            state = self.back_fire(x) if self.loop == "recurrent loop" else state
            yield x
            if self.loop == "loop that ends early" and bool((beside[:, 0] <= t).all()):
                return

    def run(self, x, beside):
        for part in self.parts:
            x = part(x, beside) if isinstance(part, Beside) else part(x)
        return x


@dataclass(frozen=True)
class Batch:
    """Samples that come together: they have one length, and one turn at which they end."""

    samples: int
    frames: int
    ends: int
    events: bool
    still: bool
    storage: str
    wrapping: str
    seed: int

    def values(self):
        generator = torch.Generator().manual_seed(self.seed)
        clip = torch.randn(self.samples, self.frames, SIZE, generator=generator).double()
        clip = (clip > 0.5).double() if self.events else (clip * 4).round() / 4
        beside = (torch.randn(self.samples, 2, generator=generator).double() * 4).round() / 4
        beside[:, 0] = self.ends
        if self.still:
            clip = clip[:, :1].expand(-1, self.frames, -1)
        return clip, beside

    def tensors(self):
        clip, beside = self.values()
        stored = clip if self.still else STORAGES[self.storage](clip)
        assert torch.equal(stored, clip)
        return WRAPPINGS[self.wrapping](stored, beside)

    def alone(self):
        """Its samples, each for itself and plainly stored."""
        clip, beside = self.values()
        for sample in range(self.samples):
            one = slice(sample, sample + 1)
            yield WRAPPINGS["named"](clip[one].contiguous(), beside[one].contiguous())


programs = st.tuples(
    st.lists(st.sampled_from(list(PARTS)), min_size=1, max_size=5),
    st.sampled_from(LOOPS),
    st.sampled_from(list(READOUTS)),
)
batches = st.lists(
    st.builds(
        Batch,
        samples=st.integers(1, 3),
        frames=st.integers(1, STEPS),
        ends=st.integers(0, STEPS),
        events=st.booleans(),
        still=st.booleans(),
        storage=st.sampled_from(list(STORAGES)),
        wrapping=st.sampled_from(list(WRAPPINGS)),
        seed=st.integers(0, 99),
    ),
    min_size=1,
    max_size=3,
)


def made(drawn):
    return Program(*drawn).double().eval()


def hooked(model, inputs):
    """By hooks: (layer, what) -> count, over all inputs; none of what no sample has a part in."""
    found, handles = Counter(), []

    def see(name):
        def count(layer, given, output):
            if isinstance(layer, Fire):
                found[name, "spikes"] += int((output != 0).sum())
                found[name, "outputs"] += output.numel()
                return
            (x,) = given
            nonzeros = int((x != 0).sum())
            found[name, "dense_macs"] += output.numel() * layer.in_features
            found[name, "inside_macs"] += output.numel() * layer.in_features
            found[name, "synops"] += nonzeros * layer.out_features
            found[name, "nonzeros"] += nonzeros
            found[name, "elements"] += x.numel()

        return count

    constant = {
        id(part) for one in model.modules() if isinstance(one, Position) for part in one.modules()
    }
    for name, layer in model.named_modules():
        if isinstance(layer, nn.Linear | Fire) and id(layer) not in constant:
            handles.append(layer.register_forward_hook(see(name)))
    with torch.no_grad():
        for one in inputs:
            model(**one)
    for handle in handles:
        handle.remove()
    return Counter({key: count for key, count in found.items() if count})


def counted(model, inputs):
    return analysis.analyze(model, list(inputs), steps=STEPS, neurons=[Fire]).run


def totals(run):
    """(where, what) -> count, of every kind of count."""
    found = Counter()
    for site in run.sites:
        for what in ("dense_macs", "inside_macs", "synops", "nonzeros", "elements"):
            found[site.key.name, what] += getattr(site, what)
    for neurons in run.neurons:
        found[neurons.site, "spikes"] += neurons.spikes
        found[neurons.site, "outputs"] += neurons.outputs
    for work in run.elementwise:
        found[work.site, work.work] += work.elements
    found["", "samples"] += run.samples
    return Counter({key: count for key, count in found.items() if count})


many = settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@many
@given(programs, batches)
def test_hooks_find_in_batches_what_they_find_in_samples(drawn, drawn_batches):
    model = made(drawn)
    together = hooked(model, [batch.tensors() for batch in drawn_batches])
    assert together == hooked(model, [one for batch in drawn_batches for one in batch.alone()])


@many
@given(programs, batches)
def test_layers_and_neurons_count_what_hooks_find_in_each_sample(drawn, drawn_batches):
    model = made(drawn)
    run = counted(model, [batch.tensors() for batch in drawn_batches])
    expected = hooked(model, [one for batch in drawn_batches for one in batch.alone()])
    found = totals(run)
    assert {key: found[key] for key in expected} == dict(expected)
    layers = {name for name, what in found if what in ("dense_macs", "spikes")}
    unnamed = {""} | {name for name in layers if isinstance(model.get_submodule(name), Pairs)}
    assert layers - unnamed <= {name for name, _ in expected}
    positions = [part for part in model.modules() if isinstance(part, Position)]
    macs = {one.macs for one in run.constants}
    assert macs == ({2 * 2 * 3, 2 * 3 * SIZE} if positions else set())


@many
@given(programs, batches)
def test_batches_count_what_their_samples_count_alone(drawn, drawn_batches):
    model = made(drawn)
    together = totals(counted(model, [batch.tensors() for batch in drawn_batches]))
    alone = Counter()
    for batch in drawn_batches:
        for one in batch.alone():
            alone += totals(counted(model, [one]))
    assert together == alone


@many
@given(programs, batches, st.randoms(use_true_random=False))
def test_order_wrapping_and_storage_change_no_total(drawn, drawn_batches, random):
    model = made(drawn)
    others = [
        replace(
            batch, storage=random.choice(list(STORAGES)), wrapping=random.choice(list(WRAPPINGS))
        )
        for batch in random.sample(drawn_batches, len(drawn_batches))
    ]
    together, otherwise = (
        totals(counted(model, [batch.tensors() for batch in some]))
        for some in (drawn_batches, others)
    )
    assert together == otherwise


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("part", list(PARTS))
def test_every_part_in_every_loop_counts_what_samples_count_alone(part, loop):
    some = Batch(3, STEPS, 1, False, False, "cut", "nested", 1)
    batches = [some, replace(some, samples=2, frames=2, ends=4, seed=2)]
    model = made((["layer", "neurons", part, "layer", "neurons"], loop, "mean"))
    together = totals(counted(model, [batch.tensors() for batch in batches]))
    alone = Counter()
    for batch in batches:
        for one in batch.alone():
            alone += totals(counted(model, [one]))
    assert together == alone
