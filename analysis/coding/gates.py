"""What a gate in (0, 1) does to the spikes it multiplies. Needs no torch.

Our reconstruction: for a still image the log-odds of the GAC gate are a number per step times a
map, so that all variation over time comes from the rows of its last temporal layer (W_m), and a
spike whose gate stays at or below threshold * (1 - decay) can never make the next neuron fire,
however often it is repeated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.coding.periods import silent_threshold
from analysis.coding.resampling import jackknife
from analysis.coding.trains import as_outputs, as_trains
from analysis.errors import InputError
from analysis.estimates import Estimate


@dataclass(frozen=True, kw_only=True)
class GateQuantities:
    """Of one gate on some samples.

    Attributes:
        rank: Numerical rank of the log-odds, ``T x neurons``: the highest of all samples, 0
            where all are 0 (a gate of one half everywhere).
        closed: Share of neurons and steps whose gate cannot let a constant input through.
        gated_off: Share of the spikes that meet a closed gate; NaN without spikes.
        variation: Standard deviation of the gate over the steps, mean over samples and neurons.
        spread: Standard deviation of the gate over everything, to compare with.
    """

    rank: int
    closed: Estimate
    gated_off: Estimate
    variation: Estimate
    spread: float


def gate_quantities(
    log_odds: Any, spikes: Any, *, threshold: float = 1.0, decay: float = 0.5
) -> GateQuantities:
    """Rank, closed share and variation over time of a gate.

    Args:
        log_odds: Of the gate, ``(B, T, *neurons)``: the sigmoid's argument, as the gate itself
            rounds to 0 and 1.
        spikes: That the gate multiplies, zeros and ones of the same shape.
        threshold: Of the neuron behind the gate.
        decay: Of the same.

    Raises:
        InputError: If the shapes differ, there are less than two steps, or the values are none.
    """
    odds = as_outputs(log_odds, steps=2).astype(np.float64)
    trains = as_trains(spikes, steps=2).astype(bool)
    samples = np.ones(len(odds))
    if odds.shape != trains.shape:
        raise InputError(f"a gate {odds.shape} on spikes {trains.shape}: the shapes differ")
    gate = sigmoid(odds)
    closed = gate <= float(silent_threshold(threshold, decay))
    return GateQuantities(
        rank=rank_over_time(as_outputs(log_odds)),
        closed=_ratio(closed.mean((1, 2)), samples),
        gated_off=_ratio((closed & trains).sum((1, 2)), trains.sum((1, 2))),
        variation=_ratio(gate.std(1).mean(1), samples),
        spread=float(gate.std()),
    )


def sigmoid(odds: NDArray[np.float64]) -> NDArray[np.float64]:
    """The gate of its log-odds, without overflow."""
    return 0.5 * (1 + np.tanh(odds / 2))


def rank_over_time(odds: NDArray[Any]) -> int:
    """The highest rank of log-odds ``(B, T, N)``, up to rounding in the precision that came."""
    floating = odds if odds.dtype.kind == "f" else odds.astype(np.float64)
    return int(np.linalg.matrix_rank(floating).max())


def _ratio(part: NDArray[Any], whole: NDArray[Any]) -> Estimate:
    """Sum over sum of numbers per sample; NaN where the whole is 0."""
    if not whole.sum():
        return Estimate(float("nan"))
    return jackknife(
        np.stack([part, whole], axis=1), lambda rows: float(rows[:, 0].sum() / rows[:, 1].sum())
    )
