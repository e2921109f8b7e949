"""What a model answers, beside the labels: at the end, and had it been read out earlier."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

import torch
from torch import Tensor


@dataclass
class Answers:
    """The most likely class of every sample, by the mean of the logits up to each step.

    Attributes:
        keep: Whether to keep label and classes of every sample.
        known: False once a batch had no labels, or outputs that are no logits.
        unread: Whether labels came with outputs that are no logits.
        right: Correct answers, one entry per step read (a single one where logits hold no steps).
        labels, classes: Of every sample, if they are kept; ``classes`` one entry per step read.
    """

    keep: bool
    known: bool = True
    unread: bool = False
    right: tuple[int, ...] = ()
    labels: list[int] = field(default_factory=list)
    classes: list[tuple[int, ...]] = field(default_factory=list)

    def add(self, outputs: Any, labels: Tensor | None, steps: int) -> None:
        """Takes in one batch."""
        found = None if labels is None else classes_by_step(outputs, len(labels), steps)
        if found is None or labels is None:
            self.known = False
            self.unread = self.unread or labels is not None
            return
        labels = labels.cpu()
        right = (found == labels.unsqueeze(1)).sum(0).tolist()
        self._count(tuple(right))
        if self.keep:
            self.labels += labels.tolist()
            self.classes += map(tuple, found.tolist())

    def merge(self, other: Answers) -> None:
        """Takes in what another process heard; its samples come after those that are here."""
        self.known = self.known and other.known
        self.unread = self.unread or other.unread
        self._count(other.right)
        self.labels += other.labels
        self.classes += other.classes

    def _count(self, right: tuple[int, ...]) -> None:
        if self.right and right and len(self.right) != len(right):
            self.known = False  # logits held steps in one batch and none in another
            return
        pairs = zip_longest(self.right, right, fillvalue=0)
        self.right = tuple(known + new for known, new in pairs)


def classes_by_step(outputs: Any, samples: int, steps: int) -> Tensor | None:
    """The most likely class after each step, ``(B, T)``; ``(B, 1)`` of logits without steps.

    Args:
        outputs: Logits ``(B, T, classes)``, ``(T, B, classes)`` or ``(B, classes)``; None of
            anything else.
        samples: B.
        steps: T.

    Example:
        >>> logits = torch.tensor([[[0.0, 1.0], [3.0, 0.0]]])  # class 1 at first, 0 on average
        >>> classes_by_step(logits, samples=1, steps=2).tolist()
        [[1, 0]]
    """
    if not isinstance(outputs, Tensor) or outputs.dim() not in (2, 3):
        return None
    logits = outputs.unsqueeze(1) if outputs.dim() == 2 else outputs
    if outputs.dim() == 3 and len(outputs) == steps != samples:
        logits = outputs.transpose(0, 1)
    if len(logits) != samples:
        return None
    means = [logits[:, :step].mean(1) for step in range(1, logits.shape[1] + 1)]
    return torch.stack([mean.argmax(1) for mean in means], dim=1).cpu()
