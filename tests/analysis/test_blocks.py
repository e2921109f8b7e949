"""Blocks of published networks in which every size may be T: none is taken for the steps.

Each runs between two layers of neurons, in a loop over the steps and on all steps at once. What
it should count is written down by hooks on its layers, from what they read.
"""

from __future__ import annotations

import pytest
import torch
from torch import nn

import analysis
from tests.analysis.blocks import BLOCKS, SIZE, conv
from tests.analysis.by_hooks import counts, counts_of


class Fire(nn.Module):
    """Spikes where a value is above a quarter."""

    def forward(self, x):
        return (x > 0.25).to(x.dtype)


class Network(nn.Module):
    """Neurons, a block, neurons, a convolution; once per step or on all steps at once."""

    def __init__(self, middle, steps, layout):
        super().__init__()
        self.steps, self.layout = steps, layout
        self.first, self.block, self.second = Fire(), middle, Fire()
        self.readout = conv()

    def forward(self, x):
        if self.layout == "loop":
            return torch.stack([self.run(x) for _ in range(self.steps)], 1).mean(1)
        if self.layout == "loop over a clip":
            return torch.stack([self.run(x[:, t]) for t in range(self.steps)], 1).mean(1)
        if self.layout == "TB":
            x = x.repeat(self.steps, 1, 1, 1, 1) if x.dim() == 4 else x.transpose(0, 1)
        elif x.dim() == 4:
            x = x.unsqueeze(1).expand(-1, self.steps, -1, -1, -1)
        outputs = self.run(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        return outputs.mean(0 if self.layout == "TB" else 1)

    def run(self, x):
        return self.readout(self.second(self.block(self.first(x))))


# Loops over rows, as many as there may be steps: at which step they ran is not told.
UNKNOWN_STEPS = {"recurrent over rows", "loop over rows", "adaptive pools"}


@pytest.mark.parametrize("layout", ["loop", "loop over a clip", "BT", "TB", "clip"])
@pytest.mark.parametrize("steps", [pytest.param(2, marks=pytest.mark.slow), 3, SIZE])
@pytest.mark.parametrize("name", BLOCKS)
def test_a_block_is_counted_once_per_step_whatever_its_sizes(name, steps, layout):
    torch.manual_seed(0)
    network = Network(BLOCKS[name](), steps, layout).double().eval()
    shape = (SIZE, steps) if "clip" in layout else (SIZE,)
    images = torch.randn(*shape, SIZE, SIZE, SIZE).double()
    run = analysis.analyze(network, [images], steps=steps, neurons=[Fire], per_sample=True).run
    for sample, image in enumerate(images):
        with counts(network, (Fire,)) as alone:
            network(image[None])
        found = counts_of(run, sample)
        assert {layer: found[layer] for layer in alone} == alone
    if name not in UNKNOWN_STEPS:
        assert all(site.synops_by_step is not None for site in run.sites)


@pytest.mark.parametrize("layout", ["loop", "TB"])
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("name", BLOCKS)
def test_the_size_of_the_batch_changes_no_count_of_a_block(name, mode, layout):
    torch.manual_seed(0)
    network = Network(BLOCKS[name](), 3, layout).double().eval()
    images = torch.randn(SIZE, SIZE, SIZE, SIZE).double()
    with mode():
        together, apart = (
            analysis.analyze(network, batches, steps=3, neurons=[Fire], per_sample=True).run
            for batches in ([images], images.split(1))
        )
    for what in ("sites", "neurons", "elementwise", "per_sample", "uncounted"):
        assert getattr(together, what) == getattr(apart, what)
