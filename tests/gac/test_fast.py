"""The quick ways give the same numbers as the plain ones."""

import importlib.util
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from torch import nn

import gac
from gac.config import CIFAR_NEURON, IMAGENET_NEURON
from gac.fast import fast
from gac.memory import saved_bytes, training_memory
from gac.neurons import LIF, kept_as_bytes
from gac.official import find_layout
from gac.registry import architecture
from gac.training import fresh_model

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def _straightforward():
    spec = importlib.util.spec_from_file_location("plain", BENCHMARKS / "straightforward.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PLAIN = _straightforward()


@pytest.mark.parametrize("neuron", [CIFAR_NEURON, IMAGENET_NEURON])
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_the_fused_neuron_is_the_loop_over_steps_to_the_last_bit_of_a_spike(neuron, steps):
    generator = torch.Generator().manual_seed(steps)
    current = torch.randn(3, steps, 4, 5, 5, dtype=torch.float64, generator=generator) + 0.4
    current[0, :, 0] = neuron.threshold  # exactly at the threshold: no spike at the first step
    weight = torch.randn(current.shape, dtype=torch.float64, generator=generator)
    results = []
    for layer in (LIF(neuron), PLAIN.Neuron(neuron)):
        x = current.clone().requires_grad_()
        spikes = layer(x)
        (spikes * weight).sum().backward()
        results.append((spikes.detach(), x.grad))
    (ours, our_gradient), (plain, gradient) = results
    assert torch.equal(ours, plain)
    assert 0 < float(ours.mean()) < 1
    torch.testing.assert_close(our_gradient, gradient, rtol=1e-12, atol=1e-12)
    with torch.no_grad():
        assert torch.equal(LIF(neuron)(current), plain)


def test_the_gradient_of_the_membrane_chain_by_hand():
    # Decay 1/2, threshold 1, triangle. x = 0.8, 0.8: m = 0.8, then 0.4 + 0.8 = 1.2, a spike.
    x = torch.tensor([[[0.8], [0.8]]], requires_grad=True)
    spikes = LIF(CIFAR_NEURON)(x)
    assert spikes.flatten().tolist() == [0, 1]
    spikes[0, 1].backward()
    # slope at 1.2 is 0.8; at 0.8 it is 0.8. d m2 / d m1 = 1/2 * (1 - 0) - 1/2 * 0.8 * 0.8 = 0.18
    assert x.grad.flatten().tolist() == pytest.approx([0.8 * 0.18, 0.8])


@pytest.mark.parametrize(
    ("kind", "case"),
    [
        ("eval", "cifar_gac_c10_t6_32x32_s1"),
        ("eval", "imagenet_resnet18_t4_64x64_s1"),
        ("train", "cifar_gac_c10_t2_32x32_s1"),
        ("train", "imagenet_resnet18_t4_64x64_s1"),
    ],
)
def test_what_benchmarks_measure_against_is_the_released_scheme(golden_case, kind, case):
    golden = golden_case(kind, case)
    model = gac.load_state(golden.state)
    plain = PLAIN.Straightforward(model.config)
    plain.load_state_dict(model.state_dict())
    logits = plain.double().train(kind == "train")(golden.images)
    close = {"rtol": 0, "atol": 1e-8 * abs(golden.logits).max()}
    torch.testing.assert_close(logits.detach(), torch.from_numpy(golden.logits), **close)
    if kind == "train":
        loss = nn.functional.cross_entropy(logits.mean(1), torch.tensor(golden.document["labels"]))
        loss.backward()
        names = dict(find_layout(golden.state).pairs(model.config.blocks, model.state_dict()))
        for key, values in golden.document["grads_float64"].items():
            gradient = plain.get_parameter(names[key]).grad
            assert float(gradient.norm()) == pytest.approx(values["l2"], rel=1e-9), key


@pytest.mark.parametrize("case", ["cifar_gac_c10_t6_32x32_s1", "imagenet_resnet18_t4_64x64_s1"])
def test_folding_the_norms_changes_no_spike_of_the_golden_networks(golden_case, case):
    golden = golden_case("eval", case)
    model = gac.load_state(golden.state).double()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    quick = fast(model)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in quick.modules())
    with torch.no_grad():
        logits = quick(golden.images)
    largest = abs(golden.logits).max()
    torch.testing.assert_close(logits, torch.from_numpy(golden.logits), rtol=0, atol=1e-8 * largest)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_channels_last_gives_the_same_answers(tiny_config):
    model = fresh_model(tiny_config, seed=0).double().eval()
    images = torch.randn(5, 3, 8, 8, dtype=torch.float64)
    with torch.no_grad():
        expected = model(images)
        found = fast(model, channels_last=True)(images.to(memory_format=torch.channels_last))
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


def test_all_steps_may_be_one_tensor_in_either_memory_order():
    neuron = LIF(CIFAR_NEURON)
    image = torch.rand(2, 3, 4, 4) + 0.5
    expected = neuron(image.unsqueeze(1).repeat(1, 3, 1, 1, 1))
    for order in (torch.contiguous_format, torch.channels_last):
        current = image.to(memory_format=order).unsqueeze(1).expand(-1, 3, -1, -1, -1)
        spikes = neuron(current)
        assert torch.equal(spikes, expected)
        assert spikes.flatten(0, 1).is_contiguous(memory_format=order)


def test_membranes_stay_float32_in_mixed_precision(tiny_config):
    seen = []
    model = fresh_model(tiny_config, seed=0)
    model.neuron.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    with torch.autocast("cpu", torch.bfloat16):
        model(torch.randn(2, 3, 8, 8)).sum().backward()
    assert seen == [torch.float32]


@pytest.mark.parametrize("mixed", [False, True])
def test_spikes_kept_as_bytes_change_no_gradient(mixed):
    generator = torch.Generator().manual_seed(0)
    # Spikes and weight of one shape: only the spikes may be packed.
    x = torch.randn(4, 4, 3, 3, generator=generator)
    weight = torch.randn(4, 4, 3, 3, generator=generator)
    gradients = []
    for packed in (False, True):
        current, kernel = x.clone().requires_grad_(), weight.clone().requires_grad_()
        spikes = LIF(CIFAR_NEURON)(current.unsqueeze(1)).squeeze(1)
        packing = kept_as_bytes(spikes) if packed else nullcontext()
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed), packing:
            y = nn.functional.conv2d(spikes, kernel, padding=1)
        (y.float() ** 2).sum().backward()
        gradients.append((current.grad, kernel.grad))
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))


def test_training_keeps_less_than_half_of_what_the_straightforward_way_keeps():
    config = architecture("msresnet18-cifar")
    with torch.device("meta"):
        images, plain = torch.empty(8, 3, 32, 32), PLAIN.Straightforward(config)
    ours = training_memory(config, len(images)).saved
    assert ours < 0.5 * saved_bytes(plain, images)
    assert training_memory(config, 2 * len(images)).saved == pytest.approx(2 * ours, rel=0.01)


def test_saved_bytes_by_hand():
    layer = nn.Sequential(nn.Linear(3, 5), nn.Sigmoid(), nn.Linear(5, 2))
    # The input (4 x 3) and the sigmoid's output (4 x 5), which two layers keep and counts once.
    assert saved_bytes(layer, torch.ones(4, 3)) == 4 * (4 * 3 + 4 * 5)
