"""Pictures of trained networks: means and intervals over seeds, paired by seed."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest
import torch
from torch import nn

import analysis
from analysis import drawings


def report(correct):
    """A layer of 12 weights that reads the data: 12 MACs, 55.2 pJ; so many of 10 right."""
    layer = nn.Linear(4, 3, bias=False)
    images = torch.tensor([0.3183, 0.0, 0.7071, 1.4142]).repeat(10, 1)
    found = analysis.analyze(layer, [images], steps=1)
    return replace(found, run=replace(found.run, correct=correct))


@pytest.fixture
def networks():
    correct = {"direct": (8, 9, 8), "gac": (6, 9, 9)}
    return {
        name: {seed: report(right) for seed, right in enumerate(seeds)}
        for name, seeds in correct.items()
    }


def test_totals_are_in_percent_and_microjoules(networks):
    frame = drawings.totals_by_seed(networks, ["operand"])
    assert frame.accuracy.tolist() == pytest.approx([80, 90, 80, 60, 90, 90])
    assert frame.energy_uj.tolist() == pytest.approx([55.2e-6] * 6)


def test_networks_are_compared_seed_by_seed(networks):
    frame = drawings.differences_to(networks, "direct", ["operand"])
    accuracy = frame[frame.quantity == "accuracy"].iloc[0]
    # -20, 0 and 10 points: mean -10/3; deviation sqrt(700/3); t of two degrees 4.3027
    assert accuracy["mean"] == pytest.approx(-10 / 3)
    reach = 4.302653 * (700 / 3) ** 0.5 / 3**0.5
    assert (accuracy.low, accuracy.high) == pytest.approx((-10 / 3 - reach, -10 / 3 + reach))
    assert accuracy.seeds == 3
    assert frame[frame.quantity == "operand"]["mean"].item() == 0


def test_only_seeds_that_both_have_are_compared(networks):
    less = {"direct": networks["direct"], "gac": {1: networks["gac"][1]}}
    frame = drawings.differences_to(less, "direct", ["operand"])
    assert set(frame.seeds) == {1}
    assert frame[frame.quantity == "accuracy"].low.isna().all()  # one number has no interval


def test_the_plane_has_a_panel_for_each_convention_with_units(networks):
    drawing = drawings.accuracy_energy(networks, ["operand", "all-ac"], name="plane")
    first, second = drawing.figure.axes
    assert (first.get_xlabel(), first.get_ylabel()) == ("energy per image, µJ", "test accuracy, %")
    assert second.get_title(loc="left") == "convention all-ac"
    assert len(drawing.data) == 12
    (legend,) = drawing.figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["direct", "gac"]


def test_a_network_is_drawn_at_every_step_it_is_stopped_after(shipped):
    drawing = drawings.accuracy_by_step({"shipped": {0: shipped}})
    assert drawing.data.step.tolist() == [1, 2, 3, 4]
    assert drawing.data.energy_uj.is_monotonic_increasing
    last = drawing.data.iloc[-1]
    assert last.accuracy == pytest.approx(100 * shipped.totals.accuracy)
    assert last.energy_uj == pytest.approx(shipped.totals.energy_pj / 1e6)


@pytest.fixture(scope="module")
def shipped():
    import gac
    from gac.checkpoint import shipped_checkpoint

    images = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    return analysis.analyze(gac.load(shipped_checkpoint()).model, [(images, torch.arange(4))])


def test_every_published_row_with_both_numbers_is_on_the_plane():
    drawing = drawings.published_plane()
    frame = analysis.published()
    wanted = frame[frame.top1.notna() & frame.printed_mj.notna()]
    pd.testing.assert_series_equal(drawing.data.printed_mj, wanted.printed_mj)
    names = {text.get_text() for text in drawing.figure.axes[0].texts}
    assert {"GAC-MS-ResNet", "SEW-ResNet", "Spikingformer", "ViT-B"} <= names
    assert "do not compare" in drawing.caption
