"""The released networks once more, as plainly as they can be said: slow, one step after another.

Written from a description of the released scheme, under its own key names, and sharing nothing
with the package: steps are a Python loop, stem and gate run at every one of them, batch norm is
arithmetic, surrogate gradients are a straight-through sum.
"""

import torch
from torch.nn import functional


class Network:
    """One forward pass of a released state dict.

    Args:
        state: Released keys; leaves of autograd where gradients are wanted.
        imagenet: Which of the two families.
        training: Whether batch norm reads the batch; `buffers` then has the new statistics.
    """

    def __init__(self, state, *, imagenet, training):
        self.state, self.imagenet, self.training = state, imagenet, training
        self.buffers = {}

    def __call__(self, clips):
        """``(B, T, C, H, W)`` -> logits ``(B, T, classes)``."""
        steps = list(clips.unbind(1))
        x = self.encode(self.stem(steps))
        stage = 0
        while f"{self.stage(stage)}.0.conv1.weight" in self.state:
            block = 0
            while f"{self.stage(stage)}.{block}.conv1.weight" in self.state:
                first_stride = 1 if stage == 0 and not self.imagenet else 2
                x = self.block(f"{self.stage(stage)}.{block}", x, 1 if block else first_stride)
                block += 1
            stage += 1
        weight, bias = self.state["fc1.weight"], self.state["fc1.bias"]
        logits = [spikes.mean((2, 3)) @ weight.T + bias for spikes in self.fire(x)]
        return torch.stack(logits, 1)

    def stage(self, number):
        return f"conv{number + 2}_x" if self.imagenet else f"layer{number + 1}"

    def stem(self, steps):
        if self.imagenet:
            return self.norm("conv1.1.bn", self.conv("conv1.0.weight", steps, 2))
        return self.norm("bn1.bn", self.conv("conv1.weight", steps, 1))

    def encode(self, current):
        if "encoding.TA.sharedMLP.0.weight" not in self.state:
            return current
        gates = self.gates(current)
        return [gate * spikes for gate, spikes in zip(gates, self.fire(current), strict=True)]

    def gates(self, current):
        squeeze, excite = (
            self.state[f"encoding.TA.sharedMLP.{k}.weight"].flatten(1) for k in (0, 2)
        )
        spatial = [self.state[f"encoding.SCA.sharedMLP.{k}.weight"] for k in (0, 2)]
        temporal = 0
        for pool in (torch.Tensor.mean, torch.Tensor.amax):
            pooled = torch.stack([pool(x, (1, 2, 3)) for x in current], 1)  # (B, T)
            temporal = temporal + (pooled @ squeeze.T).clamp(min=0) @ excite.T
        gates = []
        for t, x in enumerate(current):
            before = (spatial[0].shape[-1] - 1) // 2
            pad = (before, spatial[0].shape[-1] - 1 - before) * 2
            hidden = functional.conv2d(functional.pad(x, pad), spatial[0]).clamp(min=0)
            logit = functional.conv2d(functional.pad(hidden, pad), spatial[1])
            gates.append(1 / (1 + torch.exp(-temporal[:, t, None, None, None] * logit)))
        return gates

    def block(self, name, x, stride):
        skip = "shortcut.0.weight" if self.imagenet else "downsample.layer.module.weight"
        skip_norm = "shortcut.1.bn" if self.imagenet else "downsample.bn.bn"
        y = self.norm(f"{name}.bn1.bn", self.conv(f"{name}.conv1.weight", self.fire(x), stride))
        y = self.norm(f"{name}.bn2.bn", self.conv(f"{name}.conv2.weight", self.fire(y), 1))
        if f"{name}.{skip}" in self.state:
            x = self.norm(f"{name}.{skip_norm}", self.conv(f"{name}.{skip}", x, stride))
        return [a + b for a, b in zip(x, y, strict=True)]

    def conv(self, key, steps, stride):
        weight = self.state[key]
        return [functional.conv2d(x, weight, None, stride, weight.shape[-1] // 2) for x in steps]

    def norm(self, name, steps):
        gain, bias, mean, var = (
            self.state[f"{name}.{part}"]
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        if self.training:
            values = torch.stack(steps).transpose(0, 2).flatten(1)  # (C, B*T*H*W)
            count = values.shape[1]
            self.buffers[f"{name}.running_mean"] = 0.9 * mean + 0.1 * values.mean(1).detach()
            mean = values.mean(1)
            var_new = ((values - mean[:, None]) ** 2).mean(1)
            self.buffers[f"{name}.running_var"] = 0.9 * var + 0.1 * var_new.detach() * count / (
                count - 1
            )
            var = var_new
        gain, bias, mean, var = (v[:, None, None] for v in (gain, bias, mean, var))
        return [(x - mean) / (var + 1e-5) ** 0.5 * gain + bias for x in steps]

    def fire(self, current):
        membrane, spikes = torch.zeros_like(current[0]), []
        for x in current:
            if self.imagenet:
                last = spikes[-1].detach() if spikes else torch.zeros_like(x)
                membrane = 0.25 * membrane * (1 - last) + x
                slope = ((membrane - 0.5).abs() < 0.5).to(x.dtype)
                hard = membrane > 0.5
                spikes.append(straight_through(hard, slope, membrane))
            else:
                membrane = 0.5 * membrane + x
                slope = (1 - (membrane - 1).abs()).clamp(min=0)
                spikes.append(straight_through(membrane > 1, slope, membrane))
                membrane = membrane * (1 - spikes[-1])
        return spikes


def straight_through(hard, slope, membrane):
    """The value of ``hard``, the gradient ``slope``."""
    soft = slope.detach() * membrane
    return hard.to(membrane.dtype) + (soft - soft.detach())
