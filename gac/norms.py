"""Batch norm that knows of repeated steps and of other processes.

Two things set it apart from torch's. A batch may stand for several equal steps (see
`gac.encoders.Stem`). And its statistics may be those of all processes that train together, on any
device and backend: torch's own `SyncBatchNorm` runs on GPUs only.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed, nn

_AXES = (0, 2, 3)


class BatchNorm2d(nn.BatchNorm2d):
    """``torch.nn.BatchNorm2d`` for batches that are repeated, shared, or both.

    Mean and biased variance of a repeated batch are those of the batch itself. Only the
    unbiased variance that feeds the running variance knows how often a value counts:
    n / (n - 1) with n = B * T * H * W over all processes.

    Attributes:
        shared: Whether, in training, the statistics are those of all processes together.
    """

    # Optional in the base class; always there in this one, which takes no options.
    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor
    momentum: float
    shared: bool = False

    def forward(self, x: Tensor, repeats: int = 1) -> Tensor:
        """``(N, C, H, W)``, each standing for ``repeats`` equal ones -> the same shape."""
        if self.training and self.shared and distributed.is_initialized():
            normalised, mean, variance, count = _Shared.apply(x, self.weight, self.bias, self.eps)
            self._follow(mean, variance, float(count), repeats)
            return normalised
        if repeats == 1 or not self.training:
            return super().forward(x)
        mean, variance = torch.zeros_like(self.running_mean), torch.ones_like(self.running_var)
        normalised = nn.functional.batch_norm(
            x, mean, variance, self.weight, self.bias, training=True, momentum=1.0, eps=self.eps
        )
        count = x.numel() // x.shape[1]
        self._follow(mean, variance * (count - 1) / count, count, repeats)
        return normalised

    @torch.no_grad()
    def _follow(self, mean: Tensor, biased: Tensor, count: float, repeats: int) -> None:
        """Moves the running statistics towards those of a batch of ``repeats * count`` values."""
        values = repeats * count
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
        self.running_var.lerp_(
            (biased * (values / (values - 1))).to(self.running_var.dtype), self.momentum
        )


def share_statistics(model: nn.Module) -> None:
    """Makes every batch norm of a model use the statistics of all processes together."""
    for module in model.modules():
        if isinstance(module, BatchNorm2d):
            module.shared = True


@torch.no_grad()
def take_statistics(model: nn.Module, images: Tensor) -> None:
    """Sets the running statistics of every batch norm to those of a batch, weights untouched.

    A network that was never trained has mean 0 and variance 1 there, which are those of nothing
    it has seen: in eval mode it hardly fires. With this it normalises as training does at its
    first update.

    Args:
        model: Its mode flags are left as they were.
        images: One batch.
    """
    modes = {module: module.training for module in model.modules()}
    norms = [module for module in modes if isinstance(module, BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    try:
        model.train()
        for norm in norms:
            norm.momentum = 1.0
        model(images)
    finally:
        for module, training in modes.items():
            module.training = training
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum


class _Shared(torch.autograd.Function):
    """Normalisation by the mean and variance over all processes.

    Gradient of batch norm: with x' normalised and g = gain * gradient,
    dx = (g - mean(g) - x' * mean(g * x')) / deviation, both means over all processes.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, gain: Tensor, bias: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        wide = x if x.dtype == torch.float64 else x.float()
        count = wide.new_tensor([wide.numel() / wide.shape[1]])
        variance, mean = torch.var_mean(wide, _AXES, correction=0)
        parts = _gathered(torch.cat([mean, variance, count]))
        counts = parts[:, -1:]
        means, variances = parts[:, :-1].chunk(2, dim=1)
        total = counts.sum()
        mean = (counts * means).sum(0) / total
        # Of several groups: what each varies inside plus what their means vary.
        variance = (counts * (variances + (means - mean) ** 2)).sum(0) / total
        deviation = (variance + eps).sqrt()
        normalised = (wide - _spread(mean)) / _spread(deviation)
        ctx.save_for_backward(normalised.to(x.dtype), gain, deviation, total)
        ctx.mark_non_differentiable(mean, variance, total)
        result = normalised * _spread(gain) + _spread(bias)
        return result.to(x.dtype), mean, variance, total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Any) -> tuple[Tensor, Tensor, Tensor, None]:
        normalised, gain, deviation, total = ctx.saved_tensors
        wide = gradient.to(deviation.dtype)
        of_bias, of_gain = wide.sum(_AXES), (wide * normalised).sum(_AXES)
        sums = torch.stack([of_bias, of_gain])
        distributed.all_reduce(sums)
        mean, along = sums / total
        inner = wide - _spread(mean) - normalised * _spread(along)
        # The averaging over processes of a parameter's gradient is not done here.
        of_x = inner * _spread(gain.to(deviation.dtype) / deviation)
        return of_x.to(gradient.dtype), of_gain.to(gain.dtype), of_bias.to(gain.dtype), None


def _spread(values: Tensor) -> Tensor:
    return values[:, None, None]


def _gathered(values: Tensor) -> Tensor:
    """One row per process."""
    rows = [torch.empty_like(values) for _ in range(distributed.get_world_size())]
    distributed.all_gather(rows, values)
    return torch.stack(rows)
