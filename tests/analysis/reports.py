"""Reports the tests of pages, files and tables share."""

from __future__ import annotations

from dataclasses import replace

import torch

import analysis
import gac
from gac.checkpoint import shipped_checkpoint

FACTS = {
    "model": "small <net> & friends, 5 % | more",
    "data": "digits_test, 12 of 360 samples",
    "method": "small",
    "parameters": 312362,
    "precision": "float32",
    "cites": ["qiu2024gac"],
    "notes": ["a note with a <tag>"],
}


def shipped_report(seed=0, **facts):
    """The shipped network on 12 random pictures, with everything a report can hold."""
    model = gac.load(shipped_checkpoint()).model
    images = torch.rand(12, 3, 16, 16, generator=torch.Generator().manual_seed(seed))
    labels = torch.arange(12) % 10
    return analysis.analyze(
        model,
        [(images, labels)],
        per_sample=True,
        neuron_detail=True,
        provenance=FACTS | facts,
    )


def as_large_network(report, times):
    """A report with its layers several times over, under other names: only for its size."""
    run = report.run

    def copies(records, rename):
        return tuple(rename(record, n) for n in range(times) for record in records)

    sites = copies(
        run.sites, lambda s, n: replace(s, key=replace(s.key, name=f"copy{n}.{s.key.name}"))
    )
    neurons = copies(run.neurons, lambda r, n: replace(r, site=f"copy{n}.{r.site}"))
    return replace(
        report,
        run=replace(run, sites=sites, neurons=neurons, per_sample=(), labels=(), predicted=()),
    )
