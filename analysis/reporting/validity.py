"""Whether the numbers of a run fit together: a report file may come from anywhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import isfinite

from analysis.records import Moments, NeuronRecord, Run, SampleCount, SiteRecord


def contradiction(run: Run) -> str | None:
    """The first thing that can't be, in a line; None if there is none."""
    return next(_contradictions(run), None)


def _contradictions(run: Run) -> Iterator[str]:
    if run.samples < 1 or run.steps < 1:
        yield f"expected at least 1 sample and 1 step, got {run.samples} and {run.steps}"
        return
    for site in run.sites:
        yield from (f"site {site.key}: {fault}" for fault in _site(site, run.steps))
    for neuron in run.neurons:
        yield from (f"neuron layer {neuron.site}: {fault}" for fault in _neuron(neuron, run.steps))
    for work in run.elementwise:
        if work.elements < 0:
            yield f"{work.work} in {work.site}: negative number of elements"
        yield from (f"{work.work} in {work.site}: {f}" for f in _stands(work.stands_for, run.steps))
    for constant in run.constants:
        if constant.macs < 0:
            yield f"constant {constant.key}: negative number of MACs"
    yield from _moments(run.moments)
    yield from _answers(run)
    for entry in run.per_sample:
        yield from (f"samples of {entry.key}: {fault}" for fault in _samples(entry, run))


def _site(site: SiteRecord, steps: int) -> Iterator[str]:
    counts = (
        site.dense_macs, site.inside_macs, site.synops, site.nonzeros, site.elements,
        site.executions, site.weights, site.zero_weights,
    )  # fmt: skip
    if min(counts) < 0:
        yield "a count is negative"
    if site.nonzeros > site.elements:
        yield f"{site.nonzeros} non-zero inputs of {site.elements}"
    if site.inside_macs > site.dense_macs:
        yield f"{site.inside_macs} MACs inside of {site.dense_macs} dense ones"
    yield from _stands(site.stands_for, steps)
    if site.mixes_steps and site.stands_for > 1:
        yield "mixes all steps, and stands for each of them"
    yield from _by_step(site.synops_by_step, site.synops, steps)
    yield from _by_step(site.nonzeros_by_step, site.nonzeros, steps)


def _stands(stands_for: int, steps: int) -> Iterator[str]:
    if stands_for not in (1, steps):
        yield f"stands for {stands_for} steps, expected 1 or {steps}"


def _neuron(neuron: NeuronRecord, steps: int) -> Iterator[str]:
    if neuron.neurons < 1:
        yield f"{neuron.neurons} neurons"
    if neuron.spikes < 0:
        yield f"{neuron.spikes} spikes"
    if neuron.outputs < neuron.neurons:
        yield f"{neuron.outputs} outputs of {neuron.neurons} neurons"
    yield from _by_step(neuron.spikes_by_step, neuron.spikes, steps)
    yield from _by_step(neuron.outputs_by_step, neuron.outputs, steps)
    if (neuron.spikes_by_step is None) != (neuron.outputs_by_step is None):
        yield "spikes and outputs are not both known by step"


def _by_step(counts: Sequence[int] | None, total: int, steps: int) -> Iterator[str]:
    if counts is None:
        return
    if len(counts) != steps:
        yield f"counts of {len(counts)} steps, expected {steps}"
    if min(counts, default=0) < 0:
        yield "a count of a step is negative"
    if sum(counts) != total:
        yield f"counts of steps add up to {sum(counts)}, not to {total}"


def _moments(moments: Moments) -> Iterator[str]:
    size = len(moments.columns)
    square = all(len(row) == size for row in moments.scatter)
    if len(moments.mean) != size or len(moments.scatter) != size or not square:
        yield f"moments of {size} columns need {size} means and {size} x {size} products"
    elif not all(map(isfinite, (*moments.mean, *(x for row in moments.scatter for x in row)))):
        yield "a moment is no number"


def _answers(run: Run) -> Iterator[str]:
    right = [*run.correct_by_step, *([] if run.correct is None else [run.correct])]
    if right and not 0 <= min(right) <= max(right) <= run.samples:
        yield f"{max(right)} right answers of {run.samples} samples"
    for name, values in (("labels", run.labels), ("predictions", run.predicted)):
        if values and len(values) != run.samples:
            yield f"{len(values)} {name} of {run.samples} samples"


def _samples(entry: SampleCount, run: Run) -> Iterator[str]:
    if len(entry.counts) != run.samples:
        yield f"{len(entry.counts)} rows, expected {run.samples}"
    if not all(len(row) in (1, run.steps) for row in entry.counts):
        yield f"expected a count per step ({run.steps}) or one in all"
