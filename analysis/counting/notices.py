"""What a reader should know before trusting a number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import isnan

from analysis.records import Run

_FLIPS = 0.05  # float32 flips change a sample's synops by less than that


@dataclass(frozen=True, kw_only=True)
class Signs:
    """What only the counting itself could notice, beside the counts.

    Attributes:
        probe: How far the first sample's synops in its batch are from those it has alone.
        broken: Batches whose outputs were not all finite.
        changed: Sites that read spikes at one time and not at another, with the kind it comes to.
        unread: Whether labels came with the samples, but no outputs that are logits.
    """

    probe: float = 0.0
    broken: int = 0
    changed: Mapping[str, str] = field(default_factory=dict)
    unread: bool = False


def warnings_of(run: Run, signs: Signs) -> tuple[str, ...]:
    """Everything worth a warning in a run."""
    return (*_of_outputs(signs), *_of_sites(run, signs), *_of_layout(run, signs), *_of_neurons(run))


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
        names = ", ".join(
            f"{name} ({times} in a forward pass)" for name, times in run.uncounted.items()
        )
        yield f"operations no rule counts, so totals are lower bounds: {names}"
    if run.never_ran:
        yield f"weight layers that never ran: {', '.join(run.never_ran)}"
    if not run.sites:
        yield "no weight operation was seen"
    silent = [str(site.key) for site in run.sites if site.operand == "silent"]
    if silent:
        yield f"nothing but zeros came in during the whole run: {', '.join(silent)}"
    if signs.changed:
        kinds = ", ".join(f"{site} ({kind})" for site, kind in signs.changed.items())
        yield f"spikes came in at one time and other values at another: {kinds}"


def _of_layout(run: Run, signs: Signs) -> Iterator[str]:
    guessed = [str(site.key) for site in run.sites if site.layout_guessed]
    if guessed and run.steps > 1:
        yield (
            "samples and steps were told apart by the number of rows or calls, check with "
            "time_layout=: " + ", ".join(guessed)
        )
    if run.sites and all(site.repeats == run.steps > 1 for site in run.sites):
        yield (
            f"no layer runs at more than one of the {run.steps} steps, so each is counted "
            f"{run.steps} times; is the number of steps right?"
        )
    if signs.probe > _FLIPS:
        yield (
            f"the first sample alone has {100 * signs.probe:.0f} % other synops than in its batch: "
            "counts per sample and step, and what runs once for all steps, may be wrong; say "
            "time_layout=... or --time-layout"
        )
    if isnan(signs.probe):
        yield (
            "the model can't run a single sample, so it was not checked that counts per sample "
            "belong to the right one"
        )


def _of_neurons(run: Run) -> Iterator[str]:
    calls = set(Counter(neuron.site for neuron in run.neurons).values())
    if len(calls) == 1 and calls != {1}:
        (times,) = calls
        yield (
            f"every neuron layer ran {times} times in a forward pass, taken for {times} layers, "
            f"not for the {run.steps} steps; if the model loops over its steps, say steps={times}"
        )
    if not run.neurons:
        yield "no spiking neuron layer was found; name them with neurons=... or --neurons"
