"""Runs a model over batches with the capture on, and leaves the model as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any, get_args

import torch
from torch import Tensor, nn

from analysis.counting.capture import Capture
from analysis.counting.neurons import find_neurons
from analysis.counting.tally import MomentSums
from analysis.counting.time_layout import Order, TimeLayout
from analysis.errors import InputError
from analysis.records import ElementwiseRecord, Role, Run, SampleCount, SiteRecord

_WEIGHT_LAYERS = (
    nn.modules.conv._ConvNd,
    nn.Linear,
    nn.Bilinear,
    nn.RNNBase,
    nn.MultiheadAttention,
)


def count(
    model: nn.Module,
    batches: Iterable[Any],
    *,
    steps: int | None = None,
    roles: Mapping[str, Role] | None = None,
    neurons: Iterable[type[nn.Module] | str] = (),
    per_sample: bool = False,
    provenance: Mapping[str, Any] | None = None,
    on_batch: Callable[[int], None] | None = None,
) -> Run:
    """Counts everything that a model does on batches of samples.

    The arguments are those of `analysis.analyze`.
    """
    layout_of = _layouts(model, steps)
    declared = _declared_roles(model, roles or {})
    capture = Capture(
        model,
        find_neurons(model, neurons),
        may_be_static=lambda name: declared(name)[0] in ("stem", "gate"),
        keep_samples=per_sample,
    )
    moments, samples, correct, labelled = MomentSums(), 0, 0, 0
    with _undisturbed(model):
        for batch in batches:
            inputs, labels = _split(batch, model)
            layout = layout_of(len(inputs))
            with capture.watch(inputs, layout):
                outputs = model(inputs)
            moments.add(len(inputs), capture.series())
            samples += len(inputs)
            if labels is not None:
                correct += _correct(outputs, labels)
                labelled += len(labels)
            if on_batch is not None:
                on_batch(len(inputs))
    if not samples:
        raise InputError("there is nothing to analyse: no batch had a sample in it")
    sites = tuple(_with_role(s.record(), capture, declared) for s in capture.sites.values())
    run = Run(
        samples=samples,
        steps=layout_of(1).steps,
        sites=sites,
        neurons=tuple(neuron.record() for neuron in capture.neurons.values()),
        elementwise=tuple(
            ElementwiseRecord(site=site, work=work, elements=elements)
            for (site, work), elements in capture.elementwise.items()
            if elements
        ),
        moments=moments.moments(),
        correct=correct if labelled == samples else None,
        never_ran=_never_ran(model, sites),
        uncounted=dict(capture.uncounted),
        provenance=dict(provenance or {}),
        per_sample=_samples(capture) if per_sample else (),
    )
    return replace(run, warnings=_warnings(run))


@contextmanager
def _undisturbed(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; every mode flag and the random state come back."""
    modes = {module: module.training for module in model.modules()}
    random_state = torch.get_rng_state()
    try:
        model.eval()
        with torch.no_grad():
            yield
    finally:
        torch.set_rng_state(random_state)
        for module, training in modes.items():
            module.training = training


def _layouts(model: nn.Module, steps: int | None) -> Callable[[int], TimeLayout]:
    steps = steps if steps is not None else getattr(model, "steps", None)
    if not isinstance(steps, int) or steps < 1:
        raise InputError(
            f"the number of simulation steps is needed as steps=..., a whole number of at least 1; "
            f"the model does not say it and {steps!r} came"
        )
    order: Order = getattr(model, "time_layout", "BT")
    spanning = tuple(getattr(model, "spanning_sites", ()))
    return lambda samples: TimeLayout(samples=samples, steps=steps, order=order, spanning=spanning)


def _split(batch: Any, model: nn.Module) -> tuple[Tensor, Tensor | None]:
    """Inputs in the device and precision of the model, and labels if the batch has any."""
    inputs, *rest = batch if isinstance(batch, list | tuple) else (batch,)
    if not isinstance(inputs, Tensor):
        raise InputError(
            f"a batch must be a tensor or (inputs, labels), got {type(inputs).__name__}"
        )
    parameter = next((p for p in model.parameters() if p.is_floating_point()), None)
    labels = rest[0] if rest and isinstance(rest[0], Tensor) else None
    if parameter is None:
        return inputs, labels
    return inputs.to(parameter.device, parameter.dtype), labels


def _correct(outputs: Tensor, labels: Tensor) -> int:
    """Samples whose class is the largest logit, logits ``(B, T, K)`` averaged over steps."""
    logits = outputs.mean(1) if outputs.dim() == 3 else outputs
    return int((logits.argmax(1).cpu() == labels.cpu()).sum())


def _declared_roles(
    model: nn.Module, named: Mapping[str, Role]
) -> Callable[[str], tuple[Role, str]]:
    """Looks up the role of a site: the caller's word first, then the model's, then none."""
    unknown = sorted(set(named.values()) - set(get_args(Role)))
    if unknown:
        raise InputError(f"unknown role {', '.join(unknown)}; known: {', '.join(get_args(Role))}")
    sources = (("user", named), ("model", getattr(model, "site_roles", {})))

    def look_up(name: str) -> tuple[Role, str]:
        for source, patterns in sources:
            for pattern, role in patterns.items():
                if fnmatchcase(name, pattern):
                    return role, source
        return "other", "guess"

    return look_up


def _with_role(
    record: SiteRecord, capture: Capture, declared: Callable[[str], tuple[Role, Any]]
) -> SiteRecord:
    role, source = declared(record.key.name)
    aliases = capture.scopes.aliases.get(record.key.name, ())
    return replace(record, role=role, role_source=source, aliases=aliases)


def _never_ran(model: nn.Module, sites: Iterable[SiteRecord]) -> tuple[str, ...]:
    ran = {site.key.name for site in sites}
    return tuple(
        name
        for name, module in model.named_modules()
        if isinstance(module, _WEIGHT_LAYERS) and name not in ran
    )


def _samples(capture: Capture) -> tuple[SampleCount, ...]:
    sites = [tally.samples() for tally in capture.sites.values()]
    return (*sites, *(tally.samples() for tally in capture.neurons.values()))


def _warnings(run: Run) -> tuple[str, ...]:
    found = []
    if run.uncounted:
        names = ", ".join(f"{name} (x{times})" for name, times in run.uncounted.items())
        found.append(f"operations no rule counts, so totals are lower bounds: {names}")
    if run.never_ran:
        found.append(f"weight layers that never ran: {', '.join(run.never_ran)}")
    if not run.sites:
        found.append("no weight operation was seen")
    silent = [str(site.key) for site in run.sites if site.operand == "silent"]
    if silent:
        found.append(f"nothing but zeros came in during the whole run: {', '.join(silent)}")
    if not run.neurons:
        found.append("no spiking neuron layer was found; name them with neurons=...")
    return tuple(found)
