"""What a run costs in pictures, by part of the network and convention."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd
from matplotlib.patches import Patch

from analysis.drawings.drawing import Drawing, drawn
from analysis.energy.energy import Energy
from analysis.energy.estimate import MARK
from analysis.reporting.breakdown import PARTS
from analysis.reporting.tables import AtLeast, shown
from analysis.reporting.text import prefix_of

if TYPE_CHECKING:
    from analysis.reporting.report import Report

# The colours of the page of a report (html/page.css), and hatches for those who can't tell them.
PART_STYLES: dict[str, tuple[str, str]] = {
    "stem": ("#e08a00", "////"),
    "temporal gate": ("#b4559a", "++"),
    "spatial gate": ("#d2491d", ""),
    "gate product": ("#8a7500", "xxx"),
    "spiking": ("#0b63a5", ""),
    "shortcut": ("#57aee0", "...."),
    "readout": ("#0a8f6c", "\\\\\\\\"),
    "other": ("#8a94a0", ""),
    "other work": ("#8a94a0", "--"),
}
_LABELLED = 0.1  # share from which a piece of a bar has its percentage in it
_SEEN = 0.005  # share from which a piece can be told from the line around it
_PJ_PER_J = 1e12


def energy_by_convention(
    reports: Mapping[str, Report], name: str = "energy-by-convention"
) -> Drawing:
    """Energy under every convention by part of the network, in joules and as shares.

    Args:
        reports: What is drawn, by the words above it.
        name: Of the drawing's files.
    """
    frames = {label: _parts(report) for label, report in reports.items()}
    bars = max(frame.convention.nunique() for frame in frames.values())
    size = (9.5, 0.6 + len(reports) * (0.5 + 0.24 * bars))
    with drawn(len(reports), 2, size=size) as panels:
        for row, (label, frame) in enumerate(frames.items()):
            _bars(panels[row, 0], frame, reports[label])
            _share_bars(panels[row, 1], frame)
            panels[row, 0].set_title(label)
        figure = panels[0, 0].figure
        _part_legend(figure, pd.concat(frames.values()))
    return Drawing(
        name=name,
        figure=figure,
        caption=_caption(reports, frames),
        data=pd.concat([frame.assign(network=label) for label, frame in frames.items()]),
    )


def _parts(report: Report) -> pd.DataFrame:
    """What each part costs under each convention, with its share; parts that cost something."""
    frame = report.by_role()
    frame["share"] = frame.energy_pj / frame.groupby("convention").energy_pj.transform("sum")
    return frame[frame.energy_pj > 0]


def _totals(frame: pd.DataFrame) -> pd.Series[float]:
    return frame.groupby("convention", sort=False).energy_pj.sum()


def _bars(panel: Any, frame: pd.DataFrame, report: Report) -> None:
    totals = _totals(frame)
    prefix, exponent = prefix_of(totals.max() / _PJ_PER_J)
    unit_pj = _PJ_PER_J * 10**exponent
    _stack(panel, frame, frame.energy_pj / unit_pj)
    bounds = {rule.name: bool(e.unpriced) for rule, e in _priced(report)}
    for place, (rule, total) in enumerate(totals.items()):
        text = shown(AtLeast(total) if bounds[str(rule)] else total, "joules")
        panel.text(total / unit_pj, place, f" {text}", va="center", fontsize=8)
    panel.set(xlabel=f"energy per sample, {prefix}J", xlim=(0, 1.22 * totals.max() / unit_pj))


def _priced(report: Report) -> list[tuple[Any, Energy]]:
    return [(rule, e) for rule, e in report.side_by_side() if isinstance(e, Energy)]


def _share_bars(panel: Any, frame: pd.DataFrame) -> None:
    _stack(panel, frame, 100 * frame.share)
    panel.set(xlabel="share of the energy, %", xlim=(0, 100))
    panel.tick_params(labelleft=False, left=False)
    box = {"boxstyle": "square,pad=0.15", "facecolor": "white", "linewidth": 0}
    for place, (_, parts) in enumerate(frame.groupby("convention", sort=False)):
        middles = 100 * (parts.share.cumsum() - parts.share / 2)
        for middle, share in zip(middles, parts.share, strict=True):
            if share >= _LABELLED:
                words = {"ha": "center", "va": "center", "fontsize": 7, "bbox": box}
                panel.text(middle, place, f"{100 * share:.0f}", **words)


def _stack(panel: Any, frame: pd.DataFrame, lengths: pd.Series[float]) -> None:
    """Bars of one row per convention, from top to bottom, pieces in the order of the parts."""
    ends = lengths.groupby(frame.convention).cumsum()
    rules = list(frame.convention.unique())
    places = frame.convention.map(rules.index)
    for part in frame.part.unique():
        mine = frame.part == part
        panel.barh(
            places[mine], lengths[mine], left=ends[mine] - lengths[mine], height=0.72,
            edgecolor="white", linewidth=0.4, **_style(part),
        )  # fmt: skip
    panel.set_yticks(range(len(rules)), rules)
    panel.set_ylim(len(rules) - 0.5, -0.5)
    panel.grid(visible=False, axis="y")


def _style(part: str) -> dict[str, Any]:
    colour, hatch = PART_STYLES[part]
    return {"facecolor": colour, "hatch": hatch}


def _part_legend(figure: Any, frame: pd.DataFrame) -> None:
    seen = _visible(frame)
    patches = [Patch(edgecolor="white", label=part, **_style(part)) for part in seen]
    figure.legend(handles=patches, loc="outside upper center", ncols=len(seen), handlelength=2.4)


def _visible(frame: pd.DataFrame) -> list[str]:
    seen = set(frame.part[frame.share >= _SEEN])
    return [part for part in PARTS if part in seen]


def _caption(reports: Mapping[str, Report], frames: Mapping[str, pd.DataFrame]) -> str:
    totals = {label: _totals(frame) for label, frame in frames.items()}
    factors = [f"{t.max() / t.min():.1f} ({label})" for label, t in totals.items()]
    caption = (
        "The same counts under every convention, by part of the network: energy per sample on "
        f"the left, shares on the right. Dearest convention over cheapest: {'; '.join(factors)}."
    )
    everything = pd.concat(frames.values())
    thin = [p for p in PARTS if p in {*everything.part} and p not in _visible(everything)]
    if thin:
        caption += f" Too thin to be seen: {', '.join(thin)}."
    estimated = [label for label, report in reports.items() if is_estimate(report)]
    if estimated:
        caption += f" No trained network but {MARK}: {'; '.join(estimated)}."
    return caption


def is_estimate(report: Report) -> bool:
    """Whether a report is on an architecture at stated rates, not on a run."""
    return MARK in report.run.provenance.get("notes", ())
