"""Which of several processes this one is, when started by `torchrun`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from torch import cuda, device, distributed

from analysis.errors import InputError

_SET_BY_TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
# A process that fails tells the others; a slow one must not look like it.
_PATIENCE = timedelta(days=1)


@dataclass(frozen=True)
class Place:
    """One process among others; the first one speaks.

    Attributes:
        rank: Its number, from 0.
        world: How many there are.
        local: Its number on this machine, and so that of its GPU.
    """

    rank: int = 0
    world: int = 1
    local: int = 0

    @classmethod
    def of_this_process(cls) -> Place:
        """As `torchrun` says in the environment; the only process without it.

        Raises:
            InputError: If what the environment says are no numbers.
        """
        if not all(name in os.environ for name in _SET_BY_TORCHRUN):
            return cls()
        try:
            return cls(*(int(os.environ[name]) for name in _SET_BY_TORCHRUN[:3]))
        except ValueError as error:
            raise InputError(f"the variables of torchrun are unusable: {error}") from error

    @property
    def speaks(self) -> bool:
        """Whether this process prints and writes."""
        return self.rank == 0

    def share(self, samples: int) -> range:
        """Places of the samples that this process runs: all processes together run each once."""
        return range(self.rank, samples, self.world)

    def device(self, name: str) -> str:
        """Each process of a machine takes a GPU of its own.

        Raises:
            InputError: If one GPU is named for several processes.
        """
        if self.world == 1 or not name.startswith("cuda"):
            return name
        if name != "cuda":
            raise InputError(f"{name} is one GPU; with torchrun give cuda: each process takes one")
        return f"cuda:{self.local}"


@contextmanager
def joined(place: Place, where: device) -> Iterator[None]:
    """Counts together with the other processes: over gloo, between GPUs over nccl.

    Raises:
        InputError: If the others can't be reached.
    """
    if place.world == 1 or distributed.is_initialized():
        yield
        return
    if where.type == "cuda":
        cuda.set_device(where)
    try:
        backend = "nccl" if where.type == "cuda" else "gloo"
        distributed.init_process_group(backend, timeout=_PATIENCE)
    except (RuntimeError, ValueError) as error:
        raise InputError(f"can't join the other processes: {str(error)[:200]}") from error
    try:
        yield
    finally:
        distributed.destroy_process_group()
