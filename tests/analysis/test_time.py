"""One network, written in every layout of samples and steps: the counts are the same."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

import analysis

STEPS = 3


class Integrate(nn.Module):
    """Integrate-and-fire along one axis, or one step per call with a kept membrane."""

    def __init__(self, axis=None):
        super().__init__()
        self.axis, self.membrane = axis, None

    def step(self, x):
        self.membrane = x if self.membrane is None else self.membrane + x
        spikes = (self.membrane > 1).to(x.dtype)
        self.membrane = self.membrane * (1 - spikes)
        return spikes

    def forward(self, x):
        if self.axis is None:
            return self.step(x)
        self.membrane = None
        return torch.stack([self.step(part) for part in x.unbind(self.axis)], self.axis)


class Network(nn.Module):
    """conv -> neuron -> conv -> neuron -> linear over tokens -> mean; weights from one seed."""

    def __init__(self, layout):
        super().__init__()
        torch.manual_seed(3)
        self.layout = layout
        self.stem = nn.Conv2d(2, 4, 3, padding=1)
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.token = nn.Linear(4, 5)
        axis = {"BT": 1, "TB": 0, "loop": None}[layout]
        self.first, self.second = Integrate(axis), Integrate(axis)

    def tokens(self, x):
        return self.token(x.flatten(-2).transpose(-1, -2)).mean(-2)  # (..., H*W, C) -> (..., K)

    def forward(self, x):
        current = self.stem(x)
        if self.layout == "loop":
            self.first.membrane = self.second.membrane = None
            steps = [self.first(current) for _ in range(STEPS)]
            return torch.stack([self.tokens(self.second(self.conv(s))) for s in steps])
        axis = self.first.axis
        if axis == 0:
            repeated = current.unsqueeze(0).repeat(STEPS, 1, 1, 1, 1)
        else:
            repeated = current.unsqueeze(1).expand(-1, STEPS, -1, -1, -1)
        spikes = self.first(repeated)
        x = self.conv(spikes.flatten(0, 1)).unflatten(0, spikes.shape[:2])
        return self.tokens(self.second(x))


@pytest.fixture
def images():
    return 2 * torch.rand(4, 2, 5, 5, generator=torch.Generator().manual_seed(0)).double()


def analysed(layout, images, **options):
    model = Network(layout).double()
    return analysis.analyze(model, [images], steps=STEPS, per_sample=True, **options).run


@pytest.mark.parametrize("layout", ["TB", "loop"])
@pytest.mark.parametrize("options", [{}, {"neurons": [Integrate]}])
def test_every_layout_gives_the_same_counts(layout, options, images):
    expected = analysed("BT", images, neurons=[Integrate])
    run = analysed(layout, images, **options)
    assert [s.key for s in run.sites] == [s.key for s in expected.sites]
    for a, b in zip(run.sites, expected.sites, strict=True):
        assert (a.synops, a.dense_macs, a.inside_macs, a.synops_by_step) == (
            b.synops,
            b.dense_macs,
            b.inside_macs,
            b.synops_by_step,
        )
        assert (a.executions, a.stands_for) == (b.executions, b.stands_for)
    assert [n.spikes_by_step for n in run.neurons] == [n.spikes_by_step for n in expected.neurons]
    assert [n.neurons for n in run.neurons] == [n.neurons for n in expected.neurons]
    assert [c.counts for c in run.per_sample] == [c.counts for c in expected.per_sample]
    assert not any("alone" in warning for warning in run.warnings)


def test_the_stem_serves_all_steps_and_the_rest_runs_at_each(images):
    run = analysed("TB", images)
    assert [(s.key.name, s.executions) for s in run.sites] == [
        ("stem", 1),
        ("conv", STEPS),
        ("token", STEPS),
    ]


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("layout", ["BT", "TB", "loop"])
def test_the_batch_size_changes_no_count_in_any_layout(layout, size, images):
    whole = analysed(layout, images)
    model = Network(layout).double()
    parts = analysis.analyze(model, images.split(size), steps=STEPS, per_sample=True).run
    assert parts.sites == whole.sites
    assert parts.neurons == whole.neurons
    assert parts.per_sample == whole.per_sample


def test_neurons_are_found_by_what_they_do(images):
    run = analysed("BT", images)
    assert [(n.site, n.found_by) for n in run.neurons] == [
        ("first", "behaviour"),
        ("second", "behaviour"),
    ]
    assert run.sites[1].origin == "spikes"


def test_what_only_passes_spikes_on_is_no_neuron():
    class Step(nn.Module):
        def forward(self, x):
            return (x > 0).to(x.dtype)

    layers = [
        nn.Conv1d(1, 2, 3),
        Step(),
        nn.Dropout(),
        nn.Identity(),
        nn.MaxPool1d(2),
        nn.Flatten(),
    ]
    x = torch.randn(3, 1, 10, generator=torch.Generator().manual_seed(0))
    run = analysis.analyze(nn.Sequential(nn.Sequential(*layers), nn.Linear(8, 2)), [x], steps=1).run
    assert [n.site for n in run.neurons] == ["0.1"]


def test_a_module_that_only_once_gave_out_zeros_and_ones_is_no_neuron():
    class Clamp(nn.Module):
        def forward(self, x):
            return x.clamp(0, 1)

    x = torch.tensor([[2.0, -1.0]])
    model = nn.Sequential(Clamp(), nn.Linear(2, 2))
    assert len(analysis.analyze(model, [x], steps=1).run.neurons) == 1
    assert not analysis.analyze(model, [x, x / 4], steps=1).run.neurons


def test_a_layer_of_torch_is_no_neuron_even_if_it_gives_out_zeros_and_ones():
    halve = nn.Linear(2, 2, bias=False)
    halve.weight.data = torch.eye(2) / 2
    assert not analysis.analyze(
        nn.Sequential(halve), [torch.tensor([[2.0, 0]])], steps=1
    ).run.neurons


def test_both_calls_of_a_shared_neuron_are_told_apart():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.neuron, self.layer = Integrate(1), nn.Linear(2, 2, bias=False)
            nn.init.constant_(self.layer.weight, 1)

        def forward(self, x):
            return self.neuron(self.layer(self.neuron(x)))

    clip = torch.tensor([[[2.0, 0], [0, 2]]])  # one spike at each step, then two
    run = analysis.analyze(Twice(), [clip], steps=2, neurons=[Integrate]).run
    assert [(n.call, n.spikes_by_step) for n in run.neurons] == [(0, (1, 1)), (1, (0, 2))]


def test_steps_in_the_inputs_are_taken_as_said(images):
    class Readout(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(2, 1)

        def forward(self, x):
            return self.layer(x)

    clip = torch.tensor([[[1.0, 1], [0, 1]], [[0, 0], [1, 1]], [[1, 0], [0, 0]]])  # (3, 2, 2)
    rows = analysis.analyze(Readout(), [clip], steps=2).run.sites[0]
    assert rows.synops_by_step == (3, 3)
    turned = analysis.analyze(Readout(), [clip.transpose(0, 1)], steps=2, time_layout="TB").run
    assert turned.samples == 3
    assert turned.sites[0].synops_by_step == (3, 3)


def test_attention_over_tokens_keeps_the_samples_apart():
    layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True).double()
    x = torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(0)).double()
    together, *alone = (
        analysis.analyze(layer, [part], steps=1, per_sample=True).run for part in (x, *x.split(1))
    )
    for site, *parts in zip(together.per_sample, *(run.per_sample for run in alone), strict=True):
        assert list(site.counts) == [row for part in parts for row in part.counts]


def is_fused(function, x):
    """Whether attention runs as one operation."""
    names = []

    class Names(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            names.append(func.name())
            return func(*args, **(kwargs or {}))

    with torch.no_grad(), Names():
        function(x)
    return any("_attention" in name for name in names)


@pytest.mark.parametrize("layout", ["flat", "BT", "TB", "heads"])
@pytest.mark.parametrize("causal", [False, True])
def test_fused_attention_without_heads_keeps_samples_and_steps_apart(layout, causal):
    samples, tokens, features = 2, 3, 4
    generator = torch.Generator().manual_seed(1)
    clip = torch.randint(0, 2, (samples, STEPS, tokens, features), generator=generator).float()

    def attend(x):
        if layout == "flat":
            x = x.flatten(0, 1)
        elif layout == "TB":
            x = x.transpose(0, 1)
        elif layout == "heads":
            x = x.flatten(0, 1).unsqueeze(1)
        return functional.scaled_dot_product_attention(x, x, x, is_causal=causal)

    run = analysis.analyze(
        nn.Identity(), [clip], steps=STEPS, time_layout="BT", forward=attend,
        per_sample=True,
    ).run  # fmt: skip
    looks = [(i, j) for i in range(tokens) for j in range(i + 1 if causal else tokens)]
    # Old torch has no fused operation without heads: it multiplies all pairs, then masks.
    ran = looks if is_fused(attend, clip) else itertools.product(range(tokens), repeat=2)
    pairs = list(ran)
    scores = [[sum(int(x[i] @ x[j]) for i, j in pairs) for x in sample] for sample in clip]
    values = [[sum(int(x[j].sum()) for _, j in pairs) for x in sample] for sample in clip]
    found = [one for one in run.per_sample if one.kind == "site"]
    assert [list(map(list, one.counts)) for one in found] == [scores, values]


def test_single_neurons_are_described_on_request():
    class Step(nn.Module):
        def forward(self, x):
            return (x > 0).to(x.dtype)

    # three neurons in one channel: never, always, at one of four steps
    clip = torch.tensor([[[[-1.0, 1, 2]], [[-1, 1, -2]], [[-1, 1, -2]], [[-1, 1, -2]]]])
    (neuron,) = analysis.analyze(Step(), [clip], steps=4, time_layout="BT", neurons=[Step],
                                 neuron_detail=True).run.neurons  # fmt: skip
    assert (neuron.detail.dead, neuron.detail.saturated) == (1, 1)
    assert neuron.detail.histogram == (1, 0, 1, 0, 0, 0, 0, 0, 0, 1)
    assert neuron.detail.channels == (5,)


def test_levels_of_a_graded_operand_are_counted_on_request():
    layer, x = nn.Linear(4, 1), torch.tensor([[0.0, 1, 2, 1], [0, 0, 1, 3]])
    site = analysis.analyze(layer, [x], steps=1, levels=True).run.sites[0]
    assert site.operand == "graded"
    assert site.levels == {"0.0": 3, "1.0": 3, "2.0": 1, "3.0": 1}


def test_weights_that_are_exactly_zero_are_reported_beside():
    layer = nn.Linear(4, 2)
    with torch.no_grad():
        layer.weight[0, :3] = 0
    site = analysis.analyze(layer, [torch.ones(1, 4)], steps=1).run.sites[0]
    assert (site.weights, site.zero_weights, site.synops) == (8, 3, 8)


def test_the_users_own_hooks_still_run():
    layer, seen = nn.Linear(2, 2), []
    layer.register_forward_hook(lambda module, inputs, output: seen.append(1) or output * 2)
    analysis.analyze(layer, [torch.ones(1, 2)], steps=1)
    assert seen == [1]


def test_captures_can_not_be_nested():
    layer = nn.Linear(2, 2)

    class Outer(nn.Module):
        def forward(self, x):
            analysis.analyze(layer, [x], steps=1)
            return x

    with pytest.raises(analysis.InputError, match="can't be nested"):
        analysis.analyze(Outer(), [torch.ones(1, 2)], steps=1)


def test_data_parallel_is_refused_in_words():
    with pytest.raises(analysis.InputError, match=r"give its \.module"):
        analysis.analyze(nn.DataParallel(nn.Linear(2, 2)), [torch.ones(1, 2)], steps=1)


def test_a_dictionary_of_arguments_and_a_forward_of_ones_own():
    layer = nn.Bilinear(2, 2, 1)
    model = nn.Linear(2, 3)

    def forward(inputs, scale):
        return model(inputs * scale)

    batch = {"inputs": torch.tensor([[1.0, 0], [1, 1]]), "scale": torch.tensor(2.0)}
    run = analysis.analyze(model, [batch], steps=1, forward=forward).run
    assert (run.samples, run.sites[0].synops) == (2, 9)
    assert layer is not model


def test_torch_flags_are_as_before_also_after_an_exception():
    class Broken(nn.Module):
        def forward(self, x):
            raise RuntimeError("broken")

    before = torch.backends.mha.get_fastpath_enabled()
    with pytest.raises(RuntimeError, match="broken"):
        analysis.analyze(Broken(), [torch.ones(1, 2)], steps=1)
    assert torch.backends.mha.get_fastpath_enabled() == before


class Loop(nn.Module):
    """Runs a layer and its neurons as often as it likes."""

    def __init__(self, times):
        super().__init__()
        self.times, self.layer, self.neuron = times, nn.Linear(4, 4), Integrate()

    def forward(self, x):
        self.neuron.membrane = None
        return sum(self.neuron(self.layer(x)) for _ in range(self.times))


def test_a_loop_over_other_steps_than_stated_is_warned_about():
    """4 loops said to be 3 steps would triple the energy, as 4 layers of 3 steps."""
    images = [torch.rand(2, 4)]
    wrong = analysis.analyze(Loop(4), images, steps=3, neurons=["neuron"]).run.warnings
    assert any("ran 4 times" in text and "with steps=4" in text for text in wrong)
    right = analysis.analyze(Loop(4), images, steps=4, neurons=["neuron"]).run.warnings
    assert not any("with steps=" in text for text in right)


class StillLoop(nn.Module):
    """A first layer in a loop over steps, on what a function makes of the image at each."""

    def __init__(self, at_step=lambda x, t: x):
        super().__init__()
        self.first, self.second = nn.Linear(4, 3), nn.Linear(3, 2)
        self.at_step = at_step

    def forward(self, x):
        for t in range(3):
            out = self.second((self.first(self.at_step(x, t)) > 0).to(x.dtype))
        return out


def loop_sites(model, **options):
    x = torch.rand(2, 4, generator=torch.Generator().manual_seed(0))
    return analysis.analyze(model, [x], steps=3, time_layout="loop", **options)


def test_a_loop_that_reads_the_same_image_at_every_step_may_be_charged_once():
    report = loop_sites(StillLoop())
    first, second = report.run.sites
    assert (first.static, first.executions, second.static) == (True, 3, True)
    once, every = report.under("operand-once").sites.macs, report.sites.macs
    assert (once[0], every[0]) == (4 * 3, 3 * 4 * 3)


@pytest.mark.parametrize("at_step", [lambda x, t: x + t, lambda x, t: x.mul_(2)])
def test_a_loop_over_other_values_may_not(at_step):
    assert not loop_sites(StillLoop(at_step)).run.sites[0].static


def test_a_loop_over_copies_of_the_same_image_may_be_charged_once_too():
    clip = torch.rand(2, 4).unsqueeze(1).repeat(1, 3, 1)
    at_step = [lambda x, t: x[:, t], lambda x, t: x[:, t] * 1]
    for function in at_step:
        report = analysis.analyze(StillLoop(function), [clip], steps=3, time_layout="loop")
        assert report.run.sites[0].static
        assert report.under("operand-once").sites.macs[0] == 4 * 3


def test_what_reads_the_image_is_taken_for_the_stem_and_called_a_guess():
    first, second = loop_sites(StillLoop()).run.sites
    assert (first.role, first.role_source) == ("stem", "guess")
    assert (second.role, second.role_source) == ("other", "guess")
    first, _ = loop_sites(StillLoop(), roles={"first": "gate"}).run.sites
    assert (first.role, first.role_source) == ("gate", "user")
