"""A published energy in pictures: what it can contain, and the rate that each story implies."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pandas as pd
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from analysis.drawings.drawing import COLOURS, MARKERS, Drawing, drawn
from analysis.energy.bookings import Booking, bookings
from analysis.errors import InputError
from analysis.reporting.energy_sections import published_energies
from analysis.reporting.published_tables import contents_table
from analysis.reporting.text import joules

if TYPE_CHECKING:
    from analysis.reporting.report import Report

_PJ_PER_MJ = 1e9
_UNKNOWN = "How the energies were counted is not known: each row is one story, none is asserted."
_STEM = {"free": "stem left out", "once": "stem once", "every-step": "stem T times"}
_GATE = {
    "left out": "gate left out",
    "ACs": "gate as ACs",
    "MACs once": "gate once as MACs",
    "MACs": "gate T times as MACs",
}


def published_contents(reports: Sequence[Report]) -> Drawing:
    """What the energy published for each network can and cannot contain of its parts.

    Args:
        reports: On architectures with a published energy, up to two a row; their rates play no
            part. The architecture is in their provenance.

    Raises:
        InputError: If no energy is published for one of them.
    """
    rows = -(-len(reports) // 2)
    frames = []
    with drawn(rows, min(len(reports), 2), size=(10, 0.5 + 2.5 * rows)) as panels:
        for place, (panel, report) in enumerate(zip(panels.flat, reports, strict=False)):
            frame = _contents(report)
            _contents_panel(panel, frame, named=place % 2 == 0)
            frames.append(frame)
        for panel in panels.flat[len(reports) :]:
            panel.remove()
    return Drawing(
        name="published-contents",
        figure=panels[0, 0].figure,
        caption="Parts of a network, each taken by itself, beside the energy published for it "
        "(line): what lies in the grey cannot be in it. Lines that end in a bar are accumulates "
        f"at a rate, up to a rate of 1. {_UNKNOWN}",
        data=pd.concat(frames),
    )


def _contents(report: Report) -> pd.DataFrame:
    energy, source = published_energy(report)
    table = contents_table(report.run, energy, report.technology, source)
    frame = pd.DataFrame(table.rows, columns=[column.name for column in table.columns])
    return frame.assign(network=network_name(report), published_pj=float(energy), source=source)


def published_energy(report: Report) -> tuple[Fraction, str]:
    """Picojoules published for the architecture of a report, and who says so.

    Raises:
        InputError: If there is none.
    """
    architecture = str(report.run.provenance.get("architecture"))
    found = next(published_energies(architecture, report.run.steps), None)
    if found is None:
        raise InputError(f"no energy is published for {network_name(report)}")
    return found


def network_name(report: Report) -> str:
    """Architecture and steps."""
    return f"{report.run.provenance.get('architecture')}, T = {report.run.steps}"


def _contents_panel(panel: Any, frame: pd.DataFrame, *, named: bool) -> None:
    mj, published = frame.energy_pj / _PJ_PER_MJ, frame.published_pj[0] / _PJ_PER_MJ
    aside = panel.get_yaxis_transform()
    panel.axvspan(published, 100, color="#ececec", linewidth=0)
    panel.axvline(published, color="black", linewidth=1.2)
    for row, part in enumerate(frame.itertuples()):
        at_rate, fits = part.booked == "ACs at a rate", part.verdict != "cannot be in it"
        colour = COLOURS[0] if fits else COLOURS[1]
        if at_rate:
            panel.hlines(row, 0.01, mj[row], color=colour)
        panel.plot(mj[row], row, "|" if at_rate else "o" if fits else "X", color=colour, ms=7)
        panel.text(1.02, row, part.verdict, transform=aside, va="center", fontsize=8)
    names = [f"{part.part}, {part.booked}" for part in frame.itertuples()]
    panel.set_yticks(range(len(names)), names)
    panel.tick_params(axis="y", left=named, labelleft=named)
    panel.set(xscale="log", xlim=(0.05, 100), ylim=(len(names) - 0.5, -0.5))
    panel.set(xlabel="energy per sample, mJ")
    panel.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    printed = joules(frame.published_pj[0], padded=True)
    panel.set_title(f"{frame.network[0]}: {printed} published")


def implied_rates(reports: Sequence[Report]) -> Drawing:
    """The one rate at which each network takes its published energy, story by story.

    Args:
        reports: As for `published_contents`.

    Raises:
        InputError: If no energy is published for one of them.
    """
    frame = pd.concat([_implied(report) for report in reports], ignore_index=True)
    possible = frame.groupby("story", sort=False).rate.transform(lambda r: r.notna().any())
    stories = list(frame.story[possible].unique())
    left_out = frame.story.nunique() - len(stories)
    with drawn(size=(8, 1 + 0.42 * len(stories))) as panels:
        panel = panels[0, 0]
        gutter = -0.035
        for place, (network, rows) in enumerate(frame[possible].groupby("network", sort=False)):
            heights = rows.story.map(stories.index) + 0.18 * (place - (len(reports) - 1) / 2)
            look = {"color": COLOURS[place], "marker": MARKERS[place], "s": 30, "zorder": 3}
            panel.scatter(rows.rate, heights, label=network, **look)
            none = heights[rows.rate.isna()]
            panel.scatter([gutter] * len(none), none, facecolors="none", **look)
        panel.axvspan(2 * gutter, 0, color="#ececec", linewidth=0)
        panel.set_yticks(range(len(stories)), stories)
        ticks = MaxNLocator(6).tick_values(0, frame.rate.max())
        panel.set_xticks([gutter, *ticks], ["cannot", *(f"{tick:g}" for tick in ticks)])
        panel.set(xlim=(2 * gutter, None), ylim=(len(stories) - 0.5, -0.5))
        panel.set(xlabel="rate that the published energy implies: non-zero share of every input")
        panel.figure.legend(loc="outside upper center", ncols=len(reports))
    return Drawing(
        name="published-rates",
        figure=panel.figure,
        caption="The one rate at which each network takes the energy published for it, under "
        "every way to book stem, gate and real values (shortcuts and readout). Cannot: there is "
        f"no such rate. {left_out} further stories give no rate for any of the networks. "
        f"{_UNKNOWN}",
        data=frame,
    )


def _implied(report: Report) -> pd.DataFrame:
    energy, source = published_energy(report)
    rows = [
        (network_name(report), float(energy), _story(b), b.stem, b.gate, b.real, b.solved.rate,
         b.solved.reason, source)
        for b in bookings(report.run, energy, report.technology)
    ]  # fmt: skip
    columns = ["network", "published_pj", "story", "stem", "gate", "real", "rate", "reason",
               "source"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns).astype({"rate": float})


def _story(booking: Booking) -> str:
    return f"{_STEM[booking.stem]}, {_GATE[booking.gate]}, real values as {booking.real}"
