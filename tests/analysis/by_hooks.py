"""What a network should count, by hooks on its layers: an independent way, slow and simple."""

from __future__ import annotations

from contextlib import contextmanager

import torch
from torch import nn
from torch.nn import functional


def synops(layer, x):
    """Of a convolution or linear layer, by its input."""
    met = (x != 0).double()
    if isinstance(layer, nn.Linear):
        return int(met.sum()) * layer.out_features
    ones = torch.ones_like(layer.weight, dtype=torch.float64)
    if isinstance(layer, nn.ConvTranspose2d):
        return int(functional.conv_transpose2d(met, ones, None, layer.stride).sum())
    axes = layer.weight.dim() - 2
    function = getattr(functional, f"conv{axes}d")
    met = met.flatten(0, -axes - 2)  # samples and steps
    options = (None, layer.stride, layer.padding, layer.dilation, layer.groups)
    return int(function(met, ones, *options).sum())


@contextmanager
def counts(network, neurons):
    """Name of the layer -> its synops, or its spikes if it is a neuron layer, in all calls.

    Args:
        network: What runs inside the context.
        neurons: Classes of neuron layers, whose spikes are their first output.
    """
    found, handles = {}, []

    def hook(name):
        def count(layer, inputs, output):
            if isinstance(layer, neurons):
                one = int((output[0] if isinstance(output, tuple) else output).abs().sum())
            else:
                one = synops(layer, inputs[0])
            found[name] = found.get(name, 0) + one

        return count

    for name, layer in network.named_modules():
        if isinstance(layer, (nn.Linear, nn.modules.conv._ConvNd, *neurons)):
            handles.append(layer.register_forward_hook(hook(name)))
    try:
        with torch.no_grad():
            yield found
    finally:
        for handle in handles:
            handle.remove()


def counts_of(run, sample):
    """The same of one sample of a run; of a neuron layer without the products inside it."""
    neurons = {neuron.site for neuron in run.neurons}
    found = {}
    for one in run.per_sample:
        name = one.key.name
        if one.kind == ("neuron" if name in neurons else "site"):
            found[name] = found.get(name, 0) + sum(one.counts[sample])
    return found
