"""The gate of GAC in pictures: its course over the steps, its rank, and the mask it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.coding.gates import rank_over_time, sigmoid
from analysis.coding.periods import silent_threshold
from analysis.coding.trains import as_outputs
from analysis.drawings.codes import one_channel
from analysis.drawings.drawing import COLOURS, MARKERS, QUIET, Drawing, drawn
from analysis.errors import InputError

_DECILES = tuple(range(10, 100, 10))


def gate_over_time(log_odds: Any, *, neurons: int = 5, name: str) -> Drawing:
    """The gate at every step, of some neurons and of all, and the rank of its log-odds.

    Args:
        log_odds: Of the gate of some still images, ``(B, T, *neurons)``.
        neurons: Of the first image, to show by themselves: evenly spread by their mean gate.
        name: Of the drawing, behind ``gate-over-time-``.

    Raises:
        InputError: If there are less than two steps, or the values are none.
    """
    odds = as_outputs(log_odds, steps=2)
    gate = sigmoid(odds.astype(np.float64))
    courses, sizes = _courses(gate, neurons), _sizes(odds)
    resolution = float(np.finfo(odds.dtype).eps)
    with drawn(1, 2, size=(7.4, 3.1)) as panels:
        _draw_courses(panels[0, 0], courses)
        _draw_sizes(panels[0, 1], sizes, resolution)
    second, rank = sizes[sizes.what == "2"].value.max(), rank_over_time(odds)
    return Drawing(
        name=f"gate-over-time-{name}",
        figure=panels[0, 0].figure,
        caption="Left the gate at every step: neurons of one image, evenly spread by their mean, "
        "the mean of all, and the bands between the 1st and 9th and the 3rd and 7th decile. Right "
        "the singular values of its log-odds (steps by neurons), one mark per image: the second is "
        f"at most {second:.1g} of the first; up to rounding the rank is {rank}"
        + (", a number per step times a map." if rank == 1 else "."),
        data=pd.concat([courses, sizes], ignore_index=True),
    )


def gate_mask(spikes: Any, gate: Any, *, channels: tuple[int, ...], name: str) -> Drawing:
    """Maps of some channels: spikes per step, the gate's mean over the steps and its deviation.

    Args:
        spikes: That the gate multiplies, of one image, zeros and ones, ``(1, T, C, H, W)``.
        gate: In (0, 1), of the same shape.
        channels: That are drawn, from 0.
        name: Of the drawing, behind ``gate-mask-``.

    Raises:
        InputError: If the shapes differ, or there is no such channel.
    """
    maps = _maps(spikes, gate, channels)
    data = _map_rows(maps, channels)
    with drawn(len(maps), len(channels), size=(7.4, 3.3)) as panels:
        for line, (words, values) in zip(panels, maps.items(), strict=True):
            line[0].set_ylabel(words)
            for panel, one in zip(line, values, strict=True):
                shown = panel.imshow(one, cmap="YlGnBu", vmin=0, vmax=1, interpolation="none")
                panel.grid(visible=False)
                panel.spines[:].set_visible(False)
                panel.set(xticks=[], yticks=[])
        for panel, channel in zip(panels[0], channels, strict=True):
            panel.set_title(f"channel {channel}")
        bar = panels[0, 0].figure.colorbar(shown, ax=panels, shrink=0.6, aspect=20)
        bar.set_label("value, from 0 to 1")
        bar.outline.set_visible(False)
    return Drawing(
        name=f"gate-mask-{name}",
        figure=panels[0, 0].figure,
        caption="What a gate does to one image, all maps in one scale. Its mean over the steps "
        "passes some places and shuts others: it deviates by "
        f"{data.gate_mean.std(ddof=0):.3f} from place to place, and on average by "
        f"{data.gate_deviation.mean():.3f} from step to step.",
        data=data,
    )


def gate_shares(
    gates: dict[str, tuple[Any, Any]], *, threshold: float = 1.0, decay: float = 0.5
) -> Drawing:
    """How the gates that spikes meet are spread between 0 and 1, and where they are closed.

    Args:
        gates: Name -> gate in (0, 1) and the spikes that it multiplies, both ``(B, T, *neurons)``.
        threshold: Of the neuron behind the gate.
        decay: Of the same.

    Raises:
        InputError: If shapes differ, or a code has no spike.
    """
    limit = float(silent_threshold(threshold, decay))
    edges = np.linspace(0, 1, 21)
    rows = []
    with drawn(size=(6, 3)) as panels:
        panel = panels[0, 0]
        panel.axvspan(0, limit, color="#eeeeee", zorder=0)
        panel.axvline(limit, color=QUIET, linestyle="--", linewidth=1)
        for colour, style, (words, pair) in zip(COLOURS, ("-", "--"), gates.items(), strict=False):
            met = _met(*pair)
            shares = np.histogram(met, edges)[0] / len(met)
            closed = float((met <= limit).mean())
            panel.stairs(
                shares, edges, color=colour, linestyle=style, linewidth=1.8,
                label=f"{words}: {100 * closed:.0f} % of the spikes at a closed gate",
            )  # fmt: skip
            rows += [(words, low, share) for low, share in zip(edges[:-1], shares, strict=True)]
        panel.set(xlabel="gate that a spike meets", ylabel="share of the spikes", xlim=(0, 1))
        panel.set_ylim(bottom=0)
        panel.legend(loc="upper center", bbox_to_anchor=(0.5, 1.25))
    return Drawing(
        name="gate-shares",
        figure=panel.figure,
        caption=f"The gates that spikes meet, in bins of 0.05. At or below {limit:g} (grey) a gate "
        "is closed: on spikes behind such gates the next neuron never fires, however many come.",
        data=pd.DataFrame(rows, columns=["gate", "from", "share"]),
    )


def _courses(gate: NDArray[np.float64], neurons: int) -> pd.DataFrame:
    """Rows what, step, value: some neurons of the first image, mean and deciles of all."""
    count, order = gate.shape[2], np.argsort(gate[0].mean(0), kind="stable")
    places = ((np.arange(neurons) + 0.5) / neurons * count).astype(int)  # in the middle of fifths
    lines = {f"neuron {place}": gate[0, :, place] for place in order[places]}
    lines["mean"] = gate.mean((0, 2))
    for decile in _DECILES:
        lines[f"decile {decile // 10}"] = np.percentile(gate, decile, axis=(0, 2))
    return _long(lines, range(1, gate.shape[1] + 1)).assign(kind="gate")


def _sizes(odds: NDArray[Any]) -> pd.DataFrame:
    """Rows what (which singular value), step (none), value: of each image, over the largest."""
    found = np.linalg.svd(odds, compute_uv=False)
    relative = found / np.maximum(found[:, :1], np.finfo(odds.dtype).tiny)
    rows = [(str(k + 1), value) for image in relative for k, value in enumerate(image)]
    return pd.DataFrame(rows, columns=["what", "value"]).assign(kind="singular value, of the first")


def _long(lines: dict[str, NDArray[np.float64]], steps: range) -> pd.DataFrame:
    rows = [
        (what, step, float(value))
        for what, values in lines.items()
        for step, value in zip(steps, values, strict=True)
    ]
    return pd.DataFrame(rows, columns=["what", "step", "value"])


def _draw_courses(panel: Any, courses: pd.DataFrame) -> None:
    lines = {str(what): part.value.to_numpy() for what, part in courses.groupby("what", sort=False)}
    steps = np.arange(1, len(lines["mean"]) + 1)
    for low, high, shade in (("decile 1", "decile 9", 0.15), ("decile 3", "decile 7", 0.25)):
        panel.fill_between(
            steps, lines[low], lines[high], color=COLOURS[0], alpha=shade, linewidth=0
        )
    alone = [what for what in lines if what.startswith("neuron")]
    for marker, what in zip(MARKERS, alone, strict=False):
        label = "some neurons" if what == alone[0] else None
        panel.plot(
            steps,
            lines[what],
            marker=marker,
            color=QUIET,
            linewidth=0.9,
            markersize=3.5,
            label=label,
        )
    panel.plot(steps, lines["mean"], "o-", color=COLOURS[0], linewidth=2, label="mean, deciles")
    panel.set(xlabel="step", ylabel="gate", ylim=(0, 1), xticks=steps)
    panel.legend(loc="upper center", bbox_to_anchor=(0.5, 1.16), ncols=2)


def _draw_sizes(panel: Any, sizes: pd.DataFrame, resolution: float) -> None:
    places = sizes.what.astype(int)
    floor = resolution / 1e3
    panel.semilogy(
        places, sizes.value.clip(lower=floor), "o", color=COLOURS[1], markersize=4, alpha=0.5
    )
    panel.axhline(resolution, color=QUIET, linestyle="--", linewidth=1)
    panel.text(
        places.max() + 0.4, resolution * 1.6, "resolution of the numbers", ha="right", color=QUIET
    )
    panel.set(
        xlabel="k-th singular value", ylabel="of the largest", xticks=range(1, places.max() + 1),
        xlim=(0.5, places.max() + 0.5), ylim=(floor, 4),
    )  # fmt: skip


def _maps(spikes: Any, gate: Any, channels: tuple[int, ...]) -> dict[str, list[NDArray[Any]]]:
    pairs = [one_channel(spikes, gate, channel) for channel in channels]
    return {
        "spikes\nper step": [trains.mean(0) for trains, _ in pairs],
        "gate: mean\nover steps": [factor.mean(0) for _, factor in pairs],
        "gate: deviation\nover steps": [factor.std(0) for _, factor in pairs],
    }


def _map_rows(maps: dict[str, list[NDArray[Any]]], channels: tuple[int, ...]) -> pd.DataFrame:
    parts = []
    for place, channel in enumerate(channels):
        rate, mean, deviation = (values[place] for values in maps.values())
        row, column = (x.ravel() for x in np.indices(rate.shape))
        parts.append(
            pd.DataFrame(
                {
                    "channel": channel,
                    "row": row,
                    "column": column,
                    "spikes_per_step": rate.ravel(),
                    "gate_mean": mean.ravel(),
                    "gate_deviation": deviation.ravel(),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def _met(gate: Any, spikes: Any) -> NDArray[np.float64]:
    """The gates that spikes meet, ``(spikes,)``."""
    factor, trains = as_outputs(gate).astype(np.float64), as_outputs(spikes)
    if factor.shape != trains.shape:
        raise InputError(f"a gate {factor.shape} on spikes {trains.shape}: the shapes differ")
    met = factor[trains != 0]
    if not len(met):
        raise InputError("no spikes: they meet no gate")
    return met
