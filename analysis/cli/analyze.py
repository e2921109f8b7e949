"""`gac-analyze`: the energy report of a checkpoint. Its help needs no torch."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from analysis.cli.errors import run
from analysis.energy import conventions
from analysis.energy import technology as technologies
from analysis.errors import InputError
from gac.data import DATASETS
from gac.registry import ARCHITECTURES

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


def _field(name: str) -> typer.models.OptionInfo:
    """An option that changes one field of the convention."""
    option: typer.models.OptionInfo = typer.Option(
        help=f"In the convention: {conventions.meaning(name)}."
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
Architecture = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help=f"No checkpoint, no data: an architecture at --rates ({', '.join(ARCHITECTURES)}).",
    ),
]
Rates = Annotated[
    str | None,
    typer.Option(
        metavar="RATE|CSV",
        help="With --arch: share of non-zero inputs of every layer after the stem, or a CSV file "
        "with the columns site,rate (* stands for anything).",
    ),
]
SolveRate = Annotated[
    str | None,
    typer.Option(
        metavar="ENERGY",
        help="With --arch: the one rate that each convention needs for an energy such as 1.49mJ. "
        "Default: those published for it.",
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
UntilCi = Annotated[
    str | None,
    typer.Option(
        metavar="SHARE",
        help="Stop once the 95 % interval of the synops is this narrow: 1% for mean ± 1 %. "
        "Samples come in random order, looks after 64, 128, 256, ... Default: run all.",
    ),
]
Crosscheck = Annotated[
    bool,
    typer.Option(
        "--crosscheck",
        help="Lay dense MACs beside FlopCounterMode, fvcore and thop; crosscheck.csv in --output.",
    ),
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
    "On several cores or GPUs: torchrun --nproc-per-node 2 -m analysis.cli.analyze. "
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
    stem: Stem = None,
    gate: Gate = None,
    gate_as: GateAs = None,
    spike: Spike = None,
    real: Real = None,
    rate_at: RateAt = None,
    graded: Graded = None,
    silent: Silent = None,
    norm: Norm = None,
    elementwise: Elementwise = None,
    technology: TechnologyName = "45nm-fp32",
    output: Output = None,
    arch: Architecture = None,
    rates: Rates = None,
    solve_rate: SolveRate = None,
    until_ci: UntilCi = None,
    crosscheck: Crosscheck = False,
) -> None:
    """Counts spikes, synaptic operations and MACs of a network, exactly, and prices them.

    Without an argument it analyses the network that comes with the package: a GAC MS-ResNet
    trained on 1,437 real images of handwritten digits, run on the 360 test images.
    """
    # wrong names are told before torch is loaded
    fields = {
        "stem": stem, "gate": gate, "gate_as": gate_as, "spike": spike, "real": real,
        "rate_at": rate_at, "graded": graded, "silent": silent, "norm": norm,
        "elementwise": elementwise,
    }  # fmt: skip
    changes = {name: value for name, value in fields.items() if value is not None}
    rule = conventions.convention(convention, **changes)
    prices = technologies.technology(technology)
    if arch is not None:
        _only_architecture(checkpoint, rates, solve_rate)
        from analysis.cli.architecture import Question, answer

        answer(
            Question(name=arch, steps=steps, rates=rates, solve=solve_rate), rule, prices, output
        )
        return
    if rates is not None or solve_rate is not None:
        raise InputError("--rates and --solve-rate need an architecture: --arch NAME")
    until = None if until_ci is None else _share(until_ci)
    from rich.console import Console

    from analysis.cli.job import Job, run_job
    from analysis.reporting.crosscheck_table import print_crosscheck
    from analysis.reporting.summary import print_report
    from analysis.reporting.writers import make_folder, write_csv, write_text

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
        until=until,
        crosscheck=crosscheck,
    )
    done = run_job(job, rule, prices)
    if not done.speaks:
        return
    console = Console()
    print_report(done.report, console)
    if done.crosscheck is not None:
        print_crosscheck(done.crosscheck, console)
    if output is not None:
        written = [output / "report.json", output / "sites.csv"]
        done.report.to_json(written[0])
        write_csv(done.report, written[1])
        if done.crosscheck is not None:
            written.append(output / "crosscheck.csv")
            write_text(written[2], done.crosscheck.to_csv(index=False))
        console.print(f"\nWritten: {', '.join(map(str, written))}")


def _share(text: str) -> float:
    """A share such as 1% or 0.01.

    Raises:
        InputError: If it is none between 0 and 1.
    """
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = 0.0
    if not 0 < share < 1:
        raise InputError(
            f"--until-ci takes a share between 0 and 1 such as 1% or 0.01, not {text!r}"
        )
    return share


def _only_architecture(checkpoint: Path | None, rates: str | None, solve: str | None) -> None:
    if checkpoint is not None:
        raise InputError("give a checkpoint or --arch, not both")
    if rates is None and solve is None:
        raise InputError("--arch needs --rates, or --solve-rate with an energy")


def main() -> None:
    """Entry point of the command."""
    run(app, "gac-analyze")


if __name__ == "__main__":
    main()
