"""Whether a report keeps a budget."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import isnan
from typing import Any

from analysis.energy.layers import some
from analysis.errors import InputError
from analysis.reporting.budgets.budget import SITE_QUANTITIES, Budget, Limit
from analysis.reporting.report import Report


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One limit, held against what was measured.

    Attributes:
        table: Path of the limit in the file: ``("layers", "stages.*", "firing_rate")``.
        where: The layer, or ``total``.
        quantity: Such as ``energy_pj``; per sample.
        value: What was measured.
        limit: What is allowed.
    """

    table: tuple[str, ...]
    where: str
    quantity: str
    value: float
    limit: Limit

    @property
    def broken(self) -> bool:
        """Whether the value is outside."""
        return self.off != 0

    @property
    def off(self) -> float:
        """By how much the value is above the limit (or below it: negative)."""
        if self.limit.max is not None and self.value > self.limit.max:
            return self.value - self.limit.max
        if self.limit.min is not None and self.value < self.limit.min:
            return self.value - self.limit.min
        return 0.0

    def sentence(self) -> str:
        """What is wrong, in one line."""
        end = self.limit.max if self.off > 0 else self.limit.min
        side = "above the maximum" if self.off > 0 else "below the minimum"
        share = f" ({100 * self.off / end:+.1f} %)" if end else ""
        return f"{self.where}: {self.quantity} {self.value:.6g} is {side} {end:.6g}{share}"


def network_of(report: Report) -> str | None:
    """What a budget calls the network of a report: its name, or what it is."""
    facts = report.run.provenance
    found = facts.get("name") or facts.get("model")
    return None if found is None else str(found)


def check(report: Report, budget: Budget) -> tuple[Finding, ...]:
    """Holds a report against a budget, limit by limit.

    The report is priced as the budget says, whatever its own convention.

    Raises:
        InputError: If the run is on other data than the budget is for, a name in it is unknown,
            a pattern fits no layer, or a quantity was not measured.
    """
    data = str(report.run.provenance.get("data", ""))
    if budget.data is not None and budget.data != data:
        raise InputError(f"this budget is for {budget.data!r}, the run was on {data!r}")
    priced = report.under(budget.convention, budget.technology)
    return (
        *_totals(priced, ("total",), budget.total),
        *(
            finding
            for name, limits in budget.conventions.items()
            for finding in _totals(priced.under(name), ("conventions", name), limits)
        ),
        *_layers(priced, budget),
    )


def _totals(
    report: Report, table: tuple[str, ...], limits: Mapping[Any, Limit]
) -> Iterator[Finding]:
    where = "total" if table == ("total",) else f"total, {table[1]}"
    for quantity, limit in limits.items():
        value = report.totals.get(quantity, float("nan"))
        if isnan(value):
            raise InputError(f"the budget limits {quantity}, but this run has none")
        yield Finding(
            table=(*table, quantity),
            where=where,
            quantity=quantity,
            value=float(value),
            limit=limit,
        )


def _layers(report: Report, budget: Budget) -> Iterator[Finding]:
    measured = layer_quantities(report)
    for pattern, limits in budget.layers.items():
        for quantity, limit in limits.items():
            known = [name for name, values in measured.items() if quantity in values]
            fitting = [n for n in known if n == pattern or fnmatchcase(n, pattern)]
            if not fitting:
                raise InputError(
                    f"layers.{pattern!r} of the budget fits no layer with {quantity}; those are: "
                    f"{some(known, 8) or 'none'}"
                )
            for name in fitting:
                yield Finding(
                    table=("layers", pattern, quantity),
                    where=name,
                    quantity=quantity,
                    value=measured[name][quantity],
                    limit=limit,
                )


def layer_quantities(report: Report) -> dict[str, dict[str, float]]:
    """What a budget can limit of every layer, per sample, by the layer's name."""
    found: dict[str, dict[str, float]] = {}
    for site, row in zip(report.run.sites, report.sites.to_dict("records"), strict=True):
        found[str(site.key)] = {quantity: float(row[quantity]) for quantity in SITE_QUANTITIES}
    for neuron, rate in zip(report.run.neurons, report.neurons.firing_rate, strict=True):
        found.setdefault(str(neuron.key), {})["firing_rate"] = float(rate)
    return found
