"""The neuron layers of several networks: their names in order, and what each one fires."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pandas as pd

from analysis.errors import InputError
from analysis.records import NeuronRecord
from analysis.reporting.report import Report

Seeds = Mapping[int, Report]  # training seed -> report of that network

RATE = "firing rate, spikes / neuron / step"


def layers_of(groups: Iterable[Seeds]) -> list[str]:
    """All neuron layers in the order they fire, also those that only some networks have.

    Raises:
        InputError: If a group has no network.
    """
    orders: list[list[str]] = []
    for seeds in groups:
        if not seeds:
            raise InputError("nothing to draw: no report of any seed")
        orders.extend(list(neurons_of(report)) for report in seeds.values())
    found: list[str] = []
    for order in sorted(orders, key=len, reverse=True):
        found.extend(layer for layer in order if layer not in found)
    return found


def neurons_of(report: Report) -> dict[str, NeuronRecord]:
    """Name of a layer -> what it did."""
    return {str(neuron.key): neuron for neuron in report.run.neurons}


def having(layer: str, seeds: Seeds) -> dict[int, tuple[Report, NeuronRecord]]:
    """Seed -> its report and what the layer did there; without networks that do not have it."""
    found = {seed: (report, neurons_of(report)) for seed, report in seeds.items()}
    return {seed: (r, known[layer]) for seed, (r, known) in found.items() if layer in known}


def rates_of(seeds: Seeds, layers: Iterable[str]) -> dict[int, float]:
    """Seed -> firing rate of some layers together: of those among them that the network has.

    Networks with none of them are left out.
    """
    wanted, rates = set(layers), {}
    for seed, report in seeds.items():
        some = [record for layer, record in neurons_of(report).items() if layer in wanted]
        outputs = sum(record.outputs for record in some)
        if outputs:
            rates[seed] = sum(record.spikes for record in some) / outputs
    return rates


def by_network(reports: Mapping[tuple[str, int], Report]) -> dict[str, dict[int, Report]]:
    """Reports by (network, seed) -> network -> seed -> report.

    Example:
        >>> by_network({})
        {}
    """
    found: dict[str, dict[int, Report]] = {}
    for (network, seed), report in reports.items():
        found.setdefault(network, {})[seed] = report
    return found


def single_networks(networks: Mapping[str, Seeds]) -> pd.DataFrame:
    """One row per network and seed.

    Columns: network, seed, accuracy (NaN without labels), firing_rate, spikes_per_sample, silent
    (the layers that never fired, comma between).
    """
    return pd.DataFrame(
        {
            "network": network,
            "seed": seed,
            "accuracy": report.totals.get("accuracy", float("nan")),
            "firing_rate": report.totals.firing_rate,
            "spikes_per_sample": sum(n.spikes for n in report.run.neurons) / report.run.samples,
            "silent": ", ".join(name for name, n in neurons_of(report).items() if not n.spikes),
        }
        for network, seeds in networks.items()
        for seed, report in seeds.items()
    )
