"""How much every layer fires, over networks of several training seeds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from analysis.drawings.drawing import COLOURS, MARKERS, Drawing, drawn
from analysis.drawings.layers import RATE, Seeds, layers_of, rates_of
from analysis.drawings.seeds import (
    CLEARNESS_TOLD,
    clearness,
    draw_difference,
    draw_seeds,
    label_rows,
    mean_over_seeds,
    name_once,
    name_series,
    paired,
    share_x,
)

WHOLE = ("all neurons", "neurons both have")


def layer_rates(panels: Mapping[str, Mapping[str, Seeds]], name: str = "layer-rates") -> Drawing:
    """The rate of every neuron layer, as means over seeds.

    Args:
        panels: Title of a panel -> name of a series -> its networks.
        name: Of the drawing.
    """
    layers = layers_of(seeds for series in panels.values() for seeds in series.values())
    rows: list[dict[str, Any]] = []
    with drawn(1, len(panels), size=(1.6 + 2.9 * len(panels), 1.2 + 0.4 * len(layers))) as axes:
        for panel, (title, series) in zip(axes[0], panels.items(), strict=True):
            for place, (kind, seeds) in enumerate(series.items()):
                shift = 0.64 * ((place + 0.5) / len(series) - 0.5)
                for height, layer in enumerate(layers):
                    rates = list(rates_of(seeds, [layer]).values())
                    if rates:
                        colour, marker = COLOURS[place], MARKERS[place]
                        draw_seeds(panel, rates, height + shift, colour=colour, marker=marker)
                        where = {"panel": title, "series": kind, "layer": layer}
                        rows.append(where | mean_over_seeds(rates))
            panel.set(title=title, xlabel=RATE)
            label_rows(panel, layers)
        name_once(axes[0])
        share_x(axes[0], least=-0.01)
        every = dict.fromkeys(kind for series in panels.values() for kind in series)
        name_series(axes[0, 0].figure, list(every))
    return Drawing(
        name=name,
        figure=axes[0, 0].figure,
        caption="Firing rate of every neuron layer, in the order they fire: each seed as a grey "
        "dot, the mean with its 95 % interval over the seeds (Student's t; it is symmetric, and "
        "cut off at 0 here).",
        data=pd.DataFrame(rows),
    )


def rate_differences(
    panels: Mapping[str, tuple[Seeds, Seeds]], what: str, name: str = "rate-differences"
) -> Drawing:
    """How much more one kind of network fires than another one of the same seed.

    Args:
        panels: Title of a panel -> the networks, and those they are compared with.
        what: The difference in words, such as ``GAC - direct``.
        name: Of the drawing.

    Raises:
        InputError: If no seed is in both.
    """
    layers = layers_of(seeds for pair in panels.values() for seeds in pair)
    kept = _kept(layers, [seeds for pair in panels.values() for seeds in pair])
    comparisons = len(kept) * len(panels)
    rows: list[dict[str, Any]] = []
    with drawn(1, len(panels), size=(1.6 + 2.9 * len(panels), 0.9 + 0.3 * len(kept))) as axes:
        for panel, (title, (one, other)) in zip(axes[0], panels.items(), strict=True):
            panel.axvline(0, color="black", lw=0.8)
            for height, (row, some) in enumerate(kept.items()):
                values = list(paired(rates_of(one, some), rates_of(other, some)).values())
                draw_difference(panel, values, height, comparisons)
                verdict = {"sign": clearness(values, comparisons)}
                rows.append({"panel": title, "layer": row, **mean_over_seeds(values), **verdict})
            panel.set(title=title, xlabel=f"{what},\nspikes / neuron / step")
            label_rows(panel, list(kept))
        name_once(axes[0])
        share_x(axes[0])
    return Drawing(
        name=name,
        figure=axes[0, 0].figure,
        caption=f"{what}: firing rate less that of the network with the same seed, each seed as a "
        f"grey dot, the mean with its 95 % interval (Student's t). {CLEARNESS_TOLD}",
        data=pd.DataFrame(rows),
    )


def _kept(layers: list[str], groups: list[Seeds]) -> dict[str, list[str]]:
    """Rows of differences -> the layers each is about: together first, then one by one."""
    shared = [layer for layer in layers if all(layer in layers_of([seeds]) for seeds in groups)]
    return dict(zip(WHOLE, (layers, shared), strict=True)) | {layer: [layer] for layer in shared}
