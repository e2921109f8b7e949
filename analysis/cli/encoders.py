"""Encoders compared on trained networks: ``gac-encoders``.

Trains one small network per encoder, number of steps and seed, measures each, and writes what
was found as tables. Finished trainings are kept: the same command goes on where it was stopped.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, NoReturn

import typer

from analysis.cli.errors import run
from analysis.cli.grouped_help import application
from analysis.errors import InputError
from analysis.reporting.tables import shown

PROGRAM = "gac-encoders"
app = application()


@app.command(
    epilog="Example: gac-encoders --output reports/encoders\n\n"
    "Exit status: 0 done (or --most reached), 2 bad input, 130 stopped by Ctrl-C; finished "
    "trainings are kept."
)
def encoders(
    output: Annotated[
        Path, typer.Option(help="Folder for runs.csv, settings.json, tables.md and the figure.")
    ] = Path("reports/encoders"),
    steps: Annotated[
        list[int] | None, typer.Option(help="Simulation steps; may be repeated. Default: 2, 6.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=2, help="Trainings of each network.")] = 5,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the 1,437 digits.")] = 12,
    only: Annotated[
        list[str] | None, typer.Option(help="Only this encoder; may be repeated. Default: all.")
    ] = None,
    most: Annotated[
        int | None, typer.Option(min=0, help="Train at most so many networks now; 0 for none.")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 1,
) -> None:
    """Trains networks that differ in their encoder, and compares what the encoders tell them."""
    from rich.console import Console

    from analysis.cli.encoder_study import ENCODINGS, Study

    unknown = sorted(set(only or ()) - set(ENCODINGS))
    if unknown:
        raise InputError(f"unknown encoder {unknown[0]!r}; known: {'; '.join(ENCODINGS)}")
    study = Study(output, tuple(steps or (2, 6)), seeds, epochs, threads)
    console = Console(highlight=False, markup=False)
    left = [cell for cell in study.missing() if not only or cell.encoding in only]
    console.print(f"{len(study.cells) - len(study.missing())} of {len(study.cells)} trained")
    for cell in left[:most]:
        accuracy = study.train(cell)
        console.print(
            f"{cell.encoding}, T = {cell.steps}, seed {cell.seed}: {shown(accuracy, 'percent')}"
        )
    for path in study.write():
        console.print(f"Written: {path}", soft_wrap=True)


def main() -> NoReturn:
    """Entry point."""
    run(app, PROGRAM)


if __name__ == "__main__":
    main()
