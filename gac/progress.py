"""How far a training run has come, as plain values that a snapshot can keep."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gac.recipes import TrainConfig


@dataclass(frozen=True, kw_only=True)
class EpochRecord:
    """What one epoch came to.

    Attributes:
        epoch: From 1.
        loss: Mean of the training batches' losses, nats; with a budget, what it adds too.
        lr: Learning rate at the end of the epoch.
        test_correct, test_samples: Counts after the epoch.
        test_correct5: As `gac.inference.Evaluation.correct5`.
        test_correct_by_step: Likewise.
        measures: Whatever was asked to be measured after the epoch, such as firing rates.
    """

    epoch: int
    loss: float
    lr: float
    test_correct: int
    test_samples: int
    test_correct5: int = 0
    test_correct_by_step: tuple[int, ...] = ()
    measures: dict[str, float] = field(default_factory=dict)

    @property
    def test_accuracy(self) -> float:
        """Share of the test images classified correctly, in [0, 1]."""
        return self.test_correct / self.test_samples

    def metrics(self) -> dict[str, float]:
        """The numbers a checkpoint keeps."""
        return {
            "test_accuracy": self.test_accuracy,
            "test_correct": self.test_correct,
            "test_samples": self.test_samples,
            "train_loss": self.loss,
            "epoch": self.epoch,
        }

    def row(self) -> dict[str, float]:
        """One line of a table of epochs."""
        steps = enumerate(self.test_correct_by_step, start=1)
        return {
            "epoch": self.epoch,
            "lr": self.lr,
            "loss": self.loss,
            "test_accuracy": self.test_accuracy,
            "test_accuracy_top5": self.test_correct5 / self.test_samples,
            **{f"test_accuracy_step{t}": right / self.test_samples for t, right in steps},
            **self.measures,
        }


@dataclass(frozen=True, kw_only=True)
class Update:
    """One update of the weights.

    Attributes:
        epoch, batch: Both from 1.
        batches: Batches of the epoch.
        loss: Before the update, nats; the mean over all processes.
        lr: Learning rate.
    """

    epoch: int
    batch: int
    batches: int
    loss: float
    lr: float


@dataclass(frozen=True, kw_only=True)
class Position:
    """A place between two updates.

    Attributes:
        epoch: From 1.
        batches: Updates made in this epoch.
        loss_sum: Of their losses.
        records: Of the epochs before.
    """

    epoch: int = 1
    batches: int = 0
    loss_sum: float = 0.0
    records: tuple[EpochRecord, ...] = ()


def learning_rate(config: TrainConfig, epoch: int, batch: int, batches: int) -> float:
    """Half a cosine over the epochs, after a linear rise over the first updates.

    Args:
        config: ``lr``, ``epochs`` and ``warmup_epochs`` count.
        epoch: From 1.
        batch: In the epoch, from 1.
        batches: Updates per epoch.

    Example:
        >>> [learning_rate(TrainConfig(epochs=2, lr=0.1), epoch, 1, 9) for epoch in (1, 2)]
        [0.1, 0.05]
    """
    cosine = config.lr * (1 + math.cos(math.pi * (epoch - 1) / config.epochs)) / 2
    rise = config.warmup_epochs * batches
    made = (epoch - 1) * batches + batch
    return cosine * min(1.0, made / rise) if rise else cosine


def budget_share(config: TrainConfig, epoch: int, batch: int, batches: int) -> float:
    """How much of a budget's weight counts: a linear rise, then all of it.

    Args:
        config: ``epochs`` and ``budget_ramp`` count.
        epoch: From 1.
        batch: In the epoch, from 1.
        batches: Updates per epoch.

    Example:
        >>> settings = TrainConfig(epochs=4, budget_ramp=0.5)
        >>> [budget_share(settings, epoch, 10, 10) for epoch in (1, 2, 3)]
        [0.5, 1.0, 1.0]
    """
    rise = config.budget_ramp * config.epochs * batches
    made = (epoch - 1) * batches + batch
    return min(1.0, made / rise) if rise else 1.0


def differences(there: Mapping[str, Any], here: Mapping[str, Any], name: str = "") -> list[str]:
    """What two nested tables of plain values disagree on, one phrase each.

    Example:
        >>> differences({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}})
        ['a.c 2 there, 3 here']
    """
    found = []
    for key in dict.fromkeys([*there, *here]):
        old, new, path = there.get(key), here.get(key), f"{name}{key}"
        if isinstance(old, dict) and isinstance(new, dict):
            found += differences(old, new, f"{path}.")
        elif old != new:
            found.append(f"{path} {old} there, {new} here")
    return found
