"""Drawings for papers and notebooks, made from reports, spike trains and closed forms.

Each function gives a `Drawing`: the figure, its caption and the numbers it shows. Everything is
imported on first use.
"""

from importlib import import_module
from typing import Any

from analysis.errors import from_extra

_HOME = {
    "Drawing": "drawing",
    "ablation_accuracies": "ablations",
    "ablation_costs": "ablations",
    "ablation_differences": "ablations",
    "ablation_firing": "ablations",
    "accuracy_by_step": "trained",
    "accuracy_energy": "trained",
    "alphabet": "observer",
    "beside_direct": "encoders",
    "by_network": "layers",
    "channel_rates": "channels",
    "code_cubes": "codes",
    "code_raster": "codes",
    "differences_to": "trained",
    "durations": "observer",
    "encoders_compared": "encoders",
    "energy_by_convention": "energies",
    "energy_by_technology": "prices",
    "energy_with_memory": "prices",
    "entropy_by_steps": "entropies",
    "entropy_by_threshold": "entropies",
    "event_frames": "events",
    "gate_changed": "encoders",
    "gate_mask": "gates",
    "gate_over_time": "gates",
    "gate_shares": "gates",
    "implied_rates": "published_energies",
    "information_by_step": "encoders",
    "layer_rates": "rates",
    "period_staircase": "observer",
    "published_contents": "published_energies",
    "published_plane": "published",
    "rate_differences": "rates",
    "seed_rates": "rate_maps",
    "single_networks": "layers",
    "step_rates": "rate_maps",
    "totals_by_seed": "trained",
}
__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with from_extra("draw"):
        return getattr(import_module(f"analysis.drawings.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
