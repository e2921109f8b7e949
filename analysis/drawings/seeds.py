"""What drawings of several training seeds share: dots, means with intervals, paired differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan
from typing import Any

from analysis.drawings.drawing import COLOURS, MARKERS, QUIET
from analysis.errors import InputError
from analysis.estimates import Estimate, mean_of_few

CLEARNESS = ("clear", "clear alone", "not clear")
CLEARNESS_TOLD = (
    "Filled circles: clear, also if all rows are looked at together (Bonferroni); filled squares: "
    "the interval leaves 0 out, looked at alone; open triangles: it holds 0, these seeds show no "
    "difference."
)


def mean_over_seeds(values: Sequence[float]) -> dict[str, float]:
    """Columns of a drawing's data: the mean over seeds with its 95 % interval (Student's t).

    Example:
        >>> mean_over_seeds([1.0, 3.0])["mean"], mean_over_seeds([1.0, 3.0])["seeds"]
        (2.0, 2)
    """
    found = mean_of_few(values)
    return {"mean": found.value, "low": found.low, "high": found.high, "seeds": len(values)}


def paired(one: Mapping[int, float], other: Mapping[int, float]) -> dict[int, float]:
    """Seed -> one less the other, for the seeds that both have.

    Raises:
        InputError: If they have none in common.

    Example:
        >>> paired({0: 3.0, 1: 5.0}, {1: 4.0, 2: 9.0})
        {1: 1.0}
    """
    seeds = sorted(one.keys() & other.keys())
    if not seeds:
        raise InputError(f"no seed in common: {sorted(one)} and {sorted(other)}")
    return {seed: one[seed] - other[seed] for seed in seeds}


def holds_zero(found: Estimate) -> bool:
    """Whether an interval says nothing about the sign; one that is not known does not.

    Example:
        >>> holds_zero(Estimate(1.0, -0.5, 2.5)), holds_zero(Estimate(1.0, 0.5, 1.5))
        (True, False)
    """
    return not (found.low > 0 or found.high < 0)


def draw_seeds(
    panel: Any,
    values: Sequence[float],
    height: float,
    *,
    colour: str,
    marker: str,
    filled: bool = True,
) -> None:
    """One row of a panel: a faint dot per seed, the mean as a marker, its interval as a line.

    Args:
        panel: Axes of matplotlib.
        values: One per seed.
        height: Of the row, in units of the y axis.
        colour: Of all of it.
        marker: Of the mean.
        filled: Whether the mean's marker is.
    """
    found = mean_of_few(values)
    panel.plot(values, [height] * len(values), "o", color=QUIET, alpha=0.45, ms=3, mew=0)
    if not isnan(found.low):
        panel.plot([found.low, found.high], [height, height], color=colour, lw=1.3, zorder=2)
    face = colour if filled else "white"
    style = {"marker": marker, "color": colour, "mfc": face, "ms": 5.5, "ls": "none", "zorder": 3}
    panel.plot(found.value, height, **style)


def clearness(values: Sequence[float], comparisons: int = 1) -> str:
    """What seeds say about the sign of a mean difference: one of `CLEARNESS`.

    Args:
        values: One difference per seed.
        comparisons: That are looked at together. ``clear`` also holds for all of them at once
            (Bonferroni: intervals of 1 - 5 % / comparisons); ``clear alone`` does not.

    Example:
        >>> clearness([1.0, 1.1, 0.9]), clearness([1.0, 1.2, 0.9], 20), clearness([1.0, -1.0])
        ('clear', 'clear alone', 'not clear')
    """
    if holds_zero(mean_of_few(values)):
        return CLEARNESS[2]
    together = mean_of_few(values, level=1 - 0.05 / comparisons)
    return CLEARNESS[int(holds_zero(together))]


def draw_difference(
    panel: Any, values: Sequence[float], height: float, comparisons: int = 1
) -> None:
    """One row of differences, whose marker says how clear it is."""
    found = clearness(values, comparisons)
    place = CLEARNESS.index(found)
    colour, marker = COLOURS[place], MARKERS[place]
    draw_seeds(panel, values, height, colour=colour, marker=marker, filled=found != CLEARNESS[2])


def label_rows(panel: Any, names: Sequence[str]) -> None:
    """Names of the rows of a panel, the first one on top."""
    panel.set_yticks(range(len(names)), names)
    panel.set_ylim(len(names) - 0.5, -0.5)
    panel.tick_params(axis="y", length=0)


def name_once(panels: Any) -> None:
    """Leaves the names of rows to the first of the panels that stand beside each other."""
    for panel in panels[1:]:
        panel.set_yticklabels([])


def name_series(figure: Any, names: Sequence[str]) -> None:
    """Says above the panels of a figure what colours and markers mean, the first ones first."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=colour, marker=marker, ls="none", label=name)
        for name, colour, marker in zip(names, COLOURS, MARKERS, strict=False)
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))


def share_x(panels: Any, least: float | None = None) -> None:
    """Gives panels the same x axis, cut off at its least value, if there is one."""
    low = min(panel.get_xlim()[0] for panel in panels)
    high = max(panel.get_xlim()[1] for panel in panels)
    for panel in panels:
        panel.set_xlim(low if least is None else max(low, least), high)
