"""A budget written from a report: what it measured, give or take a margin."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.errors import InputError
from analysis.files import write_text
from analysis.reporting.budgets.check import layer_quantities
from analysis.reporting.report import Report
from analysis.reporting.text import parse_share

if TYPE_CHECKING:
    from collections.abc import Mapping

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


def write_budget(
    report: Report, path: str | Path, margin: str = "10%", *, technology: str | None = None
) -> None:
    """Writes limits around what a report measured, in both directions.

    An energy that drops without a reason is as suspicious as one that rises. The accuracy only
    has a lower limit, the lower end of its 95 % interval.

    Args:
        report: A healthy run.
        path: The file; an old one is replaced.
        margin: By which values may differ, as a share of them.
        technology: Where its price list is found again, if not by its name: a TOML file.

    Raises:
        InputError: If the margin is no share, the report's prices can't be named in a file, or it
            can't be written.
    """
    write_text(
        Path(path), "\n".join(_lines(report, margin, technology or report.technology.name)) + "\n"
    )


def _lines(report: Report, margin: str, prices: str) -> Iterator[str]:
    share, totals, data = parse_margin(margin), report.totals, report.run.provenance.get("data")
    _check_names(report, prices)
    run = report.run
    yield f"# Limits per sample, from a run of {run.samples} samples, T = {run.steps}."
    yield "# A layer is named exactly or by a pattern such as stages.*.neuron1: every layer that"
    yield "# fits keeps the limits. Accuracy: at least the lower end of its 95 % interval."
    yield "schema = 1"
    yield f"convention = {_text(report.convention.name)}"
    yield f"technology = {_text(prices)}"
    if data is not None:
        yield f"data = {_text(str(data))}"
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
