"""The family of networks: sizes, inputs, precisions, still images and clips."""

from dataclasses import replace

import pytest
import torch

import gac
from gac.attention import Gate, SpatialChannelAttention, TemporalAttention
from gac.config import MSResNetConfig
from gac.errors import InputError
from gac.plain import from_plain, to_plain
from gac.registry import ARCHITECTURES, architecture
from gac.state import skeleton
from gac.training import fresh_model

# The gate has 2 * 64 * 64 * 16 weights in space and 2 * T * (T // 2) in time; a class 512 + 1.
GATE = 131_072


@pytest.mark.parametrize("steps", [2, 4, 6])
@pytest.mark.parametrize("classes", [10, 100, 1000])
@pytest.mark.parametrize(
    ("name", "without_classes"),
    [
        ("msresnet18-cifar", 12_502_090 - 10 * 513),
        ("msresnet18", 11_693_736 - 1000 * 513),
        ("msresnet34", 21_801_896 - 1000 * 513),
    ],
)
def test_parameter_counts_are_the_published_ones(name, without_classes, classes, steps):
    def count(encoder):
        model = skeleton(architecture(name, steps=steps, classes=classes, encoder=encoder))
        return sum(parameter.numel() for parameter in model.parameters())

    assert count("direct") == without_classes + 513 * classes
    assert count("gac") == count("direct") + GATE + 2 * steps * (steps // 2)


def test_parameter_counts_printed_in_the_readme_of_the_released_code():
    assert sum(p.numel() for p in gac.build("msresnet18-cifar").parameters()) == 12_679_368


@pytest.mark.parametrize("shape", [(2, 3, 8, 8), (2, 3, 8, 12), (1, 2, 3, 8, 8)])
def test_logits_come_per_image_and_step(tiny_model, shape):
    assert tiny_model(torch.randn(shape)).shape == (shape[0], 2, 10)


@pytest.mark.parametrize(
    "shape", [(3, 8, 8), (2, 1, 8, 8), (2, 3, 3, 8, 8), (2, 2, 1, 8, 8), (2, 3), ()]
)
def test_other_shapes_are_refused_with_the_expected_ones(tiny_model, shape):
    with pytest.raises(InputError, match=r"expected images \(B, 3, H, W\) or clips \(B, 2, 3"):
        tiny_model(torch.zeros(shape))


@pytest.mark.parametrize("training", [True, False])
def test_the_input_is_never_changed_and_may_require_gradients(tiny_model, training):
    images = torch.randn(2, 3, 8, 8, requires_grad=True)
    before = images.detach().clone()
    model = tiny_model.train(training)
    model(images)
    model(images).sum().backward()
    assert torch.equal(images.detach(), before)
    assert images.shape == (2, 3, 8, 8)
    assert images.grad is not None


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("encoder", ["gac", "direct"])
def test_every_precision_stays_its_own(tiny_config, dtype, encoder):
    model = fresh_model(replace(tiny_config, encoder=encoder), seed=0).to(dtype)
    logits = model(torch.randn(2, 3, 8, 8).to(dtype))
    assert logits.dtype == dtype
    assert logits.isfinite().all()


@pytest.mark.parametrize("encoder", ["gac", "direct"])
def test_a_repeated_still_image_is_the_still_image(tiny_config, encoder):
    model = fresh_model(replace(tiny_config, encoder=encoder, steps=4), seed=1).double().eval()
    images = torch.randn(3, 3, 8, 8, dtype=torch.float64)
    clips = images.unsqueeze(1).repeat(1, 4, 1, 1, 1)
    torch.testing.assert_close(model(clips), model(images), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("encoder", ["gac", "direct"])
def test_a_repeated_still_image_leaves_the_same_running_statistics(tiny_config, encoder):
    images = torch.randn(3, 3, 8, 8, dtype=torch.float64)
    clips = images.unsqueeze(1).repeat(1, 2, 1, 1, 1)
    states = []
    for batch in (images, clips):
        model = fresh_model(replace(tiny_config, encoder=encoder), seed=1).double().train()
        for _ in range(2):
            model(batch)
        states.append(model.state_dict())
    for name, value in states[0].items():
        torch.testing.assert_close(value, states[1][name], rtol=1e-12, atol=1e-12, msg=name)


@pytest.mark.parametrize("name", list(ARCHITECTURES))
def test_one_step_with_the_gac_encoder_is_refused(name):
    with pytest.raises(InputError, match=r"the gac encoder needs at least 2 steps.*got 1"):
        gac.build(name, steps=1, encoder="gac")


def test_one_step_without_the_gac_encoder_works(tiny_config):
    model = fresh_model(replace(tiny_config, steps=1, encoder="direct"), seed=0)
    assert model(torch.zeros(1, 3, 8, 8)).shape == (1, 1, 10)


def test_three_steps_have_one_hidden_unit(tiny_config):
    model = fresh_model(replace(tiny_config, steps=3), seed=0)
    assert model.encoder.gate.temporal.squeeze.weight.shape == (1, 3)
    assert model(torch.zeros(1, 3, 8, 8)).shape == (1, 3, 10)


def test_temporal_attention_by_hand():
    attention = TemporalAttention(steps=2, reduction=2)
    attention.squeeze.weight.data = torch.tensor([[1.0, 2.0]])
    attention.excite.weight.data = torch.tensor([[1.0], [-3.0]])
    current = torch.tensor([[[0.0, 2.0], [1.0, 3.0]]])[..., None, None]  # (1, T=2, C=2, 1, 1)
    # averages (1, 2) -> hidden 5; maxima (2, 3) -> hidden 8; both times (1, -3), added
    assert attention(current).tolist() == [[13, -39]]


def test_an_even_kernel_pads_one_less_before_than_after():
    attention = SpatialChannelAttention(channels=1, kernel=4)
    point = torch.zeros(1, 1, 1, 5, 5)
    point[..., 2, 2] = 1
    for conv in (attention.conv1, attention.conv2):
        conv.weight.data = torch.arange(16.0).reshape(1, 1, 4, 4)
    # One convolution shows the kernel mirrored, 2 before the point and 1 after it.
    once = attention.conv1(attention.pad(point[0]))[0, 0]
    expected = torch.zeros(5, 5)
    expected[0:4, 0:4] = torch.arange(16.0).reshape(4, 4).flip(0, 1)
    assert torch.equal(once, expected)
    assert attention(point).shape == point.shape


def test_the_gate_of_a_still_current_is_that_of_its_repetition():
    gate = Gate(steps=3, channels=2, kernel=4, reduction=2).double()
    current = torch.randn(2, 1, 2, 5, 5, dtype=torch.float64)
    torch.testing.assert_close(gate(current), gate(current.repeat(1, 3, 1, 1, 1)))


def test_initial_gains_of_the_imagenet_family():
    block = gac.build("msresnet18").stages[0][0]
    assert block.norm1.weight.unique().tolist() == [0.5]
    assert block.norm2.weight.unique().tolist() == [0.0]


@pytest.mark.parametrize("name", list(ARCHITECTURES))
def test_a_configuration_survives_its_dictionary(name):
    config = ARCHITECTURES[name]
    assert from_plain(MSResNetConfig, to_plain(config)) == config


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"steps": None}, "steps: Field required"),
        ({"colour": 3}, "colour: Unexpected"),
        ({"widths": [8, 8]}, "one entry per stage"),
        ({"widths": ["8"]}, "widths: 0: Input should be a valid integer"),
        ({"widths": 8}, "widths: Input should be a valid array"),
        ({"neuron": {"bias": 1}}, "neuron: threshold: Field required"),
        ({"encoder": "rate"}, "encoder: Input should be 'gac', 'direct', 'poisson' or 'latency'"),
        ({"norm_gain": "big"}, "norm_gain: Input should be a valid number"),
    ],
)
def test_a_damaged_configuration_is_refused(tiny_config, changes, message):
    values = {**to_plain(tiny_config), **changes}
    with pytest.raises(InputError, match=message):
        from_plain(MSResNetConfig, {name: v for name, v in values.items() if v is not None})


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("resnet50", {}, "unknown model 'resnet50'; known: msresnet18-cifar"),
        ("msresnet8", {"depth": 3}, "unknown model settings: depth; known: steps"),
        ("msresnet8", {"encoder": "rate"}, "unknown encoder 'rate'"),
    ],
)
def test_unknown_names_are_answered_with_the_known_ones(name, changes, message):
    with pytest.raises(InputError, match=message):
        gac.build(name, **changes)
