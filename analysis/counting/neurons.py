"""Which modules are spiking neurons: those of known frameworks, the caller's, or by behaviour.

Nothing is imported: a framework that is not loaded can't have neurons in the model.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor, nn

from analysis.counting.operands import OperandReader, peek
from analysis.counting.scopes import Scope

_BINARY = frozenset({0.0, 1.0})


@dataclass(frozen=True)
class Framework:
    """How a framework's neurons are known and made fresh.

    Attributes:
        home, name: Module and base class of its neurons.
        looped: Whether a neuron is called once per step.
        reset: Method that makes a neuron forget, called before every forward pass; None where
            neurons keep no state between passes.
    """

    home: str
    name: str
    looped: Callable[[nn.Module], bool]
    reset: str | None = None


FRAMEWORKS = (
    Framework("gac.neurons", "LIF", lambda neuron: False),
    Framework(
        "spikingjelly.activation_based.neuron",
        "BaseNode",
        lambda neuron: getattr(neuron, "step_mode", "s") == "s",
        reset="reset",
    ),
    Framework("snntorch", "SpikingNeuron", lambda neuron: True, reset="reset_mem"),
    Framework("norse.torch.module.snn", "SNNCell", lambda neuron: True),
    Framework("norse.torch.module.snn", "SNNRecurrentCell", lambda neuron: True),
    Framework("norse.torch.module.snn", "SNN", lambda neuron: False),
    Framework("norse.torch.module.snn", "SNNRecurrent", lambda neuron: False),
    Framework("sinabs.layers", "LIF", lambda neuron: False, reset="reset_states"),
)


class Neurons:
    """The spiking neuron layers of a model.

    Args:
        model: Any model.
        named: Further neuron classes, or module paths.
        by_behaviour: Whether to take any module for one that turns values other than 0 and 1
            into 0 and 1 only.
    """

    def __init__(
        self,
        model: nn.Module,
        named: Iterable[type[nn.Module] | str] = (),
        *,
        by_behaviour: bool = True,
    ) -> None:
        wanted = list(named)
        classes = tuple(entry for entry in wanted if isinstance(entry, type))
        paths = {entry for entry in wanted if isinstance(entry, str)}
        self._frameworks: dict[nn.Module, Framework] = {}
        self._named: set[nn.Module] = set()
        for path, module in model.named_modules():
            framework = _framework_of(module)
            if framework is not None:
                self._frameworks[module] = framework
            elif isinstance(module, classes) or path in paths:
                self._named.add(module)
        self.refuted: set[str] = set()
        self._by_behaviour = by_behaviour
        self._behaving: set[str] = set()

    @property
    def looped(self) -> bool:
        """Whether the model is known to call its neurons once per step."""
        return any(f.looped(module) for module, f in self._frameworks.items())

    def is_neuron(self, module: nn.Module) -> bool:
        """Whether a module is a neuron layer by its class or by its name."""
        return module in self._frameworks or module in self._named

    def source(self, site: str) -> Literal["known", "behaviour"]:
        """How a neuron layer was found."""
        return "behaviour" if site in self._behaving else "known"

    def reset(self) -> None:
        """Makes all neurons of stateful frameworks forget the samples before."""
        for module, framework in self._frameworks.items():
            if framework.reset is not None and hasattr(module, framework.reset):
                getattr(module, framework.reset)()

    def behaves(
        self, scope: Scope, inputs: list[Tensor], output: Tensor, reader: OperandReader
    ) -> bool:
        """Whether a module just turned other values into 0 and 1 only, with at least one 1.

        A module that once gave out something else is no neuron, whatever it did before.
        """
        if not self._by_behaviour or scope.name in self.refuted:
            return False
        binary = _is_binary(output, reader)
        if scope.name in self._behaving:
            if not binary:
                self.refuted.add(scope.name)
            return binary
        if not binary or not inputs or not bool(output.any()):
            return False
        if all(_is_binary(x, reader) for x in inputs if x.is_floating_point()):
            return False
        self._behaving.add(scope.name)
        return True


def _framework_of(module: nn.Module) -> Framework | None:
    for framework in FRAMEWORKS:
        known: Any = getattr(sys.modules.get(framework.home), framework.name, None)
        if known is not None and isinstance(module, known):
            return framework
    return None


def _is_binary(tensor: Tensor, reader: OperandReader) -> bool:
    levels = peek(tensor.unsqueeze(1) if tensor.dim() == 1 else tensor) if tensor.numel() else None
    if levels is None or not levels <= _BINARY:
        return False
    levels = reader.read(tensor.unsqueeze(1) if tensor.dim() == 1 else tensor).levels
    return levels is not None and levels <= _BINARY
