"""Layers that work across the steps: what is behind them is counted once per step, not T times."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

import analysis
from tests.analysis.by_hooks import counts, counts_of

STEPS, SAMPLES, CHANNELS, SIDE = 4, 3, 2, 4


class Fire(nn.Module):
    def forward(self, x):
        return (x > 0.3).to(x.dtype)


def time_last(function, x):
    """A function of ``(B, C, H, W, T)`` on ``(T, B, C, H, W)``."""
    return function(x.movedim(0, -1)).movedim(-1, 0)


def each_series(function, x):
    """A function of ``(N, 1, T)``, every neuron by itself."""
    return time_last(lambda y: function(y.flatten(0, -2).unsqueeze(1)).squeeze(1).unflatten(
        0, y.shape[:-1]), x)  # fmt: skip


def attention(m, x):
    tokens = x.flatten(3).permute(1, 3, 0, 2).flatten(0, 1)  # (B * H * W, T, C)
    found = m.layer(tokens, tokens, tokens, need_weights=False)[0]
    return found.unflatten(0, (x.shape[1], -1)).permute(2, 0, 3, 1).unflatten(3, (SIDE, SIDE))


def recurrent(m, x):
    return m.layer(x.flatten(2).transpose(0, 1))[0].transpose(0, 1).view_as(x)


def squeeze_and_excite(m, x):
    gate = m.layer(x.mean((2, 3, 4)).mT).sigmoid().mT
    return x * gate[:, :, None, None, None]


def volumes(m, x):
    return m.layer(x.permute(1, 2, 0, 3, 4)).permute(2, 0, 1, 3, 4)


def halves(m, x):
    pieces = (part.flatten(0, 1) for part in (x[:2], x[2:]))
    return torch.cat([m.layer(piece).unflatten(0, (2, -1)) for piece in pieces])


def only(x, steps):
    return torch.where(
        (torch.arange(STEPS) < steps).view(STEPS, 1, 1, 1, 1), x, torch.zeros_like(x)
    )


NEURONS = CHANNELS * SIDE * SIDE
# What runs on spikes (T, B, C, H, W), and what makes its layer.
BLOCKS = {
    "weights of each step": (lambda m, x: x * m.layer.weight[..., None, None, None],
                             lambda: nn.Embedding(STEPS, 1)),
    "a layer for each step": (lambda m, x: torch.stack([m.layer[t](x[t]) for t in range(STEPS)]),
                              lambda: nn.ModuleList(nn.Conv2d(2, 2, 1) for _ in range(STEPS))),
    "linear": (lambda m, x: time_last(m.layer, x), lambda: nn.Linear(STEPS, STEPS)),
    "product": (lambda m, x: (m.layer.weight.tril() @ x.flatten(1)).view_as(x),
                lambda: nn.Linear(STEPS, STEPS)),
    "einsum": (lambda m, x: torch.einsum("st,tbchw->sbchw", m.layer.weight, x),
               lambda: nn.Linear(STEPS, STEPS)),
    "convolution": (lambda m, x: each_series(m.layer, x), lambda: nn.Conv1d(1, 1, 3, padding=1)),
    "volumes": (volumes, lambda: nn.Conv3d(2, 2, 3, padding=1)),
    "pictures in volumes": (volumes, lambda: nn.Conv3d(2, 2, (1, 3, 3), padding=(0, 1, 1))),
    "attention": (attention, lambda: nn.MultiheadAttention(CHANNELS, 1, batch_first=True)),
    "recurrent": (recurrent, lambda: nn.GRU(NEURONS, NEURONS, batch_first=True)),
    "gate": (squeeze_and_excite, lambda: nn.Sequential(nn.Linear(STEPS, 2), nn.Linear(2, STEPS))),
    "norm": (lambda m, x: time_last(m.layer, x), lambda: nn.LayerNorm(STEPS)),
    "pool": (lambda m, x: each_series(lambda y: functional.avg_pool1d(y, 2), x), nn.Identity),
    "windows": (lambda m, x: x.unfold(0, 2, 2).mean(-1), nn.Identity),
    "mean": (lambda m, x: x.mean(0, keepdim=True).expand_as(x), nn.Identity),
    "most": (lambda m, x: x.amax(0, keepdim=True).repeat(STEPS, 1, 1, 1, 1), nn.Identity),
    "mean beside": (lambda m, x: x.mean(0, keepdim=True).expand_as(x) + x, nn.Identity),
    "sums": (lambda m, x: x.cumsum(0), nn.Identity),
    "changes": (lambda m, x: torch.diff(x, dim=0, prepend=x[:1]), nn.Identity),
    "later": (lambda m, x: torch.cat([torch.zeros_like(x[:1]), x[:-1]]), nn.Identity),
    "around": (lambda m, x: x.roll(1, 0), nn.Identity),
    "backwards": (lambda m, x: x.flip(0), nn.Identity),
    "backwards in a list": (lambda m, x: torch.stack(list(x.unbind(0))[::-1]), nn.Identity),
    "picked": (lambda m, x: x[torch.tensor([0, 0, 1, 2])], nn.Identity),
    "one picked": (
        lambda m, x: x.flatten(1)[torch.tensor(2)].view(1, *x.shape[1:]),
        nn.Identity,
    ),
    "only some": (lambda m, x: only(x, 2), nn.Identity),
    "last": (lambda m, x: x[-1:], nn.Identity),
    "first half": (lambda m, x: x[:2], nn.Identity),
    "every other": (lambda m, x: x[::2], nn.Identity),
    "twice": (lambda m, x: torch.cat([x, x]), nn.Identity),
    "halves": (halves, lambda: nn.Conv2d(2, 2, 1)),
}  # fmt: skip


class Network(nn.Module):
    """conv -> neurons -> a block -> neurons -> conv, on all steps at once."""

    def __init__(self, function, layer, samples_outside):
        super().__init__()
        self.function, self.layer, self.samples_outside = function, layer, samples_outside
        self.first, self.fire = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1), Fire()
        self.again, self.last = Fire(), nn.Conv2d(CHANNELS, CHANNELS, 1)

    def forward(self, x):
        if x.dim() == 4:
            x = x.repeat(STEPS, 1, 1, 1, 1)
        elif self.samples_outside:
            x = x.transpose(0, 1)
        x = self.again(self.function(self, self.fire(self.each(self.first, x))))
        return self.each(self.last, x).mean(0)

    def each(self, layer, x):
        return layer(x.flatten(0, 1)).unflatten(0, x.shape[:2])


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("layout", ["picture", "BT", "TB"])
@pytest.mark.parametrize("name", BLOCKS)
def test_every_sample_has_the_counts_it_has_alone_behind(name, layout, mode):
    torch.manual_seed(0)
    function, make = BLOCKS[name]
    network = Network(function, make(), layout == "BT").double().eval()
    outer = {"picture": (SAMPLES,), "BT": (SAMPLES, STEPS), "TB": (STEPS, SAMPLES)}[layout]
    images = torch.rand(*outer, CHANNELS, SIDE, SIDE).double()
    with mode():
        run = analysis.analyze(
            network, [images], steps=STEPS, neurons=[Fire], per_sample=True,
            time_layout=None if layout == "picture" else layout,
        ).run  # fmt: skip
    for sample in range(SAMPLES):
        one = images.narrow(1 if layout == "TB" else 0, sample, 1)
        with counts(network, (Fire,)) as alone:
            network(one)
        found = counts_of(run, sample)
        assert {layer: found[layer] for layer in alone} == alone


# Where what comes out at a place is not told apart from other steps, or keeps the step it had.
ELSEWHERE = {"backwards in a list"}


@pytest.mark.parametrize("layout", ["BT", "TB"])
@pytest.mark.parametrize("name", sorted(BLOCKS.keys() - ELSEWHERE))
def test_every_step_has_the_spikes_that_come_out_at_its_place(name, layout):
    torch.manual_seed(0)
    function, make = BLOCKS[name]
    network, outputs = Network(function, make(), layout == "BT").double().eval(), []
    outer = (SAMPLES, STEPS) if layout == "BT" else (STEPS, SAMPLES)
    network.again.register_forward_hook(lambda _layer, _inputs, spikes: outputs.append(spikes))
    run = analysis.analyze(
        network, [torch.rand(*outer, CHANNELS, SIDE, SIDE).double()], steps=STEPS, neurons=[Fire],
        time_layout=layout,
    ).run  # fmt: skip
    by_place = tuple(int(spikes.sum()) for spikes in outputs[0])
    if len(by_place) == STEPS:
        assert run.neurons[1].spikes_by_step in (by_place, None)  # right, or not known


def test_a_layer_that_reads_steps_as_rows_and_channels_is_counted_once():
    """Without a copy: a view of ``(T, B, W)`` as ``(B, 2, 2, W)``."""
    layer = nn.Conv2d(2, 5, 1, bias=False)
    clip = torch.ones(STEPS, SAMPLES, SIDE)
    (site,) = analysis.analyze(
        layer, [clip], steps=STEPS, time_layout="TB",
        forward=lambda x: layer(x.unflatten(0, (2, 2)).permute(2, 0, 1, 3)),
    ).run.sites  # fmt: skip
    assert (site.synops, site.synops_by_step) == (STEPS * SAMPLES * SIDE * 5, None)


def test_changes_of_steps_belong_to_the_later_one():
    clip = torch.arange(STEPS).float().view(1, STEPS, 1, 1, 1).expand(1, -1, CHANNELS, SIDE, SIDE)
    network = Network(BLOCKS["changes"][0], nn.Identity(), samples_outside=True)
    nn.init.constant_(network.first.weight, 0.1)
    nn.init.zeros_(network.first.bias)
    run = analysis.analyze(network, [clip.clone()], steps=STEPS, neurons=[Fire]).run
    fired = run.neurons[1].spikes
    assert run.neurons[1].spikes_by_step == (0, fired, 0, 0)
    assert fired > 0


def test_neurons_behind_a_mean_over_the_steps_fire_once_at_no_single_step():
    network = Network(lambda m, x: x.mean(0, keepdim=True), nn.Identity(), samples_outside=True)
    nn.init.ones_(network.first.weight)
    clip = torch.ones(SAMPLES, STEPS, CHANNELS, SIDE, SIDE)
    run = analysis.analyze(network, [clip], steps=STEPS, neurons=[Fire]).run
    first, again = run.neurons
    each = SAMPLES * NEURONS
    assert (first.spikes_by_step, again.spikes_by_step) == ((each,) * STEPS, None)
    assert (again.spikes, again.outputs, again.firing_rate) == (each, each, 1.0)
    assert first.neurons == again.neurons == NEURONS
