"""What strangers write with SpikingJelly, snnTorch, norse and sinabs: kinds of easily wrong code.

The kinds are those of `tests.analysis.test_strangers`; figures are worked out by hand, or by hooks
on the uncounted model.
"""

from __future__ import annotations

from itertools import permutations

import pytest
import torch
from torch import nn

pytestmark = [
    pytest.mark.slow,
    pytest.mark.peers,
    pytest.mark.filterwarnings("ignore"),  # raised by the peers themselves
]
for framework in ("snntorch", "spikingjelly", "norse", "sinabs"):
    pytest.importorskip(framework)

import norse.torch as norse  # noqa: E402
import sinabs.layers as sl  # noqa: E402
import snntorch  # noqa: E402
from sinabs import SNNAnalyzer  # noqa: E402
from sinabs.activation import SingleSpike  # noqa: E402
from spikingjelly.activation_based import functional, neuron, surrogate  # noqa: E402

import analysis  # noqa: E402


class Net(nn.Module):
    """A function of the network and its inputs, and layers by their names."""

    def __init__(self, function, **parts):
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, *inputs, **named):
        return self.function(self, *inputs, **named)


def same(size):
    layer = nn.Linear(size, size, bias=False)
    nn.init.eye_(layer.weight)
    return layer


def random(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def counted(model, *batches, steps, **options):
    return analysis.analyze(model, list(batches), steps=steps, **options).run


def total(run, field, *names):
    return sum(getattr(site, field) for site in run.sites if not names or site.key.name in names)


def spikes(run):
    return [(one.spikes, one.outputs) for one in run.neurons]


# Kind 1: states of zeros.


@pytest.mark.parametrize("samples", [1, 2, 5])
def test_recurrent_neurons_start_from_zeros_of_every_sample(samples):
    def forward(net, x):
        spikes, membrane = net.fire.init_rleaky()
        for _ in range(3):
            spikes, membrane = net.fire(net.first(x), spikes, membrane)
        return net.last(spikes)

    recurrent = snntorch.RLeaky(beta=0.5, linear_features=4)
    net = Net(forward, first=same(4), fire=recurrent, last=nn.Linear(4, 3))
    run = counted(net, random(samples, 4), steps=3)
    products = [site for site in run.sites if site.key.name.startswith("fire")]
    ran = {site.key.name: site.dense_macs for site in products}
    assert set(ran.values()) <= {samples * 3 * 16, samples * 2 * 16}  # none on a state of None
    assert (total(run, "dense_macs", "first"), total(run, "dense_macs", "last")) == (
        samples * 48,
        samples * 12,
    )


# Kind 2: what runs fewer than T times.


@pytest.mark.parametrize("lengths", list(permutations((1, 6, 4))))
def test_clips_of_different_length_of_snntorch(lengths):
    def forward(net, clip):
        membrane, outputs = net.fire.init_leaky(), 0
        for t in range(clip.shape[1]):
            spikes, membrane = net.fire(net.first(clip[:, t]), membrane)
            outputs = outputs + net.last(spikes)
        return outputs

    fire = snntorch.Leaky(beta=0.9, threshold=0.5, reset_mechanism="zero")
    net = Net(forward, first=same(4), fire=fire, last=nn.Linear(4, 3, bias=False))
    run = counted(net, *(torch.ones(5, k, 4) for k in lengths), steps=6)
    assert total(run, "dense_macs", "first") == 5 * 11 * 16
    assert total(run, "dense_macs", "last") == 5 * 11 * 12
    assert run.neurons[0].outputs == 5 * 11 * 4
    assert total(run, "synops", "last") == 3 * run.neurons[0].spikes > 0


def test_a_convolution_along_time_before_neurons_that_run_step_by_step():
    def forward(net, x):  # (B, C, T)
        current = net.along(x)
        return torch.stack([net.last(net.fire(current[:, :, t])) for t in range(7)]).mean(0)

    fire = neuron.LIFNode(v_threshold=0.3)
    along = nn.Conv1d(2, 4, 3, padding=1, bias=False)
    run = counted(
        Net(forward, along=along, fire=fire, last=nn.Linear(4, 3)), random(5, 2, 7), steps=7
    )
    assert total(run, "dense_macs", "along") == 5 * 4 * 7 * 2 * 3
    assert total(run, "dense_macs", "last") == 5 * 7 * 12
    assert {site.stands_for for site in run.sites} == {1}


def test_weights_between_neurons_run_once_less_than_the_steps():
    fire = neuron.ILCIFNode(act_dim=1, dec_pop_dim=16)
    fire.step_mode = "m"
    net = nn.Sequential(nn.Linear(8, 16), fire, nn.Linear(16, 4))
    run = counted(net, random(6, 3, 8), steps=6)
    inside = [s for s in run.sites if s.key.name.startswith("1.")]
    assert sum(site.dense_macs for site in inside) == 3 * 5 * 256
    assert total(run, "dense_macs", "0", "2") == 3 * 6 * (128 + 64)


@pytest.mark.parametrize("over_time", [
    lambda x: x.mean(0), lambda x: x[-1], lambda x: x.amax(0), lambda x: x.sum(0) / 4,
])  # fmt: skip
def test_a_readout_of_two_layers_behind_multi_step_neurons(over_time):
    def forward(net, x):
        x = net.fire(net.first(x).unsqueeze(0).repeat(4, 1, 1))
        return net.last(torch.relu(net.hidden(over_time(x))))

    parts = {"hidden": nn.Linear(4, 9), "last": nn.Linear(9, 3)}
    fire = neuron.LIFNode(v_threshold=0.2, step_mode="m")
    run = counted(Net(forward, first=same(4), fire=fire, **parts), random(5, 4), steps=4)
    found = {site.key.name: (site.dense_macs, site.stands_for) for site in run.sites}
    assert found == {"first": (80, 4), "hidden": (180, 1), "last": (135, 1)}


# Kind 3: storages, and where known neurons say that time is.


def recording():
    """``(T, B, C)``, longer than what is used of it."""
    return random(9, 3, 4, seed=5)


@pytest.mark.parametrize("cut", [
    lambda r: r[:5], lambda r: r[2:7], lambda r: r[::2], lambda r: r[:5].contiguous(),
    lambda r: r.permute(1, 2, 0).contiguous().permute(2, 0, 1)[:5],
    lambda r: r.transpose(0, 1).contiguous().transpose(0, 1)[1:6],
    lambda r: r[:1].expand(5, -1, -1), lambda r: r.flip(0)[::2],
])  # fmt: skip
def test_known_neurons_tell_the_steps_of_any_storage(cut):
    clip = cut(recording())
    fire = neuron.IFNode(v_threshold=0.6, v_reset=None, step_mode="m")
    with torch.no_grad():
        by_step = fire(clip.clone()).sum((1, 2)).int().tolist()
    functional.reset_net(fire)
    net = nn.Sequential(same(4), fire, nn.Linear(4, 3))
    run = counted(net, clip, steps=5)
    assert run.samples == 3
    assert run.neurons[0].spikes_by_step == tuple(by_step)
    assert run.sites[1].synops_by_step == tuple(3 * n for n in by_step)
    assert spikes(run) == [(sum(by_step), 60)]


def test_known_neurons_tell_the_steps_behind_channels_and_time():
    def forward(net, x):  # (B, C, T), as for one-dimensional convolutions
        x = net.fire(net.along(x).permute(2, 0, 1)).permute(1, 2, 0)
        return net.again(x).mean(2)

    fire = neuron.IFNode(v_threshold=0.2, step_mode="m")
    along, again = nn.Conv1d(4, 4, 1, bias=False), nn.Conv1d(4, 3, 1, bias=False)
    along.weight.data.copy_(torch.eye(4)[..., None])
    net = Net(forward, along=along, fire=fire, again=again)
    x = random(2, 4, 4)
    with torch.no_grad():
        by_step = fire(x.permute(2, 0, 1)).sum((1, 2)).int().tolist()
    functional.reset_net(fire)
    run = counted(net, x, steps=4)
    assert run.neurons[0].spikes_by_step == tuple(by_step)
    assert total(run, "synops", "again") == 3 * sum(by_step)
    assert run.sites[1].synops_by_step in (None, tuple(3 * n for n in by_step))


def test_tokens_are_steps_where_known_neurons_say_so():
    def forward(net, ids):  # (B, T), and T samples would look the same
        return net.head(net.fire(net.words(ids).transpose(0, 1)).transpose(0, 1))

    words = nn.Embedding(5, 4)
    words.weight.data.copy_(torch.arange(5)[:, None] > torch.arange(4))
    fire = neuron.IFNode(v_threshold=1.0, step_mode="m")  # one of 1 fires at once
    ids = torch.tensor([[0, 1, 2], [4, 4, 1], [3, 0, 0]])
    run = counted(
        Net(forward, words=words, fire=fire, head=nn.Linear(4, 5, bias=False)), ids, steps=3
    )
    assert run.neurons[0].spikes_by_step == (7, 5, 3)
    assert total(run, "synops", "head") == 5 * 15


# Kind 5: what a spike is.


@pytest.mark.parametrize("steps", [2, 6])
def test_one_spike_of_the_size_of_all_steps_is_one_spike(steps):
    net = nn.Sequential(same(8), neuron.DSRIFNode(T=steps), nn.Linear(8, 4))
    torch.manual_seed(0)
    run = counted(net, 2 * random(steps, 3, 8), steps=steps)
    assert run.neurons[0].spikes == run.sites[1].nonzeros > 0


@pytest.mark.parametrize("most", [12, 33, 40])
def test_many_spikes_in_one_step_of_sinabs(most):
    run = counted(sl.IAF(), torch.arange(float(most)).reshape(1, 1, -1), steps=1)
    assert spikes(run) == [(most * (most - 1) // 2, most)]


def test_one_spike_or_two_of_sinabs_are_counts_whatever_the_smallest():
    net = nn.Sequential(sl.IAF(), nn.Linear(3, 5, bias=False))
    for values, fired in (([3.0, 6, 0], 9), ([2.0, 2, 0], 4), ([1.0, 3, 6], 10)):
        run = counted(net, torch.tensor(values).reshape(1, 1, 3), steps=1)
        assert run.neurons[0].spikes == fired
        assert run.sites[0].synops == 5 * sum(value > 0 for value in values)


def test_single_spikes_of_sinabs_are_single():
    net = nn.Sequential(sl.IAF(spike_fn=SingleSpike), nn.Linear(3, 5, bias=False))
    run = counted(net, torch.tensor([3.0, 6, 0]).reshape(1, 1, 3), steps=1)
    assert (run.neurons[0].spikes, run.sites[0].synops) == (2, 10)


def test_integer_neurons_fire_their_integer():
    fire = neuron.ILIFNode(step_mode="m")
    with torch.no_grad():
        fired = fire(3 * random(4, 3, 5))
    functional.reset_net(fire)
    assert fired.max() > 1
    run = counted(nn.Sequential(fire, nn.Linear(5, 2, bias=False)), 3 * random(4, 3, 5), steps=4)
    assert spikes(run) == [(int(fired.sum()), 60)]
    assert run.sites[0].synops == 2 * int((fired != 0).sum())


def test_ternary_neurons_fire_with_either_sign():
    fire = neuron.TernaryIFNode(step_mode="m")
    with torch.no_grad():
        fired = fire(6 * random(4, 3, 5) - 3)
    functional.reset_net(fire)
    assert fired.min() == -1
    run = counted(
        nn.Sequential(fire, nn.Linear(5, 2, bias=False)), 6 * random(4, 3, 5) - 3, steps=4
    )
    assert spikes(run) == [(int(fired.abs().sum()), 60)]


# Kind 7: events.


@pytest.mark.parametrize("first", [nn.Flatten(0, 1), nn.Identity()])
def test_event_frames_cost_accumulates(first):
    events = (random(4, 3, 2, 8, 8) < 0.2).float()  # (T, B, C, H, W)
    flat = isinstance(first, nn.Flatten)
    convolution = nn.Conv2d(2, 4, 3, bias=False)
    fire = neuron.LIFNode(step_mode="m")
    if flat:
        net = nn.Sequential(first, convolution, nn.Unflatten(0, (4, 3)), fire)
    else:
        net = Net(
            lambda net, x: net.fire(torch.stack([net.layer(frame) for frame in x])),
            layer=convolution,
            fire=fire,
        )
    report = analysis.analyze(net, [events], steps=4)
    met = nn.functional.conv2d(events.flatten(0, 1), torch.ones(4, 2, 3, 3)).sum()
    assert report.run.sites[0].synops == int(met)
    assert float(report.sites.macs[0]) == 0
    assert float(report.sites.acs[0]) == float(met) / report.run.samples


def test_clips_of_norse_cost_accumulates():
    clip = (random(4, 3, 6) < 0.3).float()  # (T, B, C)
    net = norse.SequentialState(nn.Linear(6, 4, bias=False), norse.LIF(), nn.Linear(4, 2))
    sites = analysis.analyze(net, [clip], steps=4).sites
    assert (float(sites.macs[0]), float(sites.synops[0])) == (0, float(clip.sum()) * 4 / 3)


# Kind 8: what belongs to others.


def test_hooks_of_sinabs_are_not_the_model():
    net = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1, bias=False), sl.IAFSqueeze(num_timesteps=1))
    x = (random(3, 2, 6, 6) < 0.3).float()
    alone = counted(net, x, steps=1)
    keep = SNNAnalyzer(net)
    assert counted(net, x, steps=1).sites == alone.sites
    del keep


def test_monitors_of_spikingjelly_are_not_the_model():
    from spikingjelly.activation_based import monitor

    net = nn.Sequential(same(4), neuron.IFNode(step_mode="m"), nn.Linear(4, 3))
    x = random(4, 3, 4)
    alone = counted(net, x, steps=4)
    keep = monitor.OutputMonitor(net, neuron.IFNode, lambda spikes: spikes @ torch.ones(4, 2))
    assert counted(net, x, steps=4).sites == alone.sites
    keep.remove_hooks()


@pytest.mark.parametrize("passes", [1, 3])
def test_states_of_neurons_start_afresh_and_are_given_back(passes):
    fire = neuron.IFNode(v_reset=None, step_mode="s")
    net = Net(
        lambda net, x: sum(net.last(net.fire(x)) for _ in range(4)),
        fire=fire,
        last=nn.Linear(4, 3, bias=False),
    )
    net(torch.full((2, 4), 0.375))
    before = fire.v.clone()
    run = counted(net, *[torch.full((2, 4), 0.375)] * passes, steps=4)
    assert run.neurons[0].spikes == passes * 8  # 0.375, 0.75, 1.125 fires, 0.5
    assert torch.equal(fire.v, before)


# Kind 9: other precisions.


class Loop(nn.Module):
    def __init__(self, fire):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.fire, self.last = nn.Linear(6, 8), fire, nn.Linear(8, 3)

    def forward(self, x):
        state, outputs = None, 0
        for _ in range(3):
            out = self.fire(3 * self.first(x), *(() if state is None else (state,)))
            spikes, state = out
            outputs = outputs + self.last(spikes)
        return outputs


class Snn(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = nn.Linear(6, 8), nn.Linear(8, 3)
        self.fire = snntorch.Leaky(beta=0.9)

    def forward(self, x):
        membrane, outputs = self.fire.init_leaky(), 0
        for _ in range(3):
            spikes, membrane = self.fire(3 * self.first(x), membrane)
            outputs = outputs + self.last(spikes)
        return outputs


def sinabs_net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), sl.LIF(tau_mem=10.0), nn.Linear(8, 3))


def jelly_net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), neuron.LIFNode(step_mode="m"), nn.Linear(8, 3))


FLIPPED = {
    "snnTorch": (Snn, (5, 6)),
    "norse": (lambda: Loop(norse.LIFCell()), (5, 6)),
    "sinabs": (sinabs_net, (5, 3, 6)),
    "SpikingJelly": (jelly_net, (3, 5, 6)),
}


@pytest.mark.parametrize("name", FLIPPED)
def test_flips_are_looked_for_in_every_framework(name):
    make, shape = FLIPPED[name]
    run = counted(make(), random(*shape), steps=3, flips=True)
    assert run.flipped == 0
    assert total(run, "dense_macs") == 5 * 3 * (48 + 24)


@pytest.mark.parametrize("precision", [torch.float64, torch.bfloat16])
def test_spikingjelly_counts_the_same_in_other_precisions(precision):
    coarse = (random(3, 5, 6) * 8).round() / 8
    net = nn.Sequential(same(6), neuron.IFNode(step_mode="m"), nn.Linear(6, 3))
    plain = counted(net, coarse, steps=3)
    other = counted(net.to(precision), coarse.to(precision), steps=3)
    assert spikes(other) == spikes(plain)
    assert [(s.dense_macs, s.synops) for s in other.sites] == [
        (s.dense_macs, s.synops) for s in plain.sites
    ]


def test_quantised_surrogates_are_no_work_of_weights():
    fire = neuron.LIFNode(surrogate_function=surrogate.ATan(), step_mode="m")
    run = counted(nn.Sequential(same(4), fire), random(3, 5, 4), steps=3)
    assert [site.key.name for site in run.sites] == ["0"]
