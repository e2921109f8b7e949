"""How the channels of every layer differ in their rates, and how many neurons never fire."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.drawings.drawing import COLOURS, MARKERS, QUIET, Drawing, drawn
from analysis.drawings.layers import Seeds, having, layers_of
from analysis.drawings.seeds import label_rows, name_once, share_x
from analysis.errors import InputError
from analysis.records import NeuronDetail

_QUANTILES = (5, 25, 50, 75, 95)


def channel_rates(panels: Mapping[str, Seeds], name: str = "channel-rates") -> Drawing:
    """Rates of single channels, and the shares of neurons that never and that always fired.

    Args:
        panels: Title of a panel -> its networks; all their channels are put together.
        name: Of the drawing.

    Raises:
        InputError: If a run did not count single neurons.
    """
    layers, rows = layers_of(panels.values()), []
    with drawn(1, len(panels) + 1, size=(3.0 + 2.5 * len(panels), 1.2 + 0.4 * len(layers))) as axes:
        for panel, (title, seeds) in zip(axes[0], panels.items(), strict=False):
            for height, layer in enumerate(layers):
                rates = channels_of(layer, seeds)
                if rates.size:
                    _strip(panel, rates, height)
                    rows.append({"panel": title, "layer": layer, **_row(rates, layer, seeds)})
            panel.set(title=title, xlabel="rate of a channel,\nspikes / neuron / step")
        data = pd.DataFrame(rows)
        _ends(axes[0, -1], data, layers)
        for panel in axes[0]:
            label_rows(panel, layers)
        name_once(axes[0])
        share_x(axes[0, :-1])
    return Drawing(
        name=name,
        figure=axes[0, 0].figure,
        caption="Left: firing rates of all single channels of all seeds (dots), their median "
        "(white) and where the middle 50 and 90 % of them lie (thick and thin lines). Right: the "
        "share of single neurons that never fired on any image (filled) and that fired at every "
        "step of every image (open), mean over the seeds.",
        data=data,
    )


def channels_of(layer: str, seeds: Seeds) -> NDArray[np.float64]:
    """Rates of all channels of a layer in all networks, one after the other.

    Raises:
        InputError: If a run did not count single neurons.
    """
    rates = [np.empty(0)]
    for _, record in having(layer, seeds).values():
        channels = np.array(_detail(record.detail).channels)
        rates.append(channels * len(channels) / record.outputs)
    return np.concatenate(rates)


def _detail(detail: NeuronDetail | None) -> NeuronDetail:
    if detail is None:
        raise InputError("this run did not count single neurons; analyse with neuron_detail=True")
    return detail


def _row(rates: NDArray[np.float64], layer: str, seeds: Seeds) -> dict[str, float]:
    records = [record for _, record in having(layer, seeds).values()]
    quantiles = np.percentile(rates, _QUANTILES)
    return {
        "channels": rates.size,
        **{f"q{q}": float(value) for q, value in zip(_QUANTILES, quantiles, strict=True)},
        "silent_channels": float((rates == 0).mean()),
        "dead": fmean(_detail(r.detail).dead / r.neurons for r in records),
        "saturated": fmean(_detail(r.detail).saturated / r.neurons for r in records),
    }


def _strip(panel: Any, rates: NDArray[np.float64], height: float) -> None:
    """All rates as dots around a row, with their quantiles."""
    around = height + 0.5 * (np.arange(rates.size) * 0.618034 % 1 - 0.5)  # spread, not random
    panel.plot(rates, around, ".", color=COLOURS[5], ms=2, alpha=0.5, mew=0, rasterized=True)
    low, first, median, third, high = np.percentile(rates, _QUANTILES)
    panel.plot([low, high], [height, height], color=COLOURS[0], lw=1)
    panel.plot([first, third], [height, height], color=COLOURS[0], lw=3.5, solid_capstyle="butt")
    panel.plot(median, height, "o", color=COLOURS[0], mfc="white", ms=4.5)


def _ends(panel: Any, data: pd.DataFrame, layers: list[str]) -> None:
    """Shares of neurons that never and that always fired, in per cent."""
    for place, (title, part) in enumerate(data.groupby("panel", sort=False)):
        heights = part.layer.map(layers.index) + 0.3 * (place - 0.5)
        look = {"color": COLOURS[place], "marker": MARKERS[place], "ls": "none", "ms": 5}
        panel.hlines(heights, 0, 100 * part.dead, color=QUIET, lw=0.6)
        panel.plot(100 * part.dead, heights, label=f"{title}: never fired", **look)
        panel.plot(
            100 * part.saturated,
            heights,
            mfc="white",
            label=f"{title}: fired at every step",
            **look,
        )
    panel.set(xlabel="share of single neurons, %", xlim=(-4, 104))
    panel.figure.legend(loc="outside upper right", ncols=2)
