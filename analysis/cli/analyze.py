"""`gac-analyze`: the energy report of a checkpoint. Its help needs no torch."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from analysis.cli.errors import run
from analysis.energy import conventions
from analysis.energy import technology as technologies
from gac.data import DATASETS

# Plain help: typer's boxed one loads a Markdown renderer, half of the time it takes to answer.
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


class Precision(StrEnum):
    """Floating-point formats a network can be run in."""

    float32 = "float32"
    float64 = "float64"
    bfloat16 = "bfloat16"


Data = Annotated[
    str | None,
    typer.Option(help=f"Data set: {', '.join(DATASETS)}. Default: the checkpoint's own."),
]
DataRoot = Annotated[
    Path | None,
    typer.Option(
        help="Folder that holds the data set's own folder; CIFAR's files are pickles: trust them."
    ),
]
Samples = Annotated[
    int | None,
    typer.Option(min=1, help="Test samples to run, drawn with --seed. Default: all."),
]
BatchSize = Annotated[
    int,
    typer.Option(min=1, help="Samples per forward pass; changes no count."),
]
Steps = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Simulation steps T, for a released network without encoder: its file can't say.",
    ),
]
Dtype = Annotated[
    Precision,
    typer.Option(help="Precision of the run; float64 gives the same counts on every machine."),
]
Device = Annotated[str, typer.Option(help="Where to run: cpu, cuda, cuda:1, ...")]
Threads = Annotated[
    int | None,
    typer.Option(min=1, help="CPU threads. Default: torch's choice."),
]
Seed = Annotated[int, typer.Option(help="Of the samples drawn and of random data.")]
ConventionName = Annotated[
    str,
    typer.Option(
        "--convention", help=f"How operations are booked: {', '.join(conventions.PRESETS)}."
    ),
]
TechnologyName = Annotated[
    str,
    typer.Option(
        "--technology",
        help=f"Prices in pJ: {', '.join(technologies.technology_names())}, or a TOML file.",
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(help="Folder for report.json and sites.csv. Default: print only."),
]
CheckpointFile = Annotated[
    Path | None,
    typer.Argument(
        metavar="CHECKPOINT",
        help="A checkpoint of gac-train or of the released code. Default: the shipped network.",
    ),
]


@app.command(
    epilog="Example: gac-analyze runs/digits/last.pth --convention eq17 --output out. "
    "Exit status: 0 fine, 2 bad input, 130 stopped by Ctrl-C."
)
def analyze(
    checkpoint: CheckpointFile = None,
    data: Data = None,
    data_root: DataRoot = None,
    samples: Samples = None,
    batch_size: BatchSize = 64,
    steps: Steps = None,
    dtype: Dtype = Precision.float32,
    device: Device = "cpu",
    threads: Threads = None,
    seed: Seed = 0,
    convention: ConventionName = "operand",
    technology: TechnologyName = "45nm-fp32",
    output: Output = None,
) -> None:
    """Counts spikes, synaptic operations and MACs of a network, exactly, and prices them.

    Without an argument it analyses the network that comes with the package: a GAC MS-ResNet
    trained on 1,437 real images of handwritten digits, run on the 360 test images.
    """
    conventions.convention(convention)  # wrong names are told before torch is loaded
    technologies.technology(technology)
    from rich.console import Console

    from analysis.cli.job import Job, run_job
    from analysis.reporting.summary import print_report
    from analysis.reporting.writers import make_folder, write_csv

    if output is not None:
        make_folder(output)
    job = Job(
        checkpoint=checkpoint,
        data=data,
        data_root=data_root,
        samples=samples,
        batch_size=batch_size,
        steps=steps,
        dtype=dtype.value,
        device=device,
        threads=threads,
        seed=seed,
    )
    report = run_job(job, convention, technology)
    console = Console()
    print_report(report, console)
    if output is not None:
        report.to_json(output / "report.json")
        write_csv(report, output / "sites.csv")
        console.print(f"\nWritten: {output / 'report.json'}, {output / 'sites.csv'}")


def main() -> None:
    """Entry point of the command."""
    run(app, "gac-analyze")
