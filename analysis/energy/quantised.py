"""Spikes against few bits: the same network with quantised activations.

A network of T steps holds one of T + 1 spike counts per neuron, as much as ceil(log2(T + 1)) bits
(Yan et al., "Reconsidering the energy efficiency of spiking neural networks", arXiv 2409.08290,
abstract). That the two compute the same holds for integrate-and-fire neurons without leak, reset
by subtraction and currents in [0, threshold) only (second hand); nothing here checks it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from analysis.energy.layers import Layer, Range, is_spiking, layers, some
from analysis.records import Run, SiteRecord

# Published crossings, spikes per neuron and step below which the spiking network needs less:
# arXiv 2409.08290, abstracts of v3 (T from 5 to 10) and v4 (T = 5).
PUBLISHED_CROSSINGS = {"v3, T = 5 to 10": 0.064, "v4, T = 5": 0.057}


def matched_bits(steps: int) -> int:
    """Bits that hold the spike counts of so many steps, ceil(log2(T + 1)).

    Example:
        >>> [matched_bits(steps) for steps in (1, 3, 4, 6, 7, 8)]
        [1, 2, 3, 3, 3, 4]
    """
    return steps.bit_length()


def mac_pj(bits: int) -> float:
    """A MAC of so many bits at 45 nm: multiply grows with the square, add with the width.

    3.7 and 0.9 pJ at 32 bits (Horowitz, ISSCC 2014); the scaling is that of spyx, pull request 76.

    Example:
        >>> round(mac_pj(32), 4), round(mac_pj(3), 4)
        (4.6, 0.1169)
    """
    return 3.7 * (bits / 32) ** 2 + 0.9 * bits / 32


_WEIGHT_FETCH = Range(low=0.25, nominal=20.0, high=1300 / 64)


@dataclass(frozen=True, kw_only=True)
class YanPrices:
    """Constants of the short form, pJ; all but the widths second hand from arXiv 2409.08290.

    Attributes:
        accumulate, compare, subtract: 22 nm.
        weight_fetch: Per bit. 20 in spyx (DRAM: 1300 pJ per 64 bits, which is ``high``); ``low``
            is dense movement on the chip, weights that never leave it.
        on_chip: Per bit of state or activation, dense movement over one hop.
        weight_bits, state_bits: Of the spiking network (spyx).
    """

    accumulate: float = 0.05448
    compare: float = 0.05448
    subtract: float = 0.05448
    weight_fetch: Range = _WEIGHT_FETCH
    on_chip: float = 0.25
    weight_bits: int = 8
    state_bits: int = 8


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What the short form asks of a network, per inference.

    Attributes:
        steps: T of the spiking network.
        synapses: Pairs of input and weight element in one step, convolutions unrolled, products
            with padding left out.
        synops: Accumulates over all steps.
        neurons, spikes: Spiking neurons, mean over steps, and their spikes over all steps.
        states: Neurons with a potential, readout included.
        activations: Values that the quantised network moves between layers.
    """

    steps: int
    synapses: float
    synops: float
    neurons: float
    spikes: float
    states: float
    activations: float

    def at_rate(self, rate: float) -> Workload:
        """The same if every input and every neuron fired at one rate, spikes per step."""
        return Workload(
            steps=self.steps,
            synapses=self.synapses,
            synops=rate * self.steps * self.synapses,
            neurons=self.neurons,
            spikes=rate * self.steps * self.neurons,
            states=self.states,
            activations=self.activations,
        )


def snn_pj(work: Workload, fetch_pj: float, prices: YanPrices) -> float:
    """The spiking network: accumulates, weights for each, compares, resets, state twice a step."""
    return (
        work.synops * (prices.accumulate + prices.weight_bits * fetch_pj)
        + work.steps * work.neurons * prices.compare
        + work.spikes * prices.subtract
        + 2 * work.steps * work.states * prices.state_bits * prices.on_chip
    )


def qnn_pj(work: Workload, fetch_pj: float, prices: YanPrices) -> float:
    """The quantised network: MACs, a weight for each, two compares per value, activations."""
    bits = matched_bits(work.steps)
    return (
        work.synapses * (mac_pj(bits) + bits * fetch_pj)
        + 2 * work.states * prices.compare
        + work.activations * bits * prices.on_chip
    )


def _ratio(work: Workload, fetch_pj: float, prices: YanPrices) -> float:
    return snn_pj(work, fetch_pj, prices) / qnn_pj(work, fetch_pj, prices)


def crossing_rate(work: Workload, fetch_pj: float, prices: YanPrices) -> float:
    """Spikes per element and step at which both cost the same; the spiking one is affine in it.

    Close to ceil(log2(T + 1)) / (8 T) where fetching weights of 8 bits outweighs all else. Below
    0 where the spiking network costs more even if it is silent.
    """
    silent = snn_pj(work.at_rate(0), fetch_pj, prices)
    slope = snn_pj(work.at_rate(1), fetch_pj, prices) - silent
    return (qnn_pj(work, fetch_pj, prices) - silent) / slope


@dataclass(frozen=True, kw_only=True)
class BitMatched:
    """A network and its counterpart with as many bits as its steps can hold, per sample.

    Ranges are over the price of fetching a weight bit.

    Attributes:
        bits: Of the counterpart's weights and activations.
        in_rate: Measured spikes per synapse and step over the spiking sites.
        snn_pj, qnn_pj: The two energies.
        ratio: The first over the second.
        crossing_rate: The ``in_rate`` at which the ratio would be 1.
        source, leaves_out: Where the form stands, and what is in no number here.
    """

    bits: int
    in_rate: float
    snn_pj: Range
    qnn_pj: Range
    ratio: Range
    crossing_rate: Range
    source: str
    leaves_out: tuple[str, ...]


def workload(run: Run) -> Workload:
    """The spiking sites of a run but its gate, and all its neurons, per sample."""
    spiking = [layer for layer in layers(run) if _takes_part(layer.site)]
    inputs = sum(layer.inputs / layer.steps for layer in spiking)
    last = spiking[-1].outputs / spiking[-1].steps if spiking else 0
    neurons = run.neuron_updates / (run.samples * run.steps)
    return Workload(
        steps=run.steps,
        synapses=float(sum(_inside(layer) / layer.steps for layer in spiking)),
        synops=sum(layer.site.synops for layer in spiking) / run.samples,
        neurons=neurons,
        spikes=sum(neuron.spikes for neuron in run.neurons) / run.samples,
        states=neurons,
        activations=float(inputs + last),
    )


def _inside(layer: Layer) -> Fraction:
    """MACs per sample, over all steps, products with padding left out."""
    return Fraction(layer.site.inside_macs, layer.samples)


def bit_matched(run: Run, prices: YanPrices | None = None) -> BitMatched | None:
    """The spiking sites of a run against a quantised network of ceil(log2(T + 1)) bits.

    The form and its widths are those of spyx (pull request 76), a short form of arXiv 2409.08290
    and not the paper's own. None without spiking sites.
    """
    prices, work = prices or YanPrices(), workload(run)
    if not work.synapses:
        return None
    met = sum(_inside(layer) for layer in layers(run) if _takes_part(layer.site))
    fetch = prices.weight_fetch
    snn, qnn, ratio, crossing = (
        Range.over(*(form(work, price, prices) for price in (fetch.low, fetch.nominal, fetch.high)))
        for form in (snn_pj, qnn_pj, _ratio, crossing_rate)
    )
    return BitMatched(
        bits=matched_bits(run.steps),
        in_rate=work.synops / float(met),
        snn_pj=snn,
        qnn_pj=qnn,
        ratio=ratio,
        crossing_rate=crossing,
        source="short form of spyx, pull request 76, after Yan et al., arXiv 2409.08290",
        leaves_out=tuple(_left_out(run)),
    )


def _left_out(run: Run) -> Iterator[str]:
    yield "moving spikes between cores (3 pJ per bit and hop on Loihi)"
    yield "zeros that the quantised network could skip"
    yield "whether the two networks compute the same"
    others = [str(s.key) for s in run.sites if not _takes_part(s) or s.shape is None]
    if others:
        yield f"the gate, and sites that are no layers on spikes: {some(others)}"


def _takes_part(site: SiteRecord) -> bool:
    return is_spiking(site) and site.role != "gate"
