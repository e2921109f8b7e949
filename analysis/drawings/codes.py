"""What an encoder sends at every step: the binary cube, the graded cube, rasters of both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.coding.trains import as_array, as_trains, train_periods
from analysis.drawings.drawing import COLOURS, QUIET, Drawing, drawn
from analysis.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SHADES = "YlGnBu"  # from nothing to 1, the same for spikes, gates and their product
_APART = 0.74  # of two maps of a row, in widths of the picture
_FLOOR = 1.42  # of two rows, in heights of it
# A map as a card that turns away from the reader: how wide it looks, how much it rises.
_WIDE, _RISE = 0.64, 0.16
_ROWS = (
    "direct coding: spikes of a constant current, 0 or 1",
    "the gate, in (0, 1)",
    "GAC: spikes times gate, graded",
)
_PANELS = ("direct coding", "GAC: spikes times gate", "GAC: the next neuron")
_ARROW = {"arrowstyle": "-|>", "color": QUIET}


def code_cubes(picture: Any, spikes: Any, gate: Any, *, channel: int, name: str) -> Drawing:
    """One channel at every step: spikes of direct coding, the gate, and their product.

    Args:
        picture: What was encoded, ``(H, W)`` or ``(H, W, 3)``, in [0, 1].
        spikes: Of the current, the same image, zeros and ones, ``(1, T, C, H, W)``.
        gate: That multiplies them, in (0, 1), of the same shape.
        channel: That is drawn, from 0.
        name: Of the drawing, behind ``code-cubes-``.

    Raises:
        InputError: If the shapes differ, or there is no such channel.
    """
    binary, factor = one_channel(spikes, gate, channel)
    rows = (binary, factor, binary * factor)
    with drawn(size=(2.9 + 0.72 * len(binary), 4.6)) as panels:
        panel = panels[0, 0]
        _picture(panel, as_array(picture), middle=0.5 - _FLOOR)
        for floor, (words, maps) in enumerate(zip(_ROWS, rows, strict=True)):
            shown = _cards(panel, maps, base=-_FLOOR * floor)
            panel.text(0.0, 1.08 - _FLOOR * floor, words)
        _arrow_of_time(panel, len(binary), -_FLOOR * (len(rows) - 1))
        _bare(panel, len(binary), len(rows))
        bar = panel.figure.colorbar(shown, ax=panel, shrink=0.5, pad=0.01, aspect=16)
        bar.set_label("value at one step")
        bar.outline.set_visible(False)
    return Drawing(
        name=f"code-cubes-{name}",
        figure=panel.figure,
        caption=f"Channel {channel} of the encoder over {len(binary)} steps, all in one scale. "
        "Direct coding repeats one current, whose spikes are a binary cube; GAC weighs each spike "
        "by its gate in (0, 1), a graded cube.",
        data=_spike_rows(binary, factor),
    )


def code_raster(
    spikes: Any, gate: Any, behind: Any, *, each: int = 8, seed: int = 0, name: str
) -> Drawing:
    """Spikes of some neurons by step: of direct coding, weighed by the gate, and of what is behind.

    The neurons are drawn at random, equally many of every train that fires; the same in all
    three panels.

    Args:
        spikes: Of the current, one image, zeros and ones, ``(1, T, C, H, W)``.
        gate: That multiplies them, in (0, 1), of the same shape.
        behind: Spikes of the first neuron that reads the product, of the same shape.
        each: Neurons of every train, or all where there are fewer.
        seed: Of which.
        name: Of the drawing, behind ``code-raster-``.

    Raises:
        InputError: If the shapes differ, or nothing fires.
    """
    trains, factor, heard = (_flat(values, spikes) for values in (spikes, gate, behind))
    periods = train_periods(as_array(spikes)[:1])[0]
    chosen = _of_every_train(periods, each, seed)
    data = _marks(trains[:, chosen], factor[:, chosen], heard[:, chosen], periods[chosen])
    with drawn(1, 3, size=(7.4, 4.2)) as panels:
        _draw_rasters(panels[0], data, steps=len(trains))
        _groups(panels[0], periods[chosen])
    return Drawing(
        name=f"code-raster-{name}",
        figure=panels[0, 0].figure,
        caption=f"The same {len(chosen)} neurons in all panels, up to {each} of every train that a "
        "constant current makes, drawn at random. Left their spikes, in the middle the same spikes "
        "as the gate leaves them, right what the first neuron behind makes of those.",
        data=data,
    )


def one_channel(spikes: Any, gate: Any, channel: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Spikes and gate of one channel of the first image.

    Args:
        spikes: Zeros and ones, ``(B, T, C, H, W)``.
        gate: In (0, 1), of the same shape.
        channel: From 0.

    Returns:
        Two times ``(T, H, W)``.

    Raises:
        InputError: If the shapes differ, or there is no such channel.
    """
    trains, factor = as_array(spikes), as_array(gate)
    as_trains(trains)
    if trains.shape != factor.shape or trains.ndim != 5:
        raise InputError(
            f"expected spikes and gate (B, T, C, H, W), got {trains.shape} and {factor.shape}"
        )
    if not 0 <= channel < trains.shape[2]:
        raise InputError(f"no channel {channel} of {trains.shape[2]}")
    return trains[0, :, channel].astype(float), factor[0, :, channel].astype(float)


def _picture(panel: Axes, picture: NDArray[Any], middle: float) -> None:
    """The image itself, left of the rows, with arrows to the two that are computed from it."""
    left, right, half = -2.0, -0.5, 0.75
    extent = (left, right, middle - half, middle + half)
    panel.imshow(picture, cmap="gray", vmin=0, vmax=1, extent=extent, aspect="equal")
    panel.text(left, middle + half + 0.08, "image")
    for end, start in ((0.3, middle + 0.4), (middle - 0.06, middle - 0.06)):
        panel.annotate("", (-0.06, end), (right + 0.04, start), arrowprops=_ARROW)


def _cards(panel: Axes, maps: NDArray[Any], base: float) -> Any:
    """Maps ``(T, H, W)`` in a row, each a card that turns away; gives what has their colours."""
    from matplotlib.transforms import Affine2D

    for step, values in enumerate(maps):
        place = Affine2D.from_values(_WIDE, _RISE, 0, 1 - _RISE, step * _APART, base)
        moved = place + panel.transData
        shown = panel.imshow(
            values, cmap=_SHADES, vmin=0, vmax=1, extent=(0, 1, 0, 1), interpolation="none"
        )
        shown.set_transform(moved)
        edge = ([0, 1, 1, 0, 0], [0, 0, 1, 1, 0])
        panel.plot(*edge, transform=moved, color="#444444", linewidth=0.7)
    return shown


def _arrow_of_time(panel: Axes, steps: int, base: float) -> None:
    for step in range(steps):
        panel.text(step * _APART + _WIDE / 2, base - 0.1, f"{step + 1}", ha="center", va="top")
    end = (steps - 1) * _APART + _WIDE
    panel.annotate("", (end, base - 0.32), (0, base - 0.32), arrowprops=_ARROW)
    panel.text(end / 2, base - 0.38, "simulation step", ha="center", va="top")


def _bare(panel: Axes, steps: int, rows: int) -> None:
    panel.set(
        xlim=(-2.05, (steps - 1) * _APART + _WIDE + 0.05),
        ylim=(-_FLOOR * (rows - 1) - 0.6, 1.3),
        aspect="equal",
    )
    panel.set_axis_off()


def _spike_rows(binary: NDArray[Any], factor: NDArray[Any]) -> pd.DataFrame:
    """One row per spike of a channel, with the gate it meets."""
    step, row, column = np.nonzero(binary)
    return pd.DataFrame(
        {"step": step + 1, "row": row, "column": column, "gate": factor[step, row, column]}
    )


def _flat(values: Any, like: Any) -> NDArray[Any]:
    """Of the first image, ``(T, N)``."""
    array, shape = as_array(values), as_array(like).shape
    if array.shape != shape or array.ndim < 3:
        raise InputError(f"expected the shape of the spikes, {shape}, got {array.shape}")
    return array[0].reshape(array.shape[1], -1)


def _of_every_train(periods: NDArray[np.float64], each: int, seed: int) -> NDArray[np.int64]:
    """Places of neurons: up to ``each`` of every finite period, the shortest first."""
    generator = np.random.default_rng(seed)
    chosen: list[NDArray[np.int64]] = []
    for period in np.unique(periods[np.isfinite(periods)]):
        places = np.flatnonzero(periods == period)
        chosen.append(np.sort(generator.permutation(places)[:each]))
    if not chosen:
        raise InputError("no neuron fires with a period: nothing to draw")
    return np.concatenate(chosen)


def _marks(
    trains: NDArray[Any], factor: NDArray[Any], heard: NDArray[Any], periods: NDArray[Any]
) -> pd.DataFrame:
    """One row per neuron and step."""
    step, neuron = (x.ravel() for x in np.indices(trains.shape))
    return pd.DataFrame(
        {
            "neuron": neuron,
            "period": periods[neuron].astype(int),
            "step": step + 1,
            "spike": trains.ravel().astype(int),
            "gate": factor.ravel(),
            "behind": heard.ravel().astype(int),
        }
    )


def _draw_rasters(panels: NDArray[Any], data: pd.DataFrame, steps: int) -> None:
    """Spikes, gated spikes and spikes behind, each in its panel."""
    for panel, words in zip(panels, _PANELS, strict=True):
        panel.set(title=words, xlabel="step", ylim=(data.neuron.max() + 1, -1))
        panel.set(xticks=range(1, steps + 1), xlim=(0.5, steps + 0.5))
        panel.grid(visible=False)
    marks = {"marker": "|", "s": 24, "linewidths": 2.4}
    fired, passed = data[data.spike == 1], data[data.behind == 1]
    panels[0].scatter(fired.step, fired.neuron, color=COLOURS[0], **marks)
    # An edge in grey: a spike behind a closed gate is as good as white.
    panels[1].scatter(fired.step, fired.neuron, color="#cccccc", **(marks | {"linewidths": 4}))
    shown = panels[1].scatter(
        fired.step, fired.neuron, c=fired.gate, cmap=_SHADES, vmin=0, vmax=1, **marks
    )
    panels[2].scatter(passed.step, passed.neuron, color=COLOURS[1], **marks)
    bar = panels[2].figure.colorbar(shown, ax=panels[2], aspect=30)
    bar.set_label("value of a gated spike (middle)")
    bar.outline.set_visible(False)


def _groups(panels: NDArray[Any], periods: NDArray[Any]) -> None:
    """Lines between neurons of different periods, whose names stand at the left."""
    ends = np.flatnonzero(np.diff(periods)) + 0.5
    for panel in panels:
        panel.hlines(ends, *panel.get_xlim(), color="#dddddd", linewidth=0.8)
        panel.set_yticks([])
    for period in np.unique(periods):
        middle = float(np.flatnonzero(periods == period).mean())
        panels[0].set_yticks([*panels[0].get_yticks(), middle])
    panels[0].set_yticklabels([f"{period:g}" for period in np.unique(periods)])
    panels[0].set_ylabel("neurons, by the period of their spikes in steps")
