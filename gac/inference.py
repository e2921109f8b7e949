"""What a trained network says about images."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn


@torch.no_grad()
def predictions(model: nn.Module, images: Tensor) -> Tensor:
    """The class with the highest mean logit over the steps.

    Args:
        model: Maps images to logits ``(B, T, classes)``; used in the mode it is in.
        images: ``(B, C, H, W)`` or clips ``(B, T, C, H, W)``.

    Returns:
        Class numbers, ``(B,)``.
    """
    logits: Tensor = model(images)
    return logits.mean(1).argmax(-1)


def count_correct(model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> tuple[int, int]:
    """How many images are classified correctly, and how many there are.

    Args:
        model: Put into eval mode meanwhile; every module's own mode comes back, also after
            an exception.
        batches: Images and labels ``(B,)``; moved to the device of the model.
    """
    device = next(model.parameters()).device
    modes = {module: module.training for module in model.modules()}
    correct = total = 0
    try:
        model.eval()
        for images, labels in batches:
            guesses = predictions(model, images.to(device))
            correct += int((guesses == labels.to(device)).sum())
            total += len(labels)
    finally:
        for module, training in modes.items():
            module.training = training
    return correct, total


def accuracy(model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> float:
    """Share of images classified correctly, in [0, 1]; nan without images."""
    correct, total = count_correct(model, batches)
    return correct / total if total else float("nan")
