"""Independent references: counts by convolving non-zero masks with ones."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch import nn
from torch.nn import functional

from analysis.cli.analyze import main


def _ones_convolution(layer, x):
    """Events, dense-inside MACs of one call of a convolution, by running it on 0s and 1s."""
    ones = torch.ones_like(layer.weight, dtype=torch.float64)
    name = f"conv{'_transpose' * layer.transposed}{layer.weight.dim() - 2}d"
    settings = {"stride": layer.stride, "dilation": layer.dilation, "groups": layer.groups}
    if layer.transposed:
        settings["output_padding"] = layer.output_padding
    run = getattr(functional, name)
    mask = (x != 0).double()
    return [
        int(run(m, ones, padding=layer.padding, **settings).sum())
        for m in (mask, torch.ones_like(mask))
    ]


@pytest.fixture
def brute_force():
    """Synops of every call of every Conv and Linear of a model, as {(path, call): synops}."""

    def count(model, images):
        found, calls, handles = {}, Counter(), []

        def hook(path):
            def record(layer, inputs, _output):
                (x,) = inputs
                if isinstance(layer, nn.Linear):
                    synops = int((x != 0).sum()) * layer.out_features
                else:
                    synops = _ones_convolution(layer, x)[0]
                found[path, calls[path]] = synops
                calls[path] += 1

            return record

        for path, module in model.named_modules():
            if isinstance(module, nn.modules.conv._ConvNd | nn.Linear):
                handles.append(module.register_forward_hook(hook(path)))
        with torch.no_grad():
            model.eval()(images)
        for handle in handles:
            handle.remove()
        return found

    return count


@pytest.fixture
def ones_convolution():
    """(synops, inside MACs) of one convolution call."""
    return _ones_convolution


@pytest.fixture
def run(entry_point):
    """Runs the entry point with arguments; gives back status, stdout and stderr."""
    return entry_point("gac-analyze", main)
