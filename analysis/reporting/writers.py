"""Files: report.json, lossless and with a written schema, and tables as CSV."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.json_schema import GenerateJsonSchema

from analysis.code_records import Coding
from analysis.energy.conventions import Convention
from analysis.energy.energy import Energy
from analysis.energy.technology import Technology
from analysis.errors import InputError
from analysis.files import write_text
from analysis.records import Run
from analysis.reporting.old_layout import upgraded
from analysis.reporting.report import Report
from analysis.reporting.tables import Cell, Spread, Table
from analysis.reporting.validity import contradiction

if TYPE_CHECKING:
    import pandas as pd

SCHEMA: Literal[2] = 2
_NUMBERS = re.compile(r"\[[\s\d.,eE+-]+\]")  # a list of nothing but numbers


@dataclass(frozen=True, kw_only=True)
class Priced:
    """A run under one convention, per sample.

    Attributes:
        convention: Its name.
        settings: All its fields in words.
        refused: Why it can't be applied to this run, if it can't.
        acs, macs, energy_pj: Accumulates, multiply-accumulates, picojoules.
        left_out_macs: Dense multiply-accumulates that it does not price.
        unpriced: Operations without a price: the energy is then a lower bound.
    """

    convention: str
    settings: str
    refused: str | None = None
    acs: float | None = None
    macs: float | None = None
    energy_pj: float | None = None
    left_out_macs: float | None = None
    unpriced: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ReportFile:
    """The content of report.json.

    ``run``, ``convention`` and ``technology`` are the report; ``totals`` and ``conventions``
    follow from them and stand there for readers without this package.

    Attributes:
        schema: Version of this layout.
        run: Exact integer counts, sums over everything that ran, and how they were made.
        convention, technology: What the totals are priced under.
        totals: Per sample, with 95 % intervals over samples.
        conventions: The same run under every convention, side by side.
        coding: What the encoder's spikes say, if that was analysed.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    schema: Literal[2] = SCHEMA
    run: Run
    convention: Convention
    technology: Technology
    totals: Mapping[str, float | None]
    conventions: tuple[Priced, ...]
    coding: Coding | None = None


def json_schema() -> dict[str, Any]:
    """The JSON Schema of report.json; committed beside this file as report.schema.json."""
    schema = TypeAdapter(ReportFile).json_schema(mode="serialization")
    return {"$schema": GenerateJsonSchema.schema_dialect, **schema}


def write_json(report: Report, path: Path) -> None:
    """Writes a report to one JSON file.

    Raises:
        InputError: If the file can't be written; an old one then stays as it was.
    """
    content = ReportFile(
        run=report.run,
        convention=report.convention,
        technology=report.technology,
        totals={str(k): None if math.isnan(v) else float(v) for k, v in report.totals.items()},
        conventions=tuple(_priced(*entry) for entry in report.side_by_side()),
        coding=report.coding,
    )
    text = TypeAdapter(ReportFile).dump_json(content, indent=1).decode()
    write_text(path, _NUMBERS.sub(_in_one_line, text) + "\n")


def _in_one_line(numbers: re.Match[str]) -> str:
    return "".join(numbers[0].split())


def _priced(rule: Convention, energy: Energy | InputError) -> Priced:
    if isinstance(energy, InputError):
        return Priced(convention=rule.name, settings=rule.describe(), refused=str(energy))
    return Priced(
        convention=rule.name,
        settings=rule.describe(),
        acs=energy.acs.value,
        macs=energy.macs.value,
        energy_pj=energy.energy_pj.value,
        left_out_macs=energy.left_out_macs,
        unpriced=energy.unpriced,
    )


def read_report(path: str | Path) -> Report:
    """Reads a report that `Report.to_json` wrote; the two are equal.

    One of the layout before this one gives the same figures.

    Raises:
        InputError: If the file is missing, no report, of another version of the layout, or its
            numbers contradict each other.
    """
    try:
        table = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a readable report: {error}") from error
    version = table.get("schema") if isinstance(table, dict) else None
    if version not in (1, SCHEMA):
        raise InputError(f"{path}: expected a report of schema {SCHEMA} or 1, got {version!r}")
    try:
        table = upgraded(table) if version == 1 else table
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        why = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise InputError(f"{path}: not a valid report of schema 1: {why}") from error
    try:
        content = TypeAdapter(ReportFile).validate_python(table)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise InputError(f"{path}: not a valid report: {place}: {first['msg']}") from error
    fault = contradiction(content.run)
    if fault is not None:
        raise InputError(f"{path}: its numbers don't fit together: {fault}")
    return Report(content.run, content.convention, content.technology, content.coding)


def write_frame(report: Report, frame: pd.DataFrame, path: Path) -> None:
    """Writes a frame of a report, each row with its data, convention and technology.

    Raises:
        InputError: If the file can't be written; an old one then stays as it was.
    """
    told = {
        "data": report.run.provenance.get("data", ""),
        "convention": report.convention.name,
        "technology": report.technology.name,
    }
    known = {name: value for name, value in told.items() if name not in frame}
    write_text(path, frame.assign(**known).to_csv(index=False))


def write_table_csv(table: Table, path: Path) -> None:
    """Writes the raw values of a table; a mean with its deviation as two columns.

    Raises:
        InputError: If the file can't be written; an old one then stays as it was.
    """
    write_text(path, table_frame(table).to_csv(index=False))


def table_frame(table: Table) -> pd.DataFrame:
    """The raw values of a table; a mean with its deviation as two columns."""
    import pandas as pd

    columns: dict[str, list[object]] = {}
    for place, column in enumerate(table.columns):
        cells = [row[place] for row in table.rows]
        columns[column.name] = [_raw(cell) for cell in cells]
        if any(isinstance(cell, Spread) for cell in cells):
            columns[f"{column.name} deviation"] = [
                cell.deviation if isinstance(cell, Spread) else None for cell in cells
            ]
    return pd.DataFrame(columns)


def _raw(cell: Cell) -> object:
    return cell if isinstance(cell, str | int | float | None) else cell.value
