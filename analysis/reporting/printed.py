"""The numbers of the GAC paper, its abstract and its repository, digit by digit as printed.

What is no energy stands in paper.csv beside this file; the ImageNet rows are those of
`energy.published`.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files

from analysis.energy.published import published_rows

_UNITS = {
    "parameters": "{} M",
    "top-1": "{} %",
    "energy": "{} mJ",
    "gain in top-1": "+{} points",
    "energy beside previous work": "{} %",
}
_COLUMNS = {"parameters": "parameters_m", "top-1": "top1", "energy": "printed_mj"}


@dataclass(frozen=True, kw_only=True)
class Printed:
    """One number of the paper, its abstract or its repository.

    Attributes:
        source: Where it was read.
        network, data: As printed there.
        architecture: Of this package, if it is one.
        classes: That the network tells apart; empty where nothing hangs on it.
        steps: T, if one is stated.
        quantity: Parameters, top-1, energy, gain in top-1, or energy beside previous work.
        printed: Digit by digit.
    """

    source: str
    network: str
    architecture: str
    classes: str
    data: str
    steps: str
    quantity: str
    printed: str

    def __str__(self) -> str:
        """With its unit, as the table shows it."""
        return _UNITS[self.quantity].format(self.printed)


def printed_numbers() -> Iterator[Printed]:
    """All of them: the networks for CIFAR, those for ImageNet, the abstract."""
    text = (files("analysis.reporting") / "paper.csv").read_text(encoding="utf-8")
    rows = [Printed(**row) for row in csv.DictReader(text.splitlines())]
    yield from (row for row in rows if row.architecture)
    for quantity, column in _COLUMNS.items():
        for row in published_rows():
            if row["architecture"]:
                yield Printed(
                    source=row["source"],
                    network=row["row"],
                    architecture=row["architecture"],
                    classes="",
                    data="ImageNet",
                    steps=row["steps"],
                    quantity=quantity,
                    printed=row[column],
                )
    yield from (row for row in rows if not row.architecture)
