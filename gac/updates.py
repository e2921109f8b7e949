"""One update of the weights: the loss of a batch, its gradient over all processes, a step down."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from gac import group
from gac.augment import mixed
from gac.errors import InputError
from gac.losses import classification_loss
from gac.msresnet import MSResNet
from gac.norms import share_statistics
from gac.randomness import drawing
from gac.recipes import TrainConfig

_MIXED = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Updater:
    """Updates the weights of a network, together with the other processes.

    Args:
        model: On the device to train on; made float64 if the precision says so.
        config: The settings.
    """

    def __init__(self, model: MSResNet, config: TrainConfig) -> None:
        self.config = config
        self.model = model.double() if config.precision == "float64" else model
        self.device = next(model.parameters()).device
        self._replica = self._replicated()
        self.optimiser = torch.optim.SGD(
            model.parameters(), momentum=config.momentum, weight_decay=config.weight_decay
        )
        self._scaler = torch.amp.GradScaler(self.device.type, enabled=config.precision == "fp16")

    def update(
        self,
        parts: Iterator[Any],
        place: tuple[int, int],
        lr: float,
        penalty: Callable[[], Tensor] | None,
        *,
        stop: bool,
    ) -> tuple[float, bool]:
        """One step down the gradient.

        Args:
            parts: Images and labels of the parts of a batch.
            place: Epoch and batches done in it, which every random draw follows from.
            lr: Learning rate.
            penalty: Something else to make small, beside the classification loss.
            stop: Whether this process was told to stop.

        Returns:
            The loss before it, and whether any process was told to stop.

        Raises:
            InputError: If the loss is not finite; the weights stay as they were.
        """
        count = self.config.accumulate
        total = 0.0
        self.optimiser.zero_grad()
        for part in range(count):
            with self._unshared() if part + 1 < count else nullcontext():
                images, labels = next(parts)
                loss = self._loss(images, labels, (*place, part), penalty) / count
                self._scaler.scale(loss).backward()
            total += float(loss.detach())
        total, stops = group.summed([total / group.world(), float(stop)], self.device)
        if not math.isfinite(total):
            raise InputError(
                f"the loss became {total} in epoch {place[0]}, batch {place[1] + 1}; try a "
                f"smaller learning rate than {self.config.lr}"
            )
        for settings in self.optimiser.param_groups:
            settings["lr"] = lr
        self._scaler.step(self.optimiser)
        self._scaler.update()
        return total, bool(stops)

    def casting(self) -> AbstractContextManager[Any]:
        """Inside, the network runs in the precision of the settings."""
        dtype = _MIXED.get(self.config.precision)
        return nullcontext() if dtype is None else torch.autocast(self.device.type, dtype)

    def state(self) -> dict[str, Any]:
        """What is needed to go on: weights, momentum, scale of the loss."""
        return {
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self._scaler.state_dict(),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Goes to where `state` was taken."""
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self._scaler.load_state_dict(state["scaler"])

    def _loss(
        self,
        images: Tensor,
        labels: Tensor,
        place: tuple[int, int, int],
        penalty: Callable[[], Tensor] | None,
    ) -> Tensor:
        config, device = self.config, self.device
        here = (*place, group.rank())
        dtype = next(self.model.parameters()).dtype
        images, labels = (x.to(device, non_blocking=True) for x in (images.to(dtype), labels))
        images, targets = mixed(images, labels, self.model.config.classes, config, here)
        # A network that draws, such as one with dropout, draws the same after an interruption.
        with drawing(config.seed, "update", *here, device=device), self.casting():
            loss = classification_loss(self._replica(images), targets, config)
            return loss if penalty is None else loss + penalty()

    def _unshared(self) -> AbstractContextManager[Any]:
        """Inside, gradients add up in this process; only the last part's pass averages them."""
        replica = self._replica
        return replica.no_sync() if isinstance(replica, DistributedDataParallel) else nullcontext()

    def _replicated(self) -> nn.Module:
        """The network, or its copy that averages gradients over all processes."""
        if group.world() == 1:
            return self.model
        if self.config.sync_norm:
            share_statistics(self.model)
        gpu = [self.device] if self.device.type == "cuda" else None
        return DistributedDataParallel(self.model, device_ids=gpu)
