"""The processes that train together, as `torch.distributed` has them; one process without it."""

from __future__ import annotations

import torch
from torch import distributed


def rank() -> int:
    """Number of this process."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def world() -> int:
    """Number of processes."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def summed(values: list[float], device: torch.device) -> list[float]:
    """The sums of some numbers over all processes; integers below 2**53 stay exact.

    All processes have to call it, with lists of one length.
    """
    if world() == 1:
        return values
    numbers = torch.tensor(values, dtype=torch.float64, device=device)
    distributed.all_reduce(numbers)
    sums: list[float] = numbers.tolist()
    return sums
