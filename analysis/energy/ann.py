"""The counterpart without spikes: the same layers with ReLU, no gate, no steps of its own.

Beside a network of images it runs once. Event data come as T frames: it reads either each of
them, T times the work, or their sum, once; no count says which of the two somebody would build.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from analysis.energy.layers import some, steps_covered
from analysis.energy.quantised import mac_pj, matched_bits
from analysis.energy.technology import Technology
from analysis.errors import InputError
from analysis.records import Run

Reads = Literal["image", "frames", "sum"]


@dataclass(frozen=True, kw_only=True)
class CounterpartSite:
    """A site of the counterpart.

    Attributes:
        name: Of the site it stands for.
        dense_macs: MACs per sample, padding included.
        reads_input: Whether it reads the image or the events, which no ReLU makes sparse.
    """

    name: str
    dense_macs: Fraction
    reads_input: bool


@dataclass(frozen=True, kw_only=True)
class Counterpart:
    """A network of ReLUs of the same shape; nobody trained or ran it.

    Attributes:
        sites: Its layers.
        steps: Of the spiking network.
        reads: What goes into it: the image, each frame of events, or their sum.
        zeros: Share of its activations that are zero and skipped.
        leaves_out: What is in no number here.
    """

    sites: tuple[CounterpartSite, ...]
    steps: int
    reads: Reads
    zeros: float
    leaves_out: tuple[str, ...]

    @property
    def passes(self) -> int:
        """How often it runs per sample."""
        return self.steps if self.reads == "frames" else 1

    @property
    def dense_macs(self) -> float:
        """MACs per sample if nothing is skipped."""
        return float(sum(site.dense_macs for site in self.sites)) * self.passes

    @property
    def macs(self) -> float:
        """MACs per sample with zero activations skipped; layers that read the input are dense."""
        image = float(sum(s.dense_macs for s in self.sites if s.reads_input)) * self.passes
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


def counterparts(run: Run, zeros: float = 0.0) -> tuple[Counterpart, ...]:
    """The counterparts of a run's network: one beside images, two beside frames of events.

    Args, errors: As of `counterpart`.
    """
    events = run.steps > 1 and any(site.origin == "events" for site in run.sites)
    ways: tuple[Reads, ...] = ("frames", "sum") if events else ("image",)
    return tuple(counterpart(run, zeros, reads) for reads in ways)


def counterpart(run: Run, zeros: float = 0.0, reads: Reads = "image") -> Counterpart:
    """A counterpart of a run's network: its own sites, the gate left out, dense MACs per step.

    Args:
        run: The counts.
        reads: What goes into it.
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
            reads_input=site.origin in ("image", "events"),
        )
        for site in run.sites
        if site.role != "gate"
    )
    left_out = tuple(_left_out(run))
    return Counterpart(sites=sites, steps=run.steps, reads=reads, zeros=zeros, leaves_out=left_out)


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
