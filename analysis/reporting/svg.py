"""Pieces of SVG that every chart is made of.

Colours are classes that the page's style sheet fills in, so that one drawing serves a light page, a
dark one and paper.
"""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from math import floor, log10

WIDE, NARROW = 880, 440  # user units of drawings for screens and paper, and for telephones
LETTER = 7.3  # width of a letter at the size of labels
ROW = 24


def label_width(width: int) -> int:
    """What the names of rows take of a drawing."""
    return 218 if width > NARROW else 140


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


def horizontal_grid(
    left: int, floor_y: int, most: float, scale: float, shown: Callable[[float], str], width: int
) -> list[str]:
    """Lines at round values with their ticks, over the whole width."""
    lines = []
    for tick in ticks(most):
        y = floor_y - tick * scale
        lines.append(
            f'<line class="grid" x1="{left}" x2="{width - 20}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="tick" text-anchor="end" x="{left - 8}" y="{y + 4:.1f}">'
            f"{escape(shown(tick))}</text>"
        )
    return lines


def rectangle(x: float, y: float, width: float, height: float, kind: str, hint: str) -> str:
    """A filled rectangle that tells what it stands for when pointed at."""
    return (
        f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.2f}" '
        f'height="{max(height, 0):.2f}"><title>{escape(hint)}</title></rect>'
    )


def row_label(label: str, y: float, room: int) -> str:
    """The name of a row, shortened in the middle where it is too long."""
    most = int((room - 12) / LETTER)
    short = label if len(label) <= most else f"{label[:6]}…{label[-(most - 7) :]}"
    return (
        f'<text class="label" text-anchor="end" x="{room - 8}" y="{y:.1f}">'
        f"<title>{escape(label)}</title>{escape(short)}</text>"
    )


def css_class(series: str) -> str:
    """The class of a series in the style sheet."""
    return series.replace(" ", "-")


def document(body: str, height: float, width: int) -> str:
    """A whole drawing."""
    return f'<svg viewBox="0 0 {width} {height:.0f}" role="img">{body}</svg>'
