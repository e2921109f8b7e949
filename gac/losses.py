"""What training makes small."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn
from torch.nn import functional

from gac.recipes import TrainConfig

Penalty = Callable[[nn.Module], AbstractContextManager[Callable[[], Tensor]]]
"""Watches a network while the context is open; the inner call gives a scalar for the last forward
pass, which is added to the loss. How the price of spikes reaches training without it knowing
prices."""


def classification_loss(logits: Tensor, targets: Tensor, config: TrainConfig) -> Tensor:
    """The loss of a batch, a scalar in nats.

    ``mean-logits`` is the cross-entropy of the logits averaged over the steps. ``tet`` is
    (1 - w) * mean over steps of the cross-entropy + w * mean of (logit - target)^2 (Deng et al.,
    Temporal Efficient Training, ICLR 2022).

    Args:
        logits: ``(B, T, classes)``.
        targets: Class probabilities, ``(B, classes)``.
        config: ``loss``, ``label_smoothing``, ``tet_weight`` and ``tet_target`` count.
    """
    smoothing = config.label_smoothing
    if config.loss == "mean-logits":
        return functional.cross_entropy(logits.mean(1), targets, label_smoothing=smoothing)
    every_step = targets.unsqueeze(1).expand_as(logits)
    entropy = functional.cross_entropy(
        logits.flatten(0, 1), every_step.flatten(0, 1), label_smoothing=smoothing
    )
    distance = functional.mse_loss(logits, torch.full_like(logits, config.tet_target))
    return (1 - config.tet_weight) * entropy + config.tet_weight * distance
