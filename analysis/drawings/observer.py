"""The observer-model analysis in pictures: periods, alphabets, durations.

Our reconstruction: the theorem text of the GAC paper is not known, and nothing here quotes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from analysis.coding.periods import alphabet_size, lif_period
from analysis.coding.trains import as_outputs, dynamic_duration
from analysis.drawings.drawing import COLOURS, MARKERS, Drawing, drawn

# The two neurons of the released code: name -> (threshold, decay).
NEURONS = {"CIFAR": (1.0, 0.5), "ImageNet": (0.5, 0.25)}
_HATCHES = ("", "///", "...", "xxx")


def period_staircase(most: float = 1.2, steps: int = 10) -> Drawing:
    """Steps between spikes by the size of a constant current, for both released neurons.

    Args:
        most: Largest current.
        steps: Longest period that is drawn.
    """
    current = np.linspace(0.3, most, 1801)
    periods = {name: lif_period(current, *neuron) for name, neuron in NEURONS.items()}
    with drawn(size=(6, 3)) as panels:
        panel = panels[0, 0]
        for place, (name, found) in enumerate(periods.items()):
            words = "{}: threshold {:g}, decay {:g}".format(name, *NEURONS[name])
            look = {"color": COLOURS[place], "linestyle": ("-", "--")[place], "linewidth": 1.8}
            panel.step(current, np.where(found <= steps, found, np.nan), label=words, **look)
        panel.set(
            xlabel="constant current, in units of the membrane", ylabel="steps between spikes"
        )
        panel.set(ylim=(0, steps + 0.5), yticks=range(0, steps + 1, 2))
        panel.legend()
    return Drawing(
        name="period-staircase",
        figure=panel.figure,
        caption="Under a constant current a neuron is periodic or silent: each period belongs to "
        "one interval of currents, and the long ones are crowded just above silence.",
        data=pd.DataFrame({"current": current, **periods})[::20],
    )


def alphabet(most: int = 12) -> Drawing:
    """How many different trains a neuron can send, by the number of steps.

    Args:
        most: Most steps.
    """
    steps = range(1, most + 1)
    data = pd.DataFrame(
        {
            "steps": steps,
            "all": [2**t for t in steps],
            "soft_reset": [alphabet_size(t, "soft") for t in steps],
            "hard_reset": [alphabet_size(t) for t in steps],
        }
    )
    words = (
        "all trains of T steps: $2^T$",
        "constant current, threshold subtracted",
        "constant current, reset to 0: T + 1",
    )
    with drawn(size=(6, 3.2)) as panels:
        panel = panels[0, 0]
        for place, (label, column) in enumerate(zip(words, data.columns[1:], strict=True)):
            look = {"color": COLOURS[place], "marker": MARKERS[place], "markersize": 5}
            panel.plot(data.steps, data[column], label=label, **look)
        panel.set(xlabel="steps T", ylabel="different trains", xticks=steps, yscale="log")
        panel.legend()
    return Drawing(
        name="alphabet",
        figure=panel.figure,
        caption="The trains that a neuron can send under a constant current, beside all there are. "
        "With a reset to 0, as in the released code, there is one per period and silence; with the "
        "threshold subtracted, as many as a Farey sequence has terms (observed, not proven).",
        data=data,
    )


def durations(codes: Mapping[str, Any], most: float = 0.5) -> Drawing:
    """T_E per neuron, the last step at which it sends something new: its spread, and by tolerance.

    Args:
        codes: Name -> outputs, ``(B, T, *neurons)``, spikes or graded values; T is the same.
        most: Highest tolerance: outputs that differ by no more are the same.

    Raises:
        InputError: If there are less than two steps, or the outputs are none.
    """
    tolerances = np.linspace(0, most, 26)
    shares = pd.concat([_shares(*pair) for pair in codes.items()], ignore_index=True)
    means = pd.DataFrame(
        [
            (name, tolerance, float(dynamic_duration(outputs, tolerance).mean()))
            for name, outputs in codes.items()
            for tolerance in tolerances
        ],
        columns=["code", "tolerance", "mean_duration"],
    )
    with drawn(1, 2, size=(7.4, 3.4)) as panels:
        spread, mean = panels[0]
        _draw_shares(spread, shares)
        for place, (_, part) in enumerate(means.groupby("code", sort=False)):
            look = {"color": COLOURS[place], "marker": MARKERS[place], "markersize": 5}
            mean.plot(part.tolerance, part.mean_duration, markevery=5, **look)
        mean.set(xlabel="tolerance", ylabel="mean $T_E$ in steps", ylim=(0.98, None))
        spread.figure.legend(loc="outside upper center", ncols=len(codes))
    return Drawing(
        name="durations",
        figure=spread.figure,
        caption="T_E of each neuron: the last step at which it sends what it did not send before. "
        "Left how it is spread if any difference counts, right its mean if differences up to a "
        "tolerance count as none.",
        data=pd.concat([shares, means], ignore_index=True),
    )


def _shares(name: str, outputs: Any) -> pd.DataFrame:
    """How many neurons have which T_E, of one code."""
    steps = as_outputs(outputs).shape[1]
    last = dynamic_duration(outputs).ravel()
    found = np.bincount(last, minlength=steps + 1)[1:] / last.size
    return pd.DataFrame(
        {"code": name, "tolerance": 0.0, "duration": range(1, steps + 1), "share": found}
    )


def _draw_shares(panel: Any, shares: pd.DataFrame) -> None:
    codes = list(dict.fromkeys(shares.code))
    wide = 0.8 / len(codes)
    for place, code in enumerate(codes):
        part = shares[shares.code == code]
        centres = part.duration + wide * (place - (len(codes) - 1) / 2)
        look = {"color": COLOURS[place], "hatch": _HATCHES[place], "edgecolor": "white"}
        panel.bar(centres, 100 * part.share, wide, linewidth=0.5, label=code, **look)
    panel.set(xlabel="$T_E$ in steps", ylabel="neurons in %", xticks=shares.duration.unique())
    panel.grid(visible=False, axis="x")
