"""Neuron layers of SpikingJelly, snnTorch and norse, each in a small network, against hooks."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import nn

import analysis
from tests.analysis.by_hooks import counts, counts_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.peers,
    pytest.mark.filterwarnings("ignore"),  # raised by the peers themselves
]
STEPS, SAMPLES = 4, 3


@pytest.fixture
def images():
    generator = torch.Generator().manual_seed(0)
    return torch.rand(SAMPLES, 2, 6, 6, generator=generator).double()


class Network(nn.Module):
    """conv -> neurons -> conv -> neurons -> linear."""

    def __init__(self, make):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.fire = nn.Conv2d(2, 4, 3, padding=1), make()
        self.second, self.fire_again = nn.Conv2d(4, 4, 3, padding=1), make()
        self.last = nn.Linear(4 * 36, 5)


def compare(network, images, neurons, reset=lambda: None):
    """That every sample has the counts it has by hooks when it runs alone."""
    network.double().eval()
    run = analysis.analyze(network, [images], steps=STEPS, per_sample=True).run
    for sample, image in enumerate(images):
        reset()
        with counts(network, neurons) as alone:
            network(image[None])
        assert counts_of(run, sample) == alone
    reset()
    assert [neuron.site for neuron in run.neurons] == ["fire", "fire_again"]
    assert run.neurons[0].spikes > 0


class Jelly(Network):
    """On all steps at once, ``(T, B, ...)``, or once per step."""

    def __init__(self, make, step_mode):
        super().__init__(make)
        for neuron in (self.fire, self.fire_again):
            neuron.step_mode = step_mode
        self.step_mode = step_mode

    def forward(self, x):
        if self.step_mode == "s":
            return torch.stack([self.step(x) for _ in range(STEPS)]).mean(0)
        x = self.fire(self.each(self.first, 3 * x.repeat(STEPS, 1, 1, 1, 1)))
        x = self.fire_again(self.each(self.second, 3 * x))
        return self.last(x.flatten(2)).mean(0)

    def each(self, layer, x):
        return layer(x.flatten(0, 1)).unflatten(0, x.shape[:2])

    def step(self, x):
        x = self.fire_again(self.second(3 * self.fire(self.first(3 * x))))
        return self.last(x.flatten(1))


WITH = {
    "GatedLIFNode": {"T": STEPS},
    "PSN": {"T": STEPS},
    "MaskedPSN": {"k": 2, "T": STEPS},
    "SlidingPSN": {"k": 2},
}


BOTH_MODES = [
    "IFNode", "LIFNode", "ParametricLIFNode", "QIFNode", "EIFNode", "IzhikevichNode", "KLIFNode",
    "CUBALIFNode", "ComplementaryLIFNode", "SLTTLIFNode", "SimpleIFNode", "SlidingPSN",
    "TernaryIFNode", "ILIFNode",
]  # fmt: skip
AT_ONCE = ["GatedLIFNode", "PSN", "MaskedPSN"]  # on all steps only


@pytest.mark.parametrize(
    ("name", "step_mode"),
    [*product(BOTH_MODES, ("s", "m")), *((name, "m") for name in AT_ONCE)],
)
def test_neurons_of_spikingjelly_in_both_modes(name, step_mode, images):
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
    kind = getattr(neuron, name)
    network = Jelly(lambda: kind(**WITH.get(name, {})), step_mode)
    functional = pytest.importorskip("spikingjelly.activation_based.functional")
    compare(network, images, (kind,), lambda: functional.reset_net(network))


class Snn(Network):
    """A loop over the steps that hands on the states."""

    def forward(self, x):
        outputs, states, more = [], self.states(self.fire), self.states(self.fire_again)
        for _ in range(STEPS):
            spikes, *states = self.fire(2 * self.first(x), *states)
            spikes, *more = self.fire_again(2 * self.second(spikes.to(x.dtype)), *more)
            outputs.append(self.last(spikes.to(x.dtype).flatten(1)))
        return torch.stack(outputs)

    def states(self, neuron):
        states = neuron.reset_mem()
        return states if isinstance(states, tuple) else (states,)


@pytest.mark.parametrize(("name", "settings"), [
    ("Leaky", {"beta": 0.5}),
    ("Leaky", {"beta": 0.5, "reset_mechanism": "zero", "learn_beta": True}),
    ("Lapicque", {"beta": 0.5}),
    ("Synaptic", {"alpha": 0.5, "beta": 0.5}),
    ("Alpha", {"alpha": 0.9, "beta": 0.5, "threshold": 0.1}),
    ("RLeaky", {"beta": 0.5, "all_to_all": False, "V": 0.1}),
    ("RSynaptic", {"alpha": 0.5, "beta": 0.5, "all_to_all": False, "V": 0.1}),
    ("SConv2dLSTM", {"in_channels": 4, "out_channels": 4, "kernel_size": 3, "threshold": 0.01}),
])  # fmt: skip
def test_neurons_of_snntorch(name, settings, images):
    kind = getattr(pytest.importorskip("snntorch"), name)
    compare(Snn(lambda: kind(**settings)), images, (kind,))


class Norse(Network):
    def forward(self, x):
        outputs, states, more = [], None, None
        for _ in range(STEPS):
            spikes, states = self.fire(20 * self.first(x), states)
            spikes, more = self.fire_again(20 * self.second(spikes), more)
            outputs.append(self.last(spikes.flatten(1)))
        return torch.stack(outputs)


@pytest.mark.parametrize(
    "name", ["LIFCell", "LIFBoxCell", "LIFExCell", "LIFAdExCell", "LSNNCell", "IAFCell"]
)
def test_neurons_of_norse(name, images):
    kind = getattr(pytest.importorskip("norse.torch"), name)
    compare(Norse(kind), images, (kind,))
