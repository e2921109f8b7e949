"""Entropy of a neuron's trains in pictures: by their length and by the neuron's threshold.

Our reconstruction: the theorem text of the GAC paper is not known, and nothing here quotes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd

from analysis.coding.entropies import train_entropy
from analysis.coding.periods import max_bits, train_probabilities
from analysis.coding.trains import as_array, as_trains
from analysis.drawings.drawing import COLOURS, MARKERS, QUIET, Drawing, drawn
from analysis.drawings.observer import NEURONS

_NORMAL = NormalDist().cdf
_THRESHOLDS = 100


def entropy_by_steps(trains: Mapping[str, Any], most: int = 10) -> Drawing:
    """Entropy of a train by its length: closed forms for normal currents, and of measured trains.

    Args:
        trains: Name -> zeros and ones, ``(B, T, *neurons)``; T may differ.
        most: Most steps of the closed forms.

    Raises:
        InputError: If the trains are none.
    """
    found = [*_closed_forms(most), *(_measured(*pair) for pair in trains.items())]
    steps = np.arange(1, most + 1)
    with drawn(1, 2, size=(7.4, 3.6)) as panels:
        bits, share = panels[0]
        for place, part in enumerate(found):
            look: dict[str, Any] = {"color": COLOURS[place], "marker": MARKERS[place]}
            if place < len(NEURONS):  # a closed form
                look |= {"linestyle": "--", "markerfacecolor": "white"}
            bits.plot(part.steps, part.bits, markersize=5, label=part.code[0], **look)
            share.plot(part.steps, 100 * part.bits / np.log2(part.steps + 1), markersize=5, **look)
        bits.plot(steps, np.log2(steps + 1), color="black", label="the most: log2(T + 1)")
        bits.set(xlabel="steps T", ylabel="bits per train", ylim=(0, None), xticks=steps)
        share.set(xlabel="steps T", ylabel="% of log2(T + 1)", ylim=(0, 100), xticks=steps)
        bits.figure.legend(loc="outside upper center", ncols=2)
    return Drawing(
        name="entropy-by-steps",
        figure=bits.figure,
        caption="Entropy of a train by its length, in bits (left) and in percent of the most that "
        "a constant current allows (right). Dashed: closed forms for standard normal currents; "
        "solid: measured, all neurons together.",
        data=pd.concat(found, ignore_index=True),
    )


def entropy_by_threshold(currents: Mapping[str, Any], steps: int = 6, most: float = 2.5) -> Drawing:
    """Entropy of a train by the threshold of the neuron, for normal and for measured currents.

    Args:
        currents: Name -> any numbers; each is what a neuron of decay 0.5 gets at every step.
        steps: Simulation steps T.
        most: Highest threshold.

    Raises:
        InputError: If the currents are none.
    """
    lines = [
        _by_threshold(f"normal currents, decay {decay:g}", _NORMAL, steps, decay, most)
        for _, decay in NEURONS.values()
    ]
    for name, values in currents.items():
        lines.append(_by_threshold(name, _shares_up_to(values), steps, 0.5, most))
    released = pd.DataFrame(
        [(f"{name} neuron", *pair, _bits(_NORMAL, steps, *pair)) for name, pair in NEURONS.items()],
        columns=["code", "threshold", "decay", "bits"],
    )
    with drawn(size=(6, 3.6)) as panels:
        panel = panels[0, 0]
        for place, (line, style) in enumerate(zip(lines, ("--", ":", "-", "-."), strict=False)):
            look = {"color": COLOURS[place], "linestyle": style, "linewidth": 1.8}
            panel.plot(line.threshold, line.bits, label=line.code[0], **look)
        _draw_released(panel, released)
        panel.axhline(max_bits(steps), color=QUIET, linewidth=1)
        panel.text(0.02, max_bits(steps) * 0.98, f"the most: log2({steps} + 1)", va="top")
        panel.set(xlabel="threshold", ylabel="bits per train", ylim=(0, None), xlim=(0, most))
        panel.legend(loc="upper right", bbox_to_anchor=(1, 0.93))
    return Drawing(
        name="entropy-by-threshold",
        figure=panel.figure,
        caption=f"Entropy of a train of {steps} steps by the threshold of the neuron; dots are the "
        "two released neurons under standard normal currents. With a low threshold half of the "
        "neurons always fire, with a high one none does.",
        data=pd.concat([*lines, released], ignore_index=True),
    )


def _closed_forms(most: int) -> list[pd.DataFrame]:
    steps = range(1, most + 1)
    return [
        pd.DataFrame(
            {
                "code": f"normal currents, {name} neuron",
                "steps": steps,
                "bits": [_bits(_NORMAL, t, *neuron) for t in steps],
            }
        )
        for name, neuron in NEURONS.items()
    ]


def _measured(name: str, trains: Any) -> pd.DataFrame:
    """Entropy of the first 1, ..., T steps of trains, with its interval over samples."""
    array = as_trains(trains)
    found = [train_entropy(array[:, : step + 1]) for step in range(array.shape[1])]
    rows = [(name, step + 1, one.value, one.low, one.high) for step, one in enumerate(found)]
    return pd.DataFrame(rows, columns=["code", "steps", "bits", "low", "high"])


def _by_threshold(
    name: str, cdf: Callable[[float], float], steps: int, decay: float, most: float
) -> pd.DataFrame:
    thresholds = np.arange(1, _THRESHOLDS + 1) / _THRESHOLDS * most
    bits = [_bits(cdf, steps, float(threshold), decay) for threshold in thresholds]
    return pd.DataFrame({"code": name, "threshold": thresholds, "decay": decay, "bits": bits})


def _bits(cdf: Callable[[float], float], steps: int, threshold: float, decay: float) -> float:
    """Entropy of the trains of a distribution of currents."""
    likely = train_probabilities(cdf, steps, threshold, decay)
    known = likely[likely > 0]
    return float(-(known * np.log2(known)).sum())


def _shares_up_to(values: Any) -> Callable[[float], float]:
    """The share of measured numbers up to one: a cumulative distribution."""
    ordered = np.sort(as_array(values).ravel())
    return lambda end: float(np.searchsorted(ordered, end, side="right")) / len(ordered)


def _draw_released(panel: Any, released: pd.DataFrame) -> None:
    panel.plot(released.threshold, released.bits, "ko", markersize=6)
    for code, place in zip(released.code, released[["threshold", "bits"]].to_numpy(), strict=True):
        panel.annotate(code, place, (6, 6), textcoords="offset points", fontsize=8)
