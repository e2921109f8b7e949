"""Entropy of spike trains in bits, from samples. Needs no torch.

The plug-in entropy -sum p log2 p of N draws is too small by about (K - 1) / (2 N ln 2) for K
symbols; the Miller-Madow correction adds that, with the number of symbols seen for K. It removes
most of the bias while N is several times K, and too little below that.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.coding.resampling import jackknife
from analysis.coding.trains import as_array, symbols
from analysis.errors import InputError
from analysis.estimates import Estimate

Correction = Literal["miller-madow", "none"]


def entropy(symbols: ArrayLike, correction: Correction = "miller-madow") -> NDArray[np.float64]:
    """Entropy of the symbols in each column, in bits.

    Args:
        symbols: Whole numbers, ``(N, *columns)``: N draws.
        correction: ``miller-madow`` or ``none`` (plug-in).

    Returns:
        ``(*columns)``.

    Raises:
        InputError: If there are no draws, they are no whole numbers, or the correction is
            unknown.

    Examples:
        >>> float(entropy([0, 0, 1, 1], correction="none"))
        1.0
    """
    if correction not in get_args(Correction):
        raise InputError(
            f"unknown correction {correction!r}; known: {', '.join(get_args(Correction))}"
        )
    array = as_array(symbols)
    if array.dtype.kind == "f" or not array.ndim:
        raise InputError(f"symbols are an array of whole numbers, got {array.dtype}")
    draws, columns = array.shape[0], array.shape[1:]
    found, kinds = _of_columns(array.reshape(draws, -1))
    if correction == "miller-madow":
        found = found + (kinds - 1) / (2 * draws * np.log(2))
    return found.reshape(columns)


def train_entropy(trains: Any, correction: Correction = "miller-madow") -> Estimate:
    """Entropy of the T-step trains of all samples and neurons together, bits per train.

    The interval comes from leaving out blocks of samples. The correction takes all trains for
    independent, which those of one sample are not: it is the least that is due.

    Args:
        trains: Zeros and ones, ``(B, T, *neurons)``.
        correction: As for `entropy`.

    Raises:
        InputError: If the trains are none, or empty.
    """
    found = symbols(trains)
    return jackknife(found, lambda rows: float(entropy(rows.ravel(), correction)))


def neuron_entropy(trains: Any, correction: Correction = "miller-madow") -> Estimate:
    """Entropy of each neuron's trains over the samples, mean over neurons, bits per train.

    For an encoder without noise that is what one train says about which image was shown.

    Args:
        trains: Zeros and ones, ``(B, T, *neurons)``.
        correction: As for `entropy`.

    Raises:
        InputError: If the trains are none, or empty.
    """
    found = symbols(trains)
    return jackknife(found, lambda rows: float(entropy(rows, correction).mean()))


def _of_columns(array: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Plug-in entropy of each column and how many symbols it has; ``(N, M)`` -> twice ``(M,)``."""
    draws, columns = array.shape
    # (M, N): equal symbols of a column stand together. "stable" is a radix sort of short numbers.
    ordered = np.sort(np.ascontiguousarray(array.T), axis=1, kind="stable")
    starts = np.ones(ordered.shape, bool)
    starts[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    places = np.flatnonzero(starts)
    counts = np.diff(places, append=draws * columns)
    column = places // draws
    logs = np.bincount(column, counts * np.log2(counts), minlength=columns)
    kinds = np.bincount(column, minlength=columns)
    return np.maximum(np.log2(draws) - logs / draws, 0.0), kinds
