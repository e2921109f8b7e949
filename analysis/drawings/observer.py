"""The observer-model analysis in pictures: periods, alphabets, information."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.coding.periods import lif_period
from analysis.drawings.drawing import COLOURS, Drawing, drawn

# The two neurons of the released code: name -> (threshold, decay).
NEURONS = {"CIFAR": (1.0, 0.5), "ImageNet": (0.5, 0.25)}


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
        for colour, (name, found) in zip(COLOURS, periods.items(), strict=False):
            threshold, decay = NEURONS[name]
            label = f"{name}: threshold {threshold:g}, decay {decay:g}"
            panel.step(current, np.where(found <= steps, found, np.nan), color=colour, label=label)
        panel.set(xlabel="constant current", ylabel="steps between spikes", ylim=(0, steps + 0.5))
        panel.legend()
    return Drawing(
        name="period-staircase",
        figure=panel.figure,
        caption="Under a constant current a neuron is periodic or silent: each period belongs to "
        "one interval of currents, and the long ones are crowded just above silence.",
        data=pd.DataFrame({"current": current, **periods})[::20],
    )
