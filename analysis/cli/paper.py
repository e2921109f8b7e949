"""The GAC paper beside what comes out here, as Markdown: ``gac-paper``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NoReturn

from analysis.cli.errors import run
from analysis.cli.grouped_help import application

if TYPE_CHECKING:
    from analysis.reporting.report import Report

PROGRAM = "gac-paper"
RATE = 0.2  # stated, not measured
# Of the paper: architecture and the fields that differ from it.
NETWORKS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("msresnet18", {"steps": 4}),
    ("msresnet18", {"steps": 6}),
    ("msresnet34", {"steps": 4}),
    ("msresnet34", {"steps": 6}),
    ("msresnet18-cifar", {"classes": 10}),
    ("msresnet18-cifar", {"classes": 100}),
)
app = application()


@app.command(epilog="Exit status: 0 done, 2 bad input.")
def paper() -> None:
    """Prints every number of the paper beside ours, and why they differ.

    Parameters and energies of the paper's networks follow from their architecture, at a stated
    rate; nothing was trained for them here.
    """
    from analysis.reporting.paper import paper_markdown

    sys.stdout.write(paper_markdown(list(_estimated())))


def _estimated() -> Iterator[Report]:
    from analysis.pipeline import estimate
    from gac.registry import build

    for name, fields in NETWORKS:
        model = build(name, **fields)
        side = model.config.image_size
        yield estimate(model, (3, side, side), RATE, provenance={"architecture": name})


def main() -> NoReturn:
    """Entry point."""
    run(app, PROGRAM)


if __name__ == "__main__":
    main()
