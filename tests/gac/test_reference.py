"""Both families against an independent, step by step implementation: unseen seeds and sizes."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import gac
from gac.official import find_layout
from gac.registry import ARCHITECTURES
from gac.training import fresh_model


def _reference():
    spec = importlib.util.spec_from_file_location(
        "reference", Path(__file__).parent / "reference.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


REFERENCE = _reference()


@pytest.fixture(autouse=True)
def _one_thread():
    """Sums this small are no work to share."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


SMALL = {
    "cifar": replace(
        ARCHITECTURES["msresnet18-cifar"], stem_width=5, widths=(6, 8, 10), blocks=(2, 1, 1)
    ),
    "imagenet": replace(
        ARCHITECTURES["msresnet18"],
        stem_width=6,
        widths=(6, 8),
        blocks=(2, 1),
        strides=(2, 2),
    ),
}


def _state(config, seed):
    """A released state dict in float64 whose every number is drawn, and whose neurons fire."""
    generator = torch.Generator().manual_seed(seed)
    state = gac.export_official(fresh_model(config, seed).double())
    drawn = {}
    for key, tensor in state.items():
        if tensor.data_ptr() in drawn:  # another name of one tensor
            state[key] = drawn[tensor.data_ptr()]
            continue
        if key.endswith("num_batches_tracked"):
            value = torch.tensor(seed)
        elif tensor.dim() == 1:
            value = torch.rand(tensor.shape, generator=generator, dtype=torch.float64)
            value = value - 0.5 if key.endswith(("bias", "running_mean")) else value + 0.5
        else:
            fan_in = tensor[0].numel()
            value = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
            value = value * (2 / fan_in) ** 0.5
        state[key] = drawn[tensor.data_ptr()] = value
    return state


CASES = [
    # family, encoder, steps, classes, height, width, clip
    ("cifar", "gac", 2, 10, 8, 8, False),
    ("cifar", "gac", 3, 2, 9, 14, False),
    ("cifar", "gac", 5, 7, 12, 7, True),
    ("cifar", "gac", 10, 3, 8, 11, False),
    ("cifar", "direct", 1, 10, 8, 8, False),
    ("cifar", "direct", 4, 5, 13, 6, False),
    ("cifar", "direct", 3, 5, 6, 10, True),
    ("imagenet", "gac", 2, 4, 32, 32, False),
    ("imagenet", "gac", 3, 1000, 33, 46, False),
    ("imagenet", "gac", 4, 3, 40, 31, True),
    ("imagenet", "direct", 5, 6, 37, 30, False),
]


def _networks(family, encoder, steps, classes, seed):
    config = replace(SMALL[family], encoder=encoder, steps=steps, classes=classes)
    state = _state(config, seed)
    return state, gac.load_state(state, steps=steps)


def _images(steps, height, width, seed, *, clip):
    """What our network reads, and the same as a clip."""
    shape = (2, steps, 3, height, width) if clip else (2, 3, height, width)
    images = torch.randn(
        shape, generator=torch.Generator().manual_seed(100 + seed), dtype=torch.float64
    )
    return images, images if clip else images[:, None].repeat(1, steps, 1, 1, 1)


@pytest.mark.parametrize("seed", [2, 3])
@pytest.mark.parametrize(
    ("family", "encoder", "steps", "classes", "height", "width", "clip"), CASES
)
def test_logits_equal_the_step_by_step_network(
    family, encoder, steps, classes, height, width, clip, seed
):
    state, model = _networks(family, encoder, steps, classes, seed)
    images, clips = _images(steps, height, width, seed, clip=clip)
    with torch.no_grad():
        expected = REFERENCE.Network(state, imagenet=family == "imagenet", training=False)(clips)
        logits = model(images)
    assert expected.std() > 0.01  # the neurons of the last layer fire
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("seed", [2, 3])
@pytest.mark.parametrize(
    ("family", "encoder", "steps", "classes", "height", "width", "clip"), CASES
)
def test_gradients_and_statistics_equal_the_step_by_step_network(
    family, encoder, steps, classes, height, width, clip, seed
):
    state, model = _networks(family, encoder, steps, classes, seed)
    images, clips = _images(steps, height, width, seed, clip=clip)
    names = dict(find_layout(state).pairs(model.config.blocks, model.state_dict()))
    leaves = {key: value.detach().clone() for key, value in state.items()}
    for key, name in names.items():
        leaves[key].requires_grad_(name in dict(model.named_parameters()))
    reference = REFERENCE.Network(leaves, imagenet=family == "imagenet", training=True)
    labels = torch.tensor([0, 1])
    losses = []
    for network, x in ((reference, clips), (model.train(), images)):
        losses.append(torch.nn.functional.cross_entropy(network(x).mean(1), labels))
        losses[-1].backward()
    torch.testing.assert_close(losses[1], losses[0], rtol=1e-11, atol=0)
    used = [key for key in names if leaves[key].grad is not None]
    assert {names[key] for key in used} == {name for name, _ in model.named_parameters()}
    for key in used:
        expected = leaves[key].grad
        gradient = model.get_parameter(names[key]).grad.reshape(expected.shape)
        size = max(float(expected.abs().max()), 1e-6)
        torch.testing.assert_close(
            gradient,
            expected,
            rtol=0,
            atol=1e-10 * size,
            msg=lambda text, key=key: f"{key}: {text}",
        )
    statistics = {name for name, _ in model.named_buffers() if "running" in name}
    assert {names[key] for key in reference.buffers} == statistics
    for key, expected in reference.buffers.items():
        buffer = model.get_buffer(names[key])
        torch.testing.assert_close(
            buffer, expected, rtol=1e-11, atol=1e-12, msg=lambda text, key=key: f"{key}: {text}"
        )
