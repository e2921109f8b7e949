"""The options of `gac-analyze`: one line of help each, with unit and default. No torch here."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from analysis.energy import conventions
from analysis.reporting.axes import Axis
from gac.data import DATASETS
from gac.registry import ARCHITECTURES

_RUN, _PRICES, _OUTPUT = "Network and data", "What operations cost", "Output"
_COMPARE, _BUDGET, _ARCH = "Comparison", "Budget", "Without a checkpoint"


class Precision(StrEnum):
    """Floating-point formats a network can be run in."""

    float32 = "float32"
    float64 = "float64"
    bfloat16 = "bfloat16"


Inputs = Annotated[
    list[Path] | None,
    typer.Argument(metavar="[CHECKPOINT.pth | REPORT.json]..."),
]
Data = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        rich_help_panel=_RUN,
        help=f"{', '.join(DATASETS)}, MODULE:LOADER",
    ),
]
DataRoot = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        rich_help_panel=_RUN,
        help="folder that holds the data set's folder (CIFAR's are pickles: trust them)",
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        metavar="MODULE:FACTORY",
        rich_help_panel=_RUN,
        help="any torch model: the function that builds it; weights: CHECKPOINT.pth",
    ),
]
RoleOf = Annotated[
    list[str] | None,
    typer.Option(
        "--role",
        metavar="GLOB=ROLE",
        rich_help_panel=_RUN,
        help="stem, gate, spiking, shortcut, readout or other; may be repeated",
    ),
]
Samples = Annotated[
    int | None,
    typer.Option(
        min=1, metavar="N", rich_help_panel=_RUN,
        help="test samples to run, drawn with --seed; default all",
    ),
]  # fmt: skip
UntilCi = Annotated[
    str | None,
    typer.Option(
        metavar="SHARE",
        rich_help_panel=_RUN,
        help="stop once the synops are known to ± this, 1% say; default run all",
    ),
]
Steps = Annotated[
    int | None,
    typer.Option(
        min=1, metavar="T", rich_help_panel=_RUN,
        help="simulation steps, where the file or the model can't say",
    ),
]  # fmt: skip
BatchSize = Annotated[
    int,
    typer.Option(
        min=1, metavar="N", rich_help_panel=_RUN,
        help="samples per forward pass, changes no count; default 64",
    ),
]  # fmt: skip
Dtype = Annotated[
    Precision,
    typer.Option(
        metavar="FORMAT",
        rich_help_panel=_RUN,
        help="float32 (default), bfloat16, float64 (same counts on every machine)",
    ),
]
Device = Annotated[
    str,
    typer.Option(metavar="NAME", rich_help_panel=_RUN, help="cpu (default), cuda, cuda:1, ..."),
]
Threads = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", rich_help_panel=_RUN, help="CPU threads; default torch's"),
]
Seed = Annotated[
    int,
    typer.Option(
        metavar="N", rich_help_panel=_RUN, help="of drawn samples and random data; default 0"
    ),
]
ConventionName = Annotated[
    str,
    typer.Option(
        "--convention",
        metavar="NAME",
        rich_help_panel=_PRICES,
        help="how operations are booked; default operand; see --conventions",
    ),
]
TechnologyName = Annotated[
    str,
    typer.Option(
        "--technology",
        metavar="NAME|TOML",
        rich_help_panel=_PRICES,
        help="prices in pJ per operation; default 45nm-fp32; see --conventions",
    ),
]


def _field(name: str) -> typer.models.OptionInfo:
    """An option that changes one field of the convention; all are told in one line of the help."""
    option: typer.models.OptionInfo = typer.Option(
        hidden=True, metavar="VALUE", help=conventions.meaning(name)
    )
    return option


Stem = Annotated[str | None, _field("stem")]
Gate = Annotated[str | None, _field("gate")]
GateAs = Annotated[str | None, _field("gate_as")]
Spike = Annotated[str | None, _field("spike")]
Real = Annotated[str | None, _field("real")]
RateAt = Annotated[str | None, _field("rate_at")]
Graded = Annotated[str | None, _field("graded")]
Silent = Annotated[str | None, _field("silent")]
Norm = Annotated[str | None, _field("norm")]
Elementwise = Annotated[str | None, _field("elementwise")]
Explain = Annotated[
    bool,
    typer.Option(
        "--conventions",
        is_eager=True,
        rich_help_panel=_PRICES,
        help="list both, and the options that change a convention: --stem, --gate, ...",
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        rich_help_panel=_OUTPUT,
        help="report.html, .json, .md, .tex, references.bib and CSV tables go there",
    ),
]
By = Annotated[
    Axis,
    typer.Option(
        metavar="AXIS",
        rich_help_panel=_OUTPUT,
        help=f"rows printed: {', '.join(Axis)}; default layer",
    ),
]
Top = Annotated[
    int | None,
    typer.Option(
        min=1, metavar="N", rich_help_panel=_OUTPUT,
        help="only the N largest rows; default all",
    ),
]  # fmt: skip
PerSample = Annotated[
    bool | None,
    typer.Option(
        "--per-sample/--no-per-sample",
        rich_help_panel=_OUTPUT,
        help="keep the counts of every sample; default for up to 1000 samples",
    ),
]
Crosscheck = Annotated[
    bool,
    typer.Option(
        "--crosscheck",
        rich_help_panel=_OUTPUT,
        help="lay dense MACs beside FlopCounterMode, fvcore and thop",
    ),
]
Flips = Annotated[
    bool,
    typer.Option(
        "--flips",
        rich_help_panel=_OUTPUT,
        help="run in float64 too: how many samples have other counts there",
    ),
]
Coding = Annotated[
    bool,
    typer.Option(
        "--coding",
        rich_help_panel=_OUTPUT,
        help="what the encoder's spikes tell the network behind it (our reconstruction)",
    ),
]
Against = Annotated[
    Path | None,
    typer.Option(
        metavar="REPORT.json",
        rich_help_panel=_COMPARE,
        help="what moved since then, layer by layer, beyond chance or not",
    ),
]
WithPublished = Annotated[
    bool,
    typer.Option(
        "--with-published",
        rich_help_panel=_COMPARE,
        help="add the rows of the literature, each with its own convention",
    ),
]
Versus = Annotated[
    str | None,
    typer.Option(
        metavar="CONVENTION",
        rich_help_panel=_COMPARE,
        help="what moves the number from --convention to this one, field by field",
    ),
]
Memory = Annotated[
    bool,
    typer.Option(
        "--memory",
        rich_help_panel=_COMPARE,
        help="models that price memory: Lemaire et al., bytes moved, few bits",
    ),
]
Ann = Annotated[
    float | None,
    typer.Option(
        metavar="ZEROS",
        rich_help_panel=_COMPARE,
        help="beside ReLUs in the same shape, this share of zeros skipped: 0.5",
    ),
]
BudgetFile = Annotated[
    Path | None,
    typer.Option(
        "--budget",
        metavar="TOML",
        rich_help_panel=_BUDGET,
        help="check limits on rates, operations, energy, accuracy; 1 if one is broken",
    ),
]
WriteBudget = Annotated[
    Path | None,
    typer.Option(
        "--write-budget",
        metavar="TOML",
        rich_help_panel=_BUDGET,
        help="write such limits around what this run measured",
    ),
]
Margin = Annotated[
    str | None,
    typer.Option(
        metavar="SHARE",
        rich_help_panel=_BUDGET,
        help="of a written budget, up and down; default 10%",
    ),
]
Junit = Annotated[
    Path | None,
    typer.Option(
        metavar="XML",
        rich_help_panel=_BUDGET,
        help="write the checked limits as JUnit test cases",
    ),
]
Architecture = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        rich_help_panel=_ARCH,
        help=f"{', '.join(ARCHITECTURES)}",
    ),
]
Rates = Annotated[
    str | None,
    typer.Option(
        metavar="RATE|CSV",
        rich_help_panel=_ARCH,
        help="non-zero share of every input behind the stem, or a CSV of site,rate",
    ),
]
SolveRate = Annotated[
    str | None,
    typer.Option(
        metavar="ENERGY",
        rich_help_panel=_ARCH,
        help="the one rate that each convention needs for an energy: 1.49mJ",
    ),
]
