"""Drawings for papers and notebooks, made from reports, spike trains and closed forms.

Each function gives a `Drawing`: the figure, its caption and the numbers it shows. Everything is
imported on first use.
"""

from importlib import import_module
from typing import Any

_HOME = {
    "Drawing": "drawing",
    "code_cubes": "codes",
    "code_raster": "codes",
    "gate_mask": "gates",
    "gate_over_time": "gates",
    "gate_shares": "gates",
    "period_staircase": "observer",
}
__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"analysis.drawings.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
