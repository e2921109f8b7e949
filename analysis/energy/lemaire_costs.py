"""Counts and prices of the model of Lemaire et al. 2022; its equations are in `lemaire`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

Memory = Literal["linear", "packed", "interpolated"]
Network = Literal["snn", "fnn"]
Kind = Literal["spiking", "events", "dense", "neurons"]
Item = Literal["input", "weights", "bias", "potential read", "potential write", "output"]

# Integer add and multiply, pJ: Horowitz, ISSCC 2014, 45 nm (second hand: qualia-plugin-snn).
ADD_MULTIPLY_PJ = {8: (0.03, 0.2), 32: (0.1, 3.1)}
# Bytes and pJ per byte of the SRAM sizes that SpikingJelly 2.0 interpolates between.
_BREAKPOINTS = ((0.0, 0.0), (8192.0, 2.5), (32768.0, 5.0), (1048576.0, 25.0))
# Messages that a FIFO holds: SpikingJelly 2.0, which names the paper's experiments.
FIFO_WORDS = 1000


def access_pj(words: float, bits: int, memory: Memory) -> float:
    """Picojoules to read or write one word.

    Args:
        words: Words that the memory holds.
        bits: Of one word.
        memory: ``linear``: 1.09e-5 pJ per bit of its size + 13.2 pJ, fitted to 8 KiB, 32 KiB and
            1 MiB (Lemaire et al.); ``packed``: 10 pJ per 64-bit access to 8 KiB, shared by the
            words in it (qualia-plugin-snn); ``interpolated``: between those sizes, and to 0 at
            0 bytes, flat beyond 1 MiB (SpikingJelly 2.0, not the paper's fit).

    Example:
        >>> round(access_pj(1000, 32, "linear"), 4), access_pj(1000, 32, "packed")
        (13.5488, 5.0)
    """
    if memory == "linear":
        return 1.09e-5 * words * bits + 13.2
    if memory == "packed":
        return 10 / (64 // bits)
    sizes, per_byte_pj = zip(*_BREAKPOINTS, strict=True)
    return float(np.interp(words * bits / 8, sizes, per_byte_pj)) * bits / 8


@dataclass(frozen=True)
class Access:
    """Words read or written in one inference.

    Attributes:
        item: What they hold.
        count: How many per sample.
        words: The size of the memory they lie in.
    """

    item: Item
    count: Fraction
    words: Fraction


@dataclass(frozen=True, kw_only=True)
class LayerWork:
    """What one layer does in one inference.

    Attributes:
        name: Site, or neuron layer.
        kind: A layer with weights that works on spikes (``spiking``), on non-zero real values
            (``events``) or on all values (``dense``); or ``neurons``.
        macs, acs: Operations on values.
        address_macs, address_acs: Operations to find the values.
        accesses: To memory.
    """

    name: str
    kind: Kind
    macs: Fraction = Fraction(0)
    acs: Fraction = Fraction(0)
    address_macs: Fraction = Fraction(0)
    address_acs: Fraction = Fraction(0)
    accesses: tuple[Access, ...] = ()


@dataclass(frozen=True, kw_only=True)
class LayerEnergy:
    """Picojoules per sample of one layer."""

    name: str
    kind: Kind
    operations_pj: float
    addressing_pj: float
    input_pj: float
    parameters_pj: float
    potentials_pj: float
    output_pj: float

    @property
    def memory_pj(self) -> float:
        """All memory accesses."""
        return self.input_pj + self.parameters_pj + self.potentials_pj + self.output_pj

    @property
    def total_pj(self) -> float:
        """Memory, operations and addressing."""
        return self.memory_pj + self.operations_pj + self.addressing_pj


@dataclass(frozen=True, kw_only=True)
class LemaireEnergy:
    """A network under the model of Lemaire et al.

    Attributes:
        network: ``snn``: as it ran; ``fnn``: its counterpart without spikes, one step.
        memory, bits: How an access is priced, and the width of every word.
        work: Counts per sample, layer by layer.
        leaves_out: What is in no number here.
    """

    network: Network
    memory: Memory
    bits: int
    work: tuple[LayerWork, ...]
    leaves_out: tuple[str, ...]

    @property
    def layers(self) -> tuple[LayerEnergy, ...]:
        """Picojoules per sample, layer by layer."""
        return tuple(self._priced(work) for work in self.work)

    @property
    def total_pj(self) -> float:
        """Picojoules per sample."""
        return sum(layer.total_pj for layer in self.layers)

    @property
    def frame(self) -> pd.DataFrame:
        """One row per layer, picojoules per sample."""
        import pandas as pd

        rows = [asdict(x) | {"memory_pj": x.memory_pj, "total_pj": x.total_pj} for x in self.layers]
        return pd.DataFrame(rows)

    def _priced(self, work: LayerWork) -> LayerEnergy:
        add_pj, multiply_pj = ADD_MULTIPLY_PJ[self.bits]
        mac_pj = add_pj + multiply_pj
        spent: dict[str, float] = {}
        for access in work.accesses:
            item = access.item.split()[0]  # both directions of a potential together
            price = access_pj(float(access.words), self.bits, self.memory)
            spent[item] = spent.get(item, 0.0) + float(access.count) * price
        return LayerEnergy(
            name=work.name,
            kind=work.kind,
            operations_pj=float(work.macs) * mac_pj + float(work.acs) * add_pj,
            addressing_pj=float(work.address_macs) * mac_pj + float(work.address_acs) * add_pj,
            input_pj=spent.get("input", 0.0),
            parameters_pj=spent.get("weights", 0.0) + spent.get("bias", 0.0),
            potentials_pj=spent.get("potential", 0.0),
            output_pj=spent.get("output", 0.0),
        )
