"""The training loop: plain, seeded, one record per epoch.

`train` yields after every epoch and knows nothing of files or terminals; `keep` passes its
records through and writes the checkpoints. On the same machine with the same number of
threads, the same seed gives the same weights, bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader

from gac.augment import Augmentation
from gac.checkpoint import save_checkpoint
from gac.errors import InputError
from gac.inference import count_correct
from gac.metadata import Metadata, Preprocessing
from gac.msresnet import MSResNet
from gac.recipes import TrainConfig

if TYPE_CHECKING:
    from gac.config import MSResNetConfig
    from gac.pictures import Samples

TEST_BATCH = 256
LAST_NOTE = "weights of the last epoch; no test image had a say in the choice"
BEST_NOTE = "weights of the epoch with the best test accuracy, which is optimistic for that"


@dataclass(frozen=True, kw_only=True)
class EpochRecord:
    """What one epoch came to.

    Attributes:
        epoch: From 1.
        loss: Mean cross-entropy of the training batches, nats.
        lr: Learning rate of the epoch.
        test_correct, test_samples: Counts after the epoch.
    """

    epoch: int
    loss: float
    lr: float
    test_correct: int
    test_samples: int

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


def fresh_model(config: MSResNetConfig, seed: int) -> MSResNet:
    """A newly initialised network; the global random state is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return MSResNet(config)


def train(
    model: MSResNet,
    train_set: Samples,
    test_set: Samples,
    config: TrainConfig,
    preprocessing: Preprocessing,
    on_batch: Callable[[int, float], None] = lambda batch, loss: None,
) -> Iterator[EpochRecord]:
    """Trains a network in place, one epoch for every record taken.

    The loss is the cross-entropy of the logits averaged over the steps.

    Args:
        model: On the device to train on.
        train_set: Images and labels to learn from.
        test_set: Images and labels counted after every epoch, never learnt from.
        config: The settings.
        preprocessing: Of the images; tells the augmentation what black is.
        on_batch: Called with the batch number from 1 and its loss.

    Raises:
        InputError: If the loss stops being finite, or there is less than one batch.
    """
    generator = torch.Generator().manual_seed(config.seed)
    loader = DataLoader(
        train_set, config.batch_size, shuffle=True, drop_last=True, generator=generator
    )
    # Every loader draws a number when it starts: not from the caller's global generator.
    test_loader = DataLoader(test_set, TEST_BATCH, generator=torch.Generator())
    if not len(loader):
        raise InputError(
            f"{len(train_set)} training images are less than one batch of {config.batch_size}"
        )
    augment = Augmentation(config, preprocessing, generator)
    optimiser = torch.optim.SGD(
        model.parameters(), config.lr, momentum=config.momentum, weight_decay=config.weight_decay
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, config.epochs)
    for epoch in range(1, config.epochs + 1):
        lr = float(schedule.get_last_lr()[0])
        model.train()
        total = 0.0
        for batch, (images, labels) in enumerate(loader, start=1):
            targets = functional.one_hot(labels, model.config.classes).float()
            loss = _update(model, optimiser, *augment(images, targets), config.label_smoothing)
            if not math.isfinite(loss):
                raise InputError(
                    f"the loss became {loss} in epoch {epoch}, batch {batch}; try a smaller "
                    f"learning rate than {config.lr}"
                )
            total += loss
            on_batch(batch, loss)
        schedule.step()
        correct, samples = count_correct(model, test_loader)
        yield EpochRecord(
            epoch=epoch,
            loss=total / len(loader),
            lr=lr,
            test_correct=correct,
            test_samples=samples,
        )


def keep(
    records: Iterable[EpochRecord], model: MSResNet, metadata: Metadata, folder: Path
) -> Iterator[EpochRecord]:
    """Passes records through; ``last.pth`` and ``best.pth`` are up to date when one arrives.

    Args:
        records: Of `train`.
        model: The network being trained.
        metadata: What is known before training; metrics and the choice of epoch are added.
        folder: Where to write.
    """
    best = -1
    for record in records:
        known = replace(metadata, metrics=record.metrics())
        notes = metadata.notes
        save_checkpoint(folder / "last.pth", model, replace(known, notes=(*notes, LAST_NOTE)))
        if record.test_correct > best:
            best = record.test_correct
            save_checkpoint(folder / "best.pth", model, replace(known, notes=(*notes, BEST_NOTE)))
        yield record


def _update(
    model: MSResNet,
    optimiser: torch.optim.Optimizer,
    images: Tensor,
    targets: Tensor,
    label_smoothing: float,
) -> float:
    """One step down the gradient; the loss before it."""
    device = next(model.parameters()).device
    logits = model(images.to(device)).mean(1)  # (B, classes): the mean over the steps
    loss = functional.cross_entropy(logits, targets.to(device), label_smoothing=label_smoothing)
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return float(loss.detach())
