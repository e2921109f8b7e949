"""The counterpart without spikes: the same layers with ReLU, no gate, one step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from analysis.energy.layers import some, steps_covered
from analysis.energy.quantised import mac_pj, matched_bits
from analysis.energy.technology import Technology
from analysis.errors import InputError
from analysis.records import Run


@dataclass(frozen=True, kw_only=True)
class CounterpartSite:
    """A site of the counterpart.

    Attributes:
        name: Of the site it stands for.
        dense_macs: MACs per sample, padding included.
        reads_image: Whether its input is the image, which no ReLU makes sparse.
    """

    name: str
    dense_macs: Fraction
    reads_image: bool


@dataclass(frozen=True, kw_only=True)
class Counterpart:
    """A network of ReLUs of the same shape, at one step; nobody trained or ran it.

    Attributes:
        sites: Its layers.
        steps: Of the spiking network.
        zeros: Share of its activations that are zero and skipped.
        leaves_out: What is in no number here.
    """

    sites: tuple[CounterpartSite, ...]
    steps: int
    zeros: float
    leaves_out: tuple[str, ...]

    @property
    def dense_macs(self) -> float:
        """MACs per sample if nothing is skipped."""
        return float(sum(site.dense_macs for site in self.sites))

    @property
    def macs(self) -> float:
        """MACs per sample with zero activations skipped; layers that read the image are dense."""
        image = float(sum(site.dense_macs for site in self.sites if site.reads_image))
        return image + (1 - self.zeros) * (self.dense_macs - image)

    @property
    def matched_bits(self) -> int:
        """Bits that hold a spike count of the spiking network, ceil(log2(T + 1))."""
        return matched_bits(self.steps)

    def energy_pj(self, prices: Technology) -> float | None:
        """Picojoules per sample of the MACs; None where a MAC has no price."""
        price = prices.pj("mac")
        return None if price is None else price * self.macs

    @property
    def bit_matched_pj(self) -> float:
        """Picojoules per sample of the MACs at `matched_bits` bits; not function-matched.

        Same shape and as many levels, but not the same function: see `quantised`.
        """
        return mac_pj(self.matched_bits) * self.macs


def counterpart(run: Run, zeros: float = 0.0) -> Counterpart:
    """The counterpart of a run's network: its own sites, the gate left out, dense MACs per step.

    Args:
        run: The counts.
        zeros: Share of activations that are zero, 0 (dense) to 1, given and not measured.

    Raises:
        InputError: If the share is none.
    """
    if not 0 <= zeros <= 1:
        raise InputError(f"expected a share of zero activations from 0 to 1, got {zeros}")
    sites = tuple(
        CounterpartSite(
            name=str(site.key),
            dense_macs=Fraction(site.dense_macs, run.samples) / steps_covered(site, run),
            reads_image=site.origin == "image",
        )
        for site in run.sites
        if site.role != "gate"
    )
    return Counterpart(sites=sites, steps=run.steps, zeros=zeros, leaves_out=tuple(_left_out(run)))


def _left_out(run: Run) -> Iterator[str]:
    yield "accuracy: nobody trained this network"
    yield "memory, biases, ReLUs, pooling and residual additions"
    gates = [str(site.key) for site in run.sites if site.role == "gate"]
    if gates:
        yield f"the gate: {some(gates)}"


def comparison(snn_pj: float, other_pj: float, *, other: str, under: str) -> str:
    """One sentence on two energies; it speaks of counted operations only.

    Args:
        snn_pj: Picojoules per sample of the spiking network.
        other_pj: Those of the other one.
        other: What the other one is.
        under: Convention and technology, by name.

    Example:
        >>> comparison(2.0, 3.0, other="its ReLU counterpart", under="operand, 45nm-fp32")
        'cheaper in counted operations under operand, 45nm-fp32: 0.667 times its ReLU counterpart'
    """
    if snn_pj == other_pj:
        return f"as dear in counted operations under {under} as {other}"
    word = "cheaper" if snn_pj < other_pj else "dearer"
    share = f"{snn_pj / other_pj:.3g} times {other}" if other_pj else f"{other} costs nothing"
    return f"{word} in counted operations under {under}: {share}"
