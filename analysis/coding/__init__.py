"""Observer-model analysis of a code: what an encoder's spikes tell the network behind it.

Our reconstruction: the theorem text of the GAC paper is not known, and nothing here quotes it.
All functions are pure and take spike trains as numpy arrays or torch tensors ``(B, T, ...)``;
only `compare` runs encoders, and needs torch for that. Everything is imported on first use.
"""

from importlib import import_module
from typing import Any

_HOME = {
    "Information": "information",
    "GateQuantities": "gates",
    "accuracies": "observer",
    "alphabet_size": "periods",
    "class_information": "information",
    "compare": "comparison",
    "constant_trains": "periods",
    "distinct_states": "trains",
    "dynamic_duration": "trains",
    "entropy": "entropies",
    "firing_rate": "trains",
    "gate_quantities": "gates",
    "image_information": "information",
    "information_by_step": "information",
    "layer_duration": "trains",
    "lif_period": "periods",
    "max_bits": "periods",
    "measure": "measures",
    "neuron_entropy": "entropies",
    "period_interval": "periods",
    "period_shares": "trains",
    "readout_hits": "observer",
    "silent_threshold": "periods",
    "steps_for_share": "observer",
    "steps_within": "observer",
    "temporal_correlation": "trains",
    "train_entropy": "entropies",
    "train_periods": "trains",
    "train_probabilities": "periods",
}
__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"analysis.coding.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
