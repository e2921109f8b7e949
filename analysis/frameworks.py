"""Frameworks of spiking networks: which classes are neurons, how they are run and made to forget.

Nothing is imported: a framework that is not loaded can't have neurons in a model.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from analysis.errors import InputError


def _never(_neuron: nn.Module) -> None:
    return None


@dataclass(frozen=True)
class Framework:
    """How a framework's neurons are known, run and made to forget.

    Attributes:
        neurons: Dotted names of its neuron classes.
        integrators: Those among them that give out voltages, not spikes.
        stateful: Further classes that remember something between calls.
        reset: Method that makes any of these forget; None where state is passed around.
        time_first: Whether sequences are ``(T, B, ...)``, not ``(B, T, ...)``.
        counts: Whether outputs say how many spikes fell in a step, so that a 3 is three spikes,
            whatever other values there are.
        time_axis: The dimension of a neuron's own input and output that runs over the steps;
            None of a neuron that is called once per step.
        rows: Into how many samples and steps dimension 0 of a neuron's input unfolds, where both
            lie in that one, samples outside; -1 for what follows from the other.
    """

    neurons: tuple[str, ...]
    integrators: tuple[str, ...] = ()
    stateful: tuple[str, ...] = ()
    reset: str | None = None
    time_first: bool = False
    counts: bool = False
    time_axis: Callable[[nn.Module], int | None] = _never
    rows: Callable[[nn.Module], tuple[int, int] | None] = _never

    def is_looped(self, neuron: nn.Module) -> bool:
        """Whether a neuron is called once per step."""
        return self.time_axis(neuron) is None and self.rows(neuron) is None


def _in(home: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{home}.{name}" for name in names)


def _is_called_multi_step(neuron: nn.Module) -> bool:
    """Old SpikingJelly says it in the name of the class, of which there may be subclasses."""
    return any(base.__name__.startswith("MultiStep") for base in type(neuron).__mro__)


def _rows_of_sinabs(neuron: Any) -> tuple[int, int] | None:
    """Its layers named ...Squeeze have this attribute; a linear layer goes before them."""
    return (neuron.batch_size, neuron.num_timesteps) if hasattr(neuron, "num_timesteps") else None


_SPIKINGJELLY = Framework(
    neurons=_in(
        "spikingjelly.activation_based.neuron",
        "BaseNode", "SimpleBaseNode", "ActivationAwareIFNode", "DSRIFNode", "DSRLIFNode",
        "FlexSN", "GatedLIFNode", "ILCBaseNode", "MaskedPSN", "NoisyBaseNode", "PSN",
        "SlidingPSN", "STBIFNode",
    ),
    integrators=("spikingjelly.activation_based.neuron.LIAFNode",),
    stateful=("spikingjelly.activation_based.base.MemoryModule",),
    reset="reset",
    time_first=True,
    # Classes that know all steps only need not have the attribute.
    time_axis=lambda neuron: None if getattr(neuron, "step_mode", "m") == "s" else 0,
)  # fmt: skip

# The order counts: a module belongs to the first framework whose neuron it is.
FRAMEWORKS = (
    Framework(neurons=("gac.neurons.LIF",), time_axis=lambda neuron: 1),
    replace(_SPIKINGJELLY, neurons=("spikingjelly.activation_based.neuron.ILIFNode",), counts=True),
    _SPIKINGJELLY,
    Framework(
        neurons=("spikingjelly.clock_driven.neuron.BaseNode",),
        integrators=("spikingjelly.clock_driven.neuron.LIAFNode",),
        stateful=("spikingjelly.clock_driven.base.MemoryModule",),
        reset="reset",
        time_first=True,
        time_axis=lambda neuron: 0 if _is_called_multi_step(neuron) else None,
    ),
    Framework(
        neurons=_in("snntorch", "StateLeaky", "AssociativeLeaky", "LeakyParallel"),
        time_first=True,
        time_axis=lambda neuron: 0,
    ),
    Framework(neurons=("snntorch.SpikingNeuron",), reset="reset_mem", time_first=True),
    Framework(
        neurons=_in("norse.torch.module.snn", "SNNCell", "SNNRecurrentCell"),
        integrators=(
            "norse.torch.module.leaky_integrator.LICell",
            "norse.torch.module.leaky_integrator_box.LIBoxCell",
        ),
        time_first=True,
    ),
    Framework(
        neurons=_in("norse.torch.module.snn", "SNN", "SNNRecurrent"),
        integrators=("norse.torch.module.leaky_integrator.LI",),
        time_first=True,
        time_axis=lambda neuron: 0,
    ),
    Framework(
        neurons=_in("sinabs.layers", "LIF", "ALIF"),
        integrators=("sinabs.layers.ExpLeak",),
        stateful=("sinabs.layers.StatefulLayer",),
        reset="reset_states",
        counts=True,
        time_axis=lambda neuron: 1 if _rows_of_sinabs(neuron) is None else None,
        rows=_rows_of_sinabs,
    ),
)
_from_outside: list[Framework] = []


def register_framework(framework: Framework) -> None:
    """Makes the neurons of another framework known; it goes before those known already.

    Example:
        >>> register_framework(Framework(neurons=("mylab.neurons.Spiking",), reset="forget"))
    """
    if not isinstance(framework, Framework):
        raise InputError(f"register_framework takes a Framework, not {framework!r}")
    if framework not in _from_outside:
        _from_outside.insert(0, framework)


def known_frameworks() -> tuple[Framework, ...]:
    """All of them; a module belongs to the first one whose neuron it is."""
    return (*_from_outside, *FRAMEWORKS)


def is_one_of(kind: type[nn.Module], names: Iterable[str]) -> bool:
    """Whether a class has one of these dotted names or comes from one, if that is loaded at all."""
    for name in names:
        home, _, attribute = name.rpartition(".")
        known: Any = getattr(sys.modules.get(home), attribute, None)
        if known is not None and issubclass(kind, known):
            return True
    return False
