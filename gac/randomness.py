"""Every random draw of training from a seed and the place where it is made.

No random state lives longer than one draw, so none has to be saved: training that goes on from
update 1,234 draws what an uninterrupted run would have drawn there, with any number of workers.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import numpy as np
import torch
from torch import Tensor

Purpose = Literal["order", "picture", "mix", "mix-epoch", "update"]
_NUMBERS: dict[Purpose, int] = {
    "order": 1, "picture": 2, "mix": 3, "mix-epoch": 4, "update": 5,
}  # fmt: skip


def derived_seed(seed: int, purpose: Purpose, *place: int) -> int:
    """A seed for one place, independent of those of all others.

    Args:
        seed: Of the whole run.
        purpose: What is drawn.
        place: Such as the epoch, and the sample or update in it.

    Example:
        >>> derived_seed(0, "order", 1) == derived_seed(0, "order", 2)
        False
    """
    entropy = np.random.SeedSequence([seed, _NUMBERS[purpose], *place])
    return int(entropy.generate_state(1, np.uint64)[0] >> np.uint64(1))


@contextmanager
def drawing(
    seed: int, purpose: Purpose, *place: int, device: torch.device | None = None
) -> Iterator[None]:
    """Inside, torch's global generators are those of one place; outside they never moved."""
    gpus = [device] if device is not None and device.type == "cuda" else []
    with torch.random.fork_rng(devices=gpus):
        key = derived_seed(seed, purpose, *place)
        # Not torch.manual_seed: until CUDA is in use it keeps a stack trace of every call.
        torch.default_generator.manual_seed(key)
        for gpu in gpus:
            torch.cuda.default_generators[gpu.index or 0].manual_seed(key)
        yield


def shuffled(samples: int, seed: int, epoch: int) -> Tensor:
    """The order of an epoch: a permutation of ``range(samples)``."""
    generator = torch.Generator().manual_seed(derived_seed(seed, "order", epoch))
    return torch.randperm(samples, generator=generator)
