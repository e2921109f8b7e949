"""What the analysis of a code leaves behind: frozen values, no torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class CodingValue:
    """One quantity measured on spike trains.

    Attributes:
        quantity, unit: Which, and in what.
        value: Of all samples.
        low, high: Of its 95 % interval over samples; None where there is none. Of a shuffled
            value only its 97.5 % quantile over the shuffles, in ``high``.
        step: Up to which step, from 1; None for the whole train.
    """

    quantity: str
    unit: str
    value: float
    low: float | None = None
    high: float | None = None
    step: int | None = None


@dataclass(frozen=True, kw_only=True)
class Coding:
    """What the spike trains of the first neuron behind an encoder say; our reconstruction.

    Attributes:
        encoder: Its name.
        samples, draws: Images, and independent draws of each; 1 of a code without noise.
        steps: Simulation steps T.
        neurons, layer: Neurons analysed, and how many there are.
        threshold, decay: Of these neurons.
        priced: Convention and price list behind the bits per picojoule; empty without them.
        measured: What was found.
    """

    encoder: str
    samples: int
    draws: int
    steps: int
    neurons: int
    layer: int
    threshold: float
    decay: float
    priced: str = ""
    measured: tuple[CodingValue, ...]
