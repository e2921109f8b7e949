"""What `gac-analyze` does once its options are known: a network, samples, a report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from analysis.cli.allocator import keep_freed_memory
from analysis.cli.coding import MOST_SAMPLES, check_coding, code_of
from analysis.cli.custom import from_functions
from analysis.cli.job import Job, Outcome
from analysis.cli.processes import Place, joined
from analysis.cli.progress import progress
from analysis.cli.provenance import made_by
from analysis.cli.subject import Subject, from_checkpoint
from analysis.counting.sampling import AT_MOST, Until
from analysis.crosscheck import crosscheck
from analysis.errors import InputError
from analysis.pipeline import analyze
from analysis.reporting.report import Report

if TYPE_CHECKING:
    from analysis.energy.conventions import Convention
    from analysis.energy.technology import Technology

_KEPT = 1000  # samples up to which their counts are kept without being asked


def loaded(job: Job, file: Path | None) -> Subject:
    """The network and its samples; the shipped one without a file.

    Raises:
        InputError: If the checkpoint or the data can't be used.
    """
    keep_freed_memory()
    return (from_functions if job.model else from_checkpoint)(job, file)


def run_job(job: Job, subject: Subject, convention: Convention, technology: Technology) -> Outcome:
    """Runs, counts and prices; started by `torchrun`, together with the other processes.

    Args:
        job: The options.
        subject: As `loaded` gives it.
        convention: How operations are booked.
        technology: What they cost.

    Raises:
        InputError: If the network, its samples or the device can't be used.
    """
    network = check_coding(subject.model) if job.coding else None
    place = Place.of_this_process()
    device, dtype = usable_device(place.device(job.device)), getattr(torch, job.dtype)
    if job.threads is not None:
        torch.set_num_threads(job.threads)
    model = subject.model.to(device, dtype)
    settings = {
        **subject.settings,
        "convention": convention,
        "technology": technology,
        "levels": convention.graded == "repeat-ac",
        "provenance": _facts(job, subject, device, place),
    }
    with joined(place, device):
        report = _run(model, subject, job, place, settings)
    report = _told(report, data=subject.data(report.run.samples))
    if network is not None and subject.some is not None and place.speaks:
        found = code_of(network, subject.some(MOST_SAMPLES), report, job.seed)
        report = replace(report, coding=found)
    if not (job.crosscheck and place.speaks):
        return Outcome(report, None, place.speaks)
    image = subject.example().to(device, dtype)
    return Outcome(report, crosscheck(model, image, report.run), place.speaks)


def _run(
    model: nn.Module, subject: Subject, job: Job, place: Place, settings: dict[str, Any]
) -> Report:
    """Runs this process' share of the samples; the report is on the samples of all processes."""
    mine = subject.share(place)
    known = subject.samples
    keep = known is not None and known <= _KEPT if job.per_sample is None else job.per_sample
    shown = place.speaks and not job.quiet
    with progress(known if mine is None else len(mine), shown=shown) as advance:
        return analyze(
            model,
            subject.batches(place),
            on_batch=advance,
            until=None if job.until is None else Until(job.until, at_most=known or AT_MOST),
            sample_index=mine,
            roles=job.roles,
            inputs=job.kinds,
            per_sample=keep,
            neuron_detail=True,
            flips=job.flips,
            **settings,
        )


def _facts(job: Job, subject: Subject, device: torch.device, place: Place) -> dict[str, Any]:
    return {
        **made_by("gac-analyze"),
        **subject.facts,
        "device": str(device),
        "precision": job.dtype,
        "threads": torch.get_num_threads(),
        "processes": place.world,
        "seed": job.seed,
        "batch_size": job.batch_size,
    }


def _told(report: Report, **facts: Any) -> Report:
    """A report that says something else of how its run was made."""
    provenance = {**report.run.provenance, **facts}
    return replace(report, run=replace(report.run, provenance=provenance))


def usable_device(name: str) -> torch.device:
    """A device that really works.

    Raises:
        InputError: If it does not.
    """
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"device {name!r} can't be used: {reason}") from error
    return device
