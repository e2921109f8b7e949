"""An observer that sees the code up to step t. Needs no torch.

A linear read-out, the same for all encoders, says what is in the code. The other observer is the
trained network itself, whose mean logits are cut off after step t: that is `Report.curve`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.coding.information import as_labels
from analysis.coding.trains import as_array, as_trains
from analysis.errors import InputError, from_extra
from analysis.estimates import Estimate, proportion

FOLDS = 5
PENALTY = 1.0  # of the ridge regression; the same for all encoders
SHARE_OF_INFORMATION = 0.95
POINTS_BELOW = 0.005


def readout_hits(trains: Any, labels: Any, *, seed: int = 0) -> NDArray[np.bool_]:
    """Whether a linear read-out of the first t steps names the class of each sample.

    Ridge regression on the spikes of all neurons at steps 1 to t, fitted on four fifths of the
    samples and asked about the others, five times (stratified). No ideal observer: a lower bound
    of what the code holds, the same for every encoder.

    Args:
        trains: Zeros and ones, ``(B, T, *neurons)``.
        labels: One class per sample, ``(B,)``, each with at least five samples.
        seed: Of the five parts.

    Returns:
        ``(B, T)``; the mean over samples is the accuracy at t = 1, ..., T.

    Raises:
        InputError: If the trains are none, or the labels do not fit them.
    """
    with from_extra("data"):
        from sklearn.linear_model import RidgeClassifier
        from sklearn.model_selection import StratifiedKFold, cross_val_predict
        from threadpoolctl import threadpool_limits

    array = as_trains(trains)
    classes = as_labels(labels, len(array))
    if not can_read_out(classes):
        fewest = int(np.unique(classes, return_counts=True)[1].min())
        raise InputError(f"a read-out needs {FOLDS} samples of every class, got {fewest} of one")
    parts = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    gram, hits = np.zeros((len(array),) * 2), []
    with threadpool_limits(1):  # matrices this small only wait for a second thread
        for step in range(array.shape[1]):
            spikes = array[:, step].astype(np.float64)
            gram += spikes @ spikes.T
            points = _coordinates(gram)
            said = cross_val_predict(RidgeClassifier(PENALTY), points, classes, cv=parts)
            hits.append(said == classes)
    return np.stack(hits, axis=1)


def can_read_out(labels: Any) -> bool:
    """Whether there are several classes, each with enough samples for `readout_hits`."""
    sizes = np.unique(as_array(labels), return_counts=True)[1]
    return len(sizes) > 1 and int(sizes.min()) >= FOLDS


def _coordinates(gram: NDArray[np.float64]) -> NDArray[np.float64]:
    """B points in B dimensions with these inner products.

    A ridge regression sees nothing of its inputs but those, so that it says the same of the
    points as of the spikes of many thousand neurons.
    """
    sizes, axes = np.linalg.eigh(gram)
    return axes * np.sqrt(sizes.clip(min=0))


def accuracies(hits: NDArray[np.bool_]) -> list[Estimate]:
    """The accuracy at each step of a table ``(B, T)`` of hits, with 95 % Wilson intervals."""
    return [proportion(int(column.sum()), len(hits)) for column in hits.T]


def steps_for_share(values: ArrayLike, share: float = SHARE_OF_INFORMATION) -> int | None:
    """The first step at which a rising quantity has a share of its last value.

    Returns:
        From 1 to T; None where the last value is not positive.

    Raises:
        InputError: If there are no values, or not all of them are numbers.

    Examples:
        >>> steps_for_share([0.5, 0.96, 1.0])
        2
    """
    curve = _curve(values)
    if not curve[-1] > 0:
        return None
    return int(np.argmax(curve >= share * curve[-1])) + 1


def steps_within(values: ArrayLike, below: float = POINTS_BELOW) -> int:
    """The first step whose accuracy is at most this much below the last one's.

    Examples:
        >>> steps_within([0.90, 0.974, 0.978])
        2
    """
    curve = _curve(values)
    return int(np.argmax(curve >= curve[-1] - below)) + 1


def _curve(values: ArrayLike) -> NDArray[np.float64]:
    curve = np.asarray(values, dtype=np.float64)
    if curve.ndim != 1 or not curve.size or np.isnan(curve).any():
        raise InputError(f"expected one number per step, got {values!r}")
    return curve
