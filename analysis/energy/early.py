"""A network read out early: what its first steps cost, from the run over all of them."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from analysis.energy.layers import some
from analysis.errors import InputError
from analysis.records import ElementwiseRecord, Moments, NeuronRecord, Run, SiteRecord


def up_to(run: Run, steps: int) -> Run:
    """The first steps of a run, as a run of their own.

    It is the same network of T steps, stopped: not one built or trained for fewer. A site that
    mixes all steps, such as GAC's temporal attention, is needed whole for the first one; one that
    stands for all of them then stands for fewer. Work that no synapse does is taken to be equal
    at all steps. Intervals and counts per sample are not known up to a step, nor the levels of an
    operand.

    Args:
        run: Over T steps.
        steps: 1 to T; T gives the run itself.

    Raises:
        InputError: If it has fewer steps, or something ran whose steps are not known.
    """
    if not 1 <= steps <= run.steps:
        raise InputError(f"expected 1 to {run.steps} steps of this run, got {steps}")
    if steps == run.steps:
        return run
    unknown = [*sites_without_steps(run), *_not_at_every_step(run), *neurons_without_steps(run)]
    if unknown:
        raise InputError(f"by step: not known for {some(list(dict.fromkeys(unknown)))}")
    share = Fraction(steps, run.steps)
    right = run.correct_by_step
    return replace(
        run,
        steps=steps,
        sites=tuple(_site(site, steps, share) for site in run.sites),
        neurons=tuple(_neuron(neuron, steps) for neuron in run.neurons),
        elementwise=tuple(_work(work, steps, share) for work in run.elementwise),
        moments=Moments(columns=(), mean=(), scatter=()),
        correct=right[steps - 1] if len(right) == run.steps else None,
        correct_by_step=right[:steps] if len(right) == run.steps else (),
        per_sample=(),
        sample_index=(),
        labels=(),
        predicted=(),
        sampling=None,
    )


def sites_without_steps(run: Run) -> tuple[str, ...]:
    """Sites whose counts at each step are not known, though they ran at steps."""
    return tuple(
        str(site.key)
        for site in run.sites
        if _has_steps(site) and (site.synops_by_step is None or site.nonzeros_by_step is None)
    )


def _not_at_every_step(run: Run) -> tuple[str, ...]:
    """Sites whose dense MACs can't be divided evenly: they did not run at every step."""
    sites = (site for site in run.sites if _has_steps(site))
    return tuple(str(site.key) for site in sites if site.executions != run.steps)


def _has_steps(site: SiteRecord) -> bool:
    return site.stands_for == 1 and not site.mixes_steps


def neurons_without_steps(run: Run) -> tuple[str, ...]:
    """Neuron layers whose spikes at each step are not known."""
    return tuple(str(neuron.key) for neuron in run.neurons if neuron.rate_by_step is None)


def _site(site: SiteRecord, steps: int, share: Fraction) -> SiteRecord:
    if site.stands_for > 1:
        return replace(site, stands_for=steps)
    if site.mixes_steps or site.synops_by_step is None or site.nonzeros_by_step is None:
        return site
    synops, nonzeros = site.synops_by_step[:steps], site.nonzeros_by_step[:steps]
    return replace(
        site,
        executions=steps,
        dense_macs=int(share * site.dense_macs),
        inside_macs=int(share * site.inside_macs),
        elements=int(share * site.elements),
        synops=sum(synops),
        nonzeros=sum(nonzeros),
        synops_by_step=synops,
        nonzeros_by_step=nonzeros,
        one_sided_synops=None,
        other_nonzeros=None,
        other_elements=None,
        levels=None,
        level_synops=None,
    )


def _neuron(neuron: NeuronRecord, steps: int) -> NeuronRecord:
    spikes = (neuron.spikes_by_step or ())[:steps]
    outputs = (neuron.outputs_by_step or ())[:steps]
    return replace(
        neuron,
        spikes=sum(spikes),
        outputs=sum(outputs),
        spikes_by_step=spikes,
        outputs_by_step=outputs,
        detail=None,
    )


def _work(work: ElementwiseRecord, steps: int, share: Fraction) -> ElementwiseRecord:
    if work.stands_for > 1:
        return replace(work, stands_for=steps)
    return replace(work, elements=round(share * work.elements))
