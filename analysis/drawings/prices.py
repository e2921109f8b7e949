"""What a run costs at other prices, in pictures: every price list, and models with memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd
from matplotlib.ticker import EngFormatter

from analysis.drawings.drawing import COLOURS, MARKERS, QUIET, Drawing, drawn
from analysis.energy.energy import Energy
from analysis.energy.technology import technology_names
from analysis.reporting.text import joules

if TYPE_CHECKING:
    from analysis.reporting.report import Report

_PJ_PER_J = 1e12


def energy_by_technology(
    report: Report, conventions: Sequence[str] = ("operand", "all-ac")
) -> Drawing:
    """The same counts priced by every list that comes with the package.

    Args:
        report: What is priced.
        conventions: Under which.
    """
    rows = [
        (technology, rule, *_price_ends(report.under(rule, technology).energy))
        for rule in conventions
        for technology in technology_names()
    ]
    columns = ["technology", "convention", "energy_pj", "low_pj", "high_pj", "lower_bound"]
    frame = pd.DataFrame(rows, columns=columns)
    last = frame.convention == conventions[-1]
    order = frame[last].sort_values("energy_pj").technology.tolist()
    with drawn(size=(7, 0.8 + 0.25 * len(order))) as panels:
        panel = panels[0, 0]
        for place, rule in enumerate(conventions):
            _price_marks(panel, frame[frame.convention == rule], order, place, rule)
        bound = {
            "facecolors": "white",
            "edgecolors": QUIET,
            "label": "lower bound: no price for MACs",
        }
        panel.scatter([], [], s=24, **bound)
        panel.set(xscale="log", xlabel="energy per sample", ylim=(-0.6, len(order) - 0.4))
        panel.set_yticks(range(len(order)), order)
        panel.xaxis.set_major_formatter(EngFormatter("J"))
        panel.legend(loc="lower right")
    return Drawing(
        name="energy-by-technology",
        figure=panel.figure,
        caption="The same counts under every price list of the package. Open marks are lower "
        "bounds: the list has no price for multiply-accumulates. Lines span prices that are only "
        "known as ranges; what else a chip spends, on memory or idling, is in some lists and not "
        "in others.",
        data=frame,
    )


def _price_ends(energy: Energy) -> tuple[float, float, float, bool]:
    nominal, ends = energy.energy_pj.value, energy.price_range
    low, high = (nominal, nominal) if ends is None else (ends.low, ends.high)
    return nominal, low, high, bool(energy.unpriced)


def _price_marks(panel: Any, frame: pd.DataFrame, order: list[str], place: int, rule: str) -> None:
    rows = frame.set_index("technology").loc[order]
    heights = [row + 0.16 - 0.32 * place for row in range(len(order))]
    colour = COLOURS[place]
    panel.hlines(heights, rows.low_pj / _PJ_PER_J, rows.high_pj / _PJ_PER_J, color=colour)
    faces = ["white" if bound else colour for bound in rows.lower_bound]
    panel.scatter(
        rows.energy_pj / _PJ_PER_J, heights, marker=MARKERS[place], s=24, c=faces, zorder=3,
        edgecolors=colour,
    )  # fmt: skip
    panel.scatter([], [], marker=MARKERS[place], s=24, color=colour, label=rule)


def energy_with_memory(report: Report) -> Drawing:
    """The network beside its counterpart without spikes under every model that prices memory."""
    frame = report.memory.drop(columns=["source", "leaves_out"])
    arithmetic = report.energy.energy_pj.value / _PJ_PER_J
    rows = list(range(len(frame)))
    with drawn(size=(7, 0.9 + 0.36 * len(frame))) as panels:
        panel = panels[0, 0]
        networks = {"energy_pj": "with spikes", "counterpart_pj": "without spikes, one step"}
        for place, (column, label) in enumerate(networks.items()):
            heights = [row - 0.15 + 0.3 * place for row in rows]
            ends = (frame[f"{column}_{end}"] / _PJ_PER_J for end in ("low", "high"))
            panel.hlines(heights, *ends, color=COLOURS[place])
            panel.scatter(
                frame[column] / _PJ_PER_J, heights, color=COLOURS[place], s=24, zorder=3,
                marker=MARKERS[place], label=label,
            )  # fmt: skip
        panel.axvline(arithmetic, color=QUIET, linestyle="--", linewidth=1)
        words = f" {report.convention.name}, arithmetic only: {joules(arithmetic * _PJ_PER_J)}"
        panel.text(arithmetic, -0.75, words, fontsize=8, color=QUIET, va="center")
        aside = panel.get_yaxis_transform()
        for row, ratio in zip(rows, frame.ratio, strict=True):
            panel.text(1.02, row, f"{ratio:.2f}", transform=aside, va="center")
        panel.text(1.02, -0.75, "ratio", transform=aside, va="center")
        panel.set(xscale="log", xlabel="energy per sample", ylim=(len(frame) - 0.5, -1))
        panel.set_yticks(rows, frame.model)
        panel.xaxis.set_major_formatter(EngFormatter("J"))
        panel.figure.legend(loc="outside upper center", ncols=2)
    return Drawing(
        name="energy-with-memory",
        figure=panel.figure,
        caption="The network and the same layers without spikes, gate and steps under models "
        "that price memory as well; compare within a row only, each model has prices of its own. "
        "Lines span constants that are only known as ranges; a ratio above 1 means that spikes "
        "cost more.",
        data=frame,
    )
