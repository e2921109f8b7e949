"""Options of `gac-analyze` for what comes of it: a line of help each. No torch here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from analysis.reporting.axes import Axis
from gac.registry import ARCHITECTURES

_OUTPUT, _COMPARE = "Output", "Comparison"
_BUDGET, _ARCH = "Budget", "Without a checkpoint"

Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
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
Anyway = Annotated[
    bool,
    typer.Option(
        "--anyway",
        rich_help_panel=_COMPARE,
        help="of --against: also where data, steps, input or network differ",
    ),
]
Baseline = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        rich_help_panel=_COMPARE,
        help="the input to whose energy the others stand in a ratio",
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
Force = Annotated[
    bool,
    typer.Option(
        "--force",
        rich_help_panel=_BUDGET,
        help="of --write-budget: change the limits of a file that is there",
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
        help=f"{', '.join(ARCHITECTURES)}, torchvision/NAME, timm/NAME",
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
