"""Small networks whose counts can be worked out by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

import analysis


class Fires(nn.Module):
    """A neuron without memory: fires where the current exceeds one half."""

    def forward(self, x):
        return (x > 0.5).to(x.dtype)


def linear(inputs, outputs):
    return nn.Linear(inputs, outputs, bias=False)


def only_site(report):
    (site,) = report.run.sites
    return site


def test_binary_input_costs_an_accumulate_per_spike_and_weight():
    model = nn.Sequential(Fires(), linear(4, 4))
    # 4 inputs, 2 spike; 4 outputs: 2 * 4 = 8 accumulates at 0.9 pJ
    report = analysis.analyze(model, [torch.tensor([[1.0, 0, 0, 1]])], steps=1, neurons=[Fires])
    assert report.totals.acs == 8
    assert report.totals.macs == 0
    assert report.totals.energy_pj == pytest.approx(8 * 0.9)
    assert report.totals.firing_rate == 0.5


def test_an_input_of_zeros_and_ones_is_events_and_costs_accumulates():
    report = analysis.analyze(linear(4, 4), [torch.tensor([[1.0, 0, 0, 1]])], steps=1)
    assert only_site(report).operand == "spike"
    assert only_site(report).origin == "events"
    assert (report.totals.acs, report.totals.macs) == (2 * 4, 0)


def test_no_input_no_accumulates():
    model = nn.Sequential(Fires(), linear(4, 4))
    report = analysis.analyze(model, [torch.zeros(3, 4)], steps=1, neurons=[Fires])
    assert report.sites.operand[0] == "silent"
    assert report.totals.energy_pj == 0


def test_steps_are_told_apart():
    model = nn.Sequential(Fires(), linear(2, 3))
    clip = torch.tensor([[[1.0, 1], [0, 1]], [[0, 0], [1, 1]]])  # (B, T, C)
    report = analysis.analyze(model, [clip], steps=2, neurons=[Fires], per_sample=True)
    assert only_site(report).synops_by_step == (2 * 3, 3 * 3)
    neuron = report.run.neurons[0]
    assert (neuron.neurons, neuron.spikes_by_step) == (2, (2, 3))
    frame = report.samples.query("kind == 'site'")
    assert frame["count"].tolist() == [6, 3, 0, 6]
    assert report.steps.query("kind == 'neuron'").total_spikes.tolist() == [2, 3]


def test_a_layer_that_runs_once_stands_for_all_steps_if_neurons_live_through_them():
    class Repeated(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.fires, self.layer = linear(2, 3), Fires(), linear(3, 1)

        def forward(self, x):
            return self.layer(self.fires(self.stem(x).repeat(4, 1, 1))).mean(0)

    x = torch.tensor([[0.3, 0.7]]).repeat(5, 1)
    report = analysis.analyze(Repeated(), [x], steps=4, neurons=[Fires])
    stem, layer = report.run.sites
    assert (stem.executions, stem.stands_for, stem.static) == (1, 4, True)
    assert (layer.executions, layer.stands_for) == (4, 1)
    assert (stem.dense_macs, report.sites.dense_macs[0]) == (5 * 6, 4 * 6)
    once = report.under("operand-once")
    assert (report.sites.macs[0], once.sites.macs[0]) == (4 * 6, 6)


def test_a_layer_that_runs_once_stands_for_itself_without_neurons():
    report = analysis.analyze(linear(2, 3), [torch.tensor([[0.3, 0.7]])], steps=4)
    site = only_site(report)
    assert (site.executions, site.stands_for, site.static) == (1, 1, False)
    assert site.dense_macs == report.totals.macs == 6


def test_both_calls_of_a_shared_layer_are_told_apart():
    shared = linear(2, 2)
    model = nn.Sequential(shared, nn.ReLU(), shared)
    report = analysis.analyze(model, [torch.ones(1, 2)], steps=1)
    assert [(s.key.name, s.key.call) for s in report.run.sites] == [("0", 0), ("0", 1)]
    assert report.run.sites[0].aliases == ("2",)


def test_functional_and_keyword_calls_are_seen():
    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(3, 2))
            self.layer = linear(3, 1)

        def forward(self, x):
            return self.layer(input=functional.linear(x, self.weight))

    report = analysis.analyze(Functional(), [torch.ones(1, 2)], steps=1)
    assert [(str(s.key), s.synops) for s in report.run.sites] == [("(model)", 6), ("layer", 3)]


def test_an_operand_changed_in_place_afterwards_counts_as_it_was():
    class InPlace(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = linear(2, 2)

        def forward(self, x):
            x = x * 1
            y = self.layer(x)
            x.zero_()
            return y

    assert only_site(analysis.analyze(InPlace(), [torch.ones(1, 2)], steps=1)).synops == 4


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("samples", [1, 3])
def test_an_operand_changed_between_two_calls_is_read_at_both(mode, samples):
    class Changing(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = linear(4, 2)

        def forward(self, x):
            x = x * 1
            first = self.layer(x)
            x[:, 1:] = 0
            return first + self.layer(x)

    with mode():
        run = analysis.analyze(Changing(), [torch.ones(samples, 4)], steps=1).run
    assert [site.synops for site in run.sites] == [samples * 4 * 2, samples * 1 * 2]


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_the_autograd_mode_of_the_caller_changes_nothing(mode):
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3))
    images = torch.ones(2, 1, 4, 4)
    expected = analysis.analyze(model, [images], steps=1).run.sites
    with mode():
        assert analysis.analyze(model, [images], steps=1).run.sites == expected


def test_origins_follow_the_data():
    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.fires = Fires()
            layers = {name: linear(2, 2) for name in ("image", "current", "spikes", "gated")}
            self.layers = nn.ModuleDict(layers)
            self.pooled = linear(1, 2)

        def forward(self, x):
            current = self.layers["image"](x)
            spikes = self.fires(current + 1)
            gated = torch.sigmoid(current) * spikes
            last = self.layers["gated"](gated) + self.layers["spikes"](spikes)
            return self.layers["current"](current) + last + self.pooled(spikes.mean(1, True))

    report = analysis.analyze(Network(), [torch.tensor([[0.1, 0.37]])], steps=1, neurons=[Fires])
    origins = report.sites.set_index("site").origin
    assert origins["layers.image"] == "image"
    assert origins["layers.current"] == "current"
    assert origins["layers.spikes"] == "spikes"
    assert origins["layers.gated"] == "gated-spikes"
    assert origins["pooled"] == "pooled-spikes"


def test_a_learned_scale_or_offset_changes_no_origin():
    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.fires = Fires()
            self.scale, self.offset = (nn.Parameter(torch.full((2,), v)) for v in (0.37, 0.21))
            self.scaled, self.moved = linear(2, 2), linear(2, 2)

        def forward(self, x):
            spikes = self.fires(x + 1)
            return self.scaled(spikes * self.scale) + self.moved(x + self.offset)

    picture = torch.tensor([[0.1, 0.37]])
    report = analysis.analyze(Network(), [picture], steps=1, neurons=[Fires])
    assert report.sites.set_index("site").origin.to_dict() == {
        "scaled": "spikes",
        "moved": "image",
    }


def test_work_that_no_synapse_does_is_counted_too():
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.ReLU(), nn.AvgPool2d(2))
    run = analysis.analyze(model, [torch.ones(3, 1, 4, 4)], steps=1).run
    work = {entry.work: entry.elements for entry in run.elementwise}
    assert work == {"bias": 96, "normalisation": 96, "activation": 96, "pooling": 96}


def test_a_look_at_single_neurons_adds_no_work():
    model, clip = nn.Sequential(Fires()), torch.tensor([[[1.0, 0, 1], [1, 0, 0]]])  # (B, T, C)
    plain, detailed = (
        analysis.analyze(model, [clip], steps=2, neurons=[Fires], neuron_detail=detail).run
        for detail in (False, True)
    )
    assert detailed.elementwise == plain.elementwise
    detail = detailed.neurons[0].detail
    assert detail.channels == (2, 0, 1)
    assert (detail.dead, detail.saturated) == (1, 1)


def test_an_operation_without_a_rule_is_named():
    class Solves(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.eye(2))

        def forward(self, x):
            return torch.linalg.solve(self.weight, x.T).T

    report = analysis.analyze(Solves(), [torch.ones(1, 2)], steps=1)
    assert "aten._linalg_solve_ex.default" in report.run.uncounted
    assert "lower bounds" in report.run.warnings[0]


def test_a_weight_layer_that_never_ran_is_named():
    class Unused(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.unused = linear(1, 1), linear(1, 1)

        def forward(self, x):
            return self.used(x)

    assert analysis.analyze(Unused(), [torch.ones(1, 1)], steps=1).run.never_ran == ("unused",)


def test_outputs_that_are_not_finite_are_warned_about():
    batch = torch.tensor([[1.0, float("nan")]])
    (warning, *_) = analysis.analyze(linear(2, 1), [batch, batch], steps=1).run.warnings
    assert warning.startswith("outputs that are not finite (NaN or Inf) in 2 batches")


def test_accuracy_is_taken_on_the_same_samples():
    batch = (torch.eye(2), torch.tensor([0, 0]))
    report = analysis.analyze(nn.Identity(), [batch], steps=1)
    assert report.totals.accuracy == 0.5


def test_the_interval_over_samples_is_that_of_the_textbook():
    model = nn.Sequential(Fires(), linear(3, 1))
    samples = torch.tensor([[1.0, 0, 0], [1, 1, 0], [1, 1, 1]])  # 1, 2 and 3 accumulates
    batches = [samples[:2], samples[2:]]
    totals = analysis.analyze(model, batches, steps=1, neurons=[Fires]).totals
    # mean 2, standard deviation 1, standard error 1 / sqrt(3)
    assert totals.acs == 2
    assert totals.acs_high - totals.acs == pytest.approx(1.959964 / 3**0.5)


class Fails(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Sequential(linear(2, 2), nn.Dropout())
        self.layer.eval()

    def forward(self, x):
        self.layer(x)
        torch.rand(1)
        raise RuntimeError("broken")


def test_the_model_is_left_as_it_was_also_after_an_exception():
    model = Fails().train()
    model.layer.eval()
    modes = [module.training for module in model.modules()]
    random_state, images = torch.get_rng_state(), torch.ones(1, 2)
    hooks = dict(torch.nn.modules.module._global_forward_hooks)
    with pytest.raises(RuntimeError, match="broken"):
        analysis.analyze(model, [images], steps=1)
    assert [module.training for module in model.modules()] == modes
    assert torch.equal(torch.get_rng_state(), random_state)
    assert dict(torch.nn.modules.module._global_forward_hooks) == hooks
    assert images.tolist() == [[1, 1]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batches": []}, "nothing to analyse"),
        ({"steps": None}, "steps="),
        ({"steps": 0}, "at least 1"),
        ({"roles": {"*": "brain"}}, "unknown role brain; known: stem"),
        ({"convention": "guess"}, "unknown convention 'guess'; known: operand"),
        ({"technology": "7nm"}, "unknown technology '7nm'; known: 45nm-fp16, 45nm-fp32"),
        ({"batches": ["text"]}, "a batch must be a tensor"),
    ],
)
def test_bad_arguments_get_one_clear_line(arguments, message):
    arguments = {"batches": [torch.ones(1, 2)], "steps": 1, **arguments}
    with pytest.raises(analysis.InputError, match=message):
        analysis.analyze(linear(2, 2), **arguments)


def test_rows_that_no_sample_has_a_part_in_are_constants():
    class Halves(nn.Module):
        def forward(self, x):
            return functional.linear(torch.ones(3, 2), self.weight)

        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1, 2))

    for samples in (1, 4):
        run = analysis.analyze(Halves(), [torch.ones(samples, 2)], steps=2).run
        assert run.sites == ()
        assert [(str(c.key), c.macs) for c in run.constants] == [("(model)", 6)]
