"""Heat maps of firing rates: layers by steps, layers by training seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.drawings.drawing import Drawing, drawn
from analysis.drawings.layers import RATE, Seeds, having, layers_of, rates_of
from analysis.drawings.seeds import label_rows, name_once

Rates = NDArray[np.float64]  # (layers, columns); NaN where there is nothing

_NOTHING = "#e4e4e4"


def step_rates(panels: Mapping[str, Seeds], name: str = "step-rates") -> Drawing:
    """The rate of every layer at every step, mean over seeds.

    Args:
        panels: Title of a panel -> its networks.
        name: Of the drawing.
    """
    layers = layers_of(panels.values())
    maps = {title: _by_step(layers, seeds) for title, seeds in panels.items()}
    steps = [str(step + 1) for step in range(next(iter(maps.values())).shape[1])]
    return _drawing(
        name,
        maps,
        layers,
        ("step", steps),
        "Firing rate of every layer at every step, mean over the seeds. A bare 0: not one spike "
        "in any of the networks; a dash: there is no such layer, or its steps are not known.",
    )


def seed_rates(panels: Mapping[str, Seeds], name: str = "seed-rates") -> Drawing:
    """The rate of every layer of every single network.

    Args:
        panels: Title of a panel -> its networks.
        name: Of the drawing.
    """
    layers = layers_of(panels.values())
    seeds = sorted({seed for found in panels.values() for seed in found})
    maps = {title: _by_seed(layers, found, seeds) for title, found in panels.items()}
    return _drawing(
        name,
        maps,
        layers,
        ("seed", [str(seed) for seed in seeds]),
        "Firing rate of every layer of every single network. A bare 0: not one spike; a dash: "
        "there is no such layer, or no such network.",
    )


def _by_step(layers: Sequence[str], seeds: Seeds) -> Rates:
    steps = max(report.run.steps for report in seeds.values())
    rates = np.full((len(layers), steps), np.nan)
    for place, layer in enumerate(layers):
        records = (record for _, record in having(layer, seeds).values())
        found = [record.rate_by_step for record in records if record.rate_by_step is not None]
        if found:
            rates[place] = np.mean(found, axis=0)
    return rates


def _by_seed(layers: Sequence[str], found: Seeds, seeds: Sequence[int]) -> Rates:
    by_layer = [rates_of(found, [layer]) for layer in layers]
    return np.array([[rates.get(seed, np.nan) for seed in seeds] for rates in by_layer])


def _drawing(
    name: str,
    maps: Mapping[str, Rates],
    layers: Sequence[str],
    columns: tuple[str, Sequence[str]],
    caption: str,
) -> Drawing:
    axis, names = columns
    top = max((float(np.nanmax(r)) for r in maps.values() if not np.isnan(r).all()), default=0.0)
    top = top or 1.0
    width = 2.4 + len(maps) * max(1.5, 0.36 * len(names))
    with drawn(1, len(maps), size=(width, 0.9 + 0.34 * len(layers))) as axes:
        for panel, (title, rates) in zip(axes[0], maps.items(), strict=True):
            image = _heat_map(panel, rates, top)
            panel.set(title=title, xlabel=axis)
            panel.set_xticks(range(len(names)), names)
            label_rows(panel, layers)
        name_once(axes[0])
        figure = axes[0, 0].figure
        figure.colorbar(image, ax=axes[0].tolist(), label=RATE, pad=0.02)
    return Drawing(
        name=name,
        figure=figure,
        caption=f"{caption} All panels share one scale.",
        data=pd.DataFrame(
            {"panel": title, "layer": layers[row], axis: int(names[column]), "firing_rate": rate}
            for title, rates in maps.items()
            for (row, column), rate in np.ndenumerate(rates)
            if not np.isnan(rate)
        ),
    )


def _heat_map(panel: Any, rates: Rates, top: float) -> Any:
    """Draws one map with its numbers; gives back what a colour bar needs."""
    panel.set_facecolor(_NOTHING)
    panel.grid(visible=False)
    image = panel.imshow(rates, cmap="cividis", vmin=0, vmax=top, aspect="auto")
    for (row, column), rate in np.ndenumerate(rates):
        colour = "black" if np.isnan(rate) or rate > 0.55 * top else "white"
        text = _written(rate)
        panel.text(column, row, text, color=colour, fontsize=7, ha="center", va="center")
    return image


def _written(rate: float) -> str:
    """A rate in a cell of a map: two decimals, a bare 0 only where it is exactly that."""
    if np.isnan(rate):
        return "-"
    return f"{rate:.2f}".removeprefix("0") if rate else "0"
