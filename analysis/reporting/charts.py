"""Charts of rows as SVG text: stacked bars and heat maps. They know nothing of reports."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from analysis.reporting.svg import (
    LETTER,
    NARROW,
    ROW,
    WIDE,
    css_class,
    document,
    label_width,
    rectangle,
    row_label,
    ticks,
)


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


def stacked_bars(bars: Sequence[Bar], shown: Callable[[float], str], width: int = WIDE) -> str:
    """Horizontal bars, one row each.

    Args:
        bars: Drawn from top to bottom.
        shown: How a length is written.
        width: Of the drawing.
    """
    longest = max((sum(part.value for part in bar.parts) for bar in bars), default=0.0) or 1.0
    left = label_width(width)
    scale = (width - left - 92) / longest
    height = len(bars) * ROW + 26
    body = _vertical_grid(longest, scale, height, shown, width)
    for row, bar in enumerate(bars):
        top = row * ROW + 3
        body.append(row_label(bar.label, top + 15, left))
        x = float(left)
        for part in bar.parts:
            length = part.value * scale
            hint = f"{bar.label}: {part.series} {shown(part.value)}"
            body.append(rectangle(x, top, length, ROW - 6, f"s-{css_class(part.series)}", hint))
            x += length
        body.append(f'<text class="value" x="{x + 6:.1f}" y="{top + 14}">{escape(bar.text)}</text>')
    return document("".join(body), height, width)


def _vertical_grid(
    longest: float, scale: float, height: int, shown: Callable[[float], str], width: int
) -> list[str]:
    lines = []
    for tick in ticks(longest, about=4 if width > NARROW else 2):
        x = label_width(width) + tick * scale
        lines.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{height - 20}"/>')
        anchor = "start" if tick == 0 else "middle"
        lines.append(
            f'<text class="tick" text-anchor="{anchor}" x="{x:.1f}" y="{height - 6}">'
            f"{escape(shown(tick))}</text>"
        )
    return lines


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


def heat_map(chart: HeatMap, shown: Callable[[float], str], width: int = WIDE) -> str:
    """A grid of coloured cells, with their numbers where they fit."""
    left = label_width(width)
    size = min(150.0, (width - left - 10) / max(len(chart.columns), 1))
    every = max(1, round(34 / size))
    top, body = 24, []
    body.append(f'<text class="tick" x="{left - 8}" text-anchor="end" y="15">')
    body.append(f"{escape(chart.column_title)}</text>")
    for place, name in enumerate(chart.columns):
        if place % every == 0:
            x = left + (place + 0.5) * size
            body.append(f'<text class="tick" text-anchor="middle" x="{x:.1f}" y="15">')
            body.append(f"{escape(name)}</text>")
    for row, (label, values) in enumerate(zip(chart.rows, chart.values, strict=True)):
        y = top + row * ROW
        body.append(row_label(label, y + 15, left))
        for place, value in enumerate(values):
            if value is not None:
                hint = f"{label}, {chart.columns[place]}: {shown(value)}"
                cell = (left + place * size, float(y), size)
                body.append(_heat_cell(cell, value / (chart.most or 1.0), shown(value), hint))
    return document("".join(body), top + len(chart.rows) * ROW + 4, width)


def _heat_cell(cell: tuple[float, float, float], share: float, words: str, hint: str) -> str:
    x, y, width = cell
    strength = 0.05 + 0.95 * min(max(share, 0.0), 1.0)
    text = ""
    if width >= LETTER * len(words) + 6:
        side = "on-strong" if strength > 0.62 else "on-weak"
        text = (
            f'<text class="cell {side}" text-anchor="middle" x="{x + width / 2:.1f}" '
            f'y="{y + 15:.1f}">{escape(words)}</text>'
        )
    gap = 1 if width > 6 else 0
    return (
        f'<rect class="heat" x="{x:.1f}" y="{y:.1f}" width="{width - gap:.2f}" '
        f'height="{ROW - 1}" fill-opacity="{strength:.3f}"><title>{escape(hint)}</title></rect>'
        + text
    )
