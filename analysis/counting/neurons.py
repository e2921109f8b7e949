"""Which modules are spiking neurons: those of known frameworks, the caller's, or by behaviour.

Nothing is imported: a framework that is not loaded can't have neurons in the model.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor, nn

from analysis.counting.operands import Levels, OperandReader
from analysis.counting.scopes import Scope
from analysis.counting.tensors import tensors_in
from analysis.errors import InputError

_STATE = {"_buffers", "_memories"}  # dictionaries of state in torch and SpikingJelly
_ABSENT = object()


@dataclass(frozen=True)
class Framework:
    """How a framework's neurons are known, run and made to forget.

    Attributes:
        neurons: Dotted names of its neuron classes.
        integrators: Those among them that give out voltages, not spikes.
        stateful: Further classes that remember something between calls.
        reset: Method that makes any of these forget; None where state is passed around.
        time_first: Whether sequences are ``(T, B, ...)``, not ``(B, T, ...)``.
        looped: Whether a neuron is called once per step.
    """

    neurons: tuple[str, ...]
    integrators: tuple[str, ...] = ()
    stateful: tuple[str, ...] = ()
    reset: str | None = None
    time_first: bool = False
    looped: Callable[[nn.Module], bool] = lambda neuron: False


def _in(home: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{home}.{name}" for name in names)


# The order counts: a module belongs to the first framework whose neuron it is.
FRAMEWORKS = (
    Framework(neurons=("gac.neurons.LIF",)),
    Framework(
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
        looped=lambda neuron: getattr(neuron, "step_mode", "m") == "s",
    ),
    Framework(
        neurons=_in("snntorch", "StateLeaky", "AssociativeLeaky", "LeakyParallel"),
        time_first=True,
    ),
    Framework(
        neurons=("snntorch.SpikingNeuron",),
        reset="reset_mem",
        time_first=True,
        looped=lambda neuron: True,
    ),
    Framework(
        neurons=_in("norse.torch.module.snn", "SNNCell", "SNNRecurrentCell"),
        integrators=(
            "norse.torch.module.leaky_integrator.LICell",
            "norse.torch.module.leaky_integrator_box.LIBoxCell",
        ),
        time_first=True,
        looped=lambda neuron: True,
    ),
    Framework(
        neurons=_in("norse.torch.module.snn", "SNN", "SNNRecurrent"),
        integrators=("norse.torch.module.leaky_integrator.LI",),
        time_first=True,
    ),
    Framework(
        neurons=_in("sinabs.layers", "LIF", "ALIF"),
        integrators=("sinabs.layers.ExpLeak",),
        stateful=("sinabs.layers.StatefulLayer",),
        reset="reset_states",
    ),
)  # fmt: skip


class Neurons:
    """The spiking neuron layers of a model.

    Args:
        model: Any model.
        named: Further neuron classes, or module paths.
        by_behaviour: Whether to take any module for one that turns values other than 0 and 1
            into 0 and 1 only.

    Raises:
        InputError: If one of ``named`` is neither, or no module of the model has the path.
    """

    def __init__(
        self,
        model: nn.Module,
        named: Iterable[type[nn.Module] | str] = (),
        *,
        by_behaviour: bool = True,
    ) -> None:
        wanted = _checked(named, model)
        classes = tuple(entry for entry in wanted if isinstance(entry, type))
        paths = {entry for entry in wanted if isinstance(entry, str)}
        self._model = model
        self._resets: list[Callable[[], object]] = []
        self._frameworks: dict[nn.Module, Framework] = {}
        self._named: set[nn.Module] = set()
        kinds = {type(module) for module in model.modules()}
        frameworks = {kind: _framework_of(kind) for kind in kinds}
        resets = {kind: _reset_of(kind) for kind in kinds}
        for path, module in model.named_modules():
            framework, reset = frameworks[type(module)], resets[type(module)]
            if reset is not None and hasattr(module, reset):
                self._resets.append(getattr(module, reset))
            if framework is not None:
                self._frameworks[module] = framework
            elif isinstance(module, classes) or path in paths:
                self._named.add(module)
        self._by_behaviour = by_behaviour
        self._maybe: set[str] = set()
        self._fired: set[str] = set()
        self._other: set[str] = set()

    @property
    def looped(self) -> bool:
        """Whether the model is known to call its neurons once per step."""
        return any(f.looped(module) for module, f in self._frameworks.items())

    def layout(self, inputs: Tensor, steps: int) -> Literal["BT", "TB"] | None:
        """How the known frameworks order a clip of inputs; None for anything but a clip.

        Clips are ``(T, B, F)`` or ``(T, B, C, H, W)``, or with T second. The order that is usual
        in the framework goes first.
        """
        if inputs.dim() not in (3, 5) or not self._frameworks:
            return None
        time_first = any(f.time_first for f in self._frameworks.values())
        usual: tuple[Literal["BT", "TB"], ...] = ("TB", "BT") if time_first else ("BT", "TB")
        return next((order for order in usual if inputs.shape[order.index("T")] == steps), None)

    def is_neuron(self, module: nn.Module) -> bool:
        """Whether a module is a neuron layer by its class or by its name."""
        return module in self._frameworks or module in self._named

    def source(self, site: str) -> Literal["known", "behaviour"]:
        """How a neuron layer was found."""
        return "behaviour" if site in self._maybe else "known"

    @contextmanager
    def fresh(self) -> Iterator[None]:
        """Neurons without a past for one forward pass; what modules remembered comes back after.

        Buffers are copied and whatever else holds tensors is put back, so that a pass leaves no
        trace in the next one, nor in the state dict.
        """
        held = {module: dict(vars(module)) for module in self._model.modules()}
        for module, attributes in held.items():
            for name in _STATE & attributes.keys():
                vars(module)[name] = {k: _copied(v) for k, v in attributes[name].items()}
        try:
            for reset in self._resets:
                reset()
            yield
        finally:
            for module, attributes in held.items():
                _put_back(module, attributes)

    def behaves(
        self, scope: Scope, inputs: list[Tensor], output: Tensor, reader: OperandReader
    ) -> bool:
        """Whether a module may be a neuron: it turned other values into 0 and 1 only.

        `no_neurons` tells in the end which modules were none: those that never gave out a 1,
        and those that once gave out something else.
        """
        if not self._by_behaviour or scope.name in self._other or _is_of_torch(scope.module):
            return False
        levels = _binary_levels(output, reader)
        if levels is None:
            self._other.add(scope.name)
            return False
        if all(_binary_levels(x, reader) is not None for x in inputs if x.is_floating_point()):
            return scope.name in self._maybe
        self._maybe.add(scope.name)
        if 1.0 in levels:
            self._fired.add(scope.name)
        return True

    def emits_spikes(self, scope: Scope) -> bool:
        """Whether what a module gives out are spikes; zeros alone prove nothing."""
        return self.is_neuron(scope.module) or scope.name in self._fired

    def no_neurons(self) -> set[str]:
        """Modules that seemed to be neurons and turned out to be none."""
        return self._maybe - (self._fired - self._other)


def _checked(named: Iterable[type[nn.Module] | str], model: nn.Module) -> list[type | str]:
    wanted: list[type | str] = [named] if isinstance(named, str | type) else list(named)
    modules = dict(model.named_modules())
    for entry in wanted:
        if isinstance(entry, str) and entry not in modules:
            raise InputError(f"neurons names {entry!r}, but the model has no such module")
        if not isinstance(entry, str | type):
            raise InputError(f"neurons takes classes and paths of modules, not {entry!r}")
    return wanted


def _is_of_torch(module: nn.Module) -> bool:
    """Whether torch itself has the layer: none of those is a spiking neuron, whatever it gives."""
    return type(module).__module__.startswith("torch.nn.")


def _framework_of(kind: type[nn.Module]) -> Framework | None:
    """The framework whose spiking neurons a class of modules makes."""
    for framework in FRAMEWORKS:
        if _is_one_of(kind, framework.neurons):
            return None if _is_one_of(kind, framework.integrators) else framework
    return None


def _reset_of(kind: type[nn.Module]) -> str | None:
    """The method that makes modules of a class of a known framework forget."""
    for framework in FRAMEWORKS:
        if framework.reset and _is_one_of(kind, framework.neurons + framework.stateful):
            return framework.reset
    return None


def _is_one_of(kind: type[nn.Module], names: Iterable[str]) -> bool:
    """Whether a class has one of these dotted names or comes from one, if that is loaded at all."""
    for name in names:
        home, _, attribute = name.rpartition(".")
        known: Any = getattr(sys.modules.get(home), attribute, None)
        if known is not None and issubclass(kind, known):
            return True
    return False


def _copied(value: Any) -> Any:
    return value.clone() if isinstance(value, Tensor) else value


def _put_back(module: nn.Module, attributes: dict[str, Any]) -> None:
    """Undoes what a pass did to the tensors a module holds, in buffers or as attributes."""
    now = vars(module)
    for name in _STATE & attributes.keys():
        now[name] = attributes[name]
    changed = [name for name, value in attributes.items() if now.get(name, _ABSENT) is not value]
    for name in changed + [name for name in now if name not in attributes]:
        before, after = attributes.get(name, _ABSENT), now.get(name, _ABSENT)
        if not (tensors_in(before) or tensors_in(after)):
            continue
        if before is _ABSENT:
            del now[name]
        else:
            now[name] = before


def _binary_levels(tensor: Tensor, reader: OperandReader) -> Levels:
    """The values of a tensor that holds 0 and 1 only; None of any other."""
    if not tensor.numel():
        return None
    reading = reader.read_binary(tensor.unsqueeze(1) if tensor.dim() == 1 else tensor)
    return None if reading is None else reading.levels
