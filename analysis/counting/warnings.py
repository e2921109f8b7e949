"""What a reader should know before trusting a number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from analysis.records import Run


@dataclass(frozen=True, kw_only=True)
class Signs:
    """What only the counting itself could notice, beside the counts.

    Attributes:
        one_by_one: Why samples were run one at a time, if they were.
        unchecked: Why the model could not run a single sample, if it could not.
        broken: Batches whose outputs were not all finite.
        changed: Sites that read spikes at one time and not at another, with the kind it comes to.
        unread: Whether labels came with the samples, but no outputs that are logits.
        loop: The number of steps of the loop that the model is, if it is another than T.
    """

    one_by_one: str | None = None
    unchecked: str | None = None
    broken: int = 0
    changed: Mapping[str, str] = field(default_factory=dict)
    unread: bool = False
    loop: int | None = None


def warnings_of(run: Run, signs: Signs) -> tuple[str, ...]:
    """Everything worth a warning in a run."""
    return (
        *_of_outputs(signs),
        *_of_sites(run, signs),
        *_of_passes(signs),
        *_of_neurons(run, signs),
    )


def _of_outputs(signs: Signs) -> Iterator[str]:
    if signs.broken:
        where = f"in {signs.broken} batches"
        yield f"outputs that are not finite (NaN or Inf) {where}; check the inputs"
    if signs.unread:
        yield (
            "labels came with the samples, but the outputs are no tensor of logits (B, classes), "
            "(B, T, classes) or (T, B, classes): no accuracy; forward=... may give them"
        )


def _of_sites(run: Run, signs: Signs) -> Iterator[str]:
    if run.uncounted:
        names = [f"{name} ({times} in a forward pass)" for name, times in run.uncounted.items()]
        yield f"operations no rule counts, so totals are lower bounds: {_some(names)}"
    if run.never_ran:
        yield f"weight layers that never ran: {_some(run.never_ran)}"
    if not run.sites:
        yield "no weight operation was seen"
    silent = [str(site.key) for site in run.sites if site.operand == "silent"]
    if silent:
        yield f"nothing but zeros came in during the whole run: {_some(silent)}"
    if signs.changed:
        kinds = [f"{site} ({kind})" for site, kind in signs.changed.items()]
        yield f"spikes came in at one time and other values at another: {_some(kinds)}"


def _of_passes(signs: Signs) -> Iterator[str]:
    if signs.one_by_one is not None:
        yield f"samples were run one at a time, which is slower: {signs.one_by_one}"
    if signs.unchecked is not None:
        yield (
            "the model can't run a single sample, so it was not checked that the counts do not "
            f"depend on the batch: {signs.unchecked}"
        )


def _of_neurons(run: Run, signs: Signs) -> Iterator[str]:
    if signs.loop is not None:
        yield (
            f"every neuron layer ran {signs.loop} times in a forward pass, not once for each of "
            f"the {run.steps} steps: figures by step are not known; with steps={signs.loop} they "
            "are"
        )
    ran_once = all(site.executions * site.stands_for <= 1 for site in run.sites)
    if run.sites and ran_once and run.steps > 1 and signs.loop is None:
        yield (
            f"no layer runs at more than one of the {run.steps} steps, so each is counted once, as "
            "it ran; is the number of steps right?"
        )
    if not run.neurons and run.steps > 1:
        yield (
            "no spiking neuron layer was found, so there are no firing rates; neurons that are "
            "modules can be named with neurons=... or --neurons, functions can't"
        )


def _some(names: Sequence[str], most: int = 6) -> str:
    """A list of names, the first ones only if it is long."""
    if len(names) <= most:
        return ", ".join(names)
    return f"{len(names)} in all, first: {', '.join(names[:most])}"
