"""The neuron worked out by hand, step by step, in both released variants."""

import subprocess
import sys

import pytest
import torch

from gac.config import CIFAR_NEURON, IMAGENET_NEURON
from gac.errors import InputError
from gac.neurons import LIF, rectangle, triangle


def _run(config, current):
    current = torch.tensor([current], dtype=torch.float64, requires_grad=True)  # (1, T)
    return LIF(config)(current), current


def test_cifar_neuron_integrates_leaks_fires_and_resets():
    # membranes: 0.8; 0.4 + 0.8 = 1.2 fires; 0 + 0.8; 0.4 + 0.5 = 0.9; 0.45 + 0.6 = 1.05 fires
    spikes, _ = _run(CIFAR_NEURON, [0.8, 0.8, 0.8, 0.5, 0.6])
    assert spikes.tolist() == [[0, 1, 0, 0, 1]]


def test_imagenet_neuron_integrates_leaks_fires_and_resets():
    # membranes: 0.45; 0.1125 + 0.45 = 0.5625 fires; 0.45; 0.1125 + 0.3 = 0.4125; 0.103 + 0.5 fires
    spikes, _ = _run(IMAGENET_NEURON, [0.45, 0.45, 0.45, 0.3, 0.5])
    assert spikes.tolist() == [[0, 1, 0, 0, 1]]


@pytest.mark.parametrize(("config", "threshold"), [(CIFAR_NEURON, 1.0), (IMAGENET_NEURON, 0.5)])
def test_a_membrane_at_the_threshold_does_not_fire(config, threshold):
    spikes, _ = _run(config, [threshold, 0.0])
    assert spikes.tolist() == [[0, 0]]


def test_negative_current_lowers_the_membrane():
    # -1; -0.5 + 1.2 = 0.7; 0.35 + 0.7 = 1.05 fires
    spikes, _ = _run(CIFAR_NEURON, [-1.0, 1.2, 0.7])
    assert spikes.tolist() == [[0, 0, 1]]


def test_cifar_gradient_flows_through_the_reset():
    spikes, current = _run(CIFAR_NEURON, [0.8, 0.8])
    spikes.sum().backward()
    # Surrogate 1 - 0.2 = 0.8 at both steps. dm2/dm1 = 0.5 (1 - S1) - 0.5 m1 0.8 = 0.5 - 0.32,
    # so dx1 collects 0.8 + 0.8 * 0.18.
    assert current.grad.tolist() == [[pytest.approx(0.8 + 0.8 * 0.18), pytest.approx(0.8)]]


def test_imagenet_gradient_stops_at_the_reset():
    spikes, current = _run(IMAGENET_NEURON, [0.45, 0.45])
    spikes.sum().backward()
    # Surrogate 1 at both steps (|u| < 0.5); dm2/dm1 = 0.25 (1 - S1) alone.
    assert current.grad.tolist() == [[pytest.approx(1 + 0.25), pytest.approx(1)]]


def test_surrogates_at_their_corners():
    distance = torch.tensor([-1.5, -1.0, -0.5, -0.25, 0.0, 0.25, 0.5, 1.0])
    assert triangle(distance).tolist() == [0, 0, 0.5, 0.75, 1, 0.75, 0.5, 0]
    assert rectangle(distance).tolist() == [0, 0, 0, 1, 1, 1, 0, 0]


def test_no_state_survives_a_call():
    neuron = LIF(CIFAR_NEURON)
    current = torch.full((2, 3, 4), 0.8)
    assert torch.equal(neuron(current), neuron(current))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_spikes_have_the_dtype_of_the_current(dtype):
    spikes = LIF(CIFAR_NEURON)(torch.full((1, 2, 3), 1.5, dtype=dtype))
    assert spikes.dtype == dtype
    assert spikes.unique().tolist() == [1]


@pytest.mark.parametrize(
    "change", [{"threshold": 0.0}, {"decay": 0.0}, {"decay": 1.5}, {"surrogate": "square"}]
)
def test_impossible_neurons_are_refused(change):
    values = {"threshold": 1.0, "decay": 0.5, "surrogate": "triangle", "detach_reset": True}
    with pytest.raises(InputError):
        type(CIFAR_NEURON)(**{**values, **change})


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_firing_is_a_proper_operation_of_torch(dtype, order):
    """By torch's own checks: its schema, its shapes without data, traced with any sizes."""
    current = torch.randn(6, 3, 5, 5).to(dtype).to(memory_format=order).reshape(2, 3, 3, 5, 5)
    found = torch.library.opcheck(torch.ops.gac.fire.default, (current, 1.0, 0.5))
    assert set(found.values()) == {"SUCCESS"}


def test_spikes_are_the_same_whether_a_gradient_is_asked_for_or_not():
    current = torch.randn(3, 5, 7, generator=torch.Generator().manual_seed(0))
    for config in (CIFAR_NEURON, IMAGENET_NEURON):
        with_gradient = LIF(config)(current.clone().requires_grad_())
        assert torch.equal(LIF(config)(current), with_gradient)
        assert 0 < with_gradient.mean() < 1


def test_the_module_can_be_loaded_again():
    """As notebooks do that follow changes of the code."""
    script = "import importlib, gac.neurons; importlib.reload(gac.neurons)"
    subprocess.run([sys.executable, "-c", script], check=True)
