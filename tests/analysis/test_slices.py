"""Slices of steps and samples: what runs on a part of them is charged for that part."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import analysis

STEPS, SAMPLES = 3, 2


class Call(nn.Module):
    """A linear layer without bias on four features, called as a function says."""

    def __init__(self, function):
        super().__init__()
        self.function, self.layer = function, nn.Linear(4, 5, bias=False)

    def forward(self, x):
        return self.function(self.layer, x)


def spikes():
    """Of sample b at step t, 1 + (b + t) % 4 of four neurons fire."""
    x = torch.zeros(SAMPLES, STEPS, 4)
    for b in range(SAMPLES):
        for t in range(STEPS):
            x[b, t, : 1 + (b + t) % 4] = 1
    return x


def run_of(function, x=None):
    return analysis.analyze(
        Call(function), [spikes() if x is None else x], steps=STEPS, per_sample=True
    ).run


def by_sample(run):
    return next(c for c in run.per_sample if c.kind == "site").counts


# 5 outputs for each spike of `spikes`.
EVERY_STEP = ((5, 10, 15), (10, 15, 20))


@pytest.mark.parametrize("order", ["BT", "TB"])
def test_a_tensor_that_is_filled_step_by_step_holds_the_steps(order):
    def filled(layer, x):
        buffer = torch.zeros(len(x), STEPS, 4) if order == "BT" else torch.zeros(STEPS, len(x), 4)
        for t in range(STEPS):
            if order == "BT":
                buffer[:, t] = x[:, t] * 0.5
            else:
                buffer[t] = x[:, t] * 0.5
        return layer(buffer.flatten(0, 1))

    run = run_of(filled)
    (site,) = run.sites
    assert (by_sample(run), site.stands_for) == (EVERY_STEP, 1)


def test_a_still_image_that_fills_the_steps_is_charged_at_each():
    def filled(layer, x):
        buffer = torch.zeros(len(x), STEPS, 4)
        for t in range(STEPS):
            buffer[:, t] = x * (t < 2)
        return layer(buffer.flatten(0, 1))

    assert by_sample(run_of(filled, spikes()[:, 0])) == ((5, 5, 0), (10, 10, 0))


def test_a_loop_beside_layers_that_hold_all_steps_is_one_site_charged_once_per_step():
    def both(layer, x):
        merged = layer(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        return merged + torch.stack([layer(x[:, t]) for t in range(STEPS)], 1)

    run = run_of(both)
    assert [site.synops for site in run.sites] == [75, 25, 25, 25] or [
        site.synops_by_step for site in run.sites
    ] == [(15, 25, 35), (15, 25, 35)]


def test_pieces_of_a_clip_are_one_site():
    def pieces(layer, x):
        return torch.cat([layer(piece) for piece in (x[:, :1], x[:, 1:])], 1)

    run = run_of(pieces)
    assert [str(site.key) for site in run.sites] == ["layer"]
    assert by_sample(run) == EVERY_STEP


def test_what_is_made_of_two_steps_belongs_to_the_later_one():
    assert by_sample(run_of(lambda layer, x: layer(x[:, 2] + x[:, 0]))) == ((0, 0, 15), (0, 0, 20))


def test_a_piece_that_meets_weights_sample_by_sample_keeps_its_steps():
    def later(layer, x):
        return torch.bmm(x[:, 1:], layer.weight.t().expand(len(x), -1, -1))

    assert by_sample(run_of(later)) == ((0, 10, 15), (0, 15, 20))


def test_a_layer_that_runs_at_the_last_step_alone_is_charged_for_that_one():
    run = run_of(lambda layer, x: layer(x[:, -1]))
    (site,) = run.sites
    assert by_sample(run) == ((0, 0, 15), (0, 0, 20))
    assert (site.stands_for, site.executions, site.static) == (1, 1, False)
    assert site.dense_macs == SAMPLES * 4 * 5


def test_a_loop_over_samples_is_one_site():
    run = run_of(lambda layer, x: torch.stack([layer(sample) for sample in x]))
    assert [str(site.key) for site in run.sites] == ["layer"]
    assert by_sample(run) == EVERY_STEP


def test_a_tensor_that_is_filled_sample_by_sample_holds_the_samples():
    def filled(layer, x):
        buffer = torch.empty(len(x), STEPS, 4)
        for b in range(len(x)):
            buffer[b] = x[b] * 0.5
        return layer(buffer.flatten(0, 1))

    run = run_of(filled)
    assert by_sample(run) == EVERY_STEP


def test_a_recurrent_layer_is_charged_at_the_step_it_runs_in():
    """It reads the spikes of the step before, none at the first."""

    def recurrent(layer, x):
        before, outputs = torch.zeros(len(x), 4), []
        for t in range(STEPS):
            outputs.append(layer(before))
            before = x[:, t]
        return torch.stack(outputs, 1)

    assert by_sample(run_of(recurrent)) == ((0, 5, 10), (0, 10, 15))


def test_products_in_a_loop_inside_one_module_are_told_apart_by_their_place_in_a_step():
    def attention(layer, x):
        outputs = []
        for t in range(STEPS):
            tokens = x[:, t].view(-1, 2, 2)
            scores = tokens @ tokens.transpose(1, 2)
            outputs.append((scores @ tokens).flatten(1))
        return torch.stack(outputs, 1)

    run = run_of(attention)
    assert [str(site.key) for site in run.sites] == ["(model)", "(model)[1]"]
    # Sample 0, step 0: one spike, in one of two tokens, meets itself. All four spikes: 8 pairs.
    assert by_sample(run)[0][0], by_sample(run)[1][2] == (1, 8)


def test_an_empty_tensor_that_grows_by_concatenation_is_no_step():
    def grown(layer, x):
        out = torch.tensor([])
        for t in range(STEPS):
            out = torch.cat([out, layer(x[:, t])[:, None]], 1) if t else layer(x[:, t])[:, None]
        return torch.cat([torch.tensor([]), out])

    assert by_sample(run_of(grown)) == EVERY_STEP


def test_a_stem_may_read_a_clip_with_channels_innermost():
    stem = nn.Conv2d(2, 3, 1, bias=False)

    class Stem(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = stem

        def forward(self, clip):
            flat = clip.flatten(0, 1).contiguous(memory_format=torch.channels_last)
            return self.stem(flat).mean((2, 3))

    clip = torch.rand(1, 2, 4, 4).expand(STEPS, 2, 4, 4)[None].repeat(SAMPLES, 1, 1, 1, 1)
    (site,) = analysis.analyze(Stem(), [clip], steps=STEPS).run.sites
    assert (site.static, site.synops) == (True, SAMPLES * STEPS * 2 * 16 * 3)


def test_one_neuron_per_sample_and_step_is_a_layer():
    class Fire(nn.Module):
        def forward(self, x):
            return (x.sum(2) > 1.5).to(x.dtype)

    (layer,) = analysis.analyze(Fire(), [0.7 * spikes()], steps=STEPS).run.neurons
    assert (layer.neurons, layer.spikes_by_step) == (1, (0, 1, 2))


def test_weights_inside_a_neuron_layer_that_walks_over_the_steps_are_one_site():
    class Neuron(nn.Module):
        def __init__(self):
            super().__init__()
            self.weights = nn.Linear(4, 5, bias=False)

        def forward(self, x):
            return torch.stack([(self.weights(x[:, t]) > 0).to(x.dtype) for t in range(STEPS)], 1)

    run = analysis.analyze(Neuron(), [spikes()], steps=STEPS, neurons=[Neuron], per_sample=True).run
    assert len(run.sites) == 1
    assert by_sample(run) == EVERY_STEP


@pytest.mark.parametrize("masked", [False, True])
def test_a_neuron_layer_may_weigh_all_steps_in_one_product(masked):
    class Parallel(nn.Module):
        """Of ``(T, B, C)``, as the parallel spiking neurons of Fang et al. (2023) are."""

        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(STEPS, STEPS))
            self.register_buffer("mask", torch.ones(STEPS, STEPS).tril())

        def forward(self, x):
            weight = self.weight * self.mask if masked else self.weight
            return (weight @ x.flatten(1) > 1.5).to(x.dtype).view_as(x)

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.neurons, self.layer = Parallel(), nn.Linear(4, 5, bias=False)

        def forward(self, x):
            return self.layer(self.neurons(x.transpose(0, 1)).flatten(0, 1))

    run = analysis.analyze(
        Network(), [spikes()], steps=STEPS, neurons=[Parallel], per_sample=True
    ).run
    inside, layer = run.sites
    # Each of 6 and 9 spikes meets the weights of 3 steps; of a zero weight is said how many.
    assert (inside.synops, inside.operand, inside.synops_by_step) == (15 * STEPS, "spike", None)
    assert inside.zero_weights == (3 if masked else 0)
    assert layer.synops == 5 * run.neurons[0].spikes


def test_elementwise_work_in_a_loop_is_done_once_per_step():
    def rectified(layer, x):
        return layer(torch.stack([x[:, t].relu() for t in range(STEPS)], 1).flatten(0, 1))

    work = {record.work: record.elements for record in run_of(rectified).elementwise}
    assert work["activation"] == SAMPLES * STEPS * 4


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("steps_outside", [False, True])
@pytest.mark.parametrize(("kind", "gates"), [(nn.RNN, 1), (nn.GRU, 3), (nn.LSTM, 4)])
def test_both_products_of_a_recurrent_layer_are_charged_at_their_step(
    kind, gates, steps_outside, dtype
):
    """The state that meets the weights is silent at first, real-valued then."""
    torch.manual_seed(0)

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = kind(4, 3, batch_first=not steps_outside)

        def forward(self, x):
            return self.layer(x.transpose(0, 1) if steps_outside else x)[0]

    x = spikes().to(dtype)
    run = analysis.analyze(Network().to(dtype), [x], steps=STEPS).run
    of_input, of_state = run.sites
    spikes_by_step = x.sum((0, 2))
    assert of_input.synops_by_step == tuple(int(n) * 3 * gates for n in spikes_by_step)
    assert of_state.synops_by_step == (0, SAMPLES * 3 * 3 * gates, SAMPLES * 3 * 3 * gates)
    assert of_state.dense_macs == SAMPLES * STEPS * 3 * 3 * gates


def test_two_recurrent_layers_have_their_products_in_order():
    torch.manual_seed(0)
    layer = nn.GRU(4, 3, num_layers=2, batch_first=True)

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = layer

        def forward(self, x):
            return self.layer(x)[0]

    sites = analysis.analyze(Network(), [spikes()], steps=STEPS).run.sites
    assert [str(site.key) for site in sites] == ["layer", "layer[1]", "layer[2]", "layer[3]"]
    assert [site.dense_macs // (SAMPLES * STEPS * 9) for site in sites] == [4, 3, 3, 3]


def test_calls_that_only_look_like_a_loop_over_the_steps_belong_to_no_step():
    def thrice(layer, x):
        merged = x.unsqueeze(1).expand(-1, STEPS, -1).flatten(0, 1)
        still = sum(layer(x * scale) for scale in (1.0, 0.5, 0.25))
        return nn.functional.linear(merged, layer.weight).unflatten(0, (-1, STEPS)).mean(1) + still

    run = run_of(thrice, spikes()[:, 0])
    assert [(str(s.key), s.stands_for, s.synops, s.synops_by_step) for s in run.sites] == [
        ("layer", 1, 15, None),
        ("layer #1", 1, 15, None),
        ("layer #2", 1, 15, None),
        ("(model)", 1, 45, (15, 15, 15)),
    ]


def test_a_copy_made_in_inference_mode_keeps_its_steps():
    with torch.inference_mode():
        run = run_of(lambda layer, x: layer(x.transpose(0, 1).contiguous().flatten(0, 1)))
    assert by_sample(run) == EVERY_STEP
