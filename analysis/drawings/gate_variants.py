"""The variants of the gate in measured runs: which there are, of what kind, what they look like."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pandas as pd

from analysis.drawings.drawing import COLOURS, MARKERS
from analysis.errors import InputError

WHOLE = "gac"
# Kind of variant -> patterns of its names.
KINDS = {
    "direct coding": ("direct",),
    "a part of the gate": ("gac, temporal only", "gac, spatial only", "gac, gate off"),
    "its course in time": ("gac, frozen", "gac, permuted"),
    "its size": ("gac, kernel *", "gac, reduction *"),
    "the whole gate": (WHOLE,),
}


def variants_of(frame: pd.DataFrame) -> list[str]:
    """Direct coding and all variants of the gate, in the order of the file."""
    known = [name for name in dict.fromkeys(frame.encoder) if _kind(name)]
    if WHOLE not in known:
        raise InputError(f"no network with the whole gate, {WHOLE!r}: nothing to compare with")
    return known


def _kind(name: str) -> str:
    fits = (k for k, patterns in KINDS.items() if any(fnmatchcase(name, p) for p in patterns))
    return next(fits, "")


def measured(frame: pd.DataFrame, quantity: str) -> dict[int, dict[str, dict[int, float]]]:
    """Steps -> encoder -> seed -> value."""
    found: dict[int, dict[str, dict[int, float]]] = {}
    rows = frame[frame.quantity == quantity]
    for steps, encoder, seed, value in zip(
        rows.steps, rows.encoder, rows.seed, rows.value, strict=True
    ):
        found.setdefault(int(steps), {}).setdefault(encoder, {})[int(seed)] = value
    return dict(sorted(found.items()))


def look_of(name: str) -> tuple[str, str]:
    """Colour and marker of a variant: those of its kind."""
    place = list(KINDS).index(_kind(name))
    return COLOURS[place], MARKERS[place]
