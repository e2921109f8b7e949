"""Plots as SVG text: histograms and curves. They know nothing of reports."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from math import floor

from analysis.reporting.svg import (
    NARROW,
    WIDE,
    css_class,
    document,
    horizontal_grid,
    rectangle,
    ticks,
)


@dataclass(frozen=True)
class Histogram:
    """Counts in neighbouring bins.

    Attributes:
        edges: One more than bins.
        series: Counts in each bin by what they stand for; stacked.
        x_title, y_title: With units.
    """

    edges: tuple[float, ...]
    series: tuple[tuple[str, tuple[int, ...]], ...]
    x_title: str
    y_title: str


def histogram(chart: Histogram, shown: Callable[[float], str], width: int = WIDE) -> str:
    """Vertical bars over their bins."""
    bins = len(chart.edges) - 1
    totals = [sum(counts[b] for _, counts in chart.series) for b in range(bins)]
    most = max(totals, default=0) or 1
    left, top, floor_y = 70, 20, 220
    size, scale = (width - left - 34) / bins, (floor_y - top) / most
    body = horizontal_grid(left, floor_y, float(most), scale, lambda v: f"{v:,.0f}", width)
    body.append(f'<text class="tick" x="{left - 62}" y="12">{escape(chart.y_title)}</text>')
    for b in range(bins):
        y = float(floor_y)
        between = f"{shown(chart.edges[b])} to {shown(chart.edges[b + 1])}"
        for series, counts in chart.series:
            height = counts[b] * scale
            y -= height
            hint = f"{between}: {counts[b]:,} {series}"
            box = (left + b * size + 1, y, size - 2, height)
            body.append(rectangle(*box, f"s-{css_class(series)}", hint))
    body += _x_ticks(chart, (left, size, width), floor_y, shown)
    return document("".join(body), floor_y + 46, width)


def _x_ticks(
    chart: Histogram,
    sizes: tuple[int, float, int],
    floor_y: int,
    shown: Callable[[float], str],
) -> list[str]:
    left, size, width = sizes
    every = max(1, round(len(chart.edges) / (10 if width > NARROW else 4)))
    body = [
        f'<text class="tick" text-anchor="middle" x="{left + place * size:.1f}" '
        f'y="{floor_y + 16}">{escape(shown(edge))}</text>'
        for place, edge in enumerate(chart.edges)
        if place % every == 0
    ]
    middle = (left + width - 34) / 2
    body.append(
        f'<text class="axis" text-anchor="middle" x="{middle:.0f}" y="{floor_y + 38}">'
        f"{escape(chart.x_title)}</text>"
    )
    return body


@dataclass(frozen=True)
class Point:
    """A point of a curve with the ends of its interval and what is written at it."""

    x: float
    y: float
    low: float
    high: float
    label: str


def curve(
    points: Sequence[Point],
    axes: tuple[str, str],
    shown: Callable[[float], str],
    width: int = WIDE,
) -> str:
    """Points joined by a line, with intervals; y is a share of up to 1, drawn from `axis_start`."""
    left, top, floor_y = 70, 24, 240
    room, longest = width - left - 70, max(point.x for point in points) or 1.0
    start = axis_start(points)
    scale = (floor_y - top) / (1 - start)

    def place(x: float, y: float) -> tuple[float, float]:
        return left + x / longest * room, floor_y - (y - start) * scale

    body = horizontal_grid(
        left, floor_y, 1 - start, scale, lambda v: f"{100 * (start + v):.3g} %", width
    )
    body.append(f'<text class="tick" x="{left - 62}" y="12">{escape(axes[1])}</text>')
    for tick in ticks(longest, about=4 if width > NARROW else 2):
        x = place(tick, 0)[0]
        body.append(
            f'<text class="tick" text-anchor="middle" x="{x:.1f}" y="{floor_y + 16}">'
            f"{escape(shown(tick))}</text>"
        )
    path = " ".join("{:.1f},{:.1f}".format(*place(p.x, p.y)) for p in points)
    body.append(f'<polyline class="line" points="{path}"/>')
    for point in points:
        body.append(_point(point, place))
    body.append(
        f'<text class="axis" text-anchor="middle" x="{left + room / 2:.0f}" y="{floor_y + 38}">'
        f"{escape(axes[0])}</text>"
    )
    return document("".join(body), floor_y + 46, width)


def axis_start(points: Sequence[Point]) -> float:
    """Where the axis of shares starts: the tenth, or the hundredth, below all intervals.

    Example:
        >>> axis_start([Point(1.0, 0.97, 0.962, 0.98, "")])
        0.96
    """
    least = min(point.low for point in points)
    parts = 100 if least >= 0.9 else 10
    return floor(least * parts) / parts


def _point(point: Point, place: Callable[[float, float], tuple[float, float]]) -> str:
    x, y = place(point.x, point.y)
    low, high = place(point.x, point.low)[1], place(point.x, point.high)[1]
    side = -1 if y > 60 else 1
    return (
        f'<line class="whisker" x1="{x:.1f}" x2="{x:.1f}" y1="{low:.1f}" y2="{high:.1f}"/>'
        f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="5"/>'
        f'<text class="value" text-anchor="middle" x="{x:.1f}" y="{y + side * 14 + 6:.1f}">'
        f"{escape(point.label)}</text>"
    )
