"""A differentiable twin of the counter: firing rate and energy as terms of a training loss.

Forward, the value is the counter's own: spikes, and spikes times the weights each of them meets,
borders exact. Backward, it goes through the surrogate gradients of the neurons that fired. Energy
is that of the `operand` convention; the part that spikes don't change (real operands) is taken
from a count made before and stays constant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from analysis.counting.products import axis_fan
from analysis.energy.layers import is_spiking
from analysis.errors import InputError
from analysis.pipeline import analyze
from analysis.records import SiteRecord

Goal = Literal["rate", "energy"]


@dataclass(frozen=True)
class SpikeBudget:
    """A penalty for exceeding a budget; call it with the network that is trained.

    The penalty is ``weight * max(0, value / target - 1)``: nothing within the budget, and
    ``weight`` at twice the budget. One price for every per cent too much, up to the end, is what
    lets the network stop at the budget and not somewhere on the way.

    Attributes:
        goal: What is kept within the budget.
        target: Spikes per neuron and step, or picojoules per sample.
        weight: Of the penalty, nats.
        neurons: Paths of the neuron layers, with neurons per sample and step.
        synapses: Paths of the layers that read spikes.
        ac_pj: Price of an accumulate.
        constant_pj: Energy of everything else, per sample.
        steps: Simulation steps T.
    """

    goal: Goal
    target: float
    weight: float
    neurons: Mapping[str, int]
    synapses: tuple[str, ...]
    ac_pj: float
    constant_pj: float
    steps: int

    @contextmanager
    def __call__(self, model: nn.Module) -> Iterator[Callable[[], Tensor]]:
        """Inside, every forward pass is followed; the call gives the penalty of the last one."""
        with self.following(model) as value:
            yield lambda: self.weight * torch.relu(value() / self.target - 1)

    @contextmanager
    def following(self, model: nn.Module) -> Iterator[Callable[[], Tensor]]:
        """Inside, the call gives rate or energy (pJ per sample) of the last forward pass."""
        terms: list[Tensor] = []
        modules = dict(model.named_modules())
        if self.goal == "rate":
            hooks = [
                modules[name].register_forward_hook(partial(_add_spikes, terms))
                for name in self.neurons
            ]
        else:
            hooks = [
                modules[name].register_forward_hook(partial(_add_synops, terms, self.steps))
                for name in self.synapses
            ]

        def take() -> Tensor:
            if not terms:
                raise InputError("no layer that the budget is about has run")
            total = torch.stack(terms).sum()
            terms.clear()
            if self.goal == "rate":
                return total / sum(self.neurons.values()) / self.steps
            return self.constant_pj + self.ac_pj * total

        try:
            yield take
        finally:
            for hook in hooks:
                hook.remove()


def spike_budget(
    model: nn.Module,
    images: Tensor,
    goal: Goal,
    target: float,
    weight: float = 1.0,
    technology: str = "45nm-fp32",
) -> SpikeBudget:
    """A budget for a network, after one count on some images.

    Args:
        model: Its weight layers read spikes as ``Conv2d`` or ``Linear``; left as it is.
        images: One batch; which layers read spikes must not depend on it.
        goal: ``rate`` or ``energy``.
        target: Spikes per neuron and step, or picojoules per sample.
        weight: Of the penalty, nats.
        technology: Price list of the energy.

    Raises:
        InputError: If the target can't be reached whatever the spikes, a layer that reads
            spikes is of another kind, or a spike has another value than 1.
    """
    report = analyze(model, [images], technology=technology, across_processes=False)
    ac_pj = report.technology.pj("ac")
    if ac_pj is None:
        raise InputError(f"{technology} has no price for an accumulate")
    neurons = report.neurons
    reading = [site for site in report.run.sites if _can_follow(site)]
    acs = sum(report.energy.charges[site.key].acs for site in reading) / report.run.samples
    constant = float(report.totals.energy_pj - ac_pj * float(acs))
    if goal == "energy" and target <= constant:
        raise InputError(
            f"a budget of {target:g} pJ per sample is out of reach: {constant:g} pJ are for "
            "operands that are no spikes"
        )
    names = tuple(dict.fromkeys(site.key.name for site in reading))
    odd = [str(site.key) for site in reading if site.unit not in (None, 1)]
    if goal == "energy" and odd:
        raise InputError(f"a budget can follow spikes of value 1, not those read by {odd[0]}")
    modules = dict(model.named_modules())
    other = [name for name in names if not isinstance(modules[name], nn.Conv2d | nn.Linear)]
    if other:
        raise InputError(f"a budget can follow Conv2d and Linear, not {', '.join(other)}")
    return SpikeBudget(
        goal=goal,
        target=target,
        weight=weight,
        neurons={
            str(name): int(count) for name, count in neurons.groupby("site").neurons.sum().items()
        },
        synapses=names,
        ac_pj=ac_pj,
        constant_pj=constant,
        steps=report.run.steps,
    )


def _can_follow(site: SiteRecord) -> bool:
    """Whether a site reads spikes of one sign, straight from neurons: the rest stays constant."""
    return is_spiking(site) and site.operand != "ternary" and site.origin == "spikes"


def _add_spikes(terms: list[Tensor], _module: nn.Module, _inputs: Any, spikes: Tensor) -> None:
    """Spikes per sample; the leading axis holds samples."""
    terms.append(_wide(spikes).sum() / len(spikes))


def _add_synops(
    terms: list[Tensor], steps: int, layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor
) -> None:
    """Spike-weight pairs per sample; the leading axis holds samples times steps."""
    (spikes,) = inputs
    rows = _wide(spikes)
    if isinstance(layer, nn.Conv2d):
        rows, height, width = rows.sum(1), *spikes.shape[-2:]
        fans = [
            axis_fan(
                size, outputs, layer.kernel_size[k], layer.stride[k], int(layer.padding[k]),
                layer.dilation[k], transposed=False,
            ).to(rows)
            for k, (size, outputs) in enumerate(
                zip((height, width), output.shape[-2:], strict=True)
            )
        ]  # fmt: skip
        met = torch.einsum("bhw,h,w->", rows, *fans) * (layer.out_channels // layer.groups)
    else:
        met = rows.sum() * output.shape[-1]
    terms.append(met * steps / len(spikes))


def _wide(spikes: Tensor) -> Tensor:
    return spikes if spikes.dtype == torch.float64 else spikes.float()
