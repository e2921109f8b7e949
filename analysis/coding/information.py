"""What a spike train says about the image and about its class, in bits. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.coding.entropies import entropy
from analysis.coding.resampling import jackknife
from analysis.coding.trains import as_array, symbols
from analysis.errors import InputError
from analysis.estimates import Estimate

SHUFFLES = 20
LEAST_EXTRAPOLATED = 4  # draws: two halves of at least two


@dataclass(frozen=True)
class Information:
    """Mutual information per train, mean over neurons, in bits.

    Attributes:
        estimate: With its 95 % interval over samples.
        shuffled: The mean of the same after shuffling, where nothing is left to know: its
            bias. It is not subtracted.
        shuffled_high: Of all shuffles but the highest 2.5 %; an estimate below is no evidence.
    """

    estimate: Estimate
    shuffled: float
    shuffled_high: float


def image_information(trains: Any, *, seed: int = 0) -> Information:
    """I(train; image) = H(train) - H(train | image) of each neuron, mean over neurons.

    Both entropies are Miller-Madow corrected. The second one is found from R trains of an image,
    which may be no more than there are different ones; from 4 draws on it is therefore
    extrapolated: twice that of all draws, less the mean of that of their halves, which removes
    what falls as 1 / R. The shuffled value shows the bias that is left.

    Args:
        trains: ``(R, B, T, *neurons)``: R independent draws of each of B images. R = 1 says
            that there is no noise: then H(train | image) = 0.
        seed: Of the shuffling of trains between images (none with R = 1).

    Raises:
        InputError: If the trains are none, or empty.
    """
    found = _draws(trains)
    noise = _noise(found)
    estimate = jackknife(np.arange(len(found)), lambda rows: _about_image(found[rows], noise[rows]))
    if found.shape[1] == 1:
        return Information(estimate, 0.0, 0.0)
    generator = np.random.default_rng(seed)
    pooled = found.reshape(-1, found.shape[2])
    shuffles = []
    for _ in range(SHUFFLES):
        mixed = generator.permutation(pooled, axis=0).reshape(found.shape)
        shuffles.append(_about_image(mixed, _noise(mixed)))
    return _beside(estimate, shuffles)


def information_by_step(trains: Any) -> list[float]:
    """What the first t steps of a train say about the image, for t = 1, ..., T.

    Args:
        trains: ``(R, B, T, *neurons)``, as for `image_information`.

    Raises:
        InputError: If the trains are none, or empty.
    """
    array = as_array(trains)
    steps = array.shape[2] if array.ndim > 3 else 1
    found = (_draws(array[:, :, : step + 1]) for step in range(steps))
    return [_about_image(first, _noise(first)) for first in found]


def class_information(trains: Any, labels: Any, *, seed: int = 0) -> Information:
    """I(train; class) = H(train) - H(train | class) of each neuron, mean over neurons.

    Args:
        trains: Zeros and ones, ``(B, T, *neurons)``.
        labels: One class per sample, ``(B,)``.
        seed: Of the shuffling of the labels.

    Raises:
        InputError: If the trains are none, or the labels do not fit them.
    """
    found = symbols(trains)
    classes = as_labels(labels, len(found))
    estimate = jackknife(found, _about_class, classes)
    generator = np.random.default_rng(seed)
    shuffles = [_about_class(found, generator.permutation(classes)) for _ in range(SHUFFLES)]
    return _beside(estimate, shuffles)


def as_labels(labels: Any, samples: int) -> NDArray[np.int64]:
    """One class per sample.

    Raises:
        InputError: If they are not, or there is only one class.
    """
    array = as_array(labels)
    if array.shape != (samples,) or array.dtype.kind not in "iu":
        raise InputError(
            f"expected one whole number per sample, ({samples},), got {array.dtype} {array.shape}"
        )
    if len(np.unique(array)) < 2:
        raise InputError("labels of a single class: there is nothing to tell apart")
    return array.astype(np.int64)


def _draws(trains: Any) -> NDArray[Any]:
    """Symbols ``(B, R, N)`` of trains ``(R, B, T, *neurons)``."""
    array = as_array(trains)
    if array.ndim < 4:
        raise InputError(f"expected (draws, B, T, *neurons), got shape {array.shape}")
    return np.stack([symbols(draw) for draw in array], axis=1)


def _noise(found: NDArray[Any]) -> NDArray[np.float64]:
    """H(train | image) of each image, mean over neurons, of symbols ``(B, R, N)``."""
    draws = found.shape[1]
    if draws == 1:
        return np.zeros(len(found))
    whole = entropy(found.swapaxes(0, 1)).mean(1)
    if draws < LEAST_EXTRAPOLATED:
        return whole
    half = draws // 2
    parts = (found[:, :half], found[:, half : 2 * half])
    return 2 * whole - np.mean([entropy(part.swapaxes(0, 1)).mean(1) for part in parts], axis=0)


def _about_image(found: NDArray[Any], noise: NDArray[np.float64]) -> float:
    """Of symbols ``(B, R, N)`` and their `_noise`."""
    return float(entropy(found.reshape(-1, found.shape[2])).mean() - noise.mean())


def _about_class(found: NDArray[Any], classes: NDArray[np.int64]) -> float:
    """Of symbols ``(B, N)``."""
    within = [
        (classes == label).mean() * entropy(found[classes == label]).mean()
        for label in np.unique(classes)
    ]
    return float(entropy(found).mean() - sum(within))


def _beside(estimate: Estimate, shuffles: list[float]) -> Information:
    return Information(estimate, float(np.mean(shuffles)), float(np.quantile(shuffles, 0.975)))
