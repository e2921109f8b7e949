"""Drawings for papers and notebooks, made from reports, spike trains and closed forms.

Each function gives a `Drawing`: the figure, its caption and the numbers it shows. Everything is
imported on first use.
"""

from importlib import import_module
from typing import Any

_HOME = {
    "Drawing": "drawing",
    "ablation_accuracies": "ablations",
    "ablation_costs": "ablations",
    "ablation_differences": "ablations",
    "ablation_firing": "ablations",
    "by_network": "layers",
    "channel_rates": "channels",
    "layer_rates": "rates",
    "period_staircase": "observer",
    "rate_differences": "rates",
    "seed_rates": "rate_maps",
    "single_networks": "layers",
    "step_rates": "rate_maps",
}
__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"analysis.drawings.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
