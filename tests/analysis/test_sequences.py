"""Layers on sequences of tokens, wherever samples lie: no count depends on the batch."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations, prune

import analysis

SAMPLES, TOKENS, FEATURES = 4, 5, 6


class Fire(nn.Module):
    def forward(self, x):
        return (x > 0.1).to(x.dtype)


def linear():
    return nn.Linear(FEATURES, FEATURES)


def pruned():
    return prune.l1_unstructured(linear(), "weight", 0.5)


def tokens_outside(function, x):
    """A function of ``(L, B, E)``."""
    return function(x.transpose(0, 1)).transpose(0, 1)


def attended(layer, x, weighing=False):
    return layer(x, x, x, need_weights=weighing)[0]


def cells(layer, x):
    states = [torch.zeros_like(x[:, 0])]
    for token in x.unbind(1):
        states.append(layer(token, states[-1]))
    return torch.stack(states[1:], 1)


def brightest(layer, x):
    best = x.sum(2).topk(3, 1).indices
    return layer(x.gather(1, best[:, :, None].expand(-1, -1, FEATURES)))


def heads(layer, x):
    weight = layer.weight.view(2, FEATURES // 2, FEATURES)
    return torch.einsum("nlhd,hde->nle", x.unflatten(2, (2, -1)), weight)


def own_product(layer, x):
    return torch.baddbmm(x, x, layer.weight.expand(len(x), FEATURES, FEATURES))


# What runs on (B, L, E), and what makes its layer.
BLOCKS = {
    "attention": (attended, lambda: nn.MultiheadAttention(FEATURES, 2, batch_first=True)),
    "attention, tokens outside": (
        lambda m, x: tokens_outside(lambda y: attended(m, y), x),
        lambda: nn.MultiheadAttention(FEATURES, 2),
    ),
    "attention with its weights": (
        lambda m, x: tokens_outside(lambda y: attended(m, y, weighing=True), x),
        lambda: nn.MultiheadAttention(FEATURES, 2),
    ),
    "encoder, tokens outside": (
        tokens_outside,
        lambda: nn.TransformerEncoderLayer(FEATURES, 2, 7),
    ),
    "decoder": (
        lambda m, x: m(x, x),
        lambda: nn.TransformerDecoderLayer(FEATURES, 2, 7, batch_first=True),
    ),
    "transformer": (
        lambda m, x: m(x, x),
        lambda: nn.Transformer(FEATURES, 2, 1, 1, 7, batch_first=True),
    ),
    "LSTM, tokens outside": (
        lambda m, x: tokens_outside(lambda y: m(y)[0], x),
        lambda: nn.LSTM(FEATURES, FEATURES),
    ),
    "GRU in both directions": (
        lambda m, x: m(x)[0],
        lambda: nn.GRU(FEATURES, 3, 2, batch_first=True, bidirectional=True),
    ),
    "cells": (cells, lambda: nn.GRUCell(FEATURES, FEATURES)),
    "convolution": (
        lambda m, x: m(x.mT).mT,
        lambda: nn.Conv1d(FEATURES, FEATURES, 3, padding=1),
    ),
    "bilinear": (lambda m, x: m(x, x), lambda: nn.Bilinear(FEATURES, FEATURES, FEATURES)),
    "of the mean": (lambda m, x: x + m(x.mean(1, keepdim=True)), linear),
    "of pairs": (lambda m, x: m(x.unsqueeze(1) - x.unsqueeze(2)).mean(2), linear),
    "weights on the left": (lambda m, x: (m.weight @ x.mT).mT, linear),
    "product of their own": (own_product, linear),
    "heads by einsum": (heads, linear),
    "brightest tokens": (brightest, linear),
    "in pieces": (lambda m, x: torch.cat([m(part) for part in x.split(2, 1)], 1), linear),
    "Fourier": (lambda m, x: torch.fft.fft(x, dim=1).real * m(x), linear),
    "positions": (lambda m, x: m(x + torch.arange(TOKENS).to(x).view(TOKENS, 1)), linear),
    "weight norm": (lambda m, x: m(x), lambda: parametrizations.weight_norm(linear())),
    "spectral norm": (lambda m, x: m(x), lambda: parametrizations.spectral_norm(linear())),
    "pruned": (lambda m, x: m(x), pruned),
    "called by its function": (
        lambda m, x: torch.func.functional_call(m, dict(m.named_parameters()), (x,)),
        linear,
    ),
    "used by its weights": (lambda m, x: functional.linear(x, m.weight, m.bias), linear),
}


class Network(nn.Module):
    """Neurons, a block, neurons; steps of a still input outside the samples."""

    def __init__(self, function, layer, steps):
        super().__init__()
        self.function, self.layer, self.steps = function, layer, steps
        self.first, self.fire, self.again, self.last = linear(), Fire(), Fire(), linear()

    def forward(self, x):
        x = x.repeat(self.steps, 1, 1).unflatten(0, (self.steps, -1)).flatten(0, 1)
        return self.last(self.again(self.function(self.layer, self.fire(self.first(x))))).mean(1)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("steps", [1, 3, SAMPLES])
@pytest.mark.parametrize("name", BLOCKS)
def test_no_count_depends_on_the_size_of_the_batch(name, steps, mode):
    torch.manual_seed(0)
    function, make = BLOCKS[name]
    network = Network(function, make(), steps).double().eval()
    x = torch.rand(SAMPLES, TOKENS, FEATURES).double()
    with mode():
        together, apart = (
            analysis.analyze(network, batches, steps=steps, neurons=[Fire], per_sample=True).run
            for batches in ([x], x.split(1))
        )
    for what in ("sites", "neurons", "per_sample", "uncounted"):
        assert getattr(together, what) == getattr(apart, what)
    assert set(together.elementwise) == set(apart.elementwise)
    assert not together.never_ran
