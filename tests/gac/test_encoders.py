"""Encoders and the ablations of the gate: what each hands to the first block."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch

import gac
from gac.attention import Gate, other_order
from gac.checkpoint import load, save_checkpoint
from gac.codes import LatencyCode, PoissonCode
from gac.config import IMAGENET_NEURON
from gac.data import load_data, preprocessing_for
from gac.errors import InputError
from gac.neurons import LIF
from gac.training import fresh_model

ABLATIONS = ("temporal", "spatial", "off", "frozen", "permuted")
ENCODINGS = [("direct", "full"), ("poisson", "full"), ("latency", "full"), ("gac", "full")] + [
    ("gac", gate) for gate in ABLATIONS
]


def gate_of(steps, mode="full", channels=3, seed=0):
    """A gate in float64 whose hidden units are all open: W_n and W_m positive or not, by seed."""
    torch.manual_seed(seed)
    gate = Gate(steps, channels, 4, 2, mode).double()
    if gate.temporal is not None:
        gate.temporal.squeeze.weight.data.abs_()
    return gate


def still(channels=3, seed=1):
    """A current that is the same at every step, ``(2, 1, C, 5, 5)``, positive on average."""
    torch.manual_seed(seed)
    return torch.rand(2, 1, channels, 5, 5, dtype=torch.float64) - 0.2


@pytest.mark.parametrize("steps", [2, 3, 4])
def test_permuting_the_rows_of_w_m_permutes_the_gate_in_time(steps):
    gate, current = gate_of(steps), still()
    before = gate(current)
    rows = gate.temporal.excite.weight.data.clone()
    for order in itertools.permutations(range(steps)):
        gate.temporal.excite.weight.data = rows[list(order)]
        torch.testing.assert_close(gate(current), before[:, list(order)], rtol=0, atol=1e-15)


def test_equal_rows_of_w_m_give_a_constant_gate_also_in_training_mode(tiny_config):
    model = fresh_model(replace(tiny_config, steps=4), seed=0).double().train()
    excite = model.encoder.gate.temporal.excite
    excite.weight.data = excite.weight.data[:1].repeat(4, 1)
    gate = model.encoder.gate(model.encoder.stem(torch.randn(3, 3, 8, 8, dtype=torch.float64)))
    torch.testing.assert_close(gate, gate[:, :1].expand_as(gate), rtol=0, atol=1e-15)


@pytest.mark.parametrize("training", [True, False])
def test_the_log_odds_of_the_gate_have_rank_one(tiny_config, training):
    model = fresh_model(replace(tiny_config, steps=6), seed=1).double().train(training)
    model.encoder.gate.temporal.squeeze.weight.data.abs_()
    current = model.encoder.stem(torch.randn(3, 3, 8, 8, dtype=torch.float64))
    odds = model.encoder.gate.log_odds(current).flatten(2)  # (B, T, C*H*W)
    assert torch.linalg.matrix_rank(odds).tolist() == [1, 1, 1]
    torch.testing.assert_close(torch.sigmoid(odds), model.encoder.gate(current).flatten(2))


def test_w_n_acts_through_the_sums_of_its_rows_alone():
    gate, current = gate_of(4), still()
    before = gate(current)
    rows = gate.temporal.squeeze.weight.data
    gate.temporal.squeeze.weight.data = rows.mean(1, keepdim=True).repeat(1, 4)
    torch.testing.assert_close(gate(current), before)


def test_with_threshold_1_a_single_gated_spike_never_fires_the_next_neuron():
    gate = torch.linspace(0, 1, 1001, dtype=torch.float64)
    cifar = LIF(gac.ARCHITECTURES["msresnet18-cifar"].neuron)
    imagenet = LIF(IMAGENET_NEURON)
    for step in range(4):
        single = torch.zeros(1, 4, 1001, dtype=torch.float64)
        single[0, step] = gate
        assert cifar(single).sum() == 0
        assert torch.equal(imagenet(single)[0, step].bool(), gate > 0.5)


def test_an_always_firing_input_gets_through_a_constant_gate_above_one_half_only():
    gate = torch.tensor([0.375, 0.376, 0.5, 0.500001, 0.6, 0.9], dtype=torch.float64)
    always = gate.expand(1, 50, -1)
    cifar = LIF(gac.ARCHITECTURES["msresnet18-cifar"].neuron)
    assert cifar(always).any(1)[0].tolist() == [False, False, False, True, True, True]
    assert LIF(IMAGENET_NEURON)(always).any(1)[0].tolist() == [False, True, True, True, True, True]


def test_the_temporal_gate_is_one_number_per_step_and_the_spatial_one_a_constant_map():
    temporal, spatial = (gate_of(4, mode)(still()) for mode in ("temporal", "spatial"))
    assert temporal.shape == spatial.shape == (2, 4, 3, 5, 5)
    assert temporal.flatten(2).std(2).max() < 1e-15
    assert temporal.std(1).min() > 0
    assert spatial.std(1).max() == 0
    assert spatial.flatten(2).std(2).min() > 0


def test_a_frozen_gate_holds_the_mean_log_odds_and_a_permuted_one_the_same_steps():
    full = gate_of(4)
    odds = full.log_odds(still())
    frozen, permuted = (gate_of(4, mode) for mode in ("frozen", "permuted"))
    for other in (frozen, permuted):
        other.load_state_dict(full.state_dict())
    mean = odds.mean(1, keepdim=True).expand_as(odds)
    torch.testing.assert_close(frozen.log_odds(still()), mean)
    torch.testing.assert_close(permuted.log_odds(still()), odds[:, other_order(4, 0)])


@pytest.mark.parametrize("steps", [2, 3, 6])
def test_another_order_is_a_permutation_and_never_the_own_one(steps):
    for seed in range(50):
        order = other_order(steps, seed)
        assert sorted(order) == list(range(steps))
        assert order != list(range(steps))


def test_an_encoder_without_gate_hands_on_its_spikes(tiny_config):
    encoder = fresh_model(replace(tiny_config, gate="off"), seed=0).encoder.eval()
    output = encoder(3 * torch.randn(2, 3, 8, 8))
    assert output.unique().tolist() == [0, 1]


@pytest.mark.parametrize(("encoder", "gate"), ENCODINGS)
def test_every_encoder_trains_evaluates_and_comes_back_from_a_file(
    tiny_config, tmp_path, metadata, encoder, gate
):
    config = replace(tiny_config, encoder=encoder, gate=gate, steps=4)
    model = fresh_model(config, seed=0)
    images = torch.rand(4, 3, 8, 8)
    model.train()(images).sum().backward()
    silent = [name for name, p in model.named_parameters() if p.grad is None]
    assert silent == []  # an ablated part is not there, rather than there and dead
    logits = model.eval()(images)
    assert logits.shape == (4, 4, 10)
    save_checkpoint(tmp_path / "model.pth", model, metadata)
    again = load(tmp_path / "model.pth")
    assert again.config == config
    assert torch.equal(again.model(images), logits)
    trains = model.spike_trains()(images)
    assert trains.shape == (4, 4, 4, 8, 8)
    assert set(trains.unique().tolist()) <= {0, 1}


@pytest.mark.parametrize(("encoder", "gate"), ENCODINGS)
def test_no_encoder_depends_on_the_rest_of_the_batch(tiny_config, encoder, gate):
    config = replace(tiny_config, encoder=encoder, gate=gate, steps=4)
    model = fresh_model(config, seed=0).double().eval()
    images = torch.rand(5, 3, 8, 8, dtype=torch.float64)
    together = model.encoder(images)
    apart = torch.cat([model.encoder(images[:2]), model.encoder(images[2:])])
    torch.testing.assert_close(together, apart, rtol=0, atol=1e-12)


def test_checkpoints_from_before_the_ablations_still_load(tmp_path, tiny_model, metadata):
    path = tmp_path / "old.pth"
    save_checkpoint(path, tiny_model, metadata)
    content = torch.load(path, weights_only=True)
    for name in ("gate", "encoder_seed"):
        del content["config"][name]
    torch.save(content, path)
    assert load(path).config == tiny_model.config


@pytest.mark.parametrize(("encoder", "gate"), [("gac", "frozen"), ("poisson", "full")])
def test_what_the_released_code_cannot_do_is_not_written_in_its_format(encoder, gate):
    model = gac.build("msresnet8", encoder=encoder, gate=gate, stem_width=4, widths=(4, 4, 4))
    with pytest.raises(InputError, match=f"not encoder '{encoder}' with gate '{gate}'"):
        gac.export_official(model)


def test_a_gate_is_refused_where_it_means_nothing(tiny_config):
    with pytest.raises(InputError, match="gate 'frozen' needs the gac encoder, got encoder 'dir"):
        replace(tiny_config, encoder="direct", gate="frozen")
    with pytest.raises(InputError, match="unknown gate 'half'; known: full, temporal"):
        replace(tiny_config, gate="half")
    with pytest.raises(InputError, match=r"encoder_seed must lie in \[0, 2\*\*32\), got -1"):
        replace(tiny_config, encoder_seed=-1)
    assert replace(tiny_config, gate="spatial", steps=1).steps == 1


def test_the_poisson_code_fires_with_the_intensity_as_probability():
    images = torch.tensor([0.0, 0.2, 0.7, 1.0])[None, :, None, None].expand(1, 4, 50, 50)
    spikes = PoissonCode(steps=8, seed=3).eval()(images)
    rates = spikes.mean((0, 1, 3, 4))
    # 20,000 draws each: five standard deviations are below 0.017
    torch.testing.assert_close(rates, torch.tensor([0.0, 0.2, 0.7, 1.0]), rtol=0, atol=0.017)
    assert rates[0] == 0
    assert rates[3] == 1


def test_the_poisson_code_in_eval_mode_follows_from_seed_draw_and_image():
    images = torch.rand(3, 1, 4, 4)
    code = PoissonCode(steps=4, seed=1).eval()
    state = torch.get_rng_state()
    first = code(images)
    assert torch.equal(code(images), first)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(code(images.flip(0)), first.flip(0))
    assert torch.equal(code(images.double()).float(), first)
    assert not torch.equal(code(images, draw=1), first)
    assert not torch.equal(PoissonCode(steps=4, seed=2).eval()(images), first)


def test_the_poisson_code_draws_anew_in_training_from_the_global_generator():
    images, code = torch.rand(3, 1, 4, 4), PoissonCode(steps=4).train()
    torch.manual_seed(0)
    first, second = code(images), code(images)
    assert not torch.equal(first, second)
    torch.manual_seed(0)
    assert torch.equal(code(images), first)


def test_the_latency_code_fires_once_the_brighter_the_earlier_and_black_never():
    images = torch.tensor([1.0, 0.76, 0.75, 0.5, 0.25, 0.1, 0.0]).reshape(1, 1, 1, 7)
    spikes = LatencyCode(steps=4)(images)[0, :, 0, 0]  # (T, 7)
    assert spikes.sum(0).tolist() == [1, 1, 1, 1, 1, 1, 0]
    assert spikes.argmax(0)[:6].tolist() == [0, 0, 1, 2, 3, 3]


@pytest.mark.parametrize("encoder", ["poisson", "latency"])
@pytest.mark.parametrize(
    ("value", "found"), [(-0.5, "-0.5 to"), (1.5, "to 1.5"), (float("nan"), "nan")]
)
def test_pixel_codes_refuse_what_is_no_intensity(tiny_config, encoder, value, found):
    model = fresh_model(replace(tiny_config, encoder=encoder), seed=0)
    images = torch.rand(2, 3, 8, 8)
    images[1, 0, 0, 0] = value
    with pytest.raises(InputError, match=rf"{encoder} code reads intensities in \[0, 1\].*{found}"):
        model(images)


def test_the_latency_code_refuses_clips_and_the_poisson_code_reads_them(tiny_config):
    clips = torch.rand(2, 2, 3, 8, 8)
    with pytest.raises(InputError, match="the latency code reads still images"):
        fresh_model(replace(tiny_config, encoder="latency"), seed=0)(clips)
    poisson = fresh_model(replace(tiny_config, encoder="poisson"), seed=0)
    assert poisson.eval()(clips).shape == (2, 2, 10)


def test_the_usual_preprocessing_of_a_pixel_code_leaves_intensities_alone(tiny_config):
    config = replace(tiny_config, encoder="latency")
    images = load_data("digits", preprocessing=preprocessing_for("digits", config))
    assert images[0][0].min() == 0
    assert images[0][0].max() <= 1
    assert preprocessing_for("digits", tiny_config).mean == (0.305,) * 3
