"""``gac-eval``: accuracy of a checkpoint, and its weights in the released format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from analysis.cli.early import check_data
from analysis.cli.errors import run
from analysis.cli.grouped_help import HELP_NAMES, GroupedHelp, Quiet, Version, application, speaking
from analysis.files import write_text
from gac.archive import check_archive
from gac.data import DATASETS
from gac.errors import InputError

PROGRAM = "gac-eval"
PRECISIONS = ("float32", "float64", "bf16", "fp16")
# Plain help: typer's boxed one loads a Markdown renderer, half of the time it takes to answer.
app = application()


@app.command(
    cls=GroupedHelp,
    context_settings=HELP_NAMES,
    epilog="Examples:\n"
    "  gac-eval runs/digits/last.pth --export-official official.pth\n"
    "  torchrun --no-python --nproc-per-node 2 gac-eval runs/digits/last.pth\n"
    "Exit status: 0 fine, 2 bad input, 70 an error in this package, 130 stopped by Ctrl-C.",
)
def evaluate(
    checkpoint: Annotated[
        Path | None,
        typer.Argument(
            metavar="CHECKPOINT",
            help="Of gac-train or of the released code. Default: the shipped network.",
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(help=f"Data set: {', '.join(DATASETS)}. Default: the checkpoint's own."),
    ] = None,
    data_root: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder that holds the data set's own folder; CIFAR's files are pickles: trust "
            "them.",
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Simulation steps T, where the file can't say."),
    ] = None,
    batch_size: Annotated[
        int, typer.Option(metavar="N", min=1, help="Images per forward pass.")
    ] = 256,
    workers: Annotated[
        int, typer.Option(metavar="N", min=0, help="Processes that prepare images.")
    ] = 0,
    precision: Annotated[
        str, typer.Option(help="float32, float64, or mixed with bf16 or fp16.")
    ] = "float32",
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    threads: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="CPU threads. Default: torch's choice.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="JSON", help="JSON file for the counts. Default: print only."
        ),
    ] = None,
    export_official: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Also write the weights under the released code's keys, for its own scripts.",
        ),
    ] = None,
    quiet: Quiet = False,
    version: Version = False,
) -> None:
    """Top-1 and top-5 accuracy on the test images, and accuracy had it stopped at every step.

    Batch norms are folded into the convolutions, stem and gate run once per image.
    """
    check_data(data, data_root)
    if checkpoint is not None:
        check_archive(checkpoint)
    if precision not in PRECISIONS:
        raise InputError(f"unknown precision {precision!r}; known: {', '.join(PRECISIONS)}")
    from analysis.cli.evaluation import evaluate_file

    done = evaluate_file(
        checkpoint=checkpoint, data=data, root=data_root, steps=steps, batch_size=batch_size,
        workers=workers, precision=precision, device=device, threads=threads,
        official=export_official, quiet=quiet,
    )  # fmt: skip
    if done is None:
        return
    with speaking(quiet=quiet):
        typer.echo(_text(done))
    if output is not None:
        write_text(output, json.dumps(done.as_dict(), indent=1) + "\n")


def _text(done: Any) -> str:
    found = done.evaluation
    lines = [
        f"data       {done.data}, {found.samples:,} images",
        f"top-1      {_share(found.correct, found.samples)}",
        f"top-5      {_share(found.correct5, found.samples)}",
    ]
    lines += [
        f"t = {t:<6} {_share(right, found.samples)}"
        for t, right in enumerate(found.correct_by_step, start=1)
    ]
    return "\n".join([*lines, *(f"note: {note}" for note in done.notes)])


def _share(right: int, samples: int) -> str:
    from analysis.estimates import proportion
    from analysis.reporting.tables import shown

    found = proportion(right, samples)
    value, low, high = (shown(x, "percent") for x in (found.value, found.low, found.high))
    return f"{value:>8}  [{low}, {high}]  {right:,} of {samples:,}"


def main() -> NoReturn:
    """Entry point of ``gac-eval``."""
    run(app, PROGRAM)


if __name__ == "__main__":
    main()
