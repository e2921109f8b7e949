"""A network read out early: what its first steps cost, from the run over all of them."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from analysis.errors import InputError
from analysis.records import ElementwiseRecord, Moments, NeuronRecord, Run, SiteRecord


def up_to(run: Run, steps: int) -> Run:
    """The first steps of a run, as a run of their own.

    It is the same network of T steps, stopped: not one built or trained for fewer. A site that
    mixes all steps, such as GAC's temporal attention, is needed whole for the first one. Work that
    no synapse does is taken to be equal at all steps. Intervals and counts per sample are not
    known up to a step, nor the levels of an operand.

    Args:
        run: Over T steps.
        steps: 1 to T; T gives the run itself.

    Raises:
        InputError: If it has fewer steps.
    """
    if not 1 <= steps <= run.steps:
        raise InputError(f"expected 1 to {run.steps} steps of this run, got {steps}")
    if steps == run.steps:
        return run
    share = Fraction(steps, run.steps)
    right = run.correct_by_step
    return replace(
        run,
        steps=steps,
        sites=tuple(_site(site, steps, share) for site in run.sites),
        neurons=tuple(_neuron(neuron, steps) for neuron in run.neurons),
        elementwise=tuple(_work(work, share) for work in run.elementwise),
        moments=Moments(columns=(), mean=(), scatter=()),
        correct=right[steps - 1] if len(right) == run.steps else None,
        correct_by_step=right[:steps] if len(right) == run.steps else (),
        per_sample=(),
        sample_index=(),
        labels=(),
        predicted=(),
        sampling=None,
    )


def _site(site: SiteRecord, steps: int, share: Fraction) -> SiteRecord:
    if site.synops_by_step is None or site.nonzeros_by_step is None:
        return site
    synops, nonzeros = site.synops_by_step[:steps], site.nonzeros_by_step[:steps]
    return replace(
        site,
        executed_steps=min(steps, site.executed_steps),
        repeats=min(steps, site.repeats),
        dense_macs=int(share * site.dense_macs),
        inside_macs=int(share * site.inside_macs),
        elements=int(share * site.elements),
        synops=sum(synops),
        nonzeros=sum(nonzeros),
        synops_by_step=synops,
        nonzeros_by_step=nonzeros,
        one_sided_synops=None,
        levels=None,
        level_synops=None,
    )


def _neuron(neuron: NeuronRecord, steps: int) -> NeuronRecord:
    return replace(neuron, spikes_by_step=neuron.spikes_by_step[:steps], detail=None)


def _work(work: ElementwiseRecord, share: Fraction) -> ElementwiseRecord:
    return replace(work, elements=round(share * work.elements))
