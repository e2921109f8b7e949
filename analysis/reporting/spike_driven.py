"""Which weight layers read spikes, and what the others take of the energy."""

from __future__ import annotations

from dataclasses import dataclass

from analysis.energy.layers import reads_spikes
from analysis.records import SiteRecord
from analysis.reporting.report import Report
from analysis.reporting.tables import shown


@dataclass(frozen=True, kw_only=True)
class NotSpikeDriven:
    """The weight layers that read something else than spikes.

    Attributes:
        names: Their module paths.
        layers: How many weight layers there are in all.
        energy_share: Their part of the energy of all weight layers; None if that is 0, or has no
            price.
        priced: Whether all that they do has a price.
    """

    names: tuple[str, ...]
    layers: int
    energy_share: float | None
    priced: bool = True

    def sentence(self) -> str:
        """In one line."""
        share = "none" if self.energy_share is None else shown(self.energy_share, "share")
        layers = f"{len(self.names)} of {self.layers} weight layers"
        if not self.priced:
            return f"{layers}; what they do has no price here"
        return f"{layers}, {share} of the energy"


def is_spike_driven(site: SiteRecord) -> bool:
    """Whether a site reads spikes; one that was silent does if it reads neurons or events."""
    if site.operand == "silent":
        return site.role == "spiking" or site.origin not in ("image", "current")
    return reads_spikes(site)


def not_spike_driven(report: Report) -> NotSpikeDriven:
    """The weight layers of a report that are not spike-driven."""
    sites = report.run.sites
    others = [site for site in sites if not is_spike_driven(site)]
    total = sum(report.energy.site_pj(site.key) for site in sites)
    part = sum(report.energy.site_pj(site.key) for site in others)
    priced = not any(report.energy.unpriced_of(report.energy.charges[s.key]) for s in others)
    return NotSpikeDriven(
        names=tuple(dict.fromkeys(site.key.name or "(model)" for site in others)),
        layers=len({site.key.name for site in sites}),
        energy_share=part / total if total and priced else None,
        priced=priced,
    )
