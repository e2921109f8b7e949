"""Training: seeded, exact to the update, and able to go on after anything.

Weights after an update are a function of network, data, settings and the number of processes:
where the run was interrupted leaves no trace, as long as machine and number of threads stay. The
`Trainer` knows nothing of terminals; `gac.keeping.keep` passes its records through and writes
the checkpoints.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from threading import Event
from typing import Any

import torch
from torch import Tensor, distributed
from torch.utils.data import DataLoader, Dataset, Subset

from gac import group
from gac.augment import Augmented
from gac.config import MSResNetConfig
from gac.errors import InputError
from gac.inference import evaluate
from gac.losses import Penalty
from gac.msresnet import MSResNet
from gac.order import Order
from gac.pictures import Samples
from gac.plain import from_plain, to_plain
from gac.progress import EpochRecord, Position, Update, budget_share, differences, learning_rate
from gac.recipes import TrainConfig
from gac.snapshots import Snapshots
from gac.updates import Updater

TEST_BATCH = 256


def fresh_model(config: MSResNetConfig, seed: int) -> MSResNet:
    """A newly initialised network; the global random state is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return MSResNet(config)


def loader(data: Dataset[Any], workers: int, *, pinned: bool, **how: Any) -> DataLoader[Any]:
    """A data loader that leaves the global random state alone and keeps its workers."""
    return DataLoader(
        data,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=pinned,
        generator=torch.Generator(),  # every loader draws a number when it starts
        **how,
    )


class Trainer:
    """Trains a network in place, one epoch for every record taken from `epochs`.

    In a group of `torch.distributed` every process makes one, with the same arguments; they share
    every batch.

    Args:
        model: On the device to train on. float64 if the precision says so, else float32.
        train_set: Images and labels to learn from.
        test_set: Images and labels counted after every epoch, never learnt from.
        config: The settings.
        penalty: Something else to make small, beside the classification loss.
        observe: Called with the network after every epoch; its numbers go into the record.
        on_update: Called after every update.
        workers: Processes that prepare images, beside this one.
        snapshots: Where to save what is needed to go on. Without, nothing is written.
        save_every: Updates between two snapshots; there is one at the end of every epoch anyway.
        facts: Plain values that have to be the same when a run goes on, beside network and
            settings.

    Raises:
        InputError: If there is less than one batch, or it can't be split over the processes.
    """

    def __init__(
        self,
        model: MSResNet,
        train_set: Samples,
        test_set: Samples,
        config: TrainConfig,
        *,
        penalty: Penalty | None = None,
        observe: Callable[[MSResNet], Mapping[str, float]] | None = None,
        on_update: Callable[[Update], None] = lambda update: None,
        workers: int = 0,
        snapshots: Snapshots | None = None,
        save_every: int = 500,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        self.config = config
        self.position = Position()
        self._stop = Event()
        rank, world = group.rank(), group.world()
        self.order = Order(len(train_set), config, rank, world)
        self._plan = {
            "network": to_plain(model.config), "training": to_plain(config), **(facts or {}),
        }  # fmt: skip
        self._penalty, self._observe, self._on_update = penalty, observe, on_update
        self._snapshots, self._save_every = snapshots, save_every
        self._updater = Updater(model, config)
        self.model = self._updater.model
        pinned = self._updater.device.type == "cuda"
        changed = Augmented(train_set, config)
        mine = Subset(test_set, range(rank, len(test_set), world))
        self._loader = loader(changed, workers, pinned=pinned, batch_sampler=self.order)
        self._test_loader = loader(mine, workers, pinned=pinned, batch_size=TEST_BATCH)

    @property
    def finished(self) -> bool:
        """Whether all epochs are done."""
        return self.position.epoch > self.config.epochs

    @property
    def updates(self) -> int:
        """Updates made."""
        return (self.position.epoch - 1) * self.order.batches + self.position.batches

    def stop(self) -> None:
        """Makes `epochs` end after the update under way, everything saved."""
        self._stop.set()

    def resume(self) -> bool:
        """Goes to where the newest snapshot was made; False where there is none.

        Warns:
            SnapshotWarning: If the newest is damaged and the one before is taken.

        Raises:
            InputError: If network, settings or facts are not those of the run; all that differ
                are listed.
        """
        if self._snapshots is None:
            return False
        found = [self._snapshots.newest() if group.rank() == 0 else None]
        if group.world() > 1:  # the folder may be on the first machine only
            distributed.broadcast_object_list(found)
        content = found[0]
        if content is None:
            return False
        unlike = differences(content["plan"], self._plan)
        if unlike:
            raise InputError(
                f"the run in {self._snapshots.folder} was made with other settings: "
                f"{'; '.join(unlike)}"
            )
        self._updater.load(content)
        self.position = from_plain(Position, content["position"])
        return True

    def epochs(self) -> Iterator[EpochRecord]:
        """Trains epoch by epoch; ends early after `stop`.

        Raises:
            InputError: If the loss stops being finite, or a snapshot can't be written. Earlier
                snapshots stay as they are.
        """
        while not self.finished:
            self._train_epoch()
            if self._stop.is_set():
                return
            try:
                record = self._record()
            except InterruptedError:  # stopped; the evaluation is done again
                return
            yield record
            done = (*self.position.records, record)
            self.position = Position(epoch=record.epoch + 1, records=done)
        self._save()

    def _train_epoch(self) -> None:
        epoch, batches = self.position.epoch, self.order.batches
        self.order.start_at(epoch, self.position.batches)
        self.model.train()
        parts = iter(self._loader)
        watching: Any = nullcontext() if self._penalty is None else self._penalty(self.model)
        with watching as penalty:
            while self.position.batches < batches and not self._stop.is_set():
                batch = self.position.batches + 1
                lr = learning_rate(self.config, epoch, batch, batches)
                share = budget_share(self.config, epoch, batch, batches)
                extra = None if penalty is None else partial(_scaled, penalty, share)
                place, stop = (epoch, self.position.batches), self._stop.is_set()
                loss, stops = self._updater.update(parts, place, lr, extra, stop=stop)
                if stops:  # one process was told to stop: all do
                    self._stop.set()
                self.position = replace(
                    self.position, batches=batch, loss_sum=self.position.loss_sum + loss
                )
                self._on_update(Update(epoch=epoch, batch=batch, batches=batches, loss=loss, lr=lr))
                if batch == batches or self._stop.is_set() or self.updates % self._save_every == 0:
                    self._save()

    def _record(self) -> EpochRecord:
        position = self.position
        with self._updater.casting():
            found = evaluate(self.model, self._test_loader, on_batch=self._interrupt)
        measures = {} if self._observe is None else dict(self._observe(self.model))
        batches = self.order.batches
        return EpochRecord(
            epoch=position.epoch,
            loss=position.loss_sum / batches,
            lr=learning_rate(self.config, position.epoch, batches, batches),
            test_correct=found.correct,
            test_samples=found.samples,
            test_correct5=found.correct5,
            test_correct_by_step=found.correct_by_step,
            measures=measures,
        )

    def _interrupt(self, _samples: int) -> None:
        if self._stop.is_set():
            raise InterruptedError

    def _save(self) -> None:
        """One process writes; weights that are not finite would spoil a good snapshot."""
        if self._snapshots is None or group.rank() != 0:
            return
        state = self._updater.state()
        bad = [name for name, tensor in state["model"].items() if not tensor.isfinite().all()]
        if bad:
            raise InputError(
                f"weights became infinite or NaN in epoch {self.position.epoch}, first {bad[0]}; "
                f"try a smaller learning rate than {self.config.lr}"
            )
        self._snapshots.save(
            self.updates,
            {
                "plan": self._plan,
                "position": to_plain(self.position),
                **state,
            },
        )


def _scaled(penalty: Callable[[], Tensor], share: float) -> Tensor:
    return share * penalty()


def train(
    model: MSResNet, train_set: Samples, test_set: Samples, config: TrainConfig
) -> Iterator[EpochRecord]:
    """Trains a network in place without writing anything; see `Trainer`."""
    return Trainer(model, train_set, test_set, config).epochs()
