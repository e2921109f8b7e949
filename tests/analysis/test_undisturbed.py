"""A model that is counted computes what it computes alone, to the bit."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

import analysis

WIDTH = 12  # of the features everywhere


class Function(nn.Module):
    """A layer, called as a function says."""

    def __init__(self, layer, function):
        super().__init__()
        self.layer, self.function = layer, function

    def forward(self, x):
        return self.function(self.layer, x)


def linear():
    return nn.Linear(WIDTH, WIDTH)


def attention(layer, x):
    return layer(x, x, x, need_weights=False)[0]


def upsampled(_layer, x):
    return functional.interpolate(x.unsqueeze(1), scale_factor=2, mode="bilinear")


LAYERS = {
    "linear": (linear, lambda layer, x: layer(x)),
    "linear, features outermost": (linear, lambda layer, x: layer(x.mT.contiguous().mT)),
    "linear, a vector": (linear, lambda layer, x: layer(x[0, 0])),
    "matmul": (linear, lambda layer, x: x.mT.contiguous().mT @ layer.weight),
    "einsum": (linear, lambda layer, x: torch.einsum("bnk,mk->mbn", x, layer.weight)),
    "bilinear": (lambda: nn.Bilinear(WIDTH, WIDTH, 3), lambda layer, x: layer(x, x)),
    "convolution": (lambda: nn.Conv1d(5, 4, 3, padding="same"), lambda layer, x: layer(x)),
    "batch norm": (lambda: nn.BatchNorm1d(5), lambda layer, x: layer(x)),
    "LSTM": (lambda: nn.LSTM(WIDTH, WIDTH, 2, batch_first=True), lambda layer, x: layer(x)[0]),
    "GRU": (
        lambda: nn.GRU(WIDTH, 5, bidirectional=True, batch_first=True),
        lambda layer, x: layer(x)[0],
    ),
    "RNN": (lambda: nn.RNN(WIDTH, WIDTH, batch_first=True), lambda layer, x: layer(x)[0]),
    "attention": (lambda: nn.MultiheadAttention(WIDTH, 3, batch_first=True), attention),
    "attention to other values": (
        lambda: nn.MultiheadAttention(WIDTH, 3, batch_first=True),
        lambda layer, x: layer(x, 2 * x, x + 1, need_weights=False)[0],
    ),
    "pieces of weights": (
        linear,
        lambda layer, x: sum(
            x @ w.mT for w in (*layer.weight.chunk(3), layer.weight.narrow(0, 1, 4))
        ),
    ),
    "fused attention": (
        linear,
        lambda layer, x: functional.scaled_dot_product_attention(layer(x), x, x),
    ),
    "encoder": (
        lambda: nn.TransformerEncoderLayer(WIDTH, 3, 8, batch_first=True),
        lambda layer, x: layer(x),
    ),
    "upsampling": (linear, upsampled),
    "RMS norm": (lambda: nn.RMSNorm(WIDTH), lambda layer, x: layer(x)),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("name", LAYERS)
def test_counting_changes_no_bit_of_an_output_and_no_layout(name, mode, dtype):
    make, function = LAYERS[name]
    torch.manual_seed(0)
    model = Function(make(), function).to(dtype).eval()
    x = torch.randn(7, 5, WIDTH).to(dtype)
    counted = []
    with mode():
        alone = model(x)
        model.register_forward_hook(lambda _model, _inputs, output: counted.append(output))
        analysis.analyze(model, [x], steps=1)
    assert torch.equal(counted[0], alone)
    assert counted[0].stride() == alone.stride()
