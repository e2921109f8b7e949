"""The tree of modules: parameters and energy of a module are those of all that is in it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

import analysis
from analysis.reporting.html.page import html_page
from analysis.reporting.modules import module_tree
from tests.analysis.reports import shipped_report


class Tied(nn.Module):
    """Two blocks; the second one's layer is that of the first."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3))
        self.one = nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3))
        self.two = nn.Sequential(nn.Linear(3, 3, bias=False))
        self.two[0].weight = self.one[0].weight

    def forward(self, x):
        return self.two(self.one(x) * self.scale)


def found(tree, path):
    for name in path.split("."):
        (tree,) = [part for part in tree.parts if part.name == name]
    return tree


def test_parameters_are_those_of_all_below_and_shared_ones_count_once():
    model = Tied()
    report = analysis.analyze(model, [torch.ones(1, 3)], steps=1)
    facts = report.run.provenance
    assert facts["model"] == "Tied"
    assert facts["module_parameters"] == {"": 3, "one.0": 12, "one.1": 6}
    assert facts["parameters"] == sum(p.numel() for p in model.parameters()) == 21
    tree = module_tree(report)
    assert (tree.name, tree.parameters) == ("Tied", 21)
    assert found(tree, "one").parameters == 18
    assert found(tree, "two.0").parameters == 0
    assert found(tree, "one.0").shape == "3 → 3"


def test_what_the_caller_says_of_the_model_stands():
    report = analysis.analyze(nn.Linear(2, 2), [torch.ones(1, 2)], steps=1,
                              provenance={"model": "ours, small", "parameters": 7})  # fmt: skip
    assert report.run.provenance["model"] == "ours, small"
    assert report.run.provenance["parameters"] == 7
    assert module_tree(report).name == "ours"


def test_energy_is_rolled_up_to_that_of_all_weight_layers():
    report = shipped_report()
    tree = module_tree(report)
    assert tree.energy_pj == pytest.approx(report.sites.energy_pj.sum())
    assert tree.share == pytest.approx(1)
    gate = report.sites[report.sites.site.str.startswith("encoder.gate.")]
    assert found(tree, "encoder.gate").energy_pj == pytest.approx(gate.energy_pj.sum())
    assert found(tree, "encoder.neuron").energy_pj is None  # no weight layer is in it
    assert found(tree, "encoder.neuron").shape == "4,096 neurons"
    assert tree.parameters == 312362


def test_a_price_that_is_missing_makes_a_lower_bound_of_all_above():
    report = shipped_report().under("operand", "loihi")
    tree = module_tree(report)
    assert tree.unpriced
    assert found(tree, "encoder.stem").unpriced
    assert not found(tree, "stages.0.0.conv1").unpriced


def test_a_report_that_knows_no_parameters_has_a_tree_without_them():
    report = shipped_report()
    facts = {k: v for k, v in report.run.provenance.items() if k != "module_parameters"}
    older = replace(report, run=replace(report.run, provenance=facts))
    assert module_tree(older).parameters is None
    assert "Modules: energy of weight layers" in html_page(older)
    page = html_page(report)
    assert "Modules: parameters and energy of weight layers" in page
    assert page.count('<details class="module"') == sum(1 for _ in branches(module_tree(report)))


def branches(tree):
    if tree.parts:
        yield tree
    for part in tree.parts:
        yield from branches(part)
