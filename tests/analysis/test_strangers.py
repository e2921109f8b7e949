"""Models as strangers write them: nine kinds of code that a counter is easily wrong about.

Every figure is worked out by hand, from sizes and from what one sample does when it is alone.
Those that need a framework of neurons are in `tests.peers.test_strangers`.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import permutations

import pytest
import torch
from torch import nn
from torch.nn import functional

import analysis


class Net(nn.Module):
    """A function of the network and its inputs; layers and weights by their names."""

    def __init__(self, function, **parts):
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, *inputs, **named):
        return self.function(self, *inputs, **named)


class Fire(nn.Module):
    """Spikes where a value is above 0.3."""

    def forward(self, x):
        return (x > 0.3).to(x.dtype)


def plain(inputs, outputs):
    """A linear layer without bias whose weights are all 1."""
    layer = nn.Linear(inputs, outputs, bias=False)
    nn.init.ones_(layer.weight)
    return layer


def same(size):
    """A linear layer that hands on what it reads."""
    layer = nn.Linear(size, size, bias=False)
    nn.init.eye_(layer.weight)
    return layer


def counted(model, *batches, steps=1, **options):
    if any(isinstance(part, Fire) for part in model.modules()):
        options.setdefault("neurons", [Fire])
    return analysis.analyze(model, list(batches), steps=steps, **options).run


def total(run, field, *names):
    """Of the sites of these names; of all without one."""
    return sum(getattr(site, field) for site in run.sites if not names or site.key.name in names)


def dense(run, *names):
    return total(run, "dense_macs", *names)


def random(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


# Kind 1: a tensor that nobody marked meets weights, and is not the same for all samples by that.
# Each makes a network and a batch of B samples; then the dense products of one sample in "side".


def class_label():
    def forward(net, x, label):
        return net.body(x) * net.side(net.names(label))

    net = Net(forward, body=nn.Linear(5, 3), names=nn.Embedding(7, 6), side=nn.Linear(6, 3))
    return net, lambda b: {"x": random(b, 5), "label": torch.arange(b) % 7}, 18


def label_given_first():
    net, batch, macs = class_label()
    return net, lambda b: dict(reversed(batch(b).items())), macs


def state_through_a_norm():
    def forward(net, x):
        return net.body(x) + net.side(net.norm(x.new_zeros(x.shape[0], 6)))

    net = Net(forward, body=nn.Linear(5, 3), norm=nn.LayerNorm(6), side=nn.Linear(6, 3))
    return net, lambda b: random(b, 5), 18


def zeros_of_a_feature_map():
    def forward(net, x):
        state = torch.zeros(x.size(0), 4, 3, 3)
        return net.body(x) + net.side(net.norm(state) + 1)

    norm, side = nn.GroupNorm(2, 4), nn.Conv2d(4, 2, 1, bias=False)
    return Net(forward, body=nn.Conv2d(1, 2, 1), norm=norm, side=side), (
        lambda b: random(b, 1, 3, 3)
    ), 9 * 8  # fmt: skip


def queries_with_places():
    def forward(net, x):
        query = torch.zeros_like(x) + net.places  # (B, N, C) and (N, C)
        return (net.side(query) * net.body(x)).sum(1)

    places = nn.Parameter(random(4, 6))
    net = Net(forward, places=places, side=nn.Linear(6, 3), body=nn.Linear(6, 3))
    return net, lambda b: random(b, 4, 6), 4 * 18


def mask_beside_the_tokens():
    def forward(net, mask, x):
        return (net.body(x) * mask[..., None]).sum(1) + net.side(mask.to(x.dtype))

    net = Net(forward, body=nn.Linear(6, 3), side=nn.Linear(4, 3))
    return net, lambda b: {"mask": random(b, 4) > 0.4, "x": random(b, 4, 6, seed=1)}, 12


def pair_in_a_tuple():
    def forward(net, pair):
        one, other = pair
        return net.body(one) - net.side(net.norm(other))

    norm = nn.BatchNorm1d(6)
    net = Net(forward, body=nn.Linear(5, 3), norm=norm, side=nn.Linear(6, 3)).eval()
    return net, lambda b: {"pair": (random(b, 5), random(b, 6, seed=1))}, 18


def siblings():
    def forward(net, left, right):
        return net.side(left) - net.side(net.norm(right))

    side = nn.Conv2d(1, 2, 2, bias=False)
    net = Net(forward, norm=nn.BatchNorm2d(1), side=side).eval()
    return net, lambda b: {"left": random(b, 1, 4, 4), "right": random(b, 1, 4, 4, seed=1)}, (
        2 * 2 * 9 * 4
    )  # fmt: skip


def nested_dictionary():
    def forward(net, data):
        return net.body(data["image"]) + net.side(data["more"]["position"].sin())

    net = Net(forward, body=nn.Linear(5, 3), side=nn.Linear(2, 3))
    more = lambda b: {"position": random(b, 2, seed=1)}  # noqa: E731
    return net, lambda b: {"data": {"image": random(b, 5), "more": more(b)}}, 6


def one_time_for_the_whole_batch():
    def forward(net, t, x):
        return net.body(x) + net.side(net.times(t.expand(len(x))))

    net = Net(forward, body=nn.Linear(5, 3), times=nn.Embedding(9, 6), side=nn.Linear(6, 3))
    return net, lambda b: {"t": torch.tensor(4), "x": random(b, 5)}, 18


def time_as_waves():
    def forward(net, x, t):
        waves = torch.cat([(t[:, None] * net.speeds).sin(), (t[:, None] * net.speeds).cos()], 1)
        return net.body(x) + net.side(waves)

    net = Net(forward, body=nn.Linear(5, 3), side=nn.Linear(6, 3))
    net.register_buffer("speeds", torch.tensor([1.0, 0.1, 0.01]))
    return net, lambda b: {"x": random(b, 5), "t": torch.arange(b).float()}, 18


UNMARKED = [
    class_label, label_given_first, state_through_a_norm, zeros_of_a_feature_map,
    queries_with_places, mask_beside_the_tokens, pair_in_a_tuple, siblings, nested_dictionary,
    one_time_for_the_whole_batch, time_as_waves,
]  # fmt: skip


@pytest.mark.parametrize("samples", [1, 2, 5])
@pytest.mark.parametrize("made", UNMARKED)
def test_what_runs_for_every_sample_counts_for_every_sample(made, samples):
    net, batch, macs = made()
    run = counted(net, batch(samples))
    assert run.samples == samples
    assert dense(run, "side") == samples * macs


@pytest.mark.parametrize("made", UNMARKED)
def test_how_samples_are_batched_changes_no_total(made):
    net, batch, macs = made()
    run = counted(net, batch(3), batch(1), batch(4))
    assert (run.samples, dense(run, "side")) == (8, 8 * macs)


def test_a_temperature_that_comes_first_is_no_sample():
    net = Net(lambda net, temperature, x: net.side(x) / temperature, side=nn.Linear(5, 3))
    for temperature in (torch.tensor([2.0]), torch.tensor(2.0)):
        report = analysis.analyze(net, [{"temperature": temperature, "x": random(6, 5)}], steps=1)
        assert (report.run.samples, dense(report.run), report.totals.macs) == (6, 90, 15)


def test_what_is_made_of_weights_alone_is_listed_beside_the_total_once_per_pass():
    def forward(net, x):
        bias = net.position(net.table)  # (9, 2) -> (9, 3)
        return net.body(x) + bias.mean(0)

    net = Net(forward, body=nn.Linear(5, 3), position=nn.Linear(2, 3))
    net.register_buffer("table", random(9, 2))
    for samples in (1, 4):
        run = counted(net, random(samples, 5))
        assert dense(run) == samples * 15
        assert [(one.key.name, one.macs) for one in run.constants] == [("position", 9 * 6)]


# Kind 2: what runs fewer than T times counts as often as it ran.

STEPS = 4


def spiking(net, x):
    """Spikes at each of four steps, ``(T, B, 8)``."""
    return torch.stack([net.fire(net.first(x * (t + 1) / STEPS)) for t in range(STEPS)])


@pytest.mark.parametrize(
    "over_time",
    [
        lambda spikes: spikes.mean(0),
        lambda spikes: spikes.sum(0) / STEPS,
        lambda spikes: spikes.amax(0),
        lambda spikes: spikes.max(0).values,
        lambda spikes: spikes[-1],
        lambda spikes: spikes.transpose(0, 1).cumsum(1)[:, -1],
        lambda spikes: torch.einsum("tbn,t->bn", spikes, torch.full((STEPS,), 0.25)),
    ],
)
def test_a_classifier_behind_all_steps_runs_once(over_time):
    def forward(net, x):
        return net.last(torch.relu(net.hidden(over_time(spiking(net, x)))))

    parts = {"hidden": nn.Linear(8, 10), "last": nn.Linear(10, 3)}
    net = Net(forward, first=nn.Linear(6, 8), fire=Fire(), **parts)
    run = counted(net, random(5, 6), steps=STEPS)
    assert [dense(run, name) for name in ("first", "hidden", "last")] == [
        5 * STEPS * 48,
        5 * 80,
        5 * 30,
    ]
    assert {site.stands_for for site in run.sites} == {1}
    once = run.at_every_step
    assert dense(once) == dense(run)


def early(net, x):
    """Ends as soon as the sum of the outputs says enough about every sample."""
    outputs, net.turns = 0, 0
    for _ in range(STEPS):
        net.turns += 1
        outputs = outputs + net.last(net.fire(net.first(x)))
        if bool((outputs.amax(1) >= 4).all()):
            break
    return outputs


def exits():
    """Samples of 4, 2 and 1 spikes: sums of 4, 2 and 1 a step, so 1, 2 and 4 steps."""
    samples = torch.zeros(3, 4)
    samples[0], samples[1, :2], samples[2, :1] = 1, 1, 1
    return samples


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_a_loop_that_ends_early_counts_the_steps_it_made(order):
    net = Net(early, first=same(4), fire=Fire(), last=plain(4, 3))
    run = counted(net, *(exits()[i : i + 1] for i in order), steps=STEPS, per_sample=True)
    assert [dense(run, "first"), dense(run, "last")] == [7 * 16, 7 * 12]
    assert total(run, "synops", "last") == 3 * (1 * 4 + 2 * 2 + 4 * 1)
    rows = [one.counts for one in run.per_sample if (one.kind, one.key.name) == ("site", "last")]
    assert [sum(map(sum, calls)) for calls in zip(*rows, strict=True)] == [12] * 3
    assert total(run, "executions", "first") == pytest.approx(7 / 3)


def test_a_loop_that_ends_early_is_one_site_whose_calls_are_steps():
    net = Net(early, first=same(4), fire=Fire(), last=plain(4, 3))
    run = counted(net, *exits().split(1), steps=STEPS)
    assert [str(site.key) for site in run.sites] == ["first", "last"]
    assert {site.stands_for for site in run.sites} == {1}
    assert run.sites[1].synops_by_step in (None, (12 + 6 + 3, 6 + 3, 3, 3))
    assert run.neurons[0].spikes_by_step in (None, (7, 3, 1, 1))


def test_a_batch_that_runs_on_for_its_slowest_sample_counts_what_each_needs_alone():
    net = Net(early, first=same(4), fire=Fire(), last=plain(4, 3))
    run = counted(net, exits(), steps=STEPS)
    assert dense(run, "first") == 7 * 16
    assert total(run, "synops", "last") == 36


@pytest.mark.parametrize("lengths", [(1, 1, 1, 4), (3, 5, 2), (4, 4)])
def test_clips_of_different_length_count_the_frames_they_have(lengths):
    def forward(net, clip):
        return sum(net.last(net.fire(net.first(clip[:, t]))) for t in range(clip.shape[1]))

    net = Net(forward, first=nn.Linear(6, 8, bias=False), fire=Fire(), last=nn.Linear(8, 3))
    net.first.weight.data.fill_(1)
    run = counted(net, *(torch.ones(2, k, 6) for k in lengths), steps=max(lengths))
    frames = 2 * sum(lengths)
    assert [dense(run, "first"), dense(run, "last")] == [frames * 48, frames * 24]
    assert total(run, "synops", "last") == frames * 24
    assert sum(one.spikes for one in run.neurons) == frames * 8
    assert sum(one.outputs for one in run.neurons) == frames * 8
    assert run.firing_rate == 1


@pytest.mark.parametrize("lengths", [(1, 1, 1, 4), (3, 5, 2), (4, 4)])
def test_of_clips_of_different_length_the_first_frames_are_the_first_steps(lengths):
    def forward(net, clip):
        return sum(net.last(net.fire(net.first(clip[:, t]))) for t in range(clip.shape[1]))

    net = Net(forward, first=plain(6, 8), fire=Fire(), last=nn.Linear(8, 3, bias=False))
    steps = max(lengths)
    run = counted(net, *(torch.ones(2, k, 6) for k in lengths), steps=steps)
    (neurons,) = run.neurons
    by_step = tuple(16 * sum(k > t for k in lengths) for t in range(steps))
    assert neurons.spikes_by_step in (None, by_step)
    assert neurons.outputs_by_step in (None, by_step)
    assert [site.synops_by_step for site in run.sites] in (
        [None, None],
        [tuple(6 * n for n in by_step), tuple(3 * n for n in by_step)],
    )


def test_a_branch_of_the_picture_that_joins_behind_the_neurons_stands_for_what_ran():
    def forward(net, x):
        return net.last(spiking(net, x).mean(0)) + net.static(x)

    net = Net(
        forward, first=nn.Linear(6, 8), fire=Fire(), last=nn.Linear(8, 3), static=nn.Linear(6, 3)
    )
    run = counted(net, random(5, 6), steps=STEPS)
    assert dense(run, "static") == 5 * 18
    assert {site.key.name: site.stands_for for site in run.sites} == dict.fromkeys(
        ("first", "last", "static"), 1
    )


def test_a_branch_of_the_picture_that_feeds_the_neurons_stands_for_all_steps():
    def forward(net, x):
        current, membrane, total = net.stem(x), 0, 0
        for _ in range(STEPS):
            membrane = membrane + current
            spikes = net.fire(membrane)
            membrane, total = membrane - spikes, total + net.last(spikes)
        return total

    net = Net(forward, stem=nn.Linear(6, 8), fire=Fire(), last=nn.Linear(8, 3))
    run = counted(net, random(5, 6), steps=STEPS)
    stem, last = run.sites
    assert (stem.dense_macs, stem.executions, stem.stands_for) == (5 * 48, 1, STEPS)
    assert (last.dense_macs, last.executions, last.stands_for) == (5 * STEPS * 24, STEPS, 1)
    assert dense(run.at_every_step, "stem") == 5 * STEPS * 48


def test_a_network_without_neurons_stands_for_what_ran():
    run = counted(nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)), random(5, 6), steps=4)
    assert [(site.dense_macs, site.stands_for) for site in run.sites] == [(240, 1), (120, 1)]


def test_a_convolution_along_time_runs_once_and_what_follows_once_per_step():
    def forward(net, x):  # (B, C, T)
        current = net.along(x)
        return sum(net.last(net.fire(current[..., t])) for t in range(x.shape[-1]))

    net = Net(
        forward, along=nn.Conv1d(2, 4, 3, padding=1, bias=False), fire=Fire(), last=nn.Linear(4, 3)
    )
    run = counted(net, random(5, 2, 6), steps=6)
    assert [dense(run, "along"), dense(run, "last")] == [5 * 6 * 4 * 2 * 3, 5 * 6 * 12]
    assert {site.key.name: site.stands_for for site in run.sites} == {"along": 1, "last": 1}


def test_feedback_that_starts_at_the_second_step_runs_once_less():
    def forward(net, x):
        spikes, outputs = None, 0
        for _ in range(STEPS):
            current = net.first(x)
            spikes = net.fire(current if spikes is None else current + net.back(spikes))
            outputs = outputs + spikes
        return outputs

    net = Net(forward, first=same(4), fire=Fire(), back=plain(4, 4))
    run = counted(net, torch.ones(3, 4), steps=STEPS)
    assert (dense(run, "back"), total(run, "synops", "back")) == (3 * 3 * 16, 3 * 3 * 16)
    assert total(run, "executions", "back") == 3
    for back in run.sites:
        assert back.stands_for == 1
        known = back.synops_by_step
        assert known is None or back.key.name != "back" or known[0] == 0


# Kind 3: axes that are no whole multiples in the storage.


def frames(samples=3, steps=5, size=4):
    """Random values, so that every sample and step has spikes of its own number."""
    return random(samples, steps, size) * 2 - 0.5


def storages(clip):
    """The same clip ``(B, T, C)``, differently stored."""
    samples, steps, size = clip.shape
    longer, every_other = (
        torch.randn(samples, steps + 2, size),
        torch.randn(samples, 2 * steps, size),
    )
    padded, others = torch.randn(samples, steps, size + 3), torch.randn(2 * samples, steps, size)
    longer[:, 1:-1], every_other[:, ::2], padded[..., 2:-1], others[1::2] = clip, clip, clip, clip
    return {
        "as it is": clip,
        "cut out of a longer recording": longer[:, 1:-1],
        "every other frame": every_other[:, ::2],
        "some of the features": padded[..., 2:-1],
        "every other sample": others[1::2],
        "stored with the time last": clip.permute(0, 2, 1).contiguous().permute(0, 2, 1),
        "stored with the time first": clip.transpose(0, 1).contiguous().transpose(0, 1),
        "stored with the samples last": clip.permute(1, 2, 0).contiguous().permute(2, 0, 1),
        "read backwards": clip.flip(1).flip(1),
    }


STORAGES = list(storages(frames()))


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("outside", ["BT", "TB"])
def test_how_a_clip_is_stored_changes_nothing(storage, outside):
    clip = storages(frames())[storage]
    assert torch.equal(clip, frames())
    net = nn.Sequential(same(4), Fire(), nn.Linear(4, 3))
    batch = clip if outside == "BT" else clip.transpose(0, 1)
    run = counted(net, batch, steps=5, time_layout=outside)
    spikes = tuple((clip > 0.3).sum((0, 2)).tolist())
    assert run.samples == 3
    (neurons,) = run.neurons
    assert (neurons.neurons, neurons.spikes, neurons.outputs) == (4, sum(spikes), 60)
    assert neurons.spikes_by_step == spikes
    assert run.sites[1].synops_by_step == tuple(3 * n for n in spikes)
    assert [site.elements for site in run.sites] == [60, 60]


@pytest.mark.parametrize("storage", STORAGES)
def test_a_loop_over_a_clip_counts_each_step_whatever_the_storage(storage):
    def forward(net, clip):
        return sum(net.last(net.fire(net.first(clip[:, t]))) for t in range(5))

    net = Net(forward, first=same(4), fire=Fire(), last=nn.Linear(4, 3))
    run = counted(net, storages(frames())[storage], steps=5, per_sample=True)
    above = frames() > 0.3
    assert run.neurons[0].spikes_by_step == tuple(above.sum((0, 2)).tolist())
    (rows,) = [one.counts for one in run.per_sample if one.kind == "neuron"]
    assert rows == tuple(tuple(row) for row in above.sum(2).tolist())


def test_an_expanded_picture_is_read_at_every_step():
    net = nn.Sequential(same(4), Fire(), nn.Linear(4, 3))
    picture = random(3, 4)
    clip = picture[:, None].expand(-1, 5, -1)
    assert clip.stride(1) == 0
    run = counted(net, clip, steps=5, time_layout="BT")
    spikes = int((picture > 0.3).sum())
    assert [dense(run), run.neurons[0].spikes] == [15 * (16 + 12), 5 * spikes]
    assert run.neurons[0].spikes_by_step == (spikes,) * 5
    assert run.sites[0].static


def memoryless(net, clip):  # (T, B, F)
    return sum(net.last(net.fire(net.first(frame))) for frame in clip)


def leaky(net, clip):  # (T, B, F)
    membrane, outputs = 0, 0
    for frame in clip:
        membrane = 0.5 * membrane + net.first(frame)
        spikes = net.fire(membrane)
        membrane, outputs = membrane - spikes, outputs + net.last(spikes)
    return outputs


@pytest.mark.parametrize("layout", [None, "TB", "loop"])
@pytest.mark.parametrize("samples", [3, 7])
@pytest.mark.parametrize("forward", [memoryless, leaky])
def test_a_loop_over_an_axis_as_long_as_the_steps_is_over_the_steps(forward, samples, layout):
    net = Net(forward, first=same(4), fire=Fire(), last=nn.Linear(4, 3))
    run = counted(net, random(5, samples, 4), steps=5, time_layout=layout)
    assert run.samples == samples
    assert [site.executions for site in run.sites] == [5, 5]
    assert dense(run) == 5 * samples * (16 + 12)


@pytest.mark.parametrize("forward", [memoryless, leaky])
def test_a_layout_that_is_not_so_is_refused_with_the_one_that_is(forward):
    net = Net(forward, first=same(4), fire=Fire(), last=nn.Linear(4, 3))
    with pytest.raises(analysis.InputError, match="time_layout='TB' was tried and fits"):
        counted(net, random(5, 3, 4), steps=5, time_layout="BT")


def test_a_loop_over_the_samples_is_one_where_somebody_says_so():
    def forward(net, clips):  # (B, T, F)
        return torch.stack([net.last(net.fire(net.first(clip))).mean(0) for clip in clips])

    net = Net(forward, first=same(4), fire=Fire(), last=nn.Linear(4, 3))
    run = counted(net, random(5, 5, 4), steps=5, time_layout="BT")
    assert (run.samples, dense(run)) == (5, 25 * (16 + 12))


def test_columns_of_a_picture_may_be_steps():
    def forward(net, x):  # (B, C, H, W)
        membrane, outputs = 0, 0
        for column in x.unbind(-1):
            membrane = 0.5 * membrane + net.first(column.flatten(1))
            outputs = outputs + net.last(net.fire(membrane))
        return outputs

    net = Net(forward, first=nn.Linear(6, 4), fire=Fire(), last=nn.Linear(4, 3))
    run = counted(net, random(5, 2, 3, 7), steps=7)
    assert [dense(run, "first"), dense(run, "last")] == [5 * 7 * 24, 5 * 7 * 12]
    assert (run.samples, run.neurons[0].outputs) == (5, 5 * 7 * 4)


def test_tokens_may_be_steps():
    def forward(net, ids):  # (B, T)
        return net.head(net.fire(net.mix(net.words(ids))))

    words = nn.Embedding(9, 4)
    words.weight.data.copy_(torch.arange(9)[:, None] > torch.arange(4))  # id k: k ones, at most 4
    net = Net(forward, words=words, mix=same(4), fire=Fire(), head=nn.Linear(4, 9))
    ids = torch.tensor([[0, 1, 2, 3, 4], [1, 1, 1, 8, 0]])
    run = counted(net, ids, steps=5, per_sample=True)
    assert (run.samples, dense(run, "mix"), dense(run, "head")) == (2, 10 * 16, 10 * 36)
    assert total(run, "synops", "head") == 9 * (10 + 7)
    assert run.neurons[0].spikes_by_step in (None, (1, 2, 3, 7, 4))
    (rows,) = [one.counts for one in run.per_sample if one.kind == "neuron"]
    assert [sum(row) for row in rows] == [10, 7]


# Kind 4: no fact of a layer is kept from its first execution.


@pytest.mark.parametrize("detail", [False, True])
@pytest.mark.parametrize("lengths", list(permutations((2, 9, 4))))
def test_rates_are_ratios_of_sums_where_sequences_differ_in_length(lengths, detail):
    def forward(net, x):
        return net.last(net.fire(net.first(x))).mean(1)

    net = Net(forward, first=plain(6, 8), fire=Fire(), last=nn.Linear(8, 3, bias=False))
    batches = [torch.ones(2, k, 6) * (k != 9) for k in lengths]  # those of nine are silent
    run = counted(net, *batches, neuron_detail=detail)
    (neurons,) = run.neurons
    assert (neurons.spikes, neurons.outputs) == (2 * 6 * 8, 2 * 15 * 8)
    assert neurons.firing_rate == pytest.approx(6 / 15)
    assert neurons.neurons == 9 * 8  # the most
    assert neurons.detail is None
    first, last = run.sites
    assert (first.dense_macs, first.elements) == (30 * 48, 30 * 6)
    assert (last.dense_macs, last.synops, last.in_rate) == (30 * 24, 12 * 24, 0.4)


@pytest.mark.parametrize("sides", list(permutations((4, 7, 5))))
def test_pictures_of_different_sizes_count_what_each_has(sides):
    convolution = nn.Conv2d(1, 2, 3, padding=1, bias=False)
    net = nn.Sequential(convolution, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 3))
    run = counted(net, *(torch.ones(2, 1, side, side) for side in sides))
    pixels = 2 * sum(side * side for side in sides)
    inside = 2 * sum((3 * side - 2) ** 2 for side in sides)
    first, last = run.sites
    assert (first.dense_macs, first.elements, first.nonzeros) == (pixels * 18, pixels, pixels)
    assert (first.inside_macs, first.synops) == (inside * 2, inside * 2)
    assert last.dense_macs == 6 * 6


def test_detail_stays_where_only_the_size_of_the_batch_differs():
    net = nn.Sequential(same(4), Fire(), nn.Linear(4, 3))
    always, never = torch.tensor([1.0, 1, 0, 0]), torch.tensor([1.0, 0, 0, 0])
    run = counted(
        net, always.repeat(3, 1), never.repeat(1, 1), always.repeat(2, 1), neuron_detail=True
    )
    detail = run.neurons[0].detail
    assert detail.channels == (6, 5, 0, 0)
    assert (detail.dead, detail.saturated) == (2, 1)


def test_samples_of_different_size_keep_their_own_counts():
    def forward(net, x):
        return net.last(net.fire(x)).mean(1)

    net = Net(forward, fire=Fire(), last=nn.Linear(6, 3, bias=False))
    run = counted(
        net, torch.ones(2, 3, 6), torch.ones(1, 5, 6), torch.ones(1, 1, 6), per_sample=True
    )
    (rows,) = [one.counts for one in run.per_sample if one.kind == "site"]
    assert [sum(row) for row in rows] == [54, 54, 90, 18]


# Kind 5: a spike is an emission.


class Levels(nn.Module):
    """Neurons that give out what they read."""

    def forward(self, x):
        return x.clone()


def emitted(*batches, neurons=Levels):
    """What neurons that give out these values count, and the layer that reads them."""
    net = nn.Sequential(neurons(), nn.Linear(batches[0].shape[1], 5, bias=False))
    run = counted(net, *batches, neurons=[neurons])
    (neuron,), (site,) = run.neurons, run.sites
    assert neuron.outputs == sum(batch.numel() for batch in batches)
    assert site.synops == 5 * site.nonzeros
    return neuron.spikes, site.nonzeros


@pytest.mark.parametrize(
    ("values", "spikes", "nonzeros"),
    [
        ([0.0, 6, 6, 0, 6], 3, 3),  # two levels: single spikes, whatever they are worth
        ([0.0, 0.125, 0, 0, 0.125], 2, 2),
        ([1.75, 1.75, 1.75], 3, 3),  # always on
        ([-1.0, 0, 1, 1, -1], 4, 4),  # of either sign
        ([-0.4, 0, 0.4, 0.4, 0], 3, 3),
        ([0.0, 1, 2, 3, 4], 10, 4),  # counts
        ([0.0, 0.25, 0.5, 1, 0], 7, 3),  # quarters: 1 + 2 + 4
        ([0.0, 0.5, 1.5, 0, 1], 6, 3),
        ([0.0, 3, 6, 3, 0], 4, 3),  # threes: 1 + 2 + 1
        ([0.0, 2, 3, 0, 0], 5, 2),  # the smallest step is one
        ([0.0, 0, 0], 0, 0),
    ],
)
def test_spikes_are_multiples_of_one_unit(values, spikes, nonzeros):
    assert emitted(torch.tensor([values])) == (spikes, nonzeros)
    assert emitted(torch.tensor([values, values])) == (2 * spikes, 2 * nonzeros)


def test_the_unit_is_that_of_the_whole_run():
    twos, ones = torch.tensor([[2.0, 0, 2]]), torch.tensor([[1.0, 1, 0]])
    assert emitted(twos) == (2, 2)
    assert emitted(twos, ones) == emitted(ones, twos) == (6, 4)
    assert emitted(torch.cat([twos, ones])) == (6, 4)


@pytest.mark.parametrize("levels", [17, 33, 34, 60])
def test_many_spikes_in_one_step_are_still_spikes(levels):
    assert emitted(torch.arange(float(levels))[None]) == (levels * (levels - 1) // 2, levels - 1)


def test_layers_of_one_class_have_a_unit_each():
    class Threshold(nn.Module):
        def __init__(self, threshold):
            super().__init__()
            self.threshold = threshold

        def forward(self, x):
            return (x > 0.3) * self.threshold

    net = nn.Sequential(Threshold(1.5), same(4), Threshold(4.0), nn.Linear(4, 3))
    x = torch.tensor([[1.0, 0, 1, 0], [1.0, 1, 1, 0]])
    run = counted(net, x, neurons=[Threshold])
    assert [(n.spikes, n.outputs, n.firing_rate) for n in run.neurons] == [(5, 8, 0.625)] * 2
    assert [site.unit for site in run.sites] == [1.5, 4.0]
    assert [site.operand for site in run.sites] == ["spike", "spike"]


class InTuple(nn.Module):
    def forward(self, x):
        return x - 0.4, (x > 0.3).to(x.dtype)


class InDictionary(nn.Module):
    def forward(self, x):
        return {"membrane": x - 0.4, "spikes": (x > 0.3).to(x.dtype)}


class InNestedTuple(nn.Module):
    def forward(self, x):
        return (x > 0.3).to(x.dtype), (x - 0.4, x * 0.5)


class InList(nn.Module):
    def forward(self, x):
        return [x * 0.5, x - 0.4, (x > 0.3).to(x.dtype)]


@pytest.mark.parametrize(
    ("neurons", "spikes_of"),
    [
        (InTuple, lambda out: out[1]),
        (InDictionary, lambda out: out["spikes"]),
        (InNestedTuple, lambda out: out[0]),
        (InList, lambda out: out[2]),
    ],
)
def test_spikes_are_found_among_what_neurons_give_out(neurons, spikes_of):
    def forward(net, x):
        return net.last(spikes_of(net.fire(net.first(x))))

    net = Net(forward, first=same(4), fire=neurons(), last=nn.Linear(4, 3, bias=False))
    x = random(5, 4)
    run = counted(net, x, neurons=[neurons])
    spikes = int((x > 0.3).sum())
    assert [(n.spikes, n.outputs) for n in run.neurons] == [(spikes, 20)]
    assert total(run, "synops", "last") == 3 * spikes


# Kind 6: products that are easily overlooked. Of samples (B, 6), B times 30 in the first layer.

VECTOR, MATRIX = torch.arange(5.0), torch.ones(5, 2)


@pytest.mark.parametrize(
    ("product", "weights", "macs"),
    [
        (lambda h, v: h @ v, VECTOR, 5),
        (torch.matmul, VECTOR, 5),
        (torch.mv, VECTOR, 5),
        (torch.inner, VECTOR, 5),
        (functional.linear, VECTOR, 5),
        (lambda h, v: torch.stack([torch.dot(row, v) for row in h]), VECTOR, 5),
        (lambda h, v: torch.stack([torch.vdot(v, row) for row in h]), VECTOR, 5),
        (lambda h, v: torch.addmv(torch.ones(len(h)), h, v, beta=0.5, alpha=2), VECTOR, 5),
        (lambda h, v: torch.einsum("bi,i->b", h, v), VECTOR, 5),
        (lambda h, v: torch.tensordot(h, v, 1), VECTOR, 5),
        (lambda h, v: torch.mv(h, v, out=torch.empty(len(h))), VECTOR, 5),
        (lambda h, w: torch.mm(h, w, out=torch.empty(len(h), 2)), MATRIX, 10),
        (lambda h, w: torch.inner(h, w.T), MATRIX, 10),
        (lambda h, w: torch.tensordot(h, w, ([1], [0])), MATRIX, 10),
        (lambda h, w: torch.addmm(torch.ones(2), h, w, beta=2), MATRIX, 10),
        (lambda h, w: torch.stack([row @ w for row in h]), MATRIX, 10),
        (lambda h, w: (w.T @ h.T).T, MATRIX, 10),
        (lambda h, w: torch.bmm(h[:, None], w.expand(len(h), -1, -1)), MATRIX, 10),
        (lambda h, w: torch.baddbmm(torch.ones(1, 1, 2), h[None], w[None]), MATRIX, 10),
        (
            lambda h, w: torch.addbmm(torch.ones(2), h.view(-1, 5, 1).transpose(0, 1), w[:, None]),
            MATRIX,
            10,
        ),
        (lambda h, w: functional.conv1d(h[:, None], w.T[:, None]).squeeze(2), MATRIX, 10),
        (lambda h, w: torch.linalg.multi_dot([h, w, w.T]), MATRIX, 20),
    ],
)
@pytest.mark.parametrize("samples", [1, 4])
def test_products_with_weights_are_counted_in_every_dress(product, weights, macs, samples):
    def forward(net, x):
        return product(net.first(x), net.weights)

    net = Net(forward, first=nn.Linear(6, 5, bias=False), weights=nn.Parameter(weights.clone()))
    run = counted(net, random(samples, 6))
    assert not run.uncounted
    assert dense(run, "first") == samples * 30
    assert dense(run) == samples * (30 + macs)


@pytest.mark.parametrize("samples", [1, 4])
def test_a_bilinear_form_is_counted_or_named(samples):
    net = Net(lambda net, x: net.form(x, x * 2), form=nn.Bilinear(4, 4, 3, bias=False))
    run = counted(net, random(samples, 4))
    assert run.uncounted or dense(run) >= samples * 48


@pytest.mark.parametrize(
    "function",
    [
        lambda x, kernel: torch.fft.irfft(torch.fft.rfft(x) * torch.fft.rfft(kernel), 8),
        lambda x, kernel: torch.fft.ifft(torch.fft.fft(x) * torch.fft.fft(kernel)).real,
    ],
)
def test_a_convolution_by_fourier_transforms_is_named(function):
    net = Net(lambda net, x: function(x, net.kernel), kernel=nn.Parameter(random(8)))
    run = counted(net, random(4, 8, seed=1))
    assert any("fft" in name for name in run.uncounted)


# Kind 7: inputs are what their values are.


def work(model, *batches, **options):
    """Accumulates and multiply-accumulates of one sample."""
    totals = analysis.analyze(model, list(batches), steps=1, **options).totals
    return float(totals.acs), float(totals.macs)


@pytest.mark.parametrize("size", [(4, 6), (4, 5, 6), (4, 2, 5, 6)])
def test_events_at_the_input_cost_accumulates(size):
    events = (random(*size) < 0.3).float()
    mean = float(events.sum()) * 3 / 4
    assert work(nn.Linear(6, 3, bias=False), events) == (mean, 0)
    assert work(nn.Linear(6, 3, bias=False), events.bool()) == (mean, 0)


def test_events_of_two_polarities_cost_accumulates():
    events = torch.tensor([[1.0, -1, 0, 0, 1, 0], [0, -1, -1, 0, 0, 1]])
    assert work(nn.Linear(6, 3, bias=False), events) == (9, 0)


def test_counts_of_events_cost_an_accumulate_for_each_event_where_graded_ones_repeat():
    counts = torch.tensor([[3.0, 1, 0, 0, 2, 0], [0, 5, 1, 0, 0, 4]])
    layer = nn.Linear(6, 3, bias=False)
    report = analysis.analyze(layer, [counts], steps=1, levels=True)
    assert report.run.sites[0].unit == 1.0
    assert report.totals.macs == 18  # a graded operand is booked as real ones by default
    repeated = report.under("operand, graded repeat-ac").totals
    assert (repeated.acs, repeated.macs) == (16 * 3 / 2, 0)  # 16 events in two samples


def test_a_picture_costs_multiplications():
    assert work(nn.Linear(6, 3, bias=False), random(4, 6)) == (0, 18)


@pytest.mark.parametrize("last", [False, True])
def test_values_of_the_whole_run_decide(last):
    batches = [(random(4, 6) < 0.3).float(), random(4, 6)]
    assert work(nn.Linear(6, 3, bias=False), *(batches if last else batches[::-1])) == (0, 18)


@pytest.mark.parametrize("order", list(permutations(("frame", "events", "polar"))))
def test_each_input_is_what_it_is_in_any_order(order):
    def forward(net, frame, events, polar):
        return net.a(frame) + net.b(events) + net.c(polar)

    layers = {name: nn.Linear(6, 3, bias=False) for name in "abc"}
    inputs = {
        "frame": random(4, 6),
        "events": (random(4, 6, seed=1) < 0.5).float(),
        "polar": torch.randint(-1, 2, (4, 6), generator=torch.Generator().manual_seed(2)).float(),
    }
    spikes = int((inputs["events"] != 0).sum() + (inputs["polar"] != 0).sum())
    net = Net(forward, **layers)
    assert work(net, {name: inputs[name] for name in order}) == (spikes * 3 / 4, 18)


def test_events_inside_a_nested_batch_are_events():
    def forward(net, sensors):
        (events, _), frame = sensors["dvs"], sensors["frame"]
        return net.a(events) + net.b(frame)

    net = Net(forward, a=nn.Linear(6, 3, bias=False), b=nn.Linear(6, 3, bias=False))
    events = (random(4, 6) < 0.3).float()
    sensors = {"dvs": (events, torch.zeros(4)), "frame": random(4, 6, seed=1)}
    assert work(net, {"sensors": sensors}) == (float(events.sum()) * 3 / 4, 18)


# Kind 8: what belongs to the caller stays as it was.


def shift_in_place(net, x):
    x.sub_(0.3).mul_(2)
    return net.last(net.fire(net.first(x)))


def shift_in_dictionary(net, data):
    data["x"].sub_(0.3)
    data["x"] *= 2
    data["seen"] = True
    return net.last(net.fire(net.first(data["x"])))


def shift_in_list(net, clip):
    clip[0].sub_(0.3)
    clip.append(clip.pop(0) * 2)
    return net.last(net.fire(net.first(clip[-1])))


@pytest.mark.parametrize(
    ("forward", "wrap"),
    [
        (shift_in_place, lambda x: x),
        (shift_in_place, lambda x: {"x": x}),
        (shift_in_dictionary, lambda x: {"data": {"x": x}}),
        (shift_in_list, lambda x: {"clip": [x]}),
    ],
)
def test_inputs_stay_as_they_were_and_count_the_same_again(forward, wrap):
    x = random(5, 4)
    keep, batch = x.clone(), wrap(x)
    spikes = int(((x - 0.3) * 2 > 0.3).sum())
    for _ in range(2):
        net = Net(forward, first=same(4), fire=Fire(), last=nn.Linear(4, 3, bias=False))
        run = counted(net, batch)
        assert torch.equal(x, keep)
        assert total(run, "synops", "last") == 3 * spikes
    if isinstance(batch, dict) and "data" in batch:
        assert batch["data"].keys() == {"x"}
    if isinstance(batch, dict) and "clip" in batch:
        assert len(batch["clip"]) == 1
        assert batch["clip"][0] is x


@dataclass
class Clock:
    turns: int = 0


class Tired(nn.Module):
    """Fires less with every turn, whichever way it keeps their number."""

    def __init__(self, state):
        super().__init__()
        self.state = state

    def turns(self):
        state = self.state
        if isinstance(state, int):
            self.state += 1
            return state
        if isinstance(state, Clock):
            state.turns += 1
            return state.turns - 1
        if isinstance(state, dict):
            state["t"] = state.get("t", 0) + 1
            return state["t"] - 1
        state.append(None)
        return len(state) - 1

    def forward(self, x):
        spikes = (x > 0.3).to(x.dtype)
        spikes[:, self.turns() :] = 0
        return spikes


@pytest.mark.parametrize(
    "state", [lambda: 1, lambda: Clock(1), lambda: {"t": 1}, lambda: [None], lambda: deque([None])]
)
@pytest.mark.parametrize("batches", [1, 3])
def test_every_pass_starts_from_the_state_the_caller_left(state, batches):
    def forward(net, x):
        return sum(net.last(net.fire(net.first(x))) for _ in range(3))

    fire = Tired(state())
    net = Net(forward, first=same(4), fire=fire, last=nn.Linear(4, 3, bias=False))
    run = counted(net, *[torch.ones(2, 4)] * batches, steps=3, neurons=[Tired])
    spikes = 2 * (1 + 2 + 3)  # from one turn on
    assert run.neurons[0].spikes == batches * spikes
    assert total(run, "synops", "last") == batches * spikes * 3
    assert fire.state == state()


def test_a_membrane_kept_from_pass_to_pass_is_given_back():
    class Membrane(nn.Module):
        def __init__(self):
            super().__init__()
            self.values, self.history = None, []

        def forward(self, x):
            self.values = x if self.values is None else self.values + x
            self.history.append(self.values)
            return (self.values > 0.3).to(x.dtype)

    def forward(net, x):
        return sum(net.last(net.fire(net.first(x))) for _ in range(4))

    net = Net(forward, first=same(4), fire=Membrane(), last=nn.Linear(4, 3, bias=False))
    run = counted(net, *[torch.full((2, 4), 0.125)] * 3, steps=4, neurons=[Membrane])
    assert run.neurons[0].spikes == 3 * 8 * 2  # 0.125, 0.25, then 0.375 and 0.5 fire
    assert total(run, "synops", "last") == 3 * 8 * 2 * 3
    assert (net.fire.values, net.fire.history) == (None, [])


class Merging(nn.Linear):
    """An adapter that is merged into the weights in evaluation mode."""

    def __init__(self):
        super().__init__(6, 6, bias=False)
        self.down, self.up = nn.Parameter(random(2, 6)), nn.Parameter(random(6, 2, seed=1))
        self.merged = False

    def train(self, mode=True):
        super().train(mode)
        if mode == self.merged:
            self.weight.data += (-1 if mode else 1) * (self.up @ self.down).detach()
            self.merged = not mode
        return self

    def forward(self, x):
        y = functional.linear(x, self.weight)
        return y if self.merged else y + (x @ self.down.T) @ self.up.T


@pytest.mark.parametrize("training", [True, False])
def test_layers_that_merge_weights_are_given_back_in_their_own_way(training):
    net = nn.Sequential(Merging(), nn.Linear(6, 3)).train(training)
    before = net[0].weight.clone()
    run = counted(net, random(5, 6))
    assert dense(run, "0") == 5 * 36  # merged
    assert (net.training, net[0].training, net[0].merged) == (training, training, not training)
    assert torch.allclose(net[0].weight, before)


def test_parts_in_a_mode_of_their_own_stay_in_it():
    net = nn.Sequential(
        nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 3)
    ).train()
    net[1].eval()
    statistics = net[1].running_mean.clone()
    counted(net, random(5, 4))
    assert [part.training for part in net.modules()] == [True, True, False, True, True]
    assert torch.equal(net[1].running_mean, statistics)


def hook_with_a_product(layer, inputs, output):
    torch.ones(3, 6) @ layer.weight.T


def hook_that_calls_the_layer(layer, inputs, output):
    functional.linear(inputs[0], layer.weight)


@pytest.mark.parametrize("hook", [hook_with_a_product, hook_that_calls_the_layer])
def test_hooks_of_other_tools_are_not_the_model(hook):
    net = nn.Sequential(nn.Linear(6, 4, bias=False), Fire(), nn.Linear(4, 3, bias=False))
    x = random(5, 6)
    alone = counted(net, x)
    net[0].register_forward_hook(hook)
    net[2].register_forward_pre_hook(lambda layer, inputs: hook_with_a_product(net[0], None, None))
    assert counted(net, x).sites == alone.sites
    assert len(net[0]._forward_hooks) == 1
    assert len(net[2]._forward_pre_hooks) == 1


def test_global_settings_and_random_numbers_stay_as_they_were():
    net = nn.Sequential(
        nn.Linear(6, 4), nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
    ).eval()
    torch.manual_seed(3)

    def settings():
        return (
            torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.get_default_dtype(),
            torch.get_num_threads(), torch.are_deterministic_algorithms_enabled(),
            torch.backends.mha.get_fastpath_enabled(),
            torch.is_autocast_enabled("cpu"), torch.get_rng_state().tolist(),
        )  # fmt: skip

    before = settings()
    for grad in (True, False):
        with torch.set_grad_enabled(grad):
            counted(net, random(2, 3, 6), per_sample=True)
            assert torch.is_grad_enabled() == grad
    assert settings() == before
    assert all(parameter.requires_grad for parameter in net.parameters())
    assert not any(p.grad is not None for p in net.parameters())


# Kind 9: other precisions.


class Single(nn.Module):
    """Neurons that think in single precision, whatever comes in."""

    def forward(self, x):
        return (x.float() > 0.3).float()


class Back(nn.Module):
    """The same, with spikes in the precision of what came in."""

    def forward(self, x):
        return (x.float() > 0.3).float().to(x.dtype)


@pytest.mark.parametrize("neurons", [Single, Back, Fire])
def test_flips_are_looked_for_whatever_precision_neurons_insist_on(neurons):
    net = nn.Sequential(same(4), neurons(), nn.Linear(4, 3))
    run = counted(net, random(5, 4), neurons=[neurons], flips=True)
    assert run.flipped == 0


@pytest.mark.parametrize(("neurons", "flipped"), [(Fire, 1), (Back, 0)])
def test_a_membrane_that_rounds_to_its_threshold_is_a_flip(neurons, flipped):
    net = nn.Sequential(plain(2, 1), neurons(), nn.Linear(1, 3))
    near = torch.tensor([[0.3, 1e-9], [1.0, 0.0], [0.1, 0.0]])  # the sum is 0.3 in float32
    assert counted(net, near, neurons=[neurons], flips=True).flipped == flipped


@pytest.mark.parametrize("precision", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("neurons", [Back, Fire])
def test_counts_are_those_of_any_precision(precision, neurons):
    net = nn.Sequential(same(4), neurons(), nn.Linear(4, 3, bias=False)).to(precision)
    x = torch.tensor([[0.0, 0.25, 0.5, 1], [1, 1, 0, 0.75], [0, 0, 0, 0.25]])  # exact in all
    for given in (x, x.to(precision)):
        run = counted(net, given, neurons=[neurons], per_sample=True)
        assert [(n.spikes, n.outputs) for n in run.neurons] == [(5, 12)]
        assert [(s.dense_macs, s.synops) for s in run.sites] == [(48, 7 * 4), (36, 15)]


@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float64])
def test_a_layer_may_have_a_precision_of_its_own(precision):
    def forward(net, x):
        return net.last(net.fire(net.first(x)).to(precision)).float()

    last = nn.Linear(4, 3, bias=False).to(precision)
    net = Net(forward, first=same(4), fire=Single(), last=last)
    x = random(5, 4)
    run = counted(net, x, neurons=[Single])
    assert total(run, "synops", "last") == 3 * int((x > 0.3).sum())


def test_automatic_mixed_precision_changes_no_count():
    net = nn.Sequential(same(4), Back(), nn.Linear(4, 3, bias=False))
    x = torch.tensor([[0.0, 0.25, 0.5, 1], [1, 1, 0, 0.75]])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        run = counted(net, x, neurons=[Back])
    assert [(s.dense_macs, s.synops) for s in run.sites] == [(32, 6 * 4), (24, 15)]
