"""Parameters, buffers and what is made of them alone: constants, no sample has a part in them."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

import analysis

SAMPLES = 3


class Function(nn.Module):
    """Layers and buffers, and a function that uses them."""

    def __init__(self, function, buffers=None, **layers):
        super().__init__()
        self.function = function
        for name, layer in layers.items():
            self.add_module(name, layer)
        for name, values in (buffers or {}).items():
            self.register_buffer(name, values)

    def forward(self, x):
        return self.function(self, x)


def run_of(model, x, steps=1):
    return analysis.analyze(model, [x], steps=steps, per_sample=True).run


def counts(run):
    """Name of the layer -> synops by sample and step."""
    return {str(one.key): one.counts for one in run.per_sample if one.kind == "site"}


@pytest.mark.parametrize("samples", [1, 2, 5])
def test_what_no_sample_has_a_part_in_is_a_constant_and_in_no_total(samples):
    """A bias of positions, made by two layers out of a table, as in Swin Transformer V2."""

    def biased(m, x):
        return m.layer(x) + m.second(torch.relu(m.first(m.table))).mean((0, 1))

    table = torch.tensor([[1.0, 0], [1, 1], [0, 0], [0, 1], [1, 1]])
    first = nn.Linear(2, 4, bias=True)
    nn.init.ones_(first.weight)
    nn.init.zeros_(first.bias)
    model = Function(
        biased, {"table": table.view(1, 5, 2)}, first=first, second=nn.Linear(4, 3),
        layer=nn.Linear(2, 3),
    )  # fmt: skip
    run = run_of(model, torch.ones(samples, 2))
    assert counts(run) == {"layer": ((2 * 3,),) * samples}
    assert [site.dense_macs for site in run.sites] == [2 * 3 * samples]
    found = {str(constant.key): constant.macs for constant in run.constants}
    assert found == {"first": 5 * 8, "second": 5 * 12}
    assert not [work for work in run.elementwise if work.site in ("first", "second")]
    assert not any("one at a time" in warning for warning in run.warnings)


def test_no_count_depends_on_the_batch_where_weights_are_made_while_it_runs():
    def masked(m, x):
        table = torch.relu(m.layer(m.table)) * m.table
        weight = m.layer.weight * m.mask + table.mean()
        return functional.linear(x, weight / weight.norm())

    torch.manual_seed(0)
    buffers = {"table": torch.randn(4, 4), "mask": torch.eye(4)}
    model = Function(masked, buffers, layer=nn.Linear(4, 4)).double()
    images = torch.randn(6, 4).double()
    together, apart = (
        analysis.analyze(model, batches, steps=2, per_sample=True).run
        for batches in ([images], images.split(1))
    )
    for what in ("sites", "elementwise", "per_sample"):
        assert getattr(together, what) == getattr(apart, what)
    assert together.constants == apart.constants != ()


COPIES = {
    "expanded": lambda q, n: q.expand(n, -1, -1),
    "repeated": lambda q, n: q.repeat(n, 1, 1),
    "stacked": lambda q, n: torch.stack([q] * n),
}


@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("copies", COPIES.values(), ids=COPIES)
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_weights_that_are_copied_for_every_sample_are_counted_once_for_each(copies, steps, mode):
    """Learned queries; with steps flattened beside the samples."""

    def queried(m, x):
        x = x.flatten(0, 1) if steps > 1 else x
        return m.layer(x) + m.project(copies(m.queries.weight, len(x))).mean(1)

    queries = nn.Embedding(4, 2)
    nn.init.ones_(queries.weight)
    model = Function(queried, queries=queries, project=nn.Linear(2, 3), layer=nn.Linear(2, 3))
    x = torch.ones(SAMPLES, steps, 2) if steps > 1 else torch.ones(SAMPLES, 2)
    with mode():
        run = analysis.analyze(
            model, [x], steps=steps, per_sample=True, time_layout="BT" if steps > 1 else None
        ).run
    assert counts(run)["project"] == ((4 * 2 * 3 * steps,),) * SAMPLES


def test_a_matrix_in_a_buffer_is_a_weight():
    x = torch.tensor([[1.0, 0, 1], [0, 0, 1]])
    matrix = torch.tensor([[0.5, 0], [1, 2], [0, 1]])
    run = run_of(Function(lambda m, x: x @ m.matrix, {"matrix": matrix}), x)
    (site,) = run.sites
    assert (site.operand, site.other_operand, site.synops) == ("spike", None, 3 * 2)
    assert (site.weights, site.zero_weights) == (6, 2)


class Recurrent(nn.Module):
    """States of a batch are zeros in a buffer at first, spikes then."""

    def __init__(self, rows):
        super().__init__()
        self.register_buffer("states", torch.zeros(rows, 4))
        self.layer = nn.Linear(4, 4, bias=False)
        nn.init.zeros_(self.layer.weight)

    def forward(self, x):
        states = self.states if len(self.states) > 1 else self.states.repeat(len(x), 1)
        for t in range(2):
            states = (x[:, t] + self.layer(states) > 0.5).to(x.dtype)
        return states


def test_states_made_from_a_buffer_belong_to_their_samples():
    run = run_of(Recurrent(1), torch.ones(SAMPLES, 2, 4), steps=2)
    (site,) = run.sites
    assert counts(run)["layer"] == ((0, 4 * 4),) * SAMPLES
    assert (site.dense_macs, site.executions) == (2 * SAMPLES * 16, 2)
    assert not any("one at a time" in warning for warning in run.warnings)


def test_a_buffer_with_states_of_a_whole_batch_makes_a_sample_alone_run_all_of_them():
    """Then the count of a sample is what runs for it alone, and the layer is named."""
    run = run_of(Recurrent(SAMPLES), torch.ones(SAMPLES, 2, 4), steps=2)
    assert [constant.macs for constant in run.constants] == [SAMPLES * 16]  # of no sample yet
    assert sum(site.dense_macs for site in run.sites) == SAMPLES * (SAMPLES * 16)
    assert any("one at a time" in w and "layer" in w for w in run.warnings)


def test_layers_whose_weights_are_used_by_others_are_not_said_to_have_never_run():
    def functional_use(m, x):
        return functional.linear(x, m.used.weight.chunk(2)[0], None)

    model = Function(functional_use, used=nn.Linear(3, 4), unused=nn.Linear(3, 4))
    run = run_of(model, torch.ones(1, 3))
    assert run.never_ran == ("unused",)


def test_zero_weights_are_counted_anew_for_every_weight_that_is_made():
    """Masked weights are gone when the next ones are made, and leave their place to them."""
    masks = [torch.ones(4, 4) for _ in range(3)]
    for zeros, mask in enumerate(masks):
        mask[0, :zeros] = 0

    def masked(m, x):
        for mask in masks:
            x = functional.linear(x, m.layer.weight * mask)
        return x

    run = run_of(Function(masked, layer=nn.Linear(4, 4)), torch.ones(1, 4))
    assert [site.zero_weights for site in run.sites] == [0, 1, 2]


def test_zero_weights_of_a_part_of_the_weights_are_those_of_the_part():
    layer = nn.MultiheadAttention(2, 1, bias=False, batch_first=True)
    with torch.no_grad():
        layer.in_proj_weight[2:4] = 0  # those of the keys
    model = Function(lambda m, x: m.layer(x, 2 * x, x + 1)[0], layer=layer)
    run = run_of(model, torch.ones(1, 3, 2))
    assert [site.zero_weights for site in run.sites[:3]] == [0, 4, 0]
