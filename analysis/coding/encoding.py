"""Runs encoders on images and keeps their spike trains. The one file here that needs torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from analysis.coding.trains import as_array, as_outputs, as_trains
from analysis.errors import InputError

BATCH = 64
MOST_NEURONS = 1_024


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """What an encoder made of some images.

    Attributes:
        trains: ``(R, B, T, N)``: R draws; of a code without noise, one.
        layer: Neurons that there are; N of them are kept.
        log_odds, spikes: Of a gate, ``(B, T, N)``, and the spikes that it multiplies.
    """

    trains: NDArray[np.uint8]
    layer: int
    log_odds: NDArray[Any] | None = None
    spikes: NDArray[np.uint8] | None = None


def encode(
    encoder: Callable[..., Any],
    images: Any,
    *,
    draws: int = 1,
    most_neurons: int = MOST_NEURONS,
    seed: int = 0,
) -> Encoded:
    """Runs an encoder in eval mode, without gradients; leaves it and the random state as they were.

    Args:
        encoder: Images ``(B, ...)`` to spike trains ``(B, T, *neurons)``. If its attribute
            ``noisy`` is true it is also called with ``draw=1``, ``draw=2``, ... If it has a
            method ``gated``, that gives the log-odds of a gate and the spikes it multiplies, or
            None.
        images: ``(B, ...)``.
        draws: Of an encoder with noise.
        most_neurons: Drawn without replacement from a larger layer, the same for all encoders.
        seed: Of that.

    Raises:
        InputError: If there are no images, or what comes out are no spike trains.
    """
    if not isinstance(images, Tensor) or not images.dim() or not len(images):
        raise InputError(f"expected images (B, ...), got {_shape(images)}")
    if draws < 1 or most_neurons < 1:
        raise InputError(f"draws and neurons must be at least 1, got {draws} and {most_neurons}")
    numbers = range(draws if getattr(encoder, "noisy", False) else 1)
    with _left_as_it_was(encoder):
        runs = [
            [as_trains(_trains(encoder, batch, draw)) for batch in images.split(BATCH)]
            for draw in numbers
        ]
        gated = [_gated(encoder, batch) for batch in images.split(BATCH)]
    layer = runs[0][0].shape[2]
    kept = _chosen(layer, most_neurons, seed)
    trains = np.stack([np.concatenate([part[..., kept] for part in run]) for run in runs])
    if gated[0] is None:
        return Encoded(trains=trains, layer=layer)
    parts = [part for part in gated if part is not None]
    kept = _chosen(as_outputs(parts[0][0]).shape[2], most_neurons, seed)
    return Encoded(
        trains=trains,
        layer=layer,
        log_odds=np.concatenate([as_outputs(odds)[..., kept] for odds, _ in parts]),
        spikes=np.concatenate([as_trains(spikes)[..., kept] for _, spikes in parts]),
    )


def _trains(encoder: Callable[..., Any], images: Tensor, draw: int) -> NDArray[Any]:
    found = encoder(images, draw=draw) if draw else encoder(images)
    array = as_array(found)
    if array.ndim < 3 or len(array) != len(images):
        raise InputError(
            f"expected spike trains ({len(images)}, T, *neurons) of {len(images)} images, got "
            f"{array.shape}"
        )
    return array


def _gated(encoder: Callable[..., Any], images: Tensor) -> tuple[Any, Any] | None:
    method: Callable[[Tensor], tuple[Any, Any] | None] | None = getattr(encoder, "gated", None)
    return None if method is None else method(images)


def _chosen(layer: int, most: int, seed: int) -> Any:
    if layer <= most:
        return slice(None)
    return np.sort(np.random.default_rng(seed).choice(layer, most, replace=False))


@contextmanager
def _left_as_it_was(encoder: Callable[..., Any]) -> Iterator[None]:
    """Eval mode and no gradients; the modes of all modules and the random state come back."""
    modules = list(encoder.modules()) if isinstance(encoder, nn.Module) else []
    modes = [module.training for module in modules]
    try:
        for module in modules:
            module.training = False
        with torch.no_grad(), torch.random.fork_rng():
            yield
    finally:
        for module, training in zip(modules, modes, strict=True):
            module.training = training


def _shape(images: Any) -> str:
    return str(tuple(images.shape)) if isinstance(images, Tensor) else type(images).__name__
