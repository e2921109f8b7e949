"""One network under every model that prices more than arithmetic, side by side.

Absolute values of two models must not be compared: each has a technology of its own. What can be
compared is the spiking network with its counterpart inside one model.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import get_args

from analysis.energy.layers import Range
from analysis.energy.lemaire import lemaire
from analysis.energy.lemaire_costs import Memory
from analysis.energy.memory import Reuse, bytes_moved
from analysis.energy.quantised import bit_matched
from analysis.records import Run

_PLAIN = "the same layers with ReLU, without the gate, one step"
_LEMAIRE = "Lemaire et al. 2022 (arXiv 2210.13107), 32-bit integers"
_WORDS: dict[Memory, str] = {
    "linear": "memories priced by a fit to their size",
    "packed": "every memory 8 KiB, two words per access",
    "interpolated": "memories priced between three sizes, as in SpikingJelly 2.0",
}
_MOVED: dict[Reuse, str] = {
    "none": "every operand fetched anew",
    "step": "each value once per step",
    "inference": "each value once per step, weights once in all",
}


@dataclass(frozen=True, kw_only=True)
class ModelEnergy:
    """A network under one model, picojoules per sample.

    Attributes:
        name: Of the model and its variant.
        snn: The network as it ran; a range where constants are only known to lie in one.
        other: Its counterpart without spikes in the same model, if the model has one.
        ratio: The first over the second.
        counterpart: What the counterpart is.
        source: Where the model stands.
        leaves_out: What is in no number here.
    """

    name: str
    snn: Range
    other: Range | None = None
    ratio: Range | None = None
    counterpart: str = ""
    source: str
    leaves_out: tuple[str, ...]


def memory_models(run: Run) -> Iterator[ModelEnergy]:
    """Lemaire et al. with each price of a memory, bytes moved, and the bit-matched comparison."""
    for memory in get_args(Memory):
        yield _lemaire(run, memory)
    for reuse in get_args(Reuse):
        yield _moved(run, reuse)
    found = bit_matched(run)
    if found is not None:
        yield ModelEnergy(
            name=f"bit-matched, {found.bits} bits",
            snn=found.snn_pj,
            other=found.qnn_pj,
            ratio=found.ratio,
            counterpart=f"its spiking layers with {found.bits}-bit activations, one step",
            source=found.source,
            leaves_out=found.leaves_out,
        )


def _lemaire(run: Run, memory: Memory) -> ModelEnergy:
    snn, fnn = (lemaire(run, network, memory=memory) for network in ("snn", "fnn"))
    ratio = snn.total_pj / fnn.total_pj if fnn.total_pj else None
    return ModelEnergy(
        name=f"Lemaire, {memory} memory",
        snn=Range.of(snn.total_pj),
        other=Range.of(fnn.total_pj),
        ratio=None if ratio is None else Range.of(ratio),
        counterpart=_PLAIN,
        source=f"{_LEMAIRE}; {_WORDS[memory]}",
        leaves_out=snn.leaves_out,
    )


def _moved(run: Run, reuse: Reuse) -> ModelEnergy:
    snn, fnn = (bytes_moved(run, reuse, network=network) for network in ("snn", "fnn"))
    return ModelEnergy(
        name=f"bytes moved, reuse {reuse}",
        snn=snn.energy_pj,
        other=fnn.energy_pj,
        ratio=Range.of(snn.total / fnn.total) if fnn.total else None,
        counterpart=_PLAIN,
        source=f"this project: {_MOVED[reuse]}, 32 bits; from an 8 KiB cache (low) over 1 MiB to "
        "DRAM (high), Horowitz, ISSCC 2014",
        leaves_out=("all arithmetic", *snn.leaves_out),
    )
