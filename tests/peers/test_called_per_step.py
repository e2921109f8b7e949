"""Single-step networks of other frameworks, called by the toolkit and by a loop of the user's."""

from __future__ import annotations

from dataclasses import replace

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
LABELS = torch.tensor([0, 1, 2, 3, 4, 5])


def data(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def same(one, other):
    aside = {"provenance": {}, "warnings": (), "inputs": ()}  # names of inputs differ
    plain = [replace(report.run, **aside) for report in (one, other)]
    assert plain[0] == plain[1]
    assert plain[0].correct is not None
    assert plain[0].sites[-1].operand == "spike"
    assert plain[0].sites[-1].executions == STEPS


@pytest.mark.parametrize("time_first", [False, True])
def test_a_single_step_net_of_spikingjelly_read_frame_by_frame(time_first):
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
    functional = pytest.importorskip("spikingjelly.activation_based.functional")
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), neuron.LIFNode(), nn.Flatten(), nn.Linear(256, 10),
        neuron.IFNode(v_threshold=0.05), nn.Linear(10, 10),
    )  # fmt: skip
    clips = 4 * data(6, STEPS, 2, 8, 8)
    clips = clips.transpose(0, 1) if time_first else clips

    def loop(x):
        functional.reset_net(net)
        logits = torch.stack([net(frame) for frame in x.unbind(0 if time_first else 1)], 1)
        functional.reset_net(net)
        return logits

    layout = {"time_layout": "TB"} if time_first else {}
    batches = [(clips, LABELS)]
    looped = analysis.analyze(net, batches, steps=STEPS, loop=True)
    same(looped, analysis.analyze(net, batches, steps=STEPS, forward=loop, **layout))
    assert sum(n.spikes for n in looped.run.neurons) > 0


def test_the_net_of_snntorchs_tutorial_with_membranes_from_outside():
    snn = pytest.importorskip("snntorch")

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.fc1, self.lif1 = nn.Linear(16, 32), snn.Leaky(beta=0.9)
            self.fc2, self.lif2 = nn.Linear(32, 10), snn.Leaky(beta=0.9)

        def forward(self, x, mem1=None, mem2=None):
            mem1 = self.lif1.init_leaky() if mem1 is None else mem1
            mem2 = self.lif2.init_leaky() if mem2 is None else mem2
            spk1, mem1 = self.lif1(self.fc1(x), mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            return spk2, mem1, mem2

    net = Net()

    def loop(x):
        mem1, mem2 = net.lif1.init_leaky(), net.lif2.init_leaky()
        out = []
        for _ in range(STEPS):
            spk2, mem1, mem2 = net(x, mem1, mem2)
            out.append(spk2)
        return torch.stack(out, 1)

    batches = [(4 * data(6, 16), LABELS)]
    looped = analysis.analyze(net, batches, steps=STEPS, loop=True)
    same(looped, analysis.analyze(net, batches, steps=STEPS, forward=loop))
    assert sum(n.spikes for n in looped.run.neurons) > 0
