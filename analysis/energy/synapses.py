"""Spikes per synapse and inference, beside the published thresholds."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from analysis.energy.layers import is_spiking, steps_covered
from analysis.records import Run

# Dampfhoffer et al., IEEE TETCI 7(3):731-741, 2023, abstract: spikes per synapse and inference up
# to which integrate-and-fire networks compete, by the design of the other network.
DAMPFHOFFER = (0.15, 1.38)
# Davidson & Furber, Front. Neurosci. 15:651141, 2021 (second hand).
DAVIDSON_FURBER = 1.72


@dataclass(frozen=True)
class SpikesPerSynapse:
    """Spikes that each synapse of the spiking sites carries per inference.

    Attributes:
        value: Synops over synapses, convolutions unrolled, products with padding not counted.
        synapses: How many there are.
    """

    value: float
    synapses: float

    @property
    def band(self) -> Literal["below", "inside", "above"]:
        """Where it lies from the thresholds of Dampfhoffer et al. 2023."""
        low, high = DAMPFHOFFER
        return "below" if self.value < low else "inside" if self.value <= high else "above"

    @property
    def words(self) -> str:
        """One sentence with the published thresholds."""
        low, high = DAMPFHOFFER
        other = "below" if self.value < DAVIDSON_FURBER else "not below"
        return (
            f"{self.value:.3g} spikes per synapse and inference (spiking sites only): {self.band} "
            f"{low} to {high}, up to which integrate-and-fire networks compete, depending on the "
            f"other network's design (Dampfhoffer et al., 2023); {other} {DAVIDSON_FURBER} "
            "(Davidson & Furber, 2021)"
        )


def spikes_per_synapse(run: Run) -> SpikesPerSynapse | None:
    """Synops per synapse and inference of the spiking sites; None without any."""
    spiking = [site for site in run.at_every_step.sites if is_spiking(site)]
    per_step = (Fraction(s.inside_macs) / steps_covered(s, run) for s in spiking)
    synapses = float(sum(per_step, Fraction(0)) / run.samples)
    if not synapses:
        return None
    return SpikesPerSynapse(sum(s.synops for s in spiking) / run.samples / synapses, synapses)
