"""Bytes that the layers of a run move, if nothing is kept near the arithmetic and if all is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Literal, get_args

from analysis.energy.layers import Layer, Range, is_spiking, layers, not_layers, some, static_sites
from analysis.energy.lemaire_costs import Network
from analysis.errors import InputError
from analysis.records import Run

if TYPE_CHECKING:
    import pandas as pd

Reuse = Literal["none", "step", "inference"]

# One 64-bit access: 8 KiB cache 10 pJ, 1 MiB cache 100 pJ, DRAM 1300 pJ: Horowitz, ISSCC 2014,
# 45 nm (second hand; its upper end for DRAM was not seen). 8 bytes each.
BYTE_PJ = Range(low=10 / 8, nominal=100 / 8, high=1300 / 8)


@dataclass(frozen=True, kw_only=True)
class Widths:
    """Bits of what is moved: numbers, a spike in a bit map, and a spike as a message."""

    weight: int = 32
    activation: int = 32
    potential: int = 32
    spike: int = 1
    message: int = 32


@dataclass(frozen=True, kw_only=True)
class LayerBytes:
    """Bytes per sample that one site or neuron layer moves.

    Attributes:
        name, kind: Which one; it works on ``spiking`` or ``dense`` input, or is ``neurons``.
        weights, inputs: Read.
        potentials: Read and written.
        outputs: Written.
    """

    name: str
    kind: Literal["spiking", "dense", "neurons"]
    weights: float = 0.0
    inputs: float = 0.0
    potentials: float = 0.0
    outputs: float = 0.0

    @property
    def total(self) -> float:
        """Everything."""
        return self.weights + self.inputs + self.potentials + self.outputs


@dataclass(frozen=True, kw_only=True)
class BytesMoved:
    """Bytes per sample, layer by layer.

    Attributes:
        reuse: What is fetched anew, see `bytes_moved`.
        widths: Bits of every thing.
        layers: The bytes.
        leaves_out: What is in no number here.
    """

    reuse: Reuse
    widths: Widths
    layers: tuple[LayerBytes, ...]
    leaves_out: tuple[str, ...]

    @property
    def total(self) -> float:
        """Bytes per sample."""
        return sum(layer.total for layer in self.layers)

    @property
    def energy_pj(self) -> Range:
        """Picojoules per sample if all memory were a small cache, a large one, or DRAM."""
        return BYTE_PJ.times(self.total)

    @property
    def frame(self) -> pd.DataFrame:
        """One row per layer, bytes per sample."""
        import pandas as pd

        return pd.DataFrame([asdict(layer) | {"total": layer.total} for layer in self.layers])


def bytes_moved(
    run: Run, reuse: Reuse = "none", widths: Widths | None = None, network: Network = "snn"
) -> BytesMoved:
    """Bytes between memory and arithmetic per inference.

    Two ends between which real hardware lies; both are ours and follow no paper.

    Args:
        run: The counts; static sites are charged at every step.
        reuse: ``none``: every synop (MAC of a site that reads real values) fetches its weight,
            and its potential (input) anew; a spike comes as one message; partial sums of real
            sites stay in a register. ``step``: every weight, input, potential and output moves
            once per step, spikes as a bit map. ``inference``: the same, weights once in all.
        widths: Bits of every thing; 32, and 1 for a spike in a bit map, unless given.
        network: ``snn``, or ``fnn``: the same layers without the gate and without spikes at one
            step.

    Raises:
        InputError: If the kind of reuse or the network is unknown.
    """
    if network not in get_args(Network):
        allowed = ", ".join(get_args(Network))
        raise InputError(f"unknown network {network!r} for moved bytes; allowed: {allowed}")
    if reuse not in get_args(Reuse):
        allowed = ", ".join(get_args(Reuse))
        raise InputError(f"unknown reuse {reuse!r} of moved bytes; allowed: {allowed}")
    bits = widths or Widths()
    if network == "fnn":
        plain = [layer for layer in layers(run) if layer.site.role != "gate"]
        moved = tuple(_dense(layer, reuse, bits, steps=1) for layer in plain)
    else:
        moved = (*(_layer(x, reuse, bits) for x in layers(run)), *_neurons(run, reuse, bits))
    return BytesMoved(
        reuse=reuse, widths=bits, layers=moved, leaves_out=tuple(_left_out(run, network))
    )


def _layer(layer: Layer, reuse: Reuse, bits: Widths) -> LayerBytes:
    if not is_spiking(layer.site):
        return _dense(layer, reuse, bits, steps=layer.steps)
    weights = Fraction(layer.site.weights) * (layer.steps if reuse == "step" else 1)
    inputs, potentials = layer.inputs * bits.spike, Fraction(0)
    if reuse == "none":
        weights = Fraction(layer.site.synops, layer.samples)
        inputs = layer.input_spikes * bits.message
        potentials = 2 * weights * bits.potential
    return LayerBytes(
        name=str(layer.site.key),
        kind="spiking",
        weights=float(weights * bits.weight / 8),
        inputs=float(inputs / 8),
        potentials=float(potentials / 8),
    )


def _dense(layer: Layer, reuse: Reuse, bits: Widths, *, steps: int | Fraction) -> LayerBytes:
    """A layer on real values that runs at so many steps."""
    share = steps / layer.steps
    weights = Fraction(layer.site.weights) * (steps if reuse == "step" else 1)
    inputs = share * layer.inputs
    if reuse == "none":
        weights = inputs = share * layer.macs
    return LayerBytes(
        name=str(layer.site.key),
        kind="dense",
        weights=float(weights * bits.weight / 8),
        inputs=float(inputs * bits.activation / 8),
        outputs=float(share * layer.outputs * bits.activation / 8),
    )


def _neurons(run: Run, reuse: Reuse, bits: Widths) -> Iterator[LayerBytes]:
    """Potentials once per step; spikes as messages or, with reuse, as a bit map."""
    for neuron in run.neurons:
        updates = neuron.outputs / run.samples
        messages = neuron.spikes * bits.message / run.samples
        yield LayerBytes(
            name=neuron.site + (f" #{neuron.call}" if neuron.call else ""),
            kind="neurons",
            potentials=2 * updates * bits.potential / 8,
            outputs=(messages if reuse == "none" else updates * bits.spike) / 8,
        )


def _left_out(run: Run, network: Network) -> Iterator[str]:
    yield "biases, pooling, residual additions, gate products and softmax"
    if network == "snn":
        yield "currents on their way from a spiking layer to its neurons"
        yield "neuron state other than one potential per neuron"
    if network == "snn" and static_sites(run):
        yield f"what one execution for all steps would save: {some(static_sites(run))}"
    if not_layers(run):
        yield f"sizes not known: {some(not_layers(run))}"
