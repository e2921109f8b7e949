"""Options of `gac-analyze` for what runs and what it costs: a line of help each. No torch."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from analysis.energy import conventions
from gac.data import DATASETS

_RUN, _PRICES = "Network and data", "What operations cost"


class TimeLayout(StrEnum):
    """How a model of the user's orders samples and steps."""

    BT = "BT"
    TB = "TB"
    loop = "loop"


class Precision(StrEnum):
    """Floating-point formats a network can be run in."""

    float32 = "float32"
    float64 = "float64"
    bfloat16 = "bfloat16"


Inputs = Annotated[
    list[Path] | None,
    typer.Argument(metavar="[CHECKPOINT.pth | REPORT.json]..."),
]
Names = Annotated[
    list[str] | None,
    typer.Option(
        "--name",
        metavar="NAME",
        rich_help_panel=_RUN,
        help="what to call a network in tables; once for each input",
    ),
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
NeuronPaths = Annotated[
    list[str] | None,
    typer.Option(
        "--neurons",
        metavar="NAME",
        rich_help_panel=_RUN,
        help="a spiking layer of --model: path, pattern or class; may be repeated",
    ),
]
TimeOrder = Annotated[
    TimeLayout | None,
    typer.Option(
        "--time-layout",
        metavar="ORDER",
        rich_help_panel=_RUN,
        help="where steps lie in --model, if sizes do not tell: BT, TB or loop",
    ),
]
Loop = Annotated[
    bool,
    typer.Option(
        "--loop",
        rich_help_panel=_RUN,
        help="call --model once per step, T times per batch: it is written for one step",
    ),
]
Forward = Annotated[
    str | None,
    typer.Option(
        metavar="MODULE:FUNCTION",
        rich_help_panel=_RUN,
        help="called as FUNCTION(model, *inputs) instead of --model: a loop of your own",
    ),
]
InputShape = Annotated[
    str | None,
    typer.Option(
        metavar="C,H,W",
        rich_help_panel=_RUN,
        help="of one input of --model, for --data random and for --rates without data",
    ),
]
InputKinds = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        metavar="[NAME=]KIND",
        rich_help_panel=_RUN,
        help="events or image, where values do not tell; of one input: NAME=KIND",
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
StemAs = Annotated[str | None, _field("stem_as")]
Readout = Annotated[str | None, _field("readout")]
Pairs = Annotated[str | None, _field("pairs")]
EventStem = Annotated[str | None, _field("event_stem")]
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
