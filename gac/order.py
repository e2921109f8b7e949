"""Which samples every update learns from: a function of seed, epoch and process, nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from torch.utils.data import Sampler

from gac.errors import InputError
from gac.randomness import shuffled
from gac.recipes import TrainConfig


class Draw(NamedTuple):
    """One training sample in one epoch, from 1."""

    epoch: int
    sample: int


class Order(Sampler[list[Draw]]):
    """The parts of all batches of an epoch that one process computes, in order.

    A batch is split evenly over processes and, in each, over ``accumulate`` parts. Epoch and
    first batch are set before iterating, so that a data loader keeps its workers.

    Args:
        samples: Number of training samples.
        config: ``batch_size``, ``accumulate`` and ``seed`` count.
        rank, world: Number of this process, and of all.

    Raises:
        InputError: If there is less than one batch, or it can't be split evenly.
    """

    def __init__(self, samples: int, config: TrainConfig, rank: int = 0, world: int = 1) -> None:
        self.batches = samples // config.batch_size
        self._samples = samples
        self._config = config
        self._rank = rank
        parts = world * config.accumulate
        self.part_size, rest = divmod(config.batch_size, parts)
        if not self.batches:
            raise InputError(
                f"{samples} training images are less than one batch of {config.batch_size}"
            )
        if rest:
            raise InputError(
                f"a batch of {config.batch_size} can't be split evenly over {world} processes "
                f"times {config.accumulate} parts"
            )
        if self.part_size < 2:
            raise InputError(
                f"batch norm needs 2 images at a time: a batch of {config.batch_size} gives "
                f"{self.part_size} to each of {world} processes times {config.accumulate} parts"
            )
        self.start_at(1, 0)

    def start_at(self, epoch: int, batch: int) -> None:
        """The next iteration is over this epoch, from 1, from this batch on, from 0."""
        self._epoch, self._first = epoch, batch

    def __len__(self) -> int:
        return (self.batches - self._first) * self._config.accumulate

    def __iter__(self) -> Iterator[list[Draw]]:
        size, parts = self._config.batch_size, self._config.accumulate
        order = shuffled(self._samples, self._config.seed, self._epoch).tolist()
        for batch in range(self._first, self.batches):
            for part in range(self._rank * parts, (self._rank + 1) * parts):
                begin = batch * size + part * self.part_size
                yield [Draw(self._epoch, i) for i in order[begin : begin + self.part_size]]
