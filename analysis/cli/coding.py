"""``gac-analyze --coding``: the analysis of a network's code, beside its counts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from analysis.code_records import Coding, CodingValue
from analysis.coding.encoding import encode
from analysis.coding.measures import measure
from analysis.coding.observer import can_read_out, steps_within
from analysis.errors import InputError
from analysis.estimates import proportion
from analysis.records import Run
from analysis.reporting.report import Report
from gac.msresnet import MSResNet

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MOST_SAMPLES = 1_000
NEURONS = 512
DRAWS = 32


def check_coding(model: nn.Module) -> MSResNet:
    """The network, if its code can be analysed; told before anything runs.

    Raises:
        InputError: If it is none of this package or has a single step.
    """
    if not isinstance(model, MSResNet):
        raise InputError(
            "--coding needs a network of this package, whose encoder is known; for others there is "
            "analysis.coding.compare"
        )
    if model.steps < 2:
        raise InputError("--coding needs at least 2 steps, the network has 1: nothing changes")
    return model


def code_of(model: MSResNet, batches: Iterable[Any], report: Report, seed: int) -> Coding:
    """What both observers know: `spike_code`, and the network cut off after each step."""
    found = spike_code(model, batches, report, seed=seed)
    return replace(found, measured=(*found.measured, *_of_the_network(report.run)))


def spike_code(
    model: MSResNet,
    batches: Iterable[Any],
    report: Report,
    *,
    seed: int = 0,
    most_neurons: int = NEURONS,
) -> Coding:
    """What the spikes of the first neuron behind the encoder say about some images.

    Args:
        model: On the device and in the precision to run in.
        batches: Images, or (images, labels).
        report: Of its counts: prices the encoder.
        seed: Of the neurons drawn from a larger layer, of shuffles and of the read-out's parts.
        most_neurons: Neurons of a layer that are analysed.
    """
    images, labels = _together(list(batches))
    weight = next(model.parameters())
    trains = model.spike_trains()
    images = images.to(weight.device, weight.dtype)
    code = encode(trains, images, draws=DRAWS, most_neurons=most_neurons, seed=seed)
    pj = encoder_pj(report)
    return measure(
        code.trains,
        encoder=model.config.encoding,
        labels=labels if labels is not None and can_read_out(labels) else None,
        gate=None if code.log_odds is None else (code.log_odds, code.spikes),
        threshold=model.config.neuron.threshold,
        decay=model.config.neuron.decay,
        energy_pj=pj if pj > 0 else None,
        priced=f"{report.convention.name}, {report.technology.name}",
        layer=code.layer,
        seed=seed,
    )


def encoder_pj(report: Report) -> float:
    """What the weight layers of the encoder cost per sample."""
    sites = report.sites
    return float(sites[sites.site.str.startswith("encoder.")].energy_pj.sum())


def _of_the_network(run: Run) -> Iterator[CodingValue]:
    """The other observer: the trained network, its mean logits cut off after each step."""
    if len(run.correct_by_step) != run.steps:
        return
    found = [proportion(right, run.samples) for right in run.correct_by_step]
    for step, accuracy in enumerate(found, start=1):
        yield CodingValue(
            quantity="network_accuracy", unit="of samples", step=step, value=accuracy.value,
            low=accuracy.low, high=accuracy.high,
        )  # fmt: skip
    needed = steps_within([accuracy.value for accuracy in found])
    yield CodingValue(quantity="network_steps_within_half_point", unit="steps", value=needed)


def _together(batches: list[Any]) -> tuple[torch.Tensor, torch.Tensor | None]:
    if isinstance(batches[0], torch.Tensor):
        return torch.cat(batches), None
    images, labels = (torch.cat([batch[part] for batch in batches]) for part in (0, 1))
    return images, labels
