"""What a reader should know before trusting a number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from math import isnan

from torch import nn

from analysis.records import Run, SiteRecord

_WEIGHT_LAYERS = (
    nn.modules.conv._ConvNd,
    nn.Linear,
    nn.Bilinear,
    nn.RNNBase,
    nn.RNNCellBase,
    nn.MultiheadAttention,
)
_FLIPS = 0.05  # float32 flips change a sample's synops by less than that


def never_ran(
    model: nn.Module, sites: Iterable[SiteRecord], unruled: Iterable[str]
) -> tuple[str, ...]:
    """Weight layers of a model that took no part, also not through their weights alone.

    Args:
        model: The model that ran.
        sites: The weight operations that were counted.
        unruled: Modules that ran operations without a rule.
    """
    ran = {site.key.name for site in sites} | set(unruled)
    return tuple(
        name
        for name, module in model.named_modules()
        if isinstance(module, _WEIGHT_LAYERS) and not _took_part(name, ran)
    )


def _took_part(name: str, ran: set[str]) -> bool:
    """A part of an attention layer counts as run with it: its weights are used from outside."""
    return name in ran or any(name == f"{outer}.out_proj" for outer in ran)


def warnings_of(run: Run, probe: float, broken: int, changed: Mapping[str, str]) -> tuple[str, ...]:
    """Everything worth a warning in a run.

    Args:
        run: The counts.
        probe: How far the first sample's synops in its batch are from those it has alone.
        broken: Batches whose outputs were not all finite.
        changed: Sites that read spikes at one time and not at another, with the kind it comes to.
    """
    found = []
    if broken:
        found.append(
            f"outputs that are not finite (NaN or Inf) in {broken} batches; check the inputs"
        )
    if run.uncounted:
        names = ", ".join(
            f"{name} ({times} in a forward pass)" for name, times in run.uncounted.items()
        )
        found.append(f"operations no rule counts, so totals are lower bounds: {names}")
    if run.never_ran:
        found.append(f"weight layers that never ran: {', '.join(run.never_ran)}")
    if not run.sites:
        found.append("no weight operation was seen")
    silent = [str(site.key) for site in run.sites if site.operand == "silent"]
    if silent:
        found.append(f"nothing but zeros came in during the whole run: {', '.join(silent)}")
    if changed:
        kinds = ", ".join(f"{site} ({kind})" for site, kind in changed.items())
        found.append(f"spikes came in at one time and other values at another: {kinds}")
    guessed = [str(site.key) for site in run.sites if site.layout_guessed]
    if guessed and run.steps > 1:
        found.append(
            "samples and steps were told apart by the number of rows, check with time_layout=: "
            + ", ".join(guessed)
        )
    if probe > _FLIPS:
        found.append(
            f"the first sample alone has {100 * probe:.0f} % other synops than in its batch: "
            "counts per sample and step, and what runs once for all steps, may be wrong; say "
            "time_layout=..."
        )
    if isnan(probe):
        found.append(
            "the model can't run a single sample, so it was not checked that counts per sample "
            "belong to the right one"
        )
    calls = set(Counter(neuron.site for neuron in run.neurons).values())
    if len(calls) == 1 and calls != {1}:
        (times,) = calls
        found.append(
            f"every neuron layer ran {times} times in a forward pass, taken for {times} layers, "
            f"not for the {run.steps} steps; if the model loops over its steps, say steps={times}"
        )
    if not run.neurons:
        found.append("no spiking neuron layer was found; name them with neurons=...")
    return tuple(found)
