"""The released scheme written down straightforwardly, to measure against.

Stem and gate run at every step on the repeated image, neurons are a Python loop over the steps
whose graph autograd records, batch norm is a layer of its own. Weights have the names of
`gac.msresnet.MSResNet`, so that either network loads the other's. A test holds it against the
golden values.
"""

import torch
from torch import nn

from gac.config import MSResNetConfig


class Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx, distance, triangle):
        ctx.save_for_backward(distance)
        ctx.triangle = triangle
        return (distance > 0).to(distance.dtype)

    @staticmethod
    def backward(ctx, gradient):
        (distance,) = ctx.saved_tensors
        if ctx.triangle:
            return gradient * (1 - distance.abs()).clamp(min=0), None
        return gradient * (distance.abs() < 0.5).to(gradient.dtype), None


class Neuron(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config

    def forward(self, x):
        config, membrane, spikes = self.config, 0, []
        for t in range(x.shape[1]):
            membrane = config.decay * membrane + x[:, t]
            spike = Spike.apply(membrane - config.threshold, config.surrogate == "triangle")
            spikes.append(spike)
            membrane = membrane * (1 - (spike.detach() if config.detach_reset else spike))
        return torch.stack(spikes, 1)


def merged(layer, x):
    """Applies a layer to (B*T, ...)."""
    y = layer(x.flatten(0, 1))
    return y.reshape(*x.shape[:2], *y.shape[1:])


class ConvNorm(nn.Module):
    def __init__(self, inputs, outputs, kernel, stride):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x):
        return merged(self.norm, merged(self.conv, x))


class Temporal(nn.Module):
    def __init__(self, steps, reduction):
        super().__init__()
        self.squeeze = nn.Linear(steps, steps // reduction, bias=False)
        self.excite = nn.Linear(steps // reduction, steps, bias=False)

    def forward(self, x):
        pooled = (x.mean((2, 3, 4)), x.amax((2, 3, 4)))
        return sum(self.excite(torch.relu(self.squeeze(p))) for p in pooled)


class Spatial(nn.Module):
    def __init__(self, channels, kernel):
        super().__init__()
        before = (kernel - 1) // 2
        self.pad = nn.ZeroPad2d((before, kernel - 1 - before) * 2)
        self.conv1 = nn.Conv2d(channels, channels, kernel, bias=False)
        self.conv2 = nn.Conv2d(channels, channels, kernel, bias=False)

    def forward(self, x):
        return self.conv2(self.pad(torch.relu(self.conv1(self.pad(x)))))


class Gate(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.temporal = Temporal(config.steps, config.gate_reduction)
        self.spatial = Spatial(config.stem_width, config.gate_kernel)

    def forward(self, x):
        return torch.sigmoid(self.temporal(x)[:, :, None, None, None] * merged(self.spatial, x))


class Encoder(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.stem = ConvNorm(
            config.in_channels, config.stem_width, config.stem_kernel, config.stem_stride
        )
        self.neuron, self.gate = Neuron(config.neuron), Gate(config)

    def forward(self, clip):
        current = self.stem(clip)
        return self.gate(current) * self.neuron(current)


class Block(nn.Module):
    def __init__(self, config, inputs, outputs, stride):
        super().__init__()
        self.neuron1, self.neuron2 = Neuron(config.neuron), Neuron(config.neuron)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm1, self.norm2 = nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs)
        changes = stride != 1 or inputs != outputs
        self.shortcut = ConvNorm(inputs, outputs, 1, stride) if changes else None

    def forward(self, x):
        y = merged(self.norm1, merged(self.conv1, self.neuron1(x)))
        y = merged(self.norm2, merged(self.conv2, self.neuron2(y)))
        return y + (x if self.shortcut is None else self.shortcut(x))


class Straightforward(nn.Module):
    """A network with the GAC encoder; reads images ``(B, C, H, W)``."""

    def __init__(self, config: MSResNetConfig):
        super().__init__()
        self.steps = config.steps
        self.encoder = Encoder(config)
        self.stages, inputs = nn.ModuleList(), config.stem_width
        for width, blocks, stride in zip(config.widths, config.blocks, config.strides, strict=True):
            stage = nn.Sequential()
            for k in range(blocks):
                stage.append(Block(config, inputs, width, 1 if k else stride))
                inputs = width
            self.stages.append(stage)
        self.neuron, self.head = Neuron(config.neuron), nn.Linear(inputs, config.classes)

    def forward(self, images):
        x = self.encoder(images.unsqueeze(1).repeat(1, self.steps, 1, 1, 1))
        for stage in self.stages:
            x = stage(x)
        return self.head(self.neuron(x).mean((3, 4)))
