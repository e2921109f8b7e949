"""What `gac-analyze` does once its options are known: a checkpoint, samples, a report."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import nn
from torch.utils.data import DataLoader, Subset

from analysis.cli.processes import Place, joined
from analysis.cli.provenance import made_by
from analysis.counting.sampling import Until
from analysis.crosscheck import crosscheck
from analysis.errors import InputError
from analysis.pipeline import analyze
from analysis.reporting.report import Report
from gac.checkpoint import Checkpoint, load, shipped_checkpoint
from gac.data import data_source, load_data, preprocessing_for

if TYPE_CHECKING:
    import pandas as pd

    from analysis.energy.conventions import Convention
    from analysis.energy.technology import Technology
    from gac.metadata import Preprocessing


RANDOM_INPUT = "random input: rates mean nothing"


@dataclass(frozen=True, kw_only=True)
class Job:
    """The options of a run, as `gac-analyze --help` describes them."""

    checkpoint: Path | None
    data: str | None
    data_root: Path | None
    samples: int | None
    batch_size: int
    steps: int | None
    dtype: str
    device: str
    threads: int | None
    seed: int
    until: float | None = None
    crosscheck: bool = False


@dataclass(frozen=True)
class Outcome:
    """What a job leaves behind.

    Attributes:
        report: On the samples of all processes.
        crosscheck: Dense counts beside those of other tools, if they were asked for.
        speaks: Whether this process is the one to print and write.
    """

    report: Report
    crosscheck: pd.DataFrame | None
    speaks: bool


def run_job(job: Job, convention: Convention, technology: Technology) -> Outcome:
    """Loads, runs, counts and prices; started by `torchrun`, together with the other processes.

    Raises:
        InputError: If the checkpoint, the data or the device can't be used.
    """
    file = job.checkpoint or shipped_checkpoint()
    network = load(file, job.steps)
    name = _data_name(job, network, file)
    how = _preprocessing(network, name)
    everything = load_data(name, preprocessing=how, root=job.data_root, seed=job.seed)
    chosen = _draw(everything, job)
    place = Place.of_this_process()
    device, dtype = _device(place.device(job.device)), getattr(torch, job.dtype)
    if job.threads is not None:
        torch.set_num_threads(job.threads)
    labelled = everything.labelled and _same_classes(network, name)
    title = RANDOM_INPUT if everything.random else f"{name} test"
    facts = made_by("gac-analyze") | {
        "checkpoint": file.name,
        "checkpoint_sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "model": _describe(network),
        "data": f"{title}, {len(chosen)} of {len(everything)} samples",
        "preprocessing": asdict(how),
        "device": str(device),
        "precision": job.dtype,
        "threads": torch.get_num_threads(),
        "processes": place.world,
        "seed": job.seed,
        "batch_size": job.batch_size,
        "notes": _notes(network, name, random=everything.random, labelled=labelled),
    }
    model = network.model.to(device, dtype)
    settings = {
        "convention": convention,
        "technology": technology,
        "levels": convention.graded == "repeat-ac",
        "provenance": facts,
    }
    with joined(place, device):
        report = _share(model, chosen, job, place, labelled=labelled, **settings)
    if report.run.samples < len(chosen):
        data = f"{title}, {report.run.samples} of {len(everything)} samples"
        report = _told(report, data=data)
    if not (job.crosscheck and place.speaks):
        return Outcome(report, None, place.speaks)
    image = chosen[0][0].unsqueeze(0).to(device, dtype)
    return Outcome(report, crosscheck(model, image, report.run), place.speaks)


def _share(
    model: nn.Module, chosen: Any, job: Job, place: Place, *, labelled: bool, **settings: Any
) -> Report:
    """Runs this process' share of the samples; the report is on the samples of all processes."""
    mine = place.share(len(chosen))
    loader = DataLoader(Subset(chosen, mine), batch_size=job.batch_size)
    with _progress(len(mine), shown=place.speaks) as advance:
        return analyze(
            model,
            loader if labelled else (images for images, _ in loader),
            on_batch=advance,
            until=None if job.until is None else Until(job.until, at_most=len(chosen)),
            sample_index=mine,
            **settings,
        )


def _told(report: Report, **facts: Any) -> Report:
    """A report that says something else of how its run was made."""
    provenance = {**report.run.provenance, **facts}
    return replace(report, run=replace(report.run, provenance=provenance))


def _data_name(job: Job, network: Checkpoint, file: Path) -> str:
    name = job.data or (network.metadata.data.name if network.metadata.data else None)
    if name is None:
        raise InputError(
            f"{file.name} does not say what data it was made for; give --data (and --data-root)"
        )
    data_source(name)  # an unknown name is told before anything is loaded
    return name


def _preprocessing(network: Checkpoint, name: str) -> Preprocessing:
    """The checkpoint's own; for other data than its own, the usual one of that data."""
    own = network.metadata.data
    if own is None or own.name == name:
        return network.metadata.preprocessing
    return preprocessing_for(name, network.config)


def _draw(everything: Any, job: Job) -> Any:
    """All samples, or some drawn without replacement; the same ones for the same seed.

    A run that may stop early takes them in random order: data sets are often sorted by class.
    """
    if job.until is None and (job.samples is None or job.samples >= len(everything)):
        return everything
    generator = torch.Generator().manual_seed(job.seed)
    order = torch.randperm(len(everything), generator=generator)
    return Subset(everything, order[: job.samples].tolist())


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"device {name!r} can't be used: {reason}") from error
    return device


def _same_classes(network: Checkpoint, name: str) -> bool:
    """Whether the labels of some data can be compared with what the network says."""
    trained_on = network.metadata.data
    if trained_on is None:
        return data_source(name).classes == network.config.classes
    return trained_on.name == name


def _notes(network: Checkpoint, name: str, *, random: bool, labelled: bool) -> list[str]:
    notes = [RANDOM_INPUT] if random else []
    notes += network.metadata.notes
    trained_on = network.metadata.data
    if trained_on is not None and trained_on.name != name:
        notes.append(f"trained on {trained_on.name}, analysed on {name}")
    if not (random or labelled):
        notes.append(
            f"no accuracy: the labels of this data are not the "
            f"{network.config.classes} classes of the network"
        )
    return notes


def _describe(network: Checkpoint) -> str:
    config = network.config
    parameters = sum(p.numel() for p in network.model.parameters())
    return (
        f"MS-ResNet, {config.encoding} encoder, blocks {'-'.join(map(str, config.blocks))}, "
        f"widths {'-'.join(map(str, config.widths))}, {parameters:,} parameters"
    )


@contextmanager
def _progress(total: int, *, shown: bool) -> Iterator[Callable[[int], None]]:
    """A bar on stderr while samples are run; silent where stderr is no terminal."""
    columns = (
        TextColumn("counting"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, transient=True, disable=not (shown and console.is_terminal)
    ) as bar:
        task = bar.add_task("counting", total=total)
        yield lambda samples: bar.advance(task, samples)
