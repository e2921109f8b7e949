"""What a run of `gac-analyze` is asked for, and what it leaves behind. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.records import InputKind, Role
from analysis.reporting.report import Report

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Job:
    """The options of a run, as `gac-analyze --help` describes them."""

    data: str | None
    data_root: Path | None
    samples: int | None
    batch_size: int
    steps: int | None
    dtype: str
    device: str
    threads: int | None
    seed: int
    until: float | None = None
    crosscheck: bool = False
    flips: bool = False
    coding: bool = False
    model: str | None = None
    roles: Mapping[str, Role] = field(default_factory=dict)
    neurons: tuple[str, ...] = ()
    time_layout: str | None = None
    loop: bool = False
    forward: str | None = None
    kinds: Mapping[str, InputKind] = field(default_factory=dict)
    per_sample: bool | None = None
    shape: tuple[int, ...] | None = None
    quiet: bool = False


@dataclass(frozen=True)
class Outcome:
    """What a job leaves behind.

    Attributes:
        report: On the samples of all processes.
        crosscheck: Dense counts beside those of other tools, if they were asked for.
        speaks: Whether this process is the one to print and write.
    """

    report: Report
    crosscheck: pd.DataFrame | None = None
    speaks: bool = True
