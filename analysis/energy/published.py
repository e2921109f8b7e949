"""Energies that papers and repositories print, with the operations they state, as a table.

The rows stand in published.csv beside this file. All were read where ``source`` says; figures
known from memory only are not among them.
"""

from __future__ import annotations

import csv
from fractions import Fraction
from importlib.resources import files
from typing import TYPE_CHECKING

from analysis.energy.technology import technology

if TYPE_CHECKING:
    import pandas as pd

_DOUBLE = 2**-52  # relative rounding of one operation and one print in double precision
_NUMBERS = ("steps", "parameters_m", "top1", "acs_g", "macs_g")


def published_rows() -> list[dict[str, str]]:
    """The rows as they are printed, every value a text; an empty one is not given."""
    text = (files("analysis.energy") / "published.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def recomputed_mj(row: dict[str, str]) -> Fraction | None:
    """Millijoules from the stated operations, exactly; None where a row states none.

    Example:
        >>> row = {"acs_g": "3.88", "macs_g": "0.118", "technology": "45nm-fp32"}
        >>> float(recomputed_mj(row))
        4.0348
    """
    if not (row["acs_g"] and row["macs_g"]):
        return None
    prices = technology(row["technology"])
    ac, mac = (Fraction(repr(prices.pj(operation) or 0.0)) for operation in ("ac", "mac"))
    return Fraction(row["acs_g"]) * ac + Fraction(row["macs_g"]) * mac  # G x pJ = mJ


def matches_print(row: dict[str, str]) -> bool | None:
    """Whether the stated operations give the printed energy to its last digit.

    Logs print more digits than double precision holds; those beyond are not compared.
    """
    found = recomputed_mj(row)
    if found is None:
        return None
    digits = len(row["printed_mj"].partition(".")[2])
    rounding = max(Fraction(1, 2 * 10**digits), found * Fraction(_DOUBLE))
    return abs(found - Fraction(row["printed_mj"])) <= rounding


def published() -> pd.DataFrame:
    """Published energies, one row each; never compare them across conventions.

    Columns: source, row, architecture (of this package, if it is one), steps, parameters_m,
    top1 (%), acs_g and macs_g (in units of 10^9, as stated), printed_mj, technology,
    convention, preset (of ours that counts so), matches (whether the stated operations give the
    printed digits), recomputed_mj, remark. Missing values were not stated.
    """
    import pandas as pd

    rows = published_rows()
    frame = pd.DataFrame(rows)
    for name in (*_NUMBERS, "printed_mj"):
        frame[name] = pd.to_numeric(frame[name])
    found = [recomputed_mj(row) for row in rows]
    frame["recomputed_mj"] = [float("nan") if mj is None else float(mj) for mj in found]
    frame["matches"] = pd.array([matches_print(row) for row in rows], dtype="boolean")
    return frame[[name for name in frame if name != "remark"] + ["remark"]]
