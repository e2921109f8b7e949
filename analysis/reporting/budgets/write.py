"""A budget written from a report: what it measured, give or take a margin."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import tomlkit

from analysis.errors import InputError
from analysis.files import write_text
from analysis.reporting.budgets.budget import read_budget
from analysis.reporting.budgets.check import layer_quantities, network_of
from analysis.reporting.report import Report
from analysis.reporting.text import parse_share

_DIGITS = 4  # of a limit; rounded away from the measured value


def parse_margin(text: str) -> float:
    """A margin such as ``10%`` or ``0.1``.

    Raises:
        InputError: If it is none from 0 to below 1.

    Examples:
        >>> parse_margin("10%")
        0.1
    """
    try:
        margin = float(parse_share(text))
    except ValueError:
        margin = -1.0
    if not 0 <= margin < 1:
        raise InputError(f"a margin is a share from 0 to below 1 such as 10% or 0.1, not {text!r}")
    return margin


@dataclass(frozen=True, kw_only=True)
class Change:
    """Something of a budget that is written anew.

    Attributes:
        place: Such as ``total.energy_pj.max``.
        before, now: As the file has it; None where it is not there.
    """

    place: str
    before: str | None
    now: str | None


def write_budget(
    report: Report, path: str | Path, margin: str = "10%", *, technology: str | None = None
) -> tuple[Change, ...]:
    """Writes limits around what a report measured, in both directions.

    An energy that drops without a reason is as suspicious as one that rises. The accuracy only
    has a lower limit, the lower end of its 95 % interval. See `budget_text` for a file that is
    there already.

    Args:
        report: A healthy run.
        path: The file.
        margin: By which values may differ, as a share of them.
        technology: Where its price list is found again, if not by its name: a TOML file.

    Returns:
        What changed in a file that was there.

    Raises:
        InputError: If the margin is no share, the report's prices can't be named in a file, or it
            can't be read or written.
    """
    path = Path(path)
    text, changes = budget_text(report, path, margin, technology)
    write_text(path, text)
    return changes


def budget_text(
    report: Report, path: Path, margin: str, technology: str | None = None
) -> tuple[str, tuple[Change, ...]]:
    """A budget as it would be written, and what it would change in the file that is there.

    Comments, the order, limits on patterns of layers, and ends that somebody took out stay. Layers
    that are gone go, and new ones that no pattern fits come.

    Raises:
        InputError: As `write_budget`.
    """
    fresh = "\n".join(_lines(report, margin, technology or report.technology.name)) + "\n"
    if not path.exists():
        return fresh, ()
    old = read_budget(path)
    document, new = tomlkit.parse(path.read_text(encoding="utf-8")), tomlkit.parse(fresh)
    before = dict(_flat(document.unwrap()))
    _renew(document, new, {key for key in new if not isinstance(new[key], Mapping)})
    _renew_limits(document.get("total", {}), new["total"])
    for rule in old.conventions:
        totals = report.under(rule, technology).totals
        priced = {n: totals[n] for n in ("acs", "macs", "energy_pj")}
        lines = "\n".join(_limits(priced, parse_margin(margin)))
        _renew_limits(document["conventions"][rule], tomlkit.parse(lines))
    _renew_layers(document, new)
    after = dict(_flat(document.unwrap()))
    changes = tuple(
        Change(place=place, before=before.get(place), now=after.get(place))
        for place in dict.fromkeys([*before, *after])
        if before.get(place) != after.get(place)
    )
    return tomlkit.dumps(document), changes


def _renew(table: Any, new: Any, keys: Iterable[str]) -> None:
    for key in keys:
        if key not in table or table[key] != new[key]:
            table[key] = new[key]


def _renew_limits(table: Any, new: Any) -> None:
    """Moves the ends that a table of limits has to where they would be written now."""
    for quantity in table:
        if quantity in new:
            _renew(
                table[quantity], new[quantity], [e for e in table[quantity] if e in new[quantity]]
            )


def _renew_layers(document: Any, new: Any) -> None:
    layers = document.setdefault("layers", tomlkit.table(is_super_table=True))
    exact = [name for name in layers if name in new["layers"]]
    for name in exact:
        _renew_limits(layers[name], new["layers"][name])
    patterns = [name for name in layers if name not in exact]
    for name in patterns:
        if not any(fnmatchcase(layer, name) for layer in new["layers"]):
            del layers[name]
    for name, limits in new["layers"].items():
        if name not in layers and not any(fnmatchcase(name, pattern) for pattern in patterns):
            layers[name] = limits


def _flat(table: Mapping[str, Any], place: str = "") -> Iterator[tuple[str, str]]:
    """All values of nested tables, by their paths."""
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{place}{key}.")
        else:
            yield f"{place}{key}", f"{value:.6g}" if isinstance(value, float) else str(value)


def _lines(report: Report, margin: str, prices: str) -> Iterator[str]:
    share, totals, facts = parse_margin(margin), report.totals, report.run.provenance
    _check_names(report, prices)
    run = report.run
    yield f"# Limits per sample, from a run of {run.samples} samples, T = {run.steps}."
    yield "# A layer is named exactly or by a pattern such as stages.*.neuron1: every layer that"
    yield "# fits keeps the limits. Accuracy: at least the lower end of its 95 % interval."
    yield "schema = 1"
    yield f"convention = {_text(report.convention.name)}"
    yield f"technology = {_text(prices)}"
    for name, fact in (("data", facts.get("data")), ("network", network_of(report))):
        if fact is not None:
            yield f"{name} = {_text(str(fact))}"
    yield f"margin = {_text(margin)}"
    yield "\n[total]"
    if "accuracy" in totals:
        yield f"accuracy = {{ min = {_rounded(totals.accuracy_low, up=False)} }}"
    yield from _limits({n: totals[n] for n in ("firing_rate", "acs", "macs", "energy_pj")}, share)
    for name, values in layer_quantities(report).items():
        yield f"\n[layers.{_text(name)}]"
        kept = ("firing_rate", "synops", "energy_pj")
        yield from _limits({n: values[n] for n in kept if n in values}, share)


def _check_names(report: Report, prices: str) -> None:
    """A file names its prices; only those that are found again by their names will do."""
    again = report.under(report.convention.name, prices)
    if (again.convention, again.technology) != (report.convention, report.technology):
        raise InputError(
            f"a budget names its prices, and those of {report.convention.name!r}, {prices!r} "
            "are others than the report's"
        )


def _limits(values: Mapping[str, float], share: float) -> Iterator[str]:
    for quantity, value in values.items():
        if not math.isnan(value):
            low = _rounded(value * (1 - share), up=False)
            yield f"{quantity} = {{ min = {low}, max = {_rounded(value * (1 + share), up=True)} }}"


def _rounded(value: float, *, up: bool) -> str:
    """A few digits that never make a limit tighter.

    Examples:
        >>> _rounded(0.123449, up=False), _rounded(0.123449, up=True), _rounded(12345678.0, up=True)
        ('0.1234', '0.1235', '12350000.0')
    """
    if value == 0:
        return "0.0"
    unit = 10.0 ** (math.floor(math.log10(value)) + 1 - _DIGITS)
    steps = value / unit
    whole = math.ceil(steps - 1e-9) if up else math.floor(steps + 1e-9)
    return repr(float(f"{whole * unit:.{_DIGITS}g}"))


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)  # TOML's basic strings have JSON's escapes
