"""The differentiable twin has the counter's values, and gradients that lower them."""

import pytest
import torch

import analysis
from analysis.errors import InputError
from analysis.twin import spike_budget
from gac.registry import architecture
from gac.training import fresh_model


@pytest.fixture
def model():
    # Padding, stride 2, a shortcut and a pooled head; statistics of the data, so that all fire.
    shape = {"widths": (8, 8), "blocks": (1, 2), "strides": (1, 2), "stem_width": 6}
    network = fresh_model(architecture("msresnet8", steps=3, image_size=9, **shape), seed=1)
    network = network.double()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
            torch.nn.init.constant_(module.bias, 0.7)
    with torch.no_grad():
        network(images())
    return network.eval()


def images():
    return torch.randn(4, 3, 9, 9, generator=torch.Generator().manual_seed(0)).double()


@pytest.mark.parametrize("technology", ["45nm-fp32", "45nm-int8"])
def test_the_energy_is_that_of_the_report_to_the_last_digits(model, technology):
    other = images().flip(0) * 1.3  # not the images the budget was made with
    budget = spike_budget(model, images(), "energy", 1e9, technology=technology)
    with budget.following(model) as value, torch.no_grad():
        model(other)
        found = float(value())
    report = analysis.analyze(model, [other], technology=technology)
    assert found == pytest.approx(report.totals.energy_pj, rel=1e-12)
    assert 0 < budget.constant_pj < found


def test_the_rate_is_that_of_the_report(model):
    budget = spike_budget(model, images(), "rate", 0.1)
    with budget.following(model) as value, torch.no_grad():
        model(images())
        found = float(value())
    assert found == pytest.approx(analysis.analyze(model, [images()]).totals.firing_rate, rel=1e-12)


@pytest.mark.parametrize("goal", ["rate", "energy"])
def test_steps_down_the_gradient_reach_the_budget_and_stop_there(model, goal):
    def now():
        totals = analysis.analyze(model, [images()]).totals
        return totals.firing_rate if goal == "rate" else totals.energy_pj

    fixed = 0 if goal == "rate" else spike_budget(model, images(), goal, 1e9).constant_pj
    target = (fixed + now()) / 2  # half of what the spikes cost
    budget = spike_budget(model, images(), goal, target)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.003)
    with budget(model) as penalty:
        for _ in range(200):
            model(images())
            loss = penalty()
            if float(loss.detach()) == 0:
                break
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    assert fixed + 0.8 * (target - fixed) < now() <= target


def test_the_penalty_by_hand(model):
    rate = analysis.analyze(model, [images()]).totals.firing_rate
    for target, expected in ((rate / 2, 3.0), (rate / 1.5, 1.5), (rate, 0.0), (2 * rate, 0.0)):
        budget = spike_budget(model, images(), "rate", target, weight=3.0)
        with budget(model) as penalty, torch.no_grad():
            model(images())
            assert float(penalty()) == pytest.approx(expected, abs=1e-9)


def test_nothing_is_left_on_the_model(model):
    budget = spike_budget(model, images(), "rate", 0.1)
    with budget(model):
        pass
    assert not any(module._forward_hooks for module in model.modules())


def test_a_budget_below_what_spikes_do_not_change_is_refused(model):
    with pytest.raises(InputError, match=r"a budget of 1 pJ per sample is out of reach: .* pJ are"):
        spike_budget(model, images(), "energy", 1.0)


def test_a_forward_pass_is_needed(model):
    budget = spike_budget(model, images(), "rate", 0.1)
    with budget(model) as penalty, pytest.raises(InputError, match="has run"):
        penalty()
