"""Networks of sinabs: samples and steps in one axis, neurons that may fire several times a step."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import analysis

pytestmark = [
    pytest.mark.slow,
    pytest.mark.peers,
    pytest.mark.filterwarnings("ignore"),  # raised by the peer itself
]
sinabs = pytest.importorskip("sinabs")

from sinabs import layers  # noqa: E402
from sinabs.activation import MultiSpike, SingleSpike  # noqa: E402

STEPS, SAMPLES = 4, 3
SEEN = {}  # outside of the model: what it holds is put back after each pass


class Network(nn.Module):
    """Event clips ``(B, T, C, H, W)`` -> conv, neuron, pooling, conv, neuron, linear."""

    def __init__(self, spike_fn):
        super().__init__()
        torch.manual_seed(0)
        options = {"num_timesteps": STEPS, "spike_fn": spike_fn}
        self.conv1 = nn.Conv2d(2, 4, 3, padding=1, bias=False)
        self.neuron1 = layers.IAFSqueeze(**options)
        self.pool = layers.SumPool2d(2)
        self.conv2 = nn.Conv2d(4, 4, 3, bias=False)
        self.neuron2 = layers.LIFSqueeze(tau_mem=10.0, **options)
        self.linear = nn.Linear(16, 5, bias=False)
        for layer in (self.conv1, self.conv2, self.linear):
            layer.weight.data.abs_().mul_(3)  # so that all layers fire
        SEEN.clear()

    def forward(self, clip):
        x = clip.flatten(0, 1)  # (B*T, C, H, W)
        for name in ("conv1", "neuron1", "pool", "conv2", "neuron2"):
            x = getattr(self, name)(x)
            SEEN.setdefault(name, x)  # of the first batch
        return self.linear(x.flatten(1))


@pytest.fixture
def clip():
    generator = torch.Generator().manual_seed(0)
    return (torch.rand(SAMPLES, STEPS, 2, 8, 8, generator=generator) < 0.3).float()


def by_step(values):
    return values.view(SAMPLES, STEPS, -1).sum((0, 2)).tolist()


@pytest.mark.parametrize("spike_fn", [SingleSpike, MultiSpike])
def test_spikes_are_the_sums_of_what_the_neurons_gave_out(spike_fn, clip):
    model = Network(spike_fn)
    run = analysis.analyze(model, [clip], steps=STEPS).run
    assert [(n.site, n.neurons) for n in run.neurons] == [("neuron1", 256), ("neuron2", 16)]
    for found in run.neurons:
        assert list(found.spikes_by_step) == by_step(SEEN[found.site])
    assert (SEEN["neuron1"].max() > 1) == (spike_fn is MultiSpike)


def test_layers_count_the_non_zeros_they_read(clip):
    model = Network(SingleSpike)
    run = analysis.analyze(model, [clip], steps=STEPS).run
    assert [s.origin for s in run.sites] == ["events", "current", "spikes"]
    assert [s.operand for s in run.sites] == ["spike", "graded", "spike"]  # sums of four spikes
    linear = run.sites[2]
    assert list(linear.synops_by_step) == [5 * n for n in by_step(SEEN["neuron2"])]
    ones = torch.ones(4, 4, 3, 3)
    meets = nn.functional.conv2d((SEEN["pool"] != 0).float(), ones)
    assert list(run.sites[1].synops_by_step) == by_step(meets)


def test_a_sample_has_the_counts_it_has_alone(clip):
    together = analysis.analyze(Network(SingleSpike), [clip], steps=STEPS, per_sample=True).run
    alone = analysis.analyze(Network(SingleSpike), clip.split(1), steps=STEPS, per_sample=True).run
    assert alone.sites == together.sites
    assert alone.per_sample == together.per_sample


def test_states_are_as_before(clip):
    model = Network(SingleSpike)
    model(clip)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    analysis.analyze(model, [clip], steps=STEPS)
    after = model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(after[name], value) for name, value in before.items())
