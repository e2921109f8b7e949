"""Small networks in the manner of published families, in the layouts their code has.

Written anew, without looks: few channels, one or two blocks. `FAMILIES` says of each what goes in,
where its samples lie, which modules are neurons, and how its steps can be told from outside.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import pad

norse = pytest.importorskip("norse.torch")
sinabs = pytest.importorskip("sinabs.layers")
snntorch = pytest.importorskip("snntorch")
pytest.importorskip("spikingjelly")

from spikingjelly.activation_based import functional, layer, neuron  # noqa: E402

STEPS, SAMPLES, CLASSES = 4, 3, 5
AT_ONCE = {"step_mode": "m"}


def lif(threshold=0.5):
    return neuron.LIFNode(tau=2.0, v_threshold=threshold, **AT_ONCE)


def each(function, x):
    """A function of ``(N, ...)`` on steps and samples ``(T, B, ...)``."""
    return function(x.flatten(0, 1)).unflatten(0, x.shape[:2])


class Product(nn.Module):
    """Two activations that meet, so that hooks can see both."""

    def forward(self, a, b):
        return a @ b


class ConvNorm(nn.Module):
    """A 1x1 convolution of tokens and its norm: ``(T, B, C, N)`` to the same."""

    def __init__(self, channels):
        super().__init__()
        self.conv, self.norm = (
            nn.Conv1d(channels, channels, 1, bias=False),
            nn.BatchNorm1d(channels),
        )

    def forward(self, x):
        return each(lambda rows: self.norm(self.conv(rows)), x)


def heads_of(x, heads=2):
    """``(T, B, C, N)`` to ``(T, B, heads, N, C / heads)``."""
    return x.unflatten(2, (heads, -1)).transpose(-1, -2)


class Spikformer(nn.Module):
    """Spiking self-attention ``q @ k.T @ v``, pictures repeated T times, ``(T, B, C, N)``."""

    def __init__(self, channels=4):
        super().__init__()
        self.patch, self.patch_norm = (
            nn.Conv2d(2, channels, 2, 2, bias=False),
            nn.BatchNorm2d(channels),
        )
        self.patch_lif = lif()
        self.q, self.k, self.v = (ConvNorm(channels) for _ in range(3))
        self.q_lif, self.k_lif, self.v_lif = lif(), lif(), lif()
        self.qk, self.qkv, self.attention_lif = Product(), Product(), lif(0.1)
        self.project, self.project_lif = ConvNorm(channels), lif(0.1)
        self.fc1, self.fc1_lif = nn.Linear(channels, 8), lif(0.2)
        self.fc2, self.fc2_lif = nn.Linear(8, channels), lif(0.2)
        self.head = nn.Linear(channels, CLASSES)

    def forward(self, x):
        x = x.unsqueeze(0).repeat(STEPS, 1, 1, 1, 1)
        x = self.patch_lif(each(lambda rows: self.patch_norm(self.patch(rows)), x)).flatten(3)
        x = x + self.attention(x)
        x = x + self.mlp(x.transpose(-1, -2)).transpose(-1, -2)
        return self.head(x.mean(3).mean(0))

    def attention(self, x):
        q, k, v = (
            heads_of(fire(project(x)))
            for fire, project in (
                (self.q_lif, self.q), (self.k_lif, self.k), (self.v_lif, self.v)
            )
        )  # fmt: skip
        x = self.qkv(self.qk(q, k.transpose(-2, -1)), v)
        x = self.attention_lif(x.transpose(-1, -2).flatten(2, 3))
        return self.project_lif(self.project(x))

    def mlp(self, x):
        return self.fc2_lif(self.fc2(self.fc1_lif(self.fc1(x))))


class SpikeDriven(nn.Module):
    """Spike-driven attention: masks and a sum in place of products; shortcuts of membranes."""

    def __init__(self, channels=4):
        super().__init__()
        self.stem = nn.Conv2d(2, channels, 3, 2, 1, bias=False)
        self.shortcut_lif = lif()
        self.q, self.k, self.v = (ConvNorm(channels) for _ in range(3))
        self.q_lif, self.k_lif, self.v_lif, self.talking_lif = (
            lif(0.3),
            lif(0.3),
            lif(0.3),
            lif(0.1),
        )
        self.project = ConvNorm(channels)
        self.fc_lif, self.fc = lif(), ConvNorm(channels)
        self.head_lif, self.head = lif(0.2), nn.Linear(channels, CLASSES)

    def forward(self, x):
        x = x.unsqueeze(0).expand(STEPS, -1, -1, -1, -1)
        x = each(self.stem, x).flatten(3)
        x = x + self.attention(self.shortcut_lif(x))
        x = x + self.fc(self.fc_lif(x))
        return self.head(self.head_lif(x.mean(3))).mean(0)

    def attention(self, x):
        q = heads_of(self.q_lif(self.q(x)))
        kv = heads_of(self.k_lif(self.k(x))).mul(heads_of(self.v_lif(self.v(x))))
        mask = self.talking_lif(kv.sum(-2, keepdim=True))
        return self.project(q.mul(mask).transpose(-1, -2).flatten(2, 3))


class Integer(nn.Module):
    """Integers from 0 to 4, given out as they are or as quarters: virtual steps, no axis."""

    def __init__(self, scale=1.0):
        super().__init__()
        self.scale = scale

    def forward(self, x):
        return torch.round(torch.clamp(2 * x, 0, 4)) * self.scale


class IntegerTransformer(nn.Module):
    """Integer-valued neurons and linear attention ``q @ (k.T @ v)``, no steps."""

    def __init__(self, scale, channels=4):
        super().__init__()
        self.stem, self.norm = nn.Conv2d(2, channels, 3, 2, 1, bias=False), nn.BatchNorm2d(channels)
        self.first = Integer(scale)
        self.q, self.k, self.v = (nn.Conv2d(channels, channels, 1, bias=False) for _ in range(3))
        self.q_fire, self.k_fire, self.v_fire = (Integer(scale) for _ in range(3))
        self.kv, self.qkv, self.after = Product(), Product(), Integer(scale)
        self.project = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.head_fire, self.head = Integer(scale), nn.Linear(channels, CLASSES)

    def forward(self, x):
        x = self.norm(self.stem(x))
        x = x + self.project(self.attention(self.first(x)).view_as(x))
        return self.head(self.head_fire(x).flatten(2).mean(2))

    def attention(self, x):
        q, k, v = (
            fire(project(x)).flatten(2).mT
            for fire, project in (
                (self.q_fire, self.q), (self.k_fire, self.k), (self.v_fire, self.v)
            )
        )  # fmt: skip
        return self.after(self.qkv(q, self.kv(k.mT, v)) / (48 * self.first.scale**2.5)).mT


class QKFormer(nn.Module):
    """Token attention: the channels of q are summed to a mask of k, ``(T, B, C, N)``."""

    def __init__(self, channels=4):
        super().__init__()
        self.embed, self.embed_lif = layer.Conv2d(2, channels, 3, 2, 1, **AT_ONCE), lif()
        self.q, self.q_lif = ConvNorm(channels), lif()
        self.k, self.k_lif = ConvNorm(channels), lif()
        self.token_lif = lif(0.4)
        self.project, self.project_lif = ConvNorm(channels), lif(0.1)
        self.down = layer.Conv2d(channels, 6, 2, 2, **AT_ONCE)
        self.down_shortcut = layer.Conv2d(channels, 6, 1, 2, **AT_ONCE)
        self.down_lif, self.head = lif(), nn.Linear(6, CLASSES)

    def forward(self, x):
        if x.dim() == 4:
            x = x.unsqueeze(0).repeat(STEPS, 1, 1, 1, 1)
        x = self.embed_lif(self.embed(x))
        tokens = x.flatten(3)
        q = self.q_lif(self.q(tokens)).unflatten(2, (2, -1))
        k = self.k_lif(self.k(tokens)).unflatten(2, (2, -1))
        attended = torch.mul(self.token_lif(q.sum(3, keepdim=True)), k).flatten(2, 3)
        x = x + self.project_lif(self.project(attended)).view_as(x)
        x = self.down_lif(self.down(x) + self.down_shortcut(x))
        return self.head(x.flatten(3).mean(3)).mean(0)


class SEW(nn.Module):
    """Spikes that are joined with spikes: ADD, AND or IAND."""

    JOIN = {  # noqa: RUF012
        "ADD": lambda x, y: x + y,
        "AND": lambda x, y: x * y,
        "IAND": lambda x, y: x * (1.0 - y),
    }

    def __init__(self, join, channels=4):
        super().__init__()
        self.join = join
        self.stem, self.norm = (
            nn.Conv2d(2, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )
        self.stem_fire = neuron.IFNode(v_threshold=0.4, **AT_ONCE)
        self.conv1 = layer.Conv2d(channels, channels, 3, padding=1, **AT_ONCE)
        self.fire1 = neuron.IFNode(v_threshold=0.4, **AT_ONCE)
        self.conv2 = layer.Conv2d(channels, channels, 3, padding=1, **AT_ONCE)
        self.fire2 = neuron.IFNode(v_threshold=0.4, **AT_ONCE)
        self.pool = layer.AdaptiveAvgPool2d(1, **AT_ONCE)
        self.fc = layer.Linear(channels, CLASSES, **AT_ONCE)

    def forward(self, x):
        x = self.norm(self.stem(x))  # once, before it is repeated
        x = self.stem_fire(x.unsqueeze(0).repeat(STEPS, 1, 1, 1, 1))
        y = self.fire2(self.conv2(self.fire1(self.conv1(x))))
        return self.fc(self.pool(self.JOIN[self.join](y, x)).flatten(2)).mean(0)


class SpikingResformer(nn.Module):
    """Dual spike self-attention: products of spikes with membranes, twice."""

    def __init__(self, channels=4):
        super().__init__()
        self.prologue = layer.Conv2d(2, channels, 3, 1, 1, **AT_ONCE)
        self.fire_in, self.w = lif(0.3), layer.Conv2d(channels, 2 * channels, 2, 2, **AT_ONCE)
        self.product1, self.attention_fire = Product(), lif(0.3)
        self.product2, self.out_fire = Product(), lif(0.3)
        self.project = layer.Conv2d(channels, channels, 1, **AT_ONCE)
        self.up_fire, self.up = lif(0.3), layer.Conv2d(channels, 8, 1, **AT_ONCE)
        self.group = layer.Conv2d(8, 8, 3, padding=1, groups=2, **AT_ONCE)
        self.group_fire, self.classifier = lif(0.3), layer.Linear(8, CLASSES, **AT_ONCE)

    def forward(self, x):
        x = self.prologue(x)  # (T, B, C, H, W)
        x = x + self.attention(self.fire_in(x))
        x = self.group_fire(self.group(self.up(self.up_fire(x))))
        return self.classifier(x.flatten(3).mean(3)).mean(0)

    def attention(self, x):
        steps, samples, channels, height, width = x.shape
        y = self.w(x).reshape(steps, samples, 2, channels, -1)
        y1, y2 = y[..., : channels // 2, :], y[..., channels // 2 :, :]
        tokens = x.reshape(steps, samples, 2, channels // 2, -1)
        attention = self.attention_fire(self.product1(y1.transpose(-1, -2), tokens) * 0.5)
        out = self.out_fire(self.product2(y2, attention) * 0.5)
        return self.project(out.reshape(steps, samples, channels, height, width))


class Rectangle(torch.autograd.Function):
    """A step, and a rectangle as its derivative."""

    @staticmethod
    def forward(ctx, membrane):
        ctx.save_for_backward(membrane)
        return membrane.gt(0.3).to(membrane.dtype)

    @staticmethod
    def backward(ctx, gradient):
        (membrane,) = ctx.saved_tensors
        return gradient * (abs(membrane - 0.3) < 0.5)


class MemUpdate(nn.Module):
    """Leaky neurons over all steps; the output is filled step by step."""

    def forward(self, x):
        membrane = spike = torch.zeros_like(x[0])
        output = torch.zeros_like(x)
        for t in range(len(x)):
            membrane = x[t] if t == 0 else membrane * 0.25 * (1 - spike.detach()) + x[t]
            spike = Rectangle.apply(membrane)
            output[t] = spike
        return output


class StepConv(nn.Conv2d):
    """A convolution of ``(T, B, C, H, W)``, one step after another into zeros."""

    def forward(self, x):
        height, width = (-(-size // self.stride[0]) for size in x.shape[-2:])
        out = torch.zeros(*x.shape[:2], self.out_channels, height, width, dtype=x.dtype)
        for t in range(len(x)):
            out[t] = super().forward(x[t])
        return out


class MSResNet(nn.Module):
    """Neurons before convolutions, shortcuts of membranes, one picture at all steps."""

    def __init__(self):
        super().__init__()
        self.stem = StepConv(2, 4, 3, padding=1, bias=False)
        self.update1, self.conv1 = MemUpdate(), StepConv(4, 6, 3, 2, 1, bias=False)
        self.update2, self.conv2 = MemUpdate(), StepConv(6, 6, 3, 1, 1, bias=False)
        self.shortcut = StepConv(4, 6, 1, 2, bias=False)
        self.last, self.fc = MemUpdate(), nn.Linear(6, CLASSES)

    def forward(self, picture):
        x = torch.zeros(STEPS, *picture.shape, dtype=picture.dtype)
        for t in range(STEPS):
            x[t] = picture
        x = self.stem(x)
        x = self.conv2(self.update2(self.conv1(self.update1(x)))) + self.shortcut(x)
        x = nn.functional.adaptive_avg_pool2d(self.last(x).flatten(0, 1), 1)
        return self.fc(x.flatten(1).unflatten(0, (STEPS, -1)).mean(0))


class LearnableDecay(nn.Module):
    """Parametric neurons, once per step; a static encoder before the loop; voting."""

    def __init__(self):
        super().__init__()
        self.static, self.static_norm = nn.Conv2d(2, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
        self.fire = neuron.ParametricLIFNode(v_threshold=0.3)
        self.conv, self.pool = nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.MaxPool2d(2)
        self.conv_fire = neuron.ParametricLIFNode(v_threshold=0.3)
        self.fc, self.fc_fire = (
            nn.Linear(4 * 4, 3 * CLASSES, bias=False),
            neuron.ParametricLIFNode(),
        )
        self.vote = nn.AvgPool1d(3, 3)

    def forward(self, x):
        x = self.static_norm(self.static(x))
        votes = self.step(x)
        for _ in range(1, STEPS):
            votes += self.step(x)
        return votes / STEPS

    def step(self, x):
        x = self.pool(self.conv_fire(self.conv(self.pool(self.fire(x)))))
        spikes = self.fc_fire(3 * self.fc(x.repeat(1, 1, 2, 2).flatten(1)))
        return self.vote(spikes.unsqueeze(1)).squeeze(1)


class ParallelNeurons(nn.Module):
    """Neurons without reset: all steps at once by a matrix of steps."""

    def __init__(self):
        super().__init__()
        self.conv1, self.psn1 = layer.Conv2d(2, 4, 3, padding=1, **AT_ONCE), neuron.PSN(STEPS)
        self.conv2, self.psn2 = layer.Conv2d(4, 4, 3, 2, 1, **AT_ONCE), neuron.PSN(STEPS)
        self.fc = layer.Linear(4 * 9, CLASSES, **AT_ONCE)
        for psn in (self.psn1, self.psn2):
            psn.bias.data.zero_()

    def forward(self, clip):  # (B, T, C, H, W)
        x = self.psn1(self.conv1(clip.transpose(0, 1)))
        return self.fc(self.psn2(self.conv2(x)).flatten(2)).mean(0)


class ConvertedNeurons(nn.Module):
    """Integrate and fire from half a threshold; a spike is as large as the threshold."""

    def __init__(self, threshold):
        super().__init__()
        self.threshold = nn.Parameter(torch.tensor([threshold]), requires_grad=False)

    def forward(self, x):  # (T * B, ...)
        x = x.view(STEPS, -1, *x.shape[1:])
        threshold = self.threshold.data
        membrane, spikes = 0.5 * threshold, []
        for t in range(STEPS):
            membrane = membrane + x[t, ...]
            spike = (membrane - threshold >= 0).to(x.dtype) * threshold
            membrane = membrane - spike
            spikes.append(spike)
        return torch.stack(spikes, 0).flatten(0, 1)


class Converted(nn.Module):
    """A converted VGG: steps merged into samples, thresholds above 1, pooled spikes."""

    def __init__(self):
        super().__init__()
        self.conv1, self.if1 = nn.Conv2d(2, 4, 3, padding=1), ConvertedNeurons(1.5)
        self.pool = nn.AvgPool2d(2)
        self.conv2, self.if2 = nn.Conv2d(4, 4, 3, padding=1), ConvertedNeurons(2.25)
        self.fc1, self.if3 = nn.Linear(4 * 9, 8), ConvertedNeurons(1.25)
        self.fc2 = nn.Linear(8, CLASSES)

    def forward(self, x):
        x = x.unsqueeze(0).repeat(STEPS, 1, 1, 1, 1).flatten(0, 1)
        x = self.if2(self.conv2(self.pool(self.if1(self.conv1(4 * x)))))
        x = self.fc2(self.if3(self.fc1(x.flatten(1))))
        return x.view(STEPS, -1, CLASSES).mean(0)


class Functional(nn.Module):
    """Neurons without a module: states in a dictionary, masks in another, spikes by a function."""

    def __init__(self):
        super().__init__()
        self.features = nn.ModuleList([
            nn.Conv2d(2, 4, 3, padding=1, bias=False), nn.AvgPool2d(2),
            nn.Conv2d(4, 4, 3, padding=1, bias=False),
        ])  # fmt: skip
        self.classifier = nn.ModuleList(
            [nn.Linear(36, 8, bias=False), nn.Linear(8, CLASSES, bias=False)]
        )
        self.leak = nn.Parameter(torch.full((3,), 0.9))

    def states(self, x):
        self.membrane = {
            0: torch.zeros(len(x), 4, 6, 6, dtype=x.dtype),
            2: torch.zeros(len(x), 4, 3, 3, dtype=x.dtype),
            3: torch.zeros(len(x), 8, dtype=x.dtype),
            4: torch.zeros(len(x), CLASSES, dtype=x.dtype),
        }
        self.spike = {place: torch.zeros_like(m) for place, m in self.membrane.items()}

    def forward(self, x):
        self.states(x)
        for _ in range(STEPS):
            out = x
            for place, module in enumerate(self.features):
                out = module(out) if place == 1 else self.neurons(place, module(out), place // 2)
            out = self.neurons(3, self.classifier[0](out.reshape(len(x), -1)), 2)
            self.membrane[4] = self.membrane[4] + self.classifier[1](out)
        return self.membrane[4]

    def neurons(self, place, current, leak):
        membrane = self.leak[leak] * self.membrane[place] + current - 0.3 * self.spike[place]
        self.membrane[place], self.spike[place] = membrane, Rectangle.apply(membrane)
        return self.spike[place]


class SHD(nn.Module):
    """A recurrent network on binned spike trains ``(B, T, units)``, states of zeros."""

    def __init__(self, units=10, hidden=6):
        super().__init__()
        self.hidden = hidden
        self.i2h, self.h2h = nn.Linear(units, hidden), nn.Linear(hidden, hidden, bias=False)
        self.h2o = nn.Linear(hidden, CLASSES)
        self.tau = nn.Parameter(torch.full((hidden,), 0.7))

    def forward(self, x):
        membrane = spikes = torch.zeros(len(x), self.hidden, dtype=x.dtype)
        readout = total = torch.zeros(len(x), CLASSES, dtype=x.dtype)
        for t in range(x.shape[1]):
            current = self.i2h(x[:, t, :].reshape(len(x), -1)) + self.h2h(spikes)
            membrane = membrane * self.tau * (1 - spikes) + (1 - self.tau) * 2 * current
            spikes = Rectangle.apply(membrane)
            readout = 0.9 * readout + self.h2o(spikes)
            total = total + torch.softmax(readout, 1)
        return total


class Delays(nn.Conv1d):
    """A synapse with a delay each: a kernel over time, made from weights and positions."""

    def __init__(self, inputs, outputs, delays=3):
        super().__init__(inputs, outputs, delays, bias=False)
        self.position = nn.Parameter(torch.rand(outputs, inputs) * (delays - 1))

    def forward(self, x):  # (T, B, N)
        taps = torch.arange(self.kernel_size[0], dtype=x.dtype)
        bumps = torch.exp(-((taps - self.position[..., None]) ** 2))
        kernel = self.weight[..., :1] * bumps / (bumps.sum(-1, keepdim=True) + 1e-7)
        x = pad(x.permute(1, 2, 0), (self.kernel_size[0] - 1, 0))
        return nn.functional.conv1d(x, kernel).permute(2, 0, 1)


class Delayed(nn.Module):
    """Feed-forward layers of synapses with delays, as for spoken digits, ``(B, T, units)``."""

    def __init__(self):
        super().__init__()
        self.delays1, self.lif1 = Delays(8, 6), lif(0.2)
        self.delays2, self.lif2 = Delays(6, 6), lif(0.1)
        self.readout = Delays(6, CLASSES)

    def forward(self, x):
        x = x.permute(1, 0, 2)
        x = self.lif2(4 * self.delays2(self.lif1(4 * self.delays1(x))))
        return torch.softmax(self.readout(x), 2).sum(0)


class SpikeGPT(nn.Module):
    """A language model on token ids ``(B, T)``: one token, one step."""

    def __init__(self, words=11, width=4):
        super().__init__()
        self.embedding = nn.Embedding(words, width)
        self.norm, self.mixing = nn.LayerNorm(width), nn.Parameter(torch.rand(width))
        self.decay, self.shift = nn.Parameter(-torch.rand(width)), nn.ZeroPad2d((0, 0, 1, -1))
        self.key, self.value, self.receptance, self.output = (
            nn.Linear(width, width, bias=False) for _ in range(4)
        )
        self.lif1 = lif(0.1)
        self.up, self.down = nn.Linear(width, 8, bias=False), nn.Linear(8, width, bias=False)
        self.lif2, self.head = lif(0.1), nn.Linear(width, words, bias=False)

    def forward(self, ids):
        x = self.embedding(ids)  # (B, T, C)
        x = x + self.fire(self.lif1, self.mix(self.norm(x)))
        x = x + self.fire(self.lif2, self.down(torch.square(torch.relu(self.up(x)))))
        return self.head(x)

    def fire(self, neurons, x):
        return neurons(x.permute(1, 0, 2)).permute(1, 0, 2)

    def mix(self, x):
        x = x * self.mixing + self.shift(x) * (1 - self.mixing)
        k, v, r = self.key(x), self.value(x), torch.sigmoid(self.receptance(x))
        a = b = torch.zeros_like(k[:, 0])
        outputs = []
        for t in range(x.shape[1]):
            weight = torch.exp(k[:, t])
            outputs.append((a + weight * v[:, t]) / (b + weight))
            a = torch.exp(self.decay) * a + weight * v[:, t]
            b = torch.exp(self.decay) * b + weight
        return self.output(r * torch.stack(outputs, 1))


class Backward(nn.Module):
    """A cell whose last node gives its spikes back to an earlier one, one step later."""

    def __init__(self):
        super().__init__()
        self.stem, self.stem_fire = (
            nn.Conv2d(2, 4, 3, padding=1, bias=False),
            neuron.LIFNode(v_threshold=0.3),
        )
        self.node1 = nn.Conv2d(4, 4, 3, padding=1, bias=False)
        self.fire1 = neuron.LIFNode(v_threshold=0.3)
        self.node2, self.fire2 = nn.Conv2d(4, 4, 1, bias=False), neuron.LIFNode(v_threshold=0.3)
        self.back, self.pool = nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.AvgPool2d(6)
        self.classifier = nn.Linear(4, CLASSES)

    def forward(self, x):
        static, last, total = self.stem(x), None, 0
        for _ in range(STEPS):
            spikes = self.stem_fire(static)
            current = self.node1(spikes)
            if last is not None:  # nothing yet at the first step
                current = current + self.back(last)
            middle = self.fire1(current)
            last = self.fire2(self.node2(middle) + spikes)
            total = total + self.classifier(self.pool(last).flatten(1))
        return total / STEPS


class SnnTorch(nn.Module):
    """The loop of the tutorials: states from the neurons, what was recorded is stacked."""

    def __init__(self):
        super().__init__()
        self.conv1, self.lif1 = nn.Conv2d(2, 4, 3), snntorch.Leaky(beta=0.5, threshold=2.0)
        self.conv2 = nn.Conv2d(4, 4, 3)
        self.lif2 = snntorch.Leaky(beta=0.5, learn_beta=True, threshold=5.0)
        self.fc = nn.Linear(16, CLASSES)
        self.lif3 = snntorch.Synaptic(alpha=0.5, beta=0.5, threshold=2.0)

    def forward(self, x):
        mem1, mem2 = self.lif1.init_leaky(), self.lif2.init_leaky()
        syn3, mem3 = self.lif3.init_synaptic()
        recorded = []
        for _ in range(STEPS):
            spk1, mem1 = self.lif1(self.conv1(3 * x), mem1)
            spk2, mem2 = self.lif2(3 * self.conv2(spk1.to(x.dtype)), mem2)
            spk3, syn3, mem3 = self.lif3(self.fc(spk2.to(x.dtype).flatten(1)), syn3, mem3)
            recorded.append(spk3)
        return torch.stack(recorded, 0)


class Norse(nn.Module):
    """Layers and cells in a row that hands on its states, once per step."""

    def __init__(self):
        super().__init__()
        fast = norse.LIFParameters(tau_mem_inv=torch.tensor(900.0), v_th=torch.tensor(0.3))
        self.row = norse.SequentialState(
            nn.Conv2d(2, 4, 3), norse.LIFCell(fast), nn.AvgPool2d(2),
            nn.Conv2d(4, 4, 2), norse.LIFCell(fast), nn.Flatten(), nn.Linear(4, CLASSES),
        )  # fmt: skip

    def forward(self, clip):  # (T, B, C, H, W)
        state, outputs = None, []
        for frame in clip:
            out, state = self.row(6 * frame, state)
            outputs.append(out)
        return torch.stack(outputs).amax(0)


def sinabs_row(**size):
    """Samples and steps in one axis, and several spikes in a step."""
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, bias=False), sinabs.IAFSqueeze(**size),
        sinabs.SumPool2d(2), nn.Conv2d(4, 4, 2, bias=False),
        sinabs.LIFSqueeze(tau_mem=10.0, **size), nn.Flatten(), nn.Linear(16, CLASSES, bias=False),
    )  # fmt: skip


class Sinabs(nn.Module):
    """Event clips ``(B, T, C, H, W)``, flattened before the first layer."""

    def __init__(self, **size):
        super().__init__()
        self.row = sinabs_row(**size)

    def forward(self, clip):
        return self.row(clip.flatten(0, 1)).unflatten(0, (-1, STEPS)).sum(1)


class SequentialCifar(nn.Module):
    """A picture read column by column: each is a step, ``(W, B, C, H)``."""

    def __init__(self):
        super().__init__()
        self.conv1, self.norm1 = layer.Conv1d(2, 4, 3, padding=1, bias=False), nn.BatchNorm1d(4)
        self.lif1 = lif(0.3)
        self.conv2, self.lif2 = layer.Conv1d(4, 4, 3, padding=1, bias=False), lif(0.3)
        self.pool = layer.AvgPool1d(2)
        self.fc1, self.lif3 = layer.Linear(4 * 3, 8), lif(0.3)
        self.fc2 = layer.Linear(8, CLASSES)
        functional.set_step_mode(self, "m")

    def forward(self, x):
        x = x.permute(3, 0, 1, 2)
        x = self.lif1(each(self.norm1, self.conv1(x)))
        x = self.pool(self.lif2(self.conv2(x)))
        return self.fc2(self.lif3(self.fc1(x.flatten(2)))).mean(0)


def pictures(generator):
    return torch.rand(SAMPLES, 2, 6, 6, generator=generator).double() * 2 - 0.5


def clips(generator):
    return torch.rand(STEPS, SAMPLES, 2, 6, 6, generator=generator).double() * 2 - 0.5


def clips_of_samples(generator):
    return clips(generator).transpose(0, 1).contiguous()


def events(*shape):
    return lambda generator: (torch.rand(*shape, generator=generator) < 0.4).double()


def token_ids(generator):
    return torch.randint(0, 11, (SAMPLES, STEPS), generator=generator)


JELLY = (neuron.BaseNode, neuron.PSN)


@dataclass(frozen=True)
class Family:
    """A network and what is known of it from outside.

    Attributes:
        make: Makes it.
        inputs: Makes a batch.
        axis: Where its samples lie.
        steps: T.
        neurons: Classes of its neuron layers.
        own: Those of them that no framework has: the counter is told of them.
        unit: What one spike is worth, by the name of the layer; 1 where it isn't there.
        time: ``rows`` if T is the outermost axis of a sample alone, wherever a layer sees steps;
            else the layer that runs once per step, at its beginning.
        told: Whether a framework or a loop tells the steps, so that they must be known.
        untold: Layers whose steps may be unknown all the same: what comes before the first
            neurons, and what runs less often than the loop.
        once: Layers that run once and stand for all steps.
        precision: Of sinabs' spikes, float32 whatever goes in.
    """

    make: Callable[[], nn.Module]
    inputs: Callable[[torch.Generator], Any]
    axis: int = 0
    steps: int = STEPS
    neurons: tuple[type[nn.Module], ...] = JELLY
    own: tuple[type[nn.Module], ...] = ()
    unit: tuple[tuple[str, float], ...] = ()
    time: str | None = "rows"
    told: bool = True
    untold: tuple[str, ...] = ()
    once: tuple[str, ...] = ()
    precision: torch.dtype = torch.float64


FAMILIES = {
    "Spikformer": Family(Spikformer, pictures),
    "spike-driven transformer": Family(SpikeDriven, pictures),
    "integer neurons, 0 to 4": Family(
        lambda: IntegerTransformer(1.0), pictures, steps=1, neurons=(Integer,), own=(Integer,),
    ),
    "integer neurons, quarters": Family(
        lambda: IntegerTransformer(0.25), pictures, steps=1, neurons=(Integer,), own=(Integer,),
        unit=tuple((name, 0.25) for name in
                   ("first", "q_fire", "k_fire", "v_fire", "after", "head_fire")),
    ),
    "QKFormer": Family(QKFormer, pictures),
    "QKFormer on clips": Family(QKFormer, clips, axis=1),
    **{
        f"SEW {join}": Family(lambda join=join: SEW(join), pictures, once=("stem",))
        for join in SEW.JOIN
    },
    "SpikingResformer": Family(SpikingResformer, clips, axis=1),
    "MS-ResNet": Family(MSResNet, pictures, neurons=(MemUpdate,), own=(MemUpdate,)),
    "learnable decay": Family(LearnableDecay, pictures, time="fire", once=("static",)),
    "parallel neurons": Family(ParallelNeurons, clips_of_samples),
    "converted": Family(
        Converted, pictures, neurons=(ConvertedNeurons,), own=(ConvertedNeurons,),
        unit=(("if1", 1.5), ("if2", 2.25), ("if3", 1.25)), told=False,
    ),
    "functional neurons": Family(Functional, pictures, neurons=(), time="features.0", told=False),
    "recurrent, spoken digits": Family(
        SHD, events(SAMPLES, STEPS, 10), neurons=(), time="i2h", untold=("h2h",)
    ),
    "delays": Family(Delayed, events(SAMPLES, 7, 8), steps=7),
    "language model": Family(SpikeGPT, token_ids, untold=("key", "value", "receptance")),
    "backward connections": Family(
        Backward, pictures, time="stem_fire", untold=("back",), once=("stem",),
    ),
    "snnTorch": Family(
        SnnTorch, pictures, neurons=(snntorch.SpikingNeuron,), time="conv1",
    ),
    "norse": Family(Norse, clips, axis=1, neurons=(norse.LIFCell,), time="row.0"),
    "sinabs": Family(
        lambda: Sinabs(num_timesteps=STEPS), events(SAMPLES, STEPS, 2, 6, 6),
        neurons=(sinabs.IAF, sinabs.LIF), precision=torch.float32,
    ),
    "sequential pictures": Family(SequentialCifar, pictures, steps=6, untold=("conv1",)),
}  # fmt: skip


def made(name: str) -> tuple[nn.Module, Any, Family]:
    """The network, in double precision and lively, a batch, and what is known of it."""
    family = FAMILIES[name]
    torch.manual_seed(0)
    model = family.make().to(family.precision).eval()
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.modules.conv._ConvNd):
            module.weight.data.mul_(2).add_(module.weight.data.abs() * 0.4)
    batch = family.inputs(torch.Generator().manual_seed(1))
    return model, batch.to(family.precision) if batch.is_floating_point() else batch, family


def alone(batch: Any, sample: int, family: Family) -> Any:
    """One sample of it, still with an axis of samples."""
    return batch.narrow(family.axis, sample, 1)
