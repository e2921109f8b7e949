"""Statistics of batch norm without training."""

from __future__ import annotations

import pytest
import torch

import gac
from gac.norms import take_statistics
from gac.training import fresh_model

SIZES = {"stem_width": 4, "widths": (4,), "blocks": (1,), "strides": (1,), "image_size": 8}


@pytest.fixture
def images():
    return torch.rand(16, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def network():
    return fresh_model(gac.registry.architecture("msresnet8", steps=2, **SIZES), seed=1)


def test_statistics_are_those_of_the_batch(images):
    model = network()
    take_statistics(model, images)
    current = model.encoder.stem.conv(images).detach()
    norm = model.encoder.stem.norm
    assert torch.allclose(norm.running_mean, current.mean((0, 2, 3)), atol=1e-6)
    assert torch.allclose(norm.running_var, current.var((0, 2, 3)), rtol=1e-3)


def test_weights_modes_and_momenta_are_left_as_they_were(images):
    model = network().eval()
    model.stages.train()
    before = {name: value.clone() for name, value in model.named_parameters()}
    modes = [module.training for module in model.modules()]
    take_statistics(model, images)
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(before[name], value) for name, value in model.named_parameters())
    assert model.encoder.stem.norm.momentum == 0.1


def test_modes_and_momenta_are_put_back_where_the_images_do_not_fit():
    model = network().eval()
    with pytest.raises(ValueError, match="expected"):
        take_statistics(model, torch.rand(1, 2, 8, 8))
    assert not any(module.training for module in model.modules())
    assert model.encoder.stem.norm.momentum == 0.1
