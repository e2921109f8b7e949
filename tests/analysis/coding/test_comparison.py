"""Encoders side by side: one tidy frame, and nothing left behind."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import analysis
import gac
from analysis.coding import compare, lif_period, measure
from analysis.coding.frames import COLUMNS
from analysis.errors import InputError
from gac.training import fresh_model

SIZES = {"stem_width": 8, "widths": (8,), "blocks": (1,), "strides": (1,), "image_size": 8}


def network(**changes):
    return fresh_model(gac.registry.architecture("msresnet8", **SIZES, **changes), seed=1)


@pytest.fixture
def images():
    return torch.rand(50, 3, 8, 8, generator=torch.Generator().manual_seed(0))


class Direct(nn.Module):
    """The released CIFAR neuron under the pixels as constant currents."""

    def forward(self, images):
        times = torch.arange(1, 7)[:, None]
        periods = torch.from_numpy(lif_period(images.flatten(1).double().numpy()))
        return (times[None] % periods[:, None] == 0).float()


def by_quantity(frame, encoder):
    whole = frame[(frame.encoder == encoder) & frame.step.isna()]
    return whole.set_index("quantity").value


def test_a_direct_code_holds_what_the_closed_forms_say(images):
    pixels = 2 * images - 0.5
    frame = compare({"direct": Direct()}, pixels)
    assert list(frame.columns) == list(COLUMNS)
    found = by_quantity(frame, "direct")
    period = lif_period(pixels.flatten(1).double().numpy())
    seen = np.where(period <= 6, period, np.inf)
    assert found["period_2"] == pytest.approx((seen == 2).mean())
    assert found["period_silent"] == pytest.approx(np.isinf(seen).mean())
    assert found["period_aperiodic"] == 0
    assert found["dynamic_duration"] == pytest.approx(np.where(np.isinf(seen), 1, seen).mean())
    assert found["image_information"] == found["neuron_entropy"]
    assert found["train_entropy"] <= np.log2(7)
    assert found["alphabet_use"] == pytest.approx(found["train_entropy"] / np.log2(7))
    steps = frame[frame.quantity == "information_up_to"]
    assert steps.step.tolist() == [1, 2, 3, 4, 5, 6]
    assert steps.value.is_monotonic_increasing
    assert steps.value.iloc[-1] == pytest.approx(found["image_information"])


def test_per_step_per_spike_and_per_picojoule_are_the_information_divided(images):
    frame = compare({"direct": Direct()}, 2 * images - 0.5, energy_pj={"direct": 500.0})
    found = by_quantity(frame, "direct")
    bits = found["image_information"]
    assert found["information_per_step"] == pytest.approx(bits / 6)
    assert found["information_per_spike"] == pytest.approx(bits / (6 * found["firing_rate"]))
    assert found["information_per_pj"] == pytest.approx(bits * 192 / 500)  # 192 neurons


def test_noise_has_entropy_but_no_information(images):
    class Noise:
        noisy = True

        def __call__(self, images, draw=0):
            torch.manual_seed(draw)
            return (torch.rand(len(images), 6, 10) < 0.2).float()

    found = by_quantity(compare({"noise": Noise()}, images, draws=64), "noise")
    assert found["train_entropy"] == pytest.approx(4.33, abs=0.02)
    assert found["image_information"] == pytest.approx(
        found["image_information_shuffled"], abs=0.02
    )
    assert found["image_information"] < 0.3


def test_the_encoders_of_the_networks_compare_in_one_frame(images):
    labels = torch.arange(50) % 5
    models = {name: network(encoder=name) for name in ("direct", "gac", "poisson", "latency")}
    frame = compare(
        {n: m.spike_trains() for n, m in models.items()}, images, labels=labels, draws=4
    )
    assert frame.encoder.unique().tolist() == list(models)
    assert not frame.duplicated(["encoder", "quantity", "step"]).any()
    gated = frame[frame.quantity.str.startswith("gate")].encoder.unique().tolist()
    assert gated == ["gac"]
    shuffled = frame[frame.quantity == "image_information_shuffled"].set_index("encoder").value
    assert (shuffled[["direct", "gac", "latency"]] == 0).all()
    assert frame[frame.quantity == "readout_accuracy"].groupby("encoder").size().eq(4).all()


def test_encoders_and_the_random_state_are_left_as_they_were(images):
    model = network(encoder="poisson").train()
    model.stages.eval()
    modes = [module.training for module in model.modules()]
    torch.manual_seed(3)
    state = torch.get_rng_state()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    compare({"poisson": model.spike_trains()}, images, draws=2)
    with pytest.raises(ValueError, match="reads intensities"):
        compare({"poisson": model.spike_trains()}, images - 5)
    assert [module.training for module in model.modules()] == modes
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_large_layer_is_sampled_and_says_so(images):
    code = analysis.coding.encoding.encode(
        network(encoder="direct").spike_trains(), images, most_neurons=100
    )
    assert code.trains.shape == (1, 50, 4, 100)
    record = measure(code.trains, layer=code.layer)
    assert (record.neurons, record.layer) == (100, 512)


def test_each_encoder_may_read_images_of_its_own(images):
    models = {name: network(encoder=name).spike_trains() for name in ("direct", "latency")}
    frame = compare(models, {"direct": images - 0.5, "latency": images})
    assert frame.encoder.nunique() == 2


@pytest.mark.parametrize(
    ("encoder", "images", "message"),
    [
        (lambda x: x, torch.rand(3, 4, 5), "encoder 'e': spike trains hold 0 and 1 only, got 0."),
        (lambda x: x * 0, torch.rand(3, 1, 5), "needs at least 2 steps, got 1"),
        (lambda x: x * 0, torch.rand(0, 4, 5), r"expected images \(B, ...\), got \(0, 4, 5\)"),
        (lambda x: x * 0, [[1.0]], r"expected images \(B, ...\), got list"),
        (lambda x: x * 0, torch.full((3, 4, 5), float("nan")), "finite numbers, got NaN"),
        (lambda x: x[:1] * 0, torch.rand(3, 4, 5), r"expected spike trains \(3, T, \*neurons\)"),
        (lambda x: x[:, 0] * 0, torch.rand(3, 4, 5), r"expected spike trains \(3, T, \*neurons\)"),
    ],
)
def test_what_gives_no_spike_trains_is_named(encoder, images, message):
    with pytest.raises(InputError, match=message):
        compare({"e": encoder}, images)


def test_other_nonsense_is_refused():
    trains = np.zeros((1, 3, 2, 1))
    with pytest.raises(InputError, match="no encoder to compare"):
        compare({}, torch.rand(3, 2))
    with pytest.raises(InputError, match="draws and neurons must be at least 1, got 0 and 1024"):
        compare({"e": lambda x: x}, torch.zeros(3, 2, 1), draws=0)
    with pytest.raises(InputError, match="energy_pj must be positive, got 0"):
        measure(trains, energy_pj=0)
    with pytest.raises(InputError, match=r"expected \(draws, B, T, \*neurons\)"):
        measure(trains[0])
