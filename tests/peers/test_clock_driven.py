"""Neurons of SpikingJelly before its version 0.0.0.0.14, when its package was `clock_driven`.

Many published networks were written for it. It can't be installed beside a newer one, so what
stands here has its classes, names and manner of calling, and neurons of our own making.
"""

from __future__ import annotations

import sys
from types import ModuleType

import pytest
import torch
from torch import nn

import analysis
from analysis.counting.neurons import Neurons

STEPS, SAMPLES = 4, 3


class MemoryModule(nn.Module):
    def __init__(self):
        super().__init__()
        self._memories, self._rest = {}, {}

    def register_memory(self, name, value):
        self._memories[name] = self._rest[name] = value

    def reset(self):
        self._memories.update(self._rest)

    def __getattr__(self, name):
        memories = self.__dict__.get("_memories", {})
        return memories[name] if name in memories else super().__getattr__(name)

    def __setattr__(self, name, value):
        memories = self.__dict__.get("_memories", {})
        if name in memories:
            memories[name] = value
        else:
            super().__setattr__(name, value)


class Sigmoid(nn.Module):
    """The surrogate function, a module of its own."""

    def forward(self, x):
        return (x >= 0).to(x)


class BaseNode(MemoryModule):
    def __init__(self, v_threshold=1.0, surrogate_function=None):
        super().__init__()
        self.register_memory("v", 0.0)
        self.register_memory("spike", 0.0)
        self.v_threshold = v_threshold
        self.surrogate_function = surrogate_function or Sigmoid()

    def forward(self, x):
        self.neuronal_charge(x)
        self.spike = self.surrogate_function(self.v - self.v_threshold)
        self.v = (1.0 - self.spike) * self.v
        return self.spike


class IFNode(BaseNode):
    def neuronal_charge(self, x):
        self.v = self.v + x


class LIFNode(BaseNode):
    def __init__(self, tau=2.0, **options):
        super().__init__(**options)
        self.tau = tau

    def neuronal_charge(self, x):
        self.v = self.v + (x - self.v) / self.tau


class LIAFNode(LIFNode):
    """Fires, and gives out an analog value."""

    def forward(self, x):
        super().forward(x)
        return x.relu()


class MultiStepLIFNode(LIFNode):
    def __init__(self, backend="torch", **options):
        super().__init__(**options)
        self.register_memory("v_seq", None)
        self.register_memory("spike_seq", None)
        self.backend = backend

    def forward(self, x_seq):
        self.spike_seq = torch.stack([super(MultiStepLIFNode, self).forward(x) for x in x_seq])
        return self.spike_seq


class Attention(MultiStepLIFNode):
    """A network's own neuron, which comes from one of these."""


@pytest.fixture(autouse=True)
def spikingjelly(monkeypatch):
    classes = {
        "base": [MemoryModule],
        "neuron": [BaseNode, IFNode, LIFNode, LIAFNode, MultiStepLIFNode],
    }
    for file, kinds in classes.items():
        module = ModuleType(f"spikingjelly.clock_driven.{file}")
        vars(module).update({kind.__name__: kind for kind in kinds})
        monkeypatch.setitem(sys.modules, module.__name__, module)


def test_neurons_are_known_and_where_their_steps_are():
    kinds = [IFNode, LIFNode, MultiStepLIFNode, Attention, LIAFNode, Sigmoid]
    model = nn.ModuleList(kind() for kind in kinds)
    neurons = Neurons(model)
    known = [neurons.is_neuron(module) for module in model]
    assert known == [True, True, True, True, False, False]
    axes = [neurons.time_axis(module) for module in model]
    assert axes == [None, None, 0, 0, None, None]
    assert neurons.looped
    assert not Neurons(nn.Sequential(MultiStepLIFNode())).looped


def test_sequences_have_time_first():
    neurons = Neurons(MultiStepLIFNode())
    assert neurons.layout(torch.ones(STEPS, STEPS, 5), STEPS) == "TB"
    assert neurons.layout(torch.ones(SAMPLES, STEPS, 5), STEPS) == "BT"


def test_each_pass_begins_without_a_past_and_leaves_the_one_there_was():
    model = nn.Sequential(IFNode())
    model(torch.tensor([0.6]))
    with Neurons(model).fresh():
        assert [int(model(torch.tensor([0.6]))) for _ in range(4)] == [0, 1, 0, 1]
    assert model[0].v.tolist() == pytest.approx([0.6])
    assert int(model(torch.tensor([0.6]))) == 1


class Network(nn.Module):
    """Pictures -> linear -> neurons -> linear, in all steps at once or in a loop over them."""

    def __init__(self, neuron):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.neuron, self.last = nn.Linear(6, 8), neuron, nn.Linear(8, 5)
        self.first.weight.data.abs_().mul_(2)

    def forward(self, x):
        if isinstance(self.neuron, MultiStepLIFNode):
            return self.last(self.neuron(self.first(x).repeat(STEPS, 1, 1))).mean(0)
        return sum(self.last(self.neuron(self.first(x))) for _ in range(STEPS)) / STEPS


@pytest.mark.parametrize("neuron", [LIFNode, MultiStepLIFNode])
def test_a_network_has_the_spikes_and_additions_that_its_hooks_see(neuron):
    model, x = Network(neuron()), torch.rand(SAMPLES, 6)
    seen = []
    handle = model.neuron.register_forward_hook(lambda _m, _i, spikes: seen.append(spikes.sum()))
    with torch.no_grad():
        model(x)
    handle.remove()
    model.neuron.reset()
    spikes = int(sum(seen))
    assert spikes > 0
    run = analysis.analyze(model, [x], steps=STEPS).run
    assert [(n.site, n.spikes) for n in run.neurons] == [("neuron", spikes)]
    assert run.sites[1].synops == 5 * spikes
    assert model.neuron.v == 0.0
