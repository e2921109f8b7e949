"""From a run, a convention and a price list to picojoules, with intervals over samples."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property

import numpy as np

from analysis.energy.charges import Charge, Slope, charge, work_charges
from analysis.energy.conventions import Convention
from analysis.energy.layers import Range
from analysis.energy.technology import Technology
from analysis.estimates import Estimate, mean_interval
from analysis.records import Run, SiteKey, moment_column


@dataclass(frozen=True)
class Energy:
    """The energy of a run under one convention and technology.

    Raises:
        InputError: On first use, if the convention can't be applied to the run.
    """

    run: Run
    convention: Convention
    technology: Technology

    @cached_property
    def charges(self) -> Mapping[SiteKey, Charge]:
        """What every site is charged."""
        return {s.key: charge(s, self.convention, self.run) for s in self.run.sites}

    @cached_property
    def work(self) -> Mapping[str, Charge]:
        """What is charged for work that no synapse does, by its name."""
        return work_charges(self.run, self.convention)

    @cached_property
    def total(self) -> Charge:
        """Sites and other work together, over all samples."""
        return Charge.sum([*self.charges.values(), *self.work.values()])

    @property
    def prices(self) -> tuple[float, float]:
        """Picojoules per AC and per MAC; 0 for what is unpriced, see `unpriced`."""
        return self.technology.pj("ac") or 0.0, self.technology.pj("mac") or 0.0

    @cached_property
    def unpriced(self) -> tuple[str, ...]:
        """Operations that happen but have no price: the total is then a lower bound."""
        return self.unpriced_of(self.total)

    def unpriced_of(self, booked: Charge) -> tuple[str, ...]:
        """Those of the operations of a charge that have no price."""
        macs = booked.macs - self._updates_priced(booked)
        happen = {"ac": bool(booked.acs), "mac": bool(macs)}
        return tuple(n for n, does in happen.items() if does and self.technology.pj(n) is None)

    def _updates_priced(self, booked: Charge) -> int:
        """Neuron updates that don't cost a MAC: the technology has a price of its own for them."""
        return 0 if self.technology.pj("neuron") is None else booked.neuron_updates

    @property
    def acs(self) -> Estimate:
        """Accumulates per sample."""
        mean = self.total.acs / self.run.samples
        return self._interval(mean, self.charges.values(), 1.0, 0.0)

    @property
    def macs(self) -> Estimate:
        """Multiply-accumulates per sample."""
        mean = self.total.macs / self.run.samples
        return self._interval(mean, self.charges.values(), 0.0, 1.0)

    @property
    def energy_pj(self) -> Estimate:
        """Picojoules per sample."""
        return self._interval(self.exact_pj(self.total), self.charges.values(), *self.prices)

    @property
    def own_rates(self) -> tuple[str, ...]:
        """Sites whose rate is that of their input, for want of a neuron layer upstream."""
        return tuple(str(key) for key, booked in self.charges.items() if booked.own_rate)

    @cached_property
    def price_range(self) -> Range | None:
        """Picojoules per sample at the ends of prices; None where both are the same."""
        low, high = (
            replace(self, technology=self.technology.at(which)) for which in ("low", "high")
        )
        ends = [float(energy.exact_pj(energy.total)) for energy in (low, self, high)]
        return Range.over(*ends) if ends[0] < ends[2] else None

    @property
    def left_out_macs(self) -> float:
        """Dense MACs per sample of the sites that the convention leaves out."""
        return self.total.left_out_macs / self.run.samples

    def exact_pj(self, booked: Charge) -> Fraction:
        """Picojoules per sample of a charge, no digit lost."""
        ac_pj, mac_pj = self.prices
        updates = self._updates_priced(booked)
        total = booked.acs * _exact(ac_pj) + (booked.macs - updates) * _exact(mac_pj)
        total += updates * _exact(self.technology.pj("neuron") or 0.0)
        return total / self.run.samples

    def site_pj(self, key: SiteKey) -> float:
        """Picojoules per sample of one site."""
        return float(self.exact_pj(self.charges[key]))

    def site_estimate(self, key: SiteKey) -> Estimate:
        """Picojoules per sample of one site, with its interval."""
        booked = self.charges[key]
        return self._interval(self.exact_pj(booked), [booked], *self.prices)

    def _interval(
        self, mean: Fraction, parts: Iterable[Charge], per_ac: float, per_mac: float
    ) -> Estimate:
        weights: dict[str, float] = defaultdict(float)
        for booked in parts:
            for slope in booked.slopes:
                weights[_column(slope)] += float(slope.acs) * per_ac + float(slope.macs) * per_mac
        return interval(self.run, float(mean), weights)


def interval(run: Run, value: float, weights: Mapping[str, float]) -> Estimate:
    """The 95 % interval of the mean over samples of a weighted sum of counts.

    Normal approximation; it says nothing about other training seeds.

    Args:
        run: With the moments of its counts.
        value: The mean itself.
        weights: By column of the moments; columns not named weigh 0.
    """
    if run.samples < 2:
        return Estimate(value)
    w = np.array([weights.get(column, 0.0) for column in run.moments.columns])
    scatter = np.array(run.moments.scatter).reshape(len(w), len(w))
    variance = max(0.0, float(w @ scatter @ w)) / (run.samples - 1)
    return mean_interval(value, variance, run.samples)


def _column(slope: Slope) -> str:
    key = slope.key
    numbers = (key.call,) if slope.quantity == "spikes" else (key.index, key.call)
    return moment_column(slope.quantity, key.name, *numbers)


def _exact(price: float) -> Fraction:
    """The decimal number that was written, not the binary one nearest to it."""
    return Fraction(repr(price))
