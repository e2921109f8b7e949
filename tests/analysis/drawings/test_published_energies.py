"""Drawings of published energies, on the released network of 18 layers."""

from __future__ import annotations

import pytest

import analysis
import gac
from analysis import drawings
from analysis.errors import InputError


@pytest.fixture(scope="module")
def network():
    facts = {"architecture": "msresnet18"}
    return analysis.estimate(gac.build("msresnet18"), (3, 224, 224), 0.2, provenance=facts)


def test_parts_stand_beside_what_is_published(network):
    drawing = drawings.published_contents([network])
    parts = drawing.data.set_index(["part", "booked"])
    assert parts.published_pj.unique().tolist() == [1.49e9]
    # 118,013,952 MACs of the stem at 4.6 pJ, 4 times and once
    assert parts.energy_pj["stem", "MACs T times"] == pytest.approx(4 * 118_013_952 * 4.6)
    assert parts.verdict["stem", "MACs T times"] == "cannot be in it"
    assert parts.verdict["stem", "MACs once"] == "leaves 947.1 µJ"
    assert parts.verdict["spatial gate", "MACs once"] == "cannot be in it"
    assert drawing.figure.axes[0].get_title("left") == "msresnet18, T = 4: 1.49 mJ published"


def test_every_story_has_its_rate_or_none(network):
    drawing = drawings.implied_rates([network])
    rates = drawing.data.set_index(["stem", "gate", "real"]).rate
    assert rates["free", "left out", "ACs"] == pytest.approx(0.242, abs=5e-4)
    assert rates["free", "ACs", "ACs"] == pytest.approx(0.1234, abs=5e-5)
    assert rates["once", "left out", "ACs"] == pytest.approx(0.154, abs=5e-4)
    assert rates.loc["every-step"].isna().all()
    assert rates.xs("MACs", level="gate").isna().all()


def test_stories_that_no_network_can_tell_are_counted_and_not_drawn(network):
    drawing = drawings.implied_rates([network])
    told = drawing.data.groupby("story").rate.count()
    drawn = [label.get_text() for label in drawing.figure.axes[0].get_yticklabels()]
    assert set(drawn) == set(told[told > 0].index)
    assert f"{(told == 0).sum()} further stories give no rate" in drawing.caption


def test_no_caption_says_how_the_energy_was_counted(network):
    for draw in (drawings.published_contents, drawings.implied_rates):
        assert "How the energies were counted is not known" in draw([network]).caption


def test_a_network_without_a_published_energy_is_refused():
    small = analysis.estimate(gac.build("msresnet8"), (3, 16, 16))
    with pytest.raises(InputError, match="no energy is published for None, T = 4"):
        drawings.published_contents([small])
