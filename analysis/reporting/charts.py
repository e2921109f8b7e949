"""Charts as SVG text: bars, heat maps, histograms, curves.

They know nothing of reports. Colours are classes that the page's style sheet fills in, so that
one drawing serves a light page, a dark one and paper.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from math import floor, log10

WIDTH = 880  # user units; the page scales it, and scrolls where it would become unreadable
_LABEL = 218  # for the names of rows
_LETTER = 7.3  # width of a letter at the size of labels
_ROW = 24


@dataclass(frozen=True)
class Part:
    """A coloured piece of a bar.

    Attributes:
        series: What it stands for; one of the classes of the style sheet, spaces as dashes.
        value: Its length.
    """

    series: str
    value: float


@dataclass(frozen=True)
class Bar:
    """One row of a bar chart: its pieces, and what is written behind them."""

    label: str
    parts: tuple[Part, ...]
    text: str


def stacked_bars(bars: Sequence[Bar], shown: Callable[[float], str]) -> str:
    """Horizontal bars, one row each.

    Args:
        bars: Drawn from top to bottom.
        shown: How a length is written.
    """
    longest = max((sum(part.value for part in bar.parts) for bar in bars), default=0.0) or 1.0
    room = WIDTH - _LABEL - 92
    scale = room / longest
    height = len(bars) * _ROW + 26
    body = _vertical_grid(longest, scale, height, shown)
    for row, bar in enumerate(bars):
        top = row * _ROW + 3
        body.append(_row_label(bar.label, top + 15))
        x = float(_LABEL)
        for part in bar.parts:
            width = part.value * scale
            hint = f"{bar.label}: {part.series} {shown(part.value)}"
            body.append(_rectangle(x, top, width, _ROW - 6, f"s-{_css(part.series)}", hint))
            x += width
        body.append(f'<text class="value" x="{x + 6:.1f}" y="{top + 14}">{escape(bar.text)}</text>')
    return _svg("".join(body), height)


def _vertical_grid(
    longest: float, scale: float, height: int, shown: Callable[[float], str]
) -> list[str]:
    lines = []
    for tick in ticks(longest):
        x = _LABEL + tick * scale
        lines.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{height - 20}"/>')
        anchor = "start" if tick == 0 else "middle"
        lines.append(
            f'<text class="tick" text-anchor="{anchor}" x="{x:.1f}" y="{height - 6}">'
            f"{escape(shown(tick))}</text>"
        )
    return lines


def ticks(longest: float, about: int = 4) -> list[float]:
    """Round numbers from 0 up to the longest.

    Example:
        >>> ticks(53.0)
        [0.0, 20.0, 40.0]
    """
    raw = longest / about
    unit = 10.0 ** floor(log10(raw))
    step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= raw)
    return [step * n for n in range(int(longest / step) + 1)]


@dataclass(frozen=True)
class HeatMap:
    """Values by row and column.

    Attributes:
        rows, columns: Their names.
        values: One list per row; None is left empty.
        column_title: What the columns are.
        most: The value of the strongest colour.
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: tuple[tuple[float | None, ...], ...]
    column_title: str
    most: float


def heat_map(chart: HeatMap, shown: Callable[[float], str]) -> str:
    """A grid of coloured cells, with their numbers where they fit."""
    room = WIDTH - _LABEL - 10
    width = min(150.0, room / max(len(chart.columns), 1))
    every = max(1, round(34 / width))
    top, body = 24, []
    body.append(f'<text class="tick" x="{_LABEL - 8}" text-anchor="end" y="15">')
    body.append(f"{escape(chart.column_title)}</text>")
    for place, name in enumerate(chart.columns):
        if place % every == 0:
            x = _LABEL + (place + 0.5) * width
            body.append(f'<text class="tick" text-anchor="middle" x="{x:.1f}" y="15">')
            body.append(f"{escape(name)}</text>")
    for row, (label, values) in enumerate(zip(chart.rows, chart.values, strict=True)):
        y = top + row * _ROW
        body.append(_row_label(label, y + 15))
        for place, value in enumerate(values):
            if value is not None:
                hint = f"{label}, {chart.columns[place]}: {shown(value)}"
                cell = (_LABEL + place * width, float(y), width)
                body.append(_heat_cell(cell, value / (chart.most or 1.0), shown(value), hint))
    return _svg("".join(body), top + len(chart.rows) * _ROW + 4)


def _heat_cell(cell: tuple[float, float, float], share: float, words: str, hint: str) -> str:
    x, y, width = cell
    strength = 0.05 + 0.95 * min(max(share, 0.0), 1.0)
    text = ""
    if width >= _LETTER * len(words) + 6:
        side = "on-strong" if strength > 0.62 else "on-weak"
        text = (
            f'<text class="cell {side}" text-anchor="middle" x="{x + width / 2:.1f}" '
            f'y="{y + 15:.1f}">{escape(words)}</text>'
        )
    gap = 1 if width > 6 else 0
    return (
        f'<rect class="heat" x="{x:.1f}" y="{y:.1f}" width="{width - gap:.2f}" '
        f'height="{_ROW - 1}" fill-opacity="{strength:.3f}"><title>{escape(hint)}</title></rect>'
        + text
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


def histogram(chart: Histogram, shown: Callable[[float], str]) -> str:
    """Vertical bars over their bins."""
    bins = len(chart.edges) - 1
    totals = [sum(counts[b] for _, counts in chart.series) for b in range(bins)]
    most = max(totals, default=0) or 1
    left, top, floor_y = 70, 20, 220
    width, scale = (WIDTH - left - 34) / bins, (floor_y - top) / most
    body = _horizontal_grid(left, floor_y, float(most), scale, lambda v: f"{v:,.0f}")
    body.append(f'<text class="tick" x="{left - 62}" y="12">{escape(chart.y_title)}</text>')
    for b in range(bins):
        y = float(floor_y)
        between = f"{shown(chart.edges[b])} to {shown(chart.edges[b + 1])}"
        for series, counts in chart.series:
            height = counts[b] * scale
            y -= height
            hint = f"{between}: {counts[b]:,} {series}"
            box = (left + b * width + 1, y, width - 2, height)
            body.append(_rectangle(*box, f"s-{_css(series)}", hint))
    body += _x_ticks(chart, left, width, floor_y, shown)
    return _svg("".join(body), floor_y + 46)


def _x_ticks(
    chart: Histogram, left: int, width: float, floor_y: int, shown: Callable[[float], str]
) -> list[str]:
    every = max(1, round(len(chart.edges) / 10))
    body = [
        f'<text class="tick" text-anchor="middle" x="{left + place * width:.1f}" '
        f'y="{floor_y + 16}">{escape(shown(edge))}</text>'
        for place, edge in enumerate(chart.edges)
        if place % every == 0
    ]
    middle = (left + WIDTH - 34) / 2
    body.append(
        f'<text class="axis" text-anchor="middle" x="{middle:.0f}" y="{floor_y + 38}">'
        f"{escape(chart.x_title)}</text>"
    )
    return body


def _horizontal_grid(
    left: int, floor_y: int, most: float, scale: float, shown: Callable[[float], str]
) -> list[str]:
    lines = []
    for tick in ticks(most):
        y = floor_y - tick * scale
        lines.append(
            f'<line class="grid" x1="{left}" x2="{WIDTH - 20}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="tick" text-anchor="end" x="{left - 8}" y="{y + 4:.1f}">'
            f"{escape(shown(tick))}</text>"
        )
    return lines


@dataclass(frozen=True)
class Point:
    """A point of a curve with the ends of its interval and what is written at it."""

    x: float
    y: float
    low: float
    high: float
    label: str


def curve(points: Sequence[Point], axes: tuple[str, str], shown: Callable[[float], str]) -> str:
    """Points joined by a line, with intervals; y is a share of up to 1, drawn from `axis_start`."""
    left, top, floor_y = 70, 24, 240
    room, longest = WIDTH - left - 70, max(point.x for point in points) or 1.0
    start = axis_start(points)
    scale = (floor_y - top) / (1 - start)

    def place(x: float, y: float) -> tuple[float, float]:
        return left + x / longest * room, floor_y - (y - start) * scale

    body = _horizontal_grid(left, floor_y, 1 - start, scale, lambda v: f"{100 * (start + v):.3g} %")
    body.append(f'<text class="tick" x="{left - 62}" y="12">{escape(axes[1])}</text>')
    for tick in ticks(longest):
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
    return _svg("".join(body), floor_y + 46)


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


def _rectangle(x: float, y: float, width: float, height: float, kind: str, hint: str) -> str:
    return (
        f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.2f}" '
        f'height="{max(height, 0):.2f}"><title>{escape(hint)}</title></rect>'
    )


def _row_label(label: str, y: float) -> str:
    most = int((_LABEL - 12) / _LETTER)
    short = label if len(label) <= most else f"{label[:6]}…{label[-(most - 7) :]}"
    return (
        f'<text class="label" text-anchor="end" x="{_LABEL - 8}" y="{y:.1f}">'
        f"<title>{escape(label)}</title>{escape(short)}</text>"
    )


def _css(series: str) -> str:
    return series.replace(" ", "-")


def _svg(body: str, height: float) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img">{body}</svg>'
