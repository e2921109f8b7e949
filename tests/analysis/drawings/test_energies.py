"""Drawings of energies: their numbers, their words, their colours."""

from __future__ import annotations

import re
from importlib.resources import files
from itertools import pairwise

import pytest
import torch
from torch import nn

import analysis
from analysis import drawings
from analysis.drawings.energies import PART_STYLES
from analysis.energy.conventions import PRESETS
from analysis.energy.technology import technology_names
from analysis.reporting.breakdown import PARTS


class TwoLayers(nn.Module):
    """A stem of 3 x 2 weights, a neuron that always fires, a spiking layer of 2 x 4 weights."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Linear(3, 2, bias=False)
        self.neuron = Step()
        self.layer = nn.Linear(2, 4, bias=False)

    def forward(self, x):
        return self.layer(self.neuron(self.stem(x)))


class Step(nn.Module):
    def forward(self, current):
        return (current > -1e9).float()


ROLES = {"stem": "stem", "layer": "spiking"}


@pytest.fixture(scope="module")
def report():
    images = torch.tensor([0.3183, 0.7071, 1.4142]).repeat(5, 1)  # real values, no events
    return analysis.analyze(TwoLayers(), [images], steps=1, roles=ROLES, neurons=[Step])


def _texts(panel):
    return [text.get_text().strip() for text in panel.texts]


def test_a_bar_holds_what_its_convention_charges_each_part(report):
    drawing = drawings.energy_by_convention({"two layers": report})
    charged = drawing.data.set_index(["convention", "part"]).energy_pj
    # 6 MACs at 4.6 pJ, 8 accumulates at 0.9 pJ
    assert charged["operand", "stem"] == pytest.approx(27.6)
    assert charged["operand", "spiking"] == pytest.approx(7.2)
    assert ("all-ac", "stem") not in charged  # left out: no piece in its bar
    shares = drawing.data.set_index(["convention", "part"]).share
    assert shares["operand", "stem"] == pytest.approx(27.6 / 34.8)


def test_every_convention_has_a_bar_with_its_total_in_the_order_of_a_report(report):
    panels = drawings.energy_by_convention({"two layers": report}).figure.axes
    labels = [tick.get_text() for tick in panels[0].get_yticklabels()]
    assert labels == list(PRESETS)
    assert _texts(panels[0])[labels.index("operand")] == "34.80 pJ"
    assert _texts(panels[0])[labels.index("all-ac")] == "7.200 pJ"
    assert panels[0].get_xlabel() == "energy per sample, pJ"
    assert "79" in _texts(panels[1])  # per cent of 34.8 pJ


def test_the_caption_says_how_far_conventions_are_apart(report):
    caption = drawings.energy_by_convention({"two layers": report}).caption
    assert "Dearest convention over cheapest: 4.8 (two layers)" in caption  # 34.8 / 7.2
    assert "no data was run" not in caption


def test_an_estimate_is_never_shown_as_a_trained_network():
    estimated = analysis.estimate(TwoLayers(), (3,), 0.5, steps=1, roles=ROLES, neurons=[Step])
    caption = drawings.energy_by_convention({"two layers": estimated}).caption
    assert "No trained network but architecture counts at stated rates" in caption


def test_a_total_without_a_price_for_macs_is_a_lower_bound(report):
    chip = report.under("operand", "seneca")
    panels = drawings.energy_by_convention({"two layers": chip}).figure.axes
    assert _texts(panels[0])[0] == "≥ 22.40 pJ"  # 8 synaptic operations at 2.8 pJ


def test_parts_have_the_colours_of_the_page_of_a_report():
    css = (files("analysis.reporting") / "html" / "page.css").read_text(encoding="utf-8")
    light = css.partition("}")[0]
    of_page = dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6});", light))
    variable = {"temporal gate": "temporal", "spatial gate": "spatial", "gate product": "product",
                "other work": "other"}  # fmt: skip
    assert set(PART_STYLES) == set(PARTS)
    for part, (colour, _) in PART_STYLES.items():
        assert colour == of_page[variable.get(part, part)], part


def test_no_two_parts_look_alike_even_without_colour_between_neighbours():
    assert len(set(PART_STYLES.values())) == len(PART_STYLES)
    neighbours = pairwise(PARTS)
    assert all(PART_STYLES[a][1] != PART_STYLES[b][1] for a, b in neighbours)


def test_every_price_list_prices_the_same_counts(report):
    frame = drawings.energy_by_technology(report).data.set_index(["technology", "convention"])
    assert len(frame) == 2 * len(technology_names())
    assert frame.energy_pj["45nm-fp32", "operand"] == pytest.approx(34.8)
    assert frame.energy_pj["45nm-fp32", "all-ac"] == pytest.approx(7.2)
    assert frame.lower_bound["seneca", "operand"]
    assert not frame.lower_bound["seneca", "all-ac"]
    assert (frame.low_pj <= frame.energy_pj).all()
    assert (frame.energy_pj <= frame.high_pj).all()


def test_models_with_memory_stand_beside_their_counterparts(report):
    drawing = drawings.energy_with_memory(report)
    assert drawing.data.model.tolist() == report.memory.model.tolist()
    texts = _texts(drawing.figure.axes[0])
    assert texts[0] == "operand, arithmetic only: 34.8 pJ"
    assert f"{report.memory.ratio[0]:.2f}" in texts
