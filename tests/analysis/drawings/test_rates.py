"""Drawings of firing rates: their numbers, from networks whose spikes are written down."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import analysis
from analysis import drawings
from analysis.errors import InputError


class Fires(nn.Module):
    """Fires where its input is above a half."""

    def forward(self, x):
        return (x > 0.5).float()


class Network(nn.Module):
    """Two layers of 2 x 2 neurons; the second may be silent, the first left out."""

    steps = 2

    def __init__(self, *, encoder=True, silent=False):
        super().__init__()
        self.encoder = Fires() if encoder else None
        self.last = Fires()
        self.scale = 0.0 if silent else 1.0
        self.weights = nn.Linear(2, 2, bias=False)

    def forward(self, x):
        x = x.flatten(0, 1)  # (B*T, 2, 1, 2)
        if self.encoder is not None:
            x = self.encoder(x)
        return self.weights(self.last(self.scale * x)).unflatten(0, (-1, self.steps))


# One sample, (step, channel, 1, neuron): 1 of 4 neurons fires at step 1, 3 of 4 at step 2.
TRAINS = torch.tensor([[[[[1.0, 0]], [[0, 0]]], [[[1, 1]], [[1, 0]]]]])


def report(detail=True, **how):
    return analysis.analyze(
        Network(**how), [TRAINS], neurons=[Fires], time_layout="BT", neuron_detail=detail
    )


@pytest.fixture
def networks():
    direct = {seed: report(encoder=False) for seed in (0, 1)}
    return {"direct": direct, "gac": {0: report(), 1: report(silent=True)}}


def test_layers_have_their_mean_over_seeds_with_its_interval(networks):
    drawing = drawings.layer_rates({"here": networks})
    found = drawing.data.set_index(["series", "layer"])
    assert found.loc[("direct", "last"), "mean"] == 0.5  # 4 spikes of 4 neurons in 2 steps
    assert found.loc[("gac", "encoder"), "mean"] == 0.5
    # 0.5 and 0: mean 0.25, standard error 0.25, Student's quantile of one degree 12.706
    assert found.loc[("gac", "last"), "mean"] == 0.25
    assert found.loc[("gac", "last"), "low"] == pytest.approx(0.25 - 0.25 * 12.706, abs=1e-3)
    assert ("direct", "encoder") not in found.index
    (panel,) = drawing.figure.axes
    assert [label.get_text() for label in panel.get_yticklabels()] == ["encoder", "last"]
    assert panel.get_xlabel() == "firing rate, spikes / neuron / step"
    assert panel.get_xlim()[0] >= -0.01


def test_steps_have_their_own_rates_and_a_missing_layer_has_none(networks):
    drawing = drawings.step_rates(networks)
    found = drawing.data.set_index(["panel", "layer", "step"]).firing_rate
    assert found["direct", "last", 1] == 0.25
    assert found["direct", "last", 2] == 0.75
    assert found["gac", "last", 2] == 0.375  # one of two networks is silent there
    assert ("direct", "encoder") not in {key[:2] for key in found.index}
    texts = [text.get_text() for text in drawing.figure.axes[0].texts]
    assert texts == ["-", "-", ".25", ".75"]


def test_every_seed_is_shown_and_silence_is_a_bare_zero(networks):
    drawing = drawings.seed_rates(networks)
    found = drawing.data.set_index(["panel", "layer", "seed"]).firing_rate
    assert found["gac", "last", 1] == 0
    assert [text.get_text() for text in drawing.figure.axes[1].texts] == [".50", ".50", ".50", "0"]


def test_channels_of_all_seeds_are_put_together(networks):
    found = drawings.channel_rates(networks).data.set_index(["panel", "layer"])
    direct = found.loc[("direct", "last")]
    assert direct.channels == 4
    # Channel rates 3/4 and 1/4, twice; one neuron of four never fires, one always.
    assert direct.q50 == 0.5
    assert (direct.dead, direct.saturated) == (0.25, 0.25)
    gac = found.loc[("gac", "last")]
    assert gac.silent_channels == 0.5
    assert (gac.dead, gac.saturated) == (0.625, 0.125)


def test_channels_need_a_run_that_counted_single_neurons():
    with pytest.raises(InputError, match="neuron_detail=True"):
        drawings.channel_rates({"here": {0: report(detail=False)}})


def test_differences_are_between_networks_of_the_same_seed(networks):
    pair = (networks["gac"], networks["direct"])
    drawing = drawings.rate_differences({"here": pair}, "GAC less direct")
    found = drawing.data.set_index("layer")
    assert list(found.index) == ["all neurons", "neurons both have", "last"]
    # Seed 0: 0.5 - 0.5; seed 1: 4 spikes of 8 neurons in 2 steps less 0.5
    assert found.loc["all neurons", "mean"] == pytest.approx(-0.125)
    assert found.loc["last", "mean"] == -0.25
    assert set(found.sign) == {"not clear"}
    assert "GAC less direct" in drawing.caption
    assert "GAC less direct" in drawing.figure.axes[0].get_xlabel()


def test_a_difference_of_every_seed_alike_is_clear(networks):
    silent = {seed: report(encoder=False, silent=True) for seed in (0, 1)}
    drawing = drawings.rate_differences({"here": (silent, networks["direct"])}, "less")
    assert set(drawing.data.sign) == {"clear"}


def test_seeds_in_common_are_asked_for(networks):
    with pytest.raises(InputError, match="no seed in common"):
        drawings.rate_differences({"here": ({7: report()}, networks["direct"])}, "less")


def test_one_seed_has_no_interval(networks):
    one = {name: {0: seeds[0]} for name, seeds in networks.items()}
    data = drawings.layer_rates({"here": one}).data
    assert np.isnan(data.low).all()
    pair = (one["gac"], one["direct"])
    assert set(drawings.rate_differences({"here": pair}, "less").data.sign) == {"not clear"}


def test_nothing_to_draw_is_told():
    with pytest.raises(InputError, match="no report of any seed"):
        drawings.step_rates({"here": {}})


def test_single_networks_name_their_silent_layers(networks):
    found = drawings.single_networks(networks).set_index(["network", "seed"])
    assert found.loc[("gac", 1), "silent"] == "last"
    assert found.loc[("gac", 1), "spikes_per_sample"] == 4
    assert found.loc[("direct", 0), "firing_rate"] == 0.5
    assert np.isnan(found.loc[("direct", 0), "accuracy"])


def test_reports_are_sorted_by_their_network(networks):
    flat = {(name, seed): r for name, seeds in networks.items() for seed, r in seeds.items()}
    assert drawings.by_network(flat) == networks
