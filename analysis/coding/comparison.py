"""Encoders side by side, on the spike train of the first neuron behind each.

Never on their own outputs: those of some are spikes, of others graded values, whose plug-in
entropy grows without end with the number of samples. Never on entropy alone: Poisson noise at
rate 0.2 has 4.33 bits in 6 steps that say nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from analysis.coding.frames import coding_frame
from analysis.coding.measures import measure
from analysis.errors import InputError

if TYPE_CHECKING:
    import pandas as pd


def compare(
    encoders: Mapping[str, Callable[..., Any]],
    images: Any,
    *,
    labels: Any = None,
    draws: int = 32,
    threshold: float = 1.0,
    decay: float = 0.5,
    energy_pj: Mapping[str, float] | None = None,
    most_neurons: int = 1_024,
    seed: int = 0,
) -> pd.DataFrame:
    """What each encoder's spikes tell the network behind it; our reconstruction. Needs torch.

    Args:
        encoders: Name -> module or function from images ``(B, ...)`` to spike trains
            ``(B, T, *neurons)``, such as ``model.spike_trains()`` of the networks of `gac`. One
            whose attribute ``noisy`` is true is also called with ``draw=1, 2, ...``; one with a
            method ``gated`` gives log-odds of a gate and the spikes it multiplies, too.
        images: ``(B, ...)``, given to all; or name -> images, where encoders read different ones.
        labels: Classes of the images, ``(B,)``; without them nothing is said of classes.
        draws: Of an encoder with noise, per image.
        threshold: Of the neurons behind the encoders; tells which gates are closed.
        decay: Of the same.
        energy_pj: What each encoder spends per image, for the bits per picojoule.
        most_neurons: Neurons to analyse of a larger layer, drawn with the seed.
        seed: Of all draws that are made here.

    Returns:
        One row per encoder, quantity and, where it has one, step (from 1): columns encoder,
        quantity, step, value, low, high (95 % over samples; of a shuffled value its 97.5 %
        quantile), unit.

    Raises:
        InputError: If there is no encoder or no image, there are less than two steps, or what
            an encoder gives are no spike trains.

    Examples:
        >>> import torch
        >>> frame = compare({"threshold": lambda x: (x > 0).float()}, torch.randn(40, 3, 5))
        >>> frame.set_index("quantity").loc["image_information", "unit"]
        'bits/train'
    """
    from analysis.coding.encoding import encode

    if not encoders:
        raise InputError("no encoder to compare")
    found = []
    for name, encoder in encoders.items():
        own = images[name] if isinstance(images, Mapping) else images
        try:
            code = encode(encoder, own, draws=draws, most_neurons=most_neurons, seed=seed)
            record = measure(
                code.trains,
                encoder=name,
                labels=labels,
                gate=None if code.log_odds is None else (code.log_odds, code.spikes),
                threshold=threshold,
                decay=decay,
                energy_pj=(energy_pj or {}).get(name),
                layer=code.layer,
                seed=seed,
            )
        except InputError as error:
            raise InputError(f"encoder {name!r}: {error}") from error
        found.append(record)
    return coding_frame(found)
