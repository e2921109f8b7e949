"""A study: what its file says, which of its networks are trained, and how to train the others."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from analysis.cli.job import Job
from analysis.cli.job_run import loaded, run_job
from analysis.cli.networks import PROGRAM
from analysis.cli.provenance import command_line
from analysis.energy.conventions import convention
from analysis.energy.technology import technology
from analysis.errors import InputError
from analysis.files import make_folder, write_text
from analysis.reporting.compare import (
    METHOD,
    Method,
    comparison_energies_table,
    comparison_table,
)
from analysis.reporting.markdown import markdown_table
from analysis.reporting.report import Report
from analysis.reporting.writers import read_report
from gac.checkpoint import load
from gac.recipes import recipe

_KEYS = {"recipe", "seeds", "networks"}
_NAME = re.compile(r"[\w.+-]+")  # it becomes part of a file's name


@dataclass(frozen=True)
class Cell:
    """One training of a study."""

    network: str
    seed: int


@dataclass(frozen=True)
class Study:
    """Networks of one recipe that differ in one thing each.

    Attributes:
        folder: Where its file is and its reports go.
        recipe: One of `gac.recipes.RECIPES`.
        seeds: Of the trainings of every network.
        networks: Name -> further arguments of `gac-train`.
    """

    folder: Path
    recipe: str
    seeds: tuple[int, ...]
    networks: dict[str, tuple[str, ...]]

    @property
    def cells(self) -> list[Cell]:
        """All trainings, seed by seed, so that an unfinished comparison is a fair one."""
        return [Cell(network, seed) for seed in self.seeds for network in self.networks]

    def missing(self) -> list[Cell]:
        """Trainings that are not done yet."""
        return [cell for cell in self.cells if not self.file(cell).exists()]

    def file(self, cell: Cell) -> Path:
        """Where the report of a training is."""
        return self.folder / f"{cell.network}-seed{cell.seed}.json"

    def reports(self) -> dict[str, dict[int, Report]]:
        """What there is so far: network -> seed -> report on the test set."""
        files = {
            name: {seed: self.file(Cell(name, seed)) for seed in self.seeds}
            for name in self.networks
        }
        found = {
            name: {
                seed: _priced(read_report(file)) for seed, file in seeds.items() if file.exists()
            }
            for name, seeds in files.items()
        }
        return {name: seeds for name, seeds in found.items() if seeds}

    def train(self, cell: Cell, runs: Path, threads: int) -> Report:
        """Trains one network, analyses it on the whole test set and keeps the report.

        Raises:
            InputError: If the training fails or is stopped; its own message stands above.
        """
        output = runs / self.folder.name / f"{cell.network}-seed{cell.seed}"
        make_folder(output.parent)
        command = [
            *(sys.executable, "-m", "analysis.cli.train", "--recipe", self.recipe),
            *self.networks[cell.network],
            *("--seed", str(cell.seed), "--threads", str(threads), "--rates-on", "0"),
            *("--output", str(output), "--resume"),
        ]
        _run(command, f"the training of {cell.network!r}, seed {cell.seed},")
        file = output / "last.pth"
        _check_finished(output, file)
        job = Job(
            data=None, data_root=None, samples=None, batch_size=64, steps=None, dtype="float32",
            device="cpu", threads=threads, seed=0, per_sample=False,
        )  # fmt: skip
        subject = loaded(job, file)
        report = run_job(job, subject, convention("operand"), technology("45nm-fp32")).report
        named = {"command": command_line(PROGRAM), METHOD: cell.network}
        facts = {**report.run.provenance, **named}
        report = replace(report, run=replace(report.run, provenance=facts))
        report.to_json(self.file(cell))
        return report

    def write(self) -> Iterator[Path]:
        """Writes the tables of what there is."""
        found = self.reports()
        if not found:
            return
        path = self.folder / "tables.md"
        write_text(path, "\n\n".join(self._blocks(found)) + "\n")
        yield path

    def _blocks(self, found: dict[str, dict[int, Report]]) -> Iterator[str]:
        reports = [report for seeds in found.values() for report in seeds.values()]
        yield f"# Networks of the recipe {self.recipe}"
        yield f"{len(reports)} trainings of {len(self.cells)}. Made by"
        yield f"    {PROGRAM} reports/{self.folder.name}"
        rows = [
            Method(name=name, data=_data(runs[0]), steps=runs[0].run.steps, runs=runs)
            for name, runs in ((name, tuple(seeds.values())) for name, seeds in found.items())
        ]
        for table in (comparison_table(rows), comparison_energies_table(rows)):
            words = (f"## {table.title}", markdown_table(table), table.sentence)
            yield "\n\n".join(filter(None, words))
        yield "## What made each\n\n" + "\n".join(
            f"- {name}, seed {seed}: commit {report.run.provenance.get('commit')}, "
            f"torch {report.run.provenance.get('torch')}"
            for name, seeds in found.items()
            for seed, report in seeds.items()
        )


def _run(command: list[str], what: str) -> None:
    """Runs a command to its end, which on Ctrl-C it finds by itself: it saves first."""
    with subprocess.Popen(command) as process:  # noqa: S603 - our own command
        try:
            status = process.wait()
        except KeyboardInterrupt:
            process.wait()
            raise
    if status:
        raise InputError(f"{what} failed")


def _check_finished(output: Path, file: Path) -> None:
    """A training that is told to stop ends well, too, but is no result yet."""
    epochs = json.loads((output / "run.json").read_text(encoding="utf-8"))["training"]["epochs"]
    if not file.exists() or load(file).metadata.metrics["epoch"] != epochs:
        raise InputError(f"the training in {output} was stopped; the same command goes on with it")


def _priced(report: Report) -> Report:
    """Older reports hold older words of the same convention."""
    return report.under(convention("operand"), technology("45nm-fp32"))


def _data(report: Report) -> str:
    return str(report.run.provenance.get("data", ""))


def read_study(folder: Path) -> Study:
    """The study of a folder, from its study.toml.

    Raises:
        InputError: If there is none, or it is not one.
    """
    path = folder / "study.toml"
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"can't read {path}: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{path} is no TOML: {error}") from error
    _check(path, content)
    networks = {name: tuple(map(str, words)) for name, words in content["networks"].items()}
    return Study(folder, content["recipe"], tuple(content["seeds"]), networks)


def _check(path: Path, content: dict[str, Any]) -> None:
    if content.keys() != _KEYS:
        raise InputError(f"{path}: expected {', '.join(sorted(_KEYS))}, got {', '.join(content)}")
    recipe(content["recipe"])
    seeds, networks = content["seeds"], content["networks"]
    if not (isinstance(seeds, list) and seeds and all(type(seed) is int for seed in seeds)):
        raise InputError(f"{path}: seeds must be a list of whole numbers, got {seeds!r}")
    if not (isinstance(networks, dict) and networks):
        raise InputError(f"{path}: networks must be a table of names, got {networks!r}")
    for name, words in networks.items():
        if not _NAME.fullmatch(name):
            raise InputError(f"{path}: {name!r} can't be part of a file's name")
        if not isinstance(words, list):
            raise InputError(f"{path}: {name} must be a list of arguments, got {words!r}")
