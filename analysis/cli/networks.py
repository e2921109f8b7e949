"""Networks of one recipe that differ in one thing each: ``gac-networks``.

Trains every network of a study with every seed, analyses each on the whole test set, and keeps the
reports: a training whose report is there is done, so the same command goes on where it stopped.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, NoReturn

import typer

from analysis.cli.errors import run
from analysis.cli.grouped_help import application
from analysis.errors import InputError

PROGRAM = "gac-networks"
app = application()


@app.command(
    epilog="Example: gac-networks reports/digits\n\n"
    "Exit status: 0 done (or --most reached), 2 bad input, 130 stopped by Ctrl-C; finished "
    "trainings are kept, a begun one is gone on with."
)
def networks(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR", help="Folder with the study.toml; reports and tables go there."
        ),
    ],
    only: Annotated[
        list[str] | None, typer.Option(help="Only this network; may be repeated. Default: all.")
    ] = None,
    most: Annotated[
        int | None, typer.Option(min=0, help="Train at most so many networks now; 0 for none.")
    ] = None,
    runs: Annotated[Path, typer.Option(help="Folder of the trainings: checkpoints, logs.")] = Path(
        "runs/networks"
    ),
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 1,
) -> None:
    """Trains the networks of a study and compares them."""
    from rich.console import Console

    from analysis.cli.network_study import read_study
    from analysis.reporting.tables import shown

    study = read_study(folder)
    unknown = sorted(set(only or ()) - study.networks.keys())
    if unknown:
        raise InputError(f"unknown network {unknown[0]!r}; known: {', '.join(study.networks)}")
    console = Console(highlight=False, markup=False)
    missing = study.missing()
    console.print(f"{len(study.cells) - len(missing)} of {len(study.cells)} trained")
    for cell in [cell for cell in missing if not only or cell.network in only][:most]:
        report = study.train(cell, runs, threads)
        accuracy = shown(report.totals.accuracy, "percent")
        console.print(f"{cell.network}, seed {cell.seed}: {accuracy}")
    for path in study.write():
        console.print(f"Written: {path}", soft_wrap=True)


def main() -> NoReturn:
    """Entry point."""
    run(app, PROGRAM)


if __name__ == "__main__":
    main()
