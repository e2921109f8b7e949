"""Networks of snnTorch and norse, which run once per step in a Python loop."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import analysis

pytestmark = [
    pytest.mark.slow,
    pytest.mark.peers,
    pytest.mark.filterwarnings("ignore"),  # raised by the peers themselves
]
STEPS = 4


@pytest.fixture
def images():
    return torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0)).double()


SEEN = []  # outside of the model: what it holds is put back after each pass


class Looped(nn.Module):
    """conv -> neuron -> linear -> neuron, T times; spikes are kept to be compared."""

    def __init__(self, first, second):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.first = nn.Conv2d(1, 4, 3, padding=1), first
        self.linear, self.second = nn.Linear(4 * 64, 10), second
        SEEN.clear()

    def forward(self, x):
        states = [None, None]
        outputs = []
        for _ in range(STEPS):
            spikes, states[0] = self.fire(self.first, 3 * self.conv(x), states[0])
            SEEN.append(spikes)
            out, states[1] = self.fire(self.second, self.linear(spikes.flatten(1)), states[1])
            outputs.append(out)
        return torch.stack(outputs)


class SnnTorch(Looped):
    def __init__(self):
        snntorch = pytest.importorskip("snntorch")
        super().__init__(snntorch.Leaky(beta=0.9), snntorch.Leaky(beta=0.9))

    def fire(self, neuron, current, state):
        spikes, membrane = neuron(current, torch.zeros_like(current) if state is None else state)
        return spikes.to(current.dtype), membrane


class Norse(Looped):
    def __init__(self):
        norse = pytest.importorskip("norse.torch")
        parameters = norse.LIFParameters(tau_mem_inv=torch.tensor(500.0))
        super().__init__(norse.LIFCell(parameters), norse.LIFCell(parameters))

    def fire(self, neuron, current, state):
        return neuron(5 * current, state)


@pytest.mark.parametrize("framework", [SnnTorch, Norse])
def test_a_loop_over_steps_is_one_site_with_steps(framework, images):
    model = framework().double()
    run = analysis.analyze(model, [images], steps=STEPS).run
    conv, linear = run.sites
    assert (conv.key.name, conv.executions) == ("conv", STEPS)
    assert (linear.key.name, linear.executions, linear.operand) == ("linear", STEPS, "spike")
    whole = torch.stack(SEEN[:STEPS])  # the batch runs first, the probe's sample after it
    by_step = [10 * int(step.sum()) for step in whole]
    assert sum(by_step) > 0
    assert list(linear.synops_by_step) == by_step
    assert [n.site for n in run.neurons] == ["first", "second"]
    assert run.neurons[0].spikes_by_step == tuple(int(step.sum()) for step in whole)
    assert linear.dense_macs == 3 * STEPS * 256 * 10


@pytest.mark.parametrize("framework", [SnnTorch, Norse])
def test_the_batch_size_changes_no_count(framework, images):
    together = analysis.analyze(framework().double(), [images], steps=STEPS, per_sample=True).run
    alone = analysis.analyze(
        framework().double(), images.split(1), steps=STEPS, per_sample=True
    ).run
    assert alone.sites == together.sites
    assert alone.neurons == together.neurons
    assert alone.per_sample == together.per_sample
