"""Which neuron layers feed a site, in networks whose wiring is known."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import analysis
import gac
from analysis.records import SiteKey


class Fire(nn.Module):
    def forward(self, x):
        return (x > 0).to(x.dtype)


class Net(nn.Module):
    """Two neuron layers in a row, and both together into the last one."""

    def __init__(self):
        super().__init__()
        self.stem, self.body = nn.Conv2d(1, 2, 3), nn.Conv2d(2, 2, 1)
        self.first, self.second = Fire(), Fire()
        self.skip, self.head = nn.Conv2d(2, 2, 1), nn.Linear(4, 2)

    def forward(self, x):
        current = self.stem(x)
        spikes = self.first(current)
        again = self.second(self.body(spikes) + self.skip(current))
        return self.head(torch.cat([spikes.mean((2, 3)), again.mean((2, 3))], 1))


def upstream(run):
    return {str(site.key): [str(key) for key in site.upstream] for site in run.sites}


def test_the_nearest_neurons_are_those_with_the_fewest_operations_in_between():
    torch.manual_seed(0)
    found = upstream(analysis.analyze(Net(), [torch.randn(2, 1, 6, 6)], steps=1).run)
    assert found == {"stem": [], "body": ["first"], "skip": [], "head": ["first", "second"]}


def test_in_the_residual_network_each_layer_has_the_one_before_it():
    torch.manual_seed(0)
    model = gac.build("msresnet8", steps=2)
    for module in model.modules():
        if hasattr(module, "threshold"):
            module.threshold = 0.0  # so that all of them fire
    found = upstream(analysis.analyze(model, [torch.randn(2, 3, 8, 8)]).run)
    assert found["encoder.stem.conv"] == found["encoder.gate.spatial.conv2"] == []
    assert found["stages.0.0.conv1"] == ["stages.0.0.neuron1"]
    assert found["stages.0.0.conv2"] == ["stages.0.0.neuron2"]
    assert found["stages.0.0.shortcut.conv"] == ["encoder.neuron"]
    # the membrane: the convolution before it is nearer than what its shortcut carries on
    assert found["stages.1.0.shortcut.conv"] == ["stages.0.0.neuron2"]
    assert found["head"] == ["neuron"]


class Loop(nn.Module):
    """One layer called twice per step, three steps one after the other."""

    steps = 3

    def __init__(self):
        super().__init__()
        self.fire, self.layer = Fire(), nn.Linear(4, 4, bias=False)

    def forward(self, x):
        out = 0
        for _ in range(self.steps):
            out = out + self.layer(self.fire(self.layer(self.fire(x))))
        return out


def test_in_a_loop_over_steps_neurons_go_by_their_call_within_a_step():
    torch.manual_seed(0)
    run = analysis.analyze(Loop(), [torch.randn(2, 4)], time_layout="loop").run
    assert upstream(run) == {"layer": ["fire"], "layer #1": ["fire #1"]}
    assert {SiteKey(name=n.site, call=n.call) for n in run.neurons} == {
        key for site in run.sites for key in site.upstream
    }


def test_level_synops_are_those_of_each_value_where_it_lies():
    # 3x3 kernel, padding 1, on 3x3: a corner meets 4 weights, the middle 9
    layer = nn.Conv2d(1, 1, 3, padding=1, bias=False)
    image = torch.tensor([[[[0.5, 0.0, 0.5], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]]])
    (site,) = analysis.analyze(layer, [image], steps=1, levels=True).run.sites
    assert site.levels == {"0.0": 6, "0.5": 2, "1.0": 1}
    assert site.level_synops == {"0.5": 8, "1.0": 9}
    assert sum(site.level_synops.values()) == site.synops


def test_levels_are_none_once_there_are_too_many():
    layer = nn.Linear(64, 1)
    batches = [torch.zeros(1, 64), torch.arange(64.0).unsqueeze(0)]
    (site,) = analysis.analyze(layer, batches, steps=1, levels=True).run.sites
    assert site.levels is None
    assert site.level_synops is None


@pytest.mark.parametrize("kind", ["site", "input"])
def test_the_counts_of_single_samples_add_up(kind):
    torch.manual_seed(0)
    run = analysis.analyze(Net(), [torch.randn(3, 1, 6, 6)], steps=1, per_sample=True).run
    for site in run.sites:
        entry = next(c for c in run.per_sample if (c.kind, c.key) == (kind, site.key))
        expected = site.synops if kind == "site" else site.nonzeros
        assert sum(map(sum, entry.counts)) == expected
    assert all(sum(site.nonzeros_by_step) == site.nonzeros for site in run.sites)
