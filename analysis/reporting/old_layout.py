"""Reports of schema 1, in which counts of a site that ran once were multiplied by the steps.

Schema 2 holds what ran and says how many steps it stands for. Every figure stays the same. A file
of its own, so that it can go once nobody has such reports any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analysis.energy.conventions import PRESETS

_COUNTS = (
    "dense_macs", "inside_macs", "synops", "nonzeros", "elements", "one_sided_synops", "levels",
    "level_synops",
)  # fmt: skip
_QUANTITIES = {"site": "synops", "input": "nonzeros"}  # kind of a count of a sample: its column


def upgraded(table: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a report.json of schema 1 as schema 2 has it.

    Raises:
        LookupError, TypeError, ValueError, AttributeError, ArithmeticError: If it is none.
    """
    run = table["run"]
    times = {_key(site["key"]): site["repeats"] for site in run["sites"]}
    by_column = {
        " ".join([quantity, *key]): repeats
        for key, repeats in times.items()
        for quantity in _QUANTITIES.values()
    }
    neurons = [_neuron(neuron, run["samples"], run["steps"]) for neuron in run["neurons"]]
    now = {
        **run,
        "sites": [_site(site) for site in run["sites"]],
        "neurons": neurons,
        "moments": _moments(run["moments"], by_column),
        "per_sample": [_sample_count(entry, times) for entry in run.get("per_sample", ())],
    }
    rule = table.get("convention", {})
    # A preset goes on being one: its field about stems of events is newer.
    preset = PRESETS.get(rule.get("name", "").split(", ")[0])
    newer = {} if preset is None else {"event_stem": preset.event_stem}
    return {**table, "schema": 2, "run": now, "convention": newer | rule}


def _key(key: Mapping[str, Any]) -> tuple[str, str, str]:
    return key["name"], str(key["index"]), str(key["call"])


def _site(site: Mapping[str, Any]) -> dict[str, Any]:
    repeats = site["repeats"]
    now = {name: value for name, value in site.items() if name not in _GONE}
    now |= {"executions": site["executed_steps"], "stands_for": repeats}
    now["mixes_steps"] = site["synops_by_step"] is None
    if repeats > 1:
        now |= {name: _divided(site[name], repeats) for name in _COUNTS if name in site}
        now |= {"synops_by_step": None, "nonzeros_by_step": None}
    return now


_GONE = ("executed_steps", "repeats", "layout_guessed")


def _divided(counts: Any, by: int) -> Any:
    """A count, or a table of them, divided without a rest."""
    if counts is None:
        return None
    if isinstance(counts, Mapping):
        return {name: _divided(count, by) for name, count in counts.items()}
    whole, rest = divmod(counts, by)
    if rest:
        raise ValueError(f"a count of {counts} in {by} equal steps")
    return whole


def _neuron(neuron: Mapping[str, Any], samples: int, steps: int) -> dict[str, Any]:
    at_a_step = neuron["neurons"] * samples
    return {
        **neuron,
        "spikes": sum(neuron["spikes_by_step"]),
        "outputs": at_a_step * steps,
        "outputs_by_step": [at_a_step] * steps,
    }


def _moments(moments: Mapping[str, Any], times: Mapping[str, int]) -> dict[str, Any]:
    each = [times.get(column, 1) for column in moments["columns"]]
    means = zip(moments["mean"], each, strict=True)
    rows = zip(moments["scatter"], each, strict=True)
    return {
        **moments,
        "mean": [mean / n for mean, n in means],
        "scatter": [
            [value / (n * m) for value, m in zip(row, each, strict=True)] for row, n in rows
        ],
    }


def _sample_count(
    entry: Mapping[str, Any], times: Mapping[tuple[str, str, str], int]
) -> dict[str, Any]:
    """Counts of a site that stands for several steps are one for all of them."""
    repeats = times.get(_key(entry["key"]), 1) if entry["kind"] in _QUANTITIES else 1
    if repeats == 1:
        return dict(entry)
    return {**entry, "counts": [[_divided(sum(row), repeats)] for row in entry["counts"]]}
