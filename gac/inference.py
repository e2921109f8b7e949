"""What a trained network says about images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gac import group


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """How many images a network classifies correctly.

    Attributes:
        samples: Images.
        correct: The class with the highest mean logit over the steps is the label.
        correct5: The label is among the five highest (of all, where there are fewer classes).
        correct_by_step: ``correct`` had the network stopped after 1, 2, ... T steps.
    """

    samples: int
    correct: int
    correct5: int
    correct_by_step: tuple[int, ...]

    @property
    def accuracy(self) -> float:
        """Share of correct ones in [0, 1]; nan without images."""
        return self.correct / self.samples if self.samples else float("nan")


@torch.no_grad()
def evaluate(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    *,
    on_batch: Callable[[int], None] = lambda samples: None,
) -> Evaluation:
    """Classifies images and compares with their labels.

    In a group of `torch.distributed` every process gives its own batches, and all get the counts
    of all.

    Args:
        model: Put into eval mode meanwhile; every module's own mode comes back, also after
            an exception.
        batches: Images and labels ``(B,)``; moved to the device and type of the model.
        on_batch: Called after each batch with its number of samples.
    """
    weight = next(model.parameters())
    samples = correct5 = 0
    by_step = torch.zeros(getattr(model, "steps", 0), dtype=torch.long, device=weight.device)
    with _evaluating(model):
        for images, labels in batches:
            logits = model(images.to(weight.device, weight.dtype))
            truth = labels.to(weight.device)
            until = [logits[:, : t + 1].mean(1) for t in range(logits.shape[1])]  # (B, classes)
            right = torch.stack([(mean.argmax(-1) == truth).sum() for mean in until])
            by_step = by_step + right if samples else right
            best = until[-1].topk(min(5, logits.shape[-1])).indices
            correct5 += int((best == truth[:, None]).sum())
            samples += len(labels)
            on_batch(len(labels))
    counts = [samples, correct5, *by_step.tolist()]
    total, in5, *steps = (int(n) for n in group.summed(counts, weight.device))
    return Evaluation(
        samples=total,
        correct=steps[-1] if steps else 0,
        correct5=in5,
        correct_by_step=tuple(steps),
    )


def accuracy(model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> float:
    """Share of images classified correctly, in [0, 1]; nan without images."""
    return evaluate(model, batches).accuracy


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    modes = {module: module.training for module in model.modules()}
    try:
        model.eval()
        yield
    finally:
        for module, training in modes.items():
            module.training = training
