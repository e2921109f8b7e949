"""Which modules are spiking neurons, and which of the tensors they give out are the spikes.

Neurons are those of known frameworks, those the caller names, and modules that behave like some.
Nothing is imported: a framework that is not loaded can't have neurons in the model.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

from analysis import undisturbed
from analysis.counting.inputs import tensors_in
from analysis.counting.values import OperandReader, Reading, kind_of
from analysis.errors import InputError
from analysis.frameworks import Framework, is_one_of, known_frameworks

Named = type[nn.Module] | str
_GLOB = frozenset("*?[")
_SUGGESTED = 6  # class names in a message


class Call(Protocol):
    """One call of a module: which module, by which name and the how manieth of the pass."""

    module: nn.Module
    name: str
    call: int


@dataclass(frozen=True)
class Emission:
    """What a call of a neuron layer gave out.

    Attributes:
        spikes: The tensor of spikes.
        replaces: Name and call of modules inside that were taken for the neuron until now and
            gave out the same spikes; what is known of them is to be dropped.
    """

    spikes: Tensor
    replaces: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class _Fired:
    """What a module that may be a neuron gave out in one call."""

    module: nn.Module
    key: tuple[str, int]
    cells: int
    spikes: int


@dataclass
class Findings:
    """What was seen of modules that may be neurons, by name; outputs by their place.

    Attributes:
        classes: Their classes.
        binary: Outputs of 0 and 1.
        fired: Outputs that once held a 1 for other values.
        other: Outputs that once held something else.
        passing: Modules that once gave out the spikes they got.
        inside: Modules that each is put in the place of.
    """

    classes: dict[str, str] = field(default_factory=dict)
    binary: defaultdict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    fired: defaultdict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    other: set[tuple[str, int]] = field(default_factory=set)
    passing: set[str] = field(default_factory=set)
    inside: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def merge(self, found: Findings) -> None:
        """Takes in what another process saw."""
        self.classes |= found.classes
        self.other |= found.other
        self.passing |= found.passing
        for mine, theirs in ((self.binary, found.binary), (self.fired, found.fired)):
            for name, places in theirs.items():
                mine[name] |= places
        for name, names in found.inside.items():
            self.inside[name] |= names

    def refuted(self) -> set[str]:
        """Modules that turned out to be none.

        Those that never gave out a 1, unless another of their class did, and those that once
        gave out something else.
        """
        fired = {name for name in self.classes if self.is_proven(name, self.fired)}
        classes = {self.classes[name] for name in fired}
        siblings = {
            name
            for name in self.classes.keys() - fired - self.passing
            if self.classes[name] in classes and self.is_proven(name, self.binary)
        }
        return self.classes.keys() - fired - siblings

    def is_proven(self, name: str, places: Mapping[str, set[int]]) -> bool:
        """Whether one of these outputs of a module has held 0 and 1 only in all calls.

        A module around the one that fires is what that one is.
        """
        inside = self.inside.get(name, ())
        return any((name, place) not in self.other for place in places.get(name, ())) or any(
            self.is_proven(other, places) for other in inside
        )


class Neurons:
    """The spiking neuron layers of a model.

    Whoever runs the model calls `begin` before a pass, `entering` and `leaving` around each call
    of a module that is not part of a known neuron, and at the end drops `no_neurons`, as layers
    and as sources of spikes.

    A module behaves like a neuron if it turns other values into 0 and 1 only. It need not have
    fired if another of its class has. Of modules inside each other that give out the same spikes,
    the neuron is the outermost that holds no weights besides those of the one that fires: a
    hand-written neuron, not its surrogate function; the neuron, not the block it is in.

    Args:
        model: Any model.
        named: Further neurons: classes, names of classes, plain or with their module, paths of
            modules in the model, and patterns of paths such as ``"*.lif?"``.
        by_behaviour: Whether to look for modules that behave like neurons.

    Raises:
        InputError: If no module of the model is meant by one of ``named``.

    Example:
        >>> model = nn.Sequential(nn.Linear(2, 2), nn.Hardtanh(), nn.Linear(2, 2))
        >>> [Neurons(model, [name]).is_neuron(model[1]) for name in ("Hardtanh", "1", "[01]")]
        [True, True, True]
    """

    def __init__(
        self, model: nn.Module, named: Iterable[Named] | Named = (), *, by_behaviour: bool = True
    ) -> None:
        self._model = model
        self._by_behaviour = by_behaviour
        self._named = _named(model, named)
        self._known: dict[nn.Module, Framework] = {}
        self._timed: dict[nn.Module, Framework] = {}  # with integrators
        self.resets: list[Callable[[], object]] = []  # of the frameworks, before each pass
        for module in undisturbed.modules_of(model):
            self._look_up(module)
        self._places: dict[nn.Module, int] = {}  # of spikes among the outputs of named neurons
        self._emitted: list[_Fired] = []
        self._begun: dict[str, int] = {}  # how much was emitted when a call began
        self.findings = Findings()
        self._around: dict[tuple[nn.Module, nn.Module], bool] = {}

    def _look_up(self, module: nn.Module) -> None:
        kind = type(module)
        for framework in known_frameworks():
            if is_one_of(kind, framework.neurons):
                self._timed[module] = framework
                if not is_one_of(kind, framework.integrators):
                    self._known[module] = framework
                break
        for framework in known_frameworks():
            if framework.reset and is_one_of(kind, framework.neurons + framework.stateful):
                if hasattr(module, framework.reset):
                    self.resets.append(getattr(module, framework.reset))
                break

    @property
    def looped(self) -> bool:
        """Whether the model is known to call its neurons once per step."""
        return any(f.is_looped(module) for module, f in self._known.items())

    def time_axis(self, module: nn.Module) -> int | None:
        """The dimension of a known neuron's own input and output that runs over the steps.

        Layers that only integrate are known too. None for those called once per step, for those
        with `rows` and for any other module.
        """
        framework = self._timed.get(module)
        return framework.time_axis(module) if framework else None

    def rows(self, module: nn.Module) -> tuple[int, int] | None:
        """Samples and steps that lie together in dimension 0 of a known neuron's input.

        Samples are outside; -1 for a number that follows from the other one.
        """
        framework = self._timed.get(module)
        return framework.rows(module) if framework else None

    def counts(self, module: nn.Module) -> bool:
        """Whether the values a neuron gives out are numbers of spikes."""
        return module in self._known and self._known[module].counts

    def layout(self, inputs: Tensor, steps: int) -> Literal["BT", "TB"] | None:
        """How the known frameworks order a clip of inputs; None for anything but a clip.

        Clips are ``(T, B, F)`` or ``(T, B, C, H, W)``, or with T second. The order that is usual
        in the framework goes first.
        """
        if inputs.dim() not in (3, 5) or not self._known:
            return None
        time_first = any(f.time_first for f in self._known.values())
        usual: tuple[Literal["BT", "TB"], ...] = ("TB", "BT") if time_first else ("BT", "TB")
        return next((order for order in usual if inputs.shape[order.index("T")] == steps), None)

    def is_neuron(self, module: nn.Module) -> bool:
        """Whether a module is a neuron layer by its class or by its name."""
        return module in self._known or module in self._named

    def source(self, site: str) -> Literal["known", "behaviour"]:
        """How a neuron layer was found."""
        return "behaviour" if site in self.findings.classes else "known"

    def fresh(self) -> AbstractContextManager[None]:
        """Neurons without a past for one forward pass; what modules held comes back after."""
        return undisturbed.fresh(self._model, self.resets)

    def begin(self) -> None:
        """Begins a forward pass."""
        self._emitted.clear()
        self._begun.clear()

    def entering(self, call: Call) -> None:
        """Takes in that the call of a module begins."""
        self._begun[call.name] = len(self._emitted)

    def leaving(
        self,
        call: Call,
        inputs: Any,
        output: Any,
        reader: OperandReader,
        is_spikes: Callable[[Tensor], bool],
    ) -> Emission | None:
        """The spikes a module gave out at the end of a call; None if it is no neuron.

        Args:
            call: Which module ran; none inside a known or named neuron, which is one whole.
            inputs: What it got, in any form; keyword arguments may be among it.
            output: What it gave out, in any form.
            reader: Reads the values of tensors.
            is_spikes: Whether a tensor is known as spikes that some neuron gave out before.

        Raises:
            InputError: If a known or named neuron gave out no tensor, or several of which none
                can be spikes.
        """
        tensors = tensors_in(output)
        if self.is_neuron(call.module):
            return Emission(self._spikes_among(call, tensors, reader))
        if not self._by_behaviour or _is_of_torch(call.module):
            return None
        readings = {
            place: reading
            for place, tensor in enumerate(tensors)
            if (reading := self._binary_reading(call, place, tensor, reader)) is not None
        }
        for place, reading in readings.items() if call.name not in self.findings.fired else ():
            inside, is_relayed = self._relayed(call, tensors[place], reading)
            if is_relayed:
                return self._around_the_neuron(call, tensors[place], inside)
        new = {place: r for place, r in readings.items() if not is_spikes(tensors[place])}
        if not new:
            return None
        return self._behaving(call, tensors_in(inputs), tensors, new, reader)

    def emits_spikes(self, call: Call) -> bool:
        """Whether what a module gives out are spikes, as far as is known; zeros prove nothing."""
        return self.is_neuron(call.module) or self.findings.is_proven(
            call.name, self.findings.fired
        )

    def no_neurons(self) -> set[str]:
        """Modules that seemed to be neurons and turned out to be none."""
        return self.findings.refuted()

    def _spikes_among(self, call: Call, tensors: list[Tensor], reader: OperandReader) -> Tensor:
        """The spikes among the tensors that a neuron gave out.

        Known frameworks give them out first. Of others, a single tensor is taken as it is; among
        several they are the first with 0 and 1 only and a 1 in it, else with 0 and one other
        value or that and its negative, else the first of zeros, where none has fired yet, else of
        whole numbers. Where they once were, they are looked for first.
        """
        if not tensors:
            raise InputError(f"neuron layer {call.name!r} gave out no tensor")
        if call.module in self._known or len(tensors) == 1:
            return tensors[0]
        last = self._places.get(call.module)
        if last is not None and last < len(tensors) and _rank(tensors[last], reader) is not None:
            return tensors[last]
        ranks = [_rank(tensor, reader) for tensor in tensors]
        possible = [(rank, place) for place, rank in enumerate(ranks) if rank is not None]
        if not possible:
            came = ", ".join(_described(tensor, reader) for tensor in tensors)
            raise InputError(
                f"neuron layer {call.name!r} ({type(call.module).__name__}) gave out "
                f"{len(tensors)} tensors and none of them can be spikes: {came}; let it give out "
                f"its spikes alone, or name the module that fires in neurons"
            )
        rank, place = min(possible)
        if rank == 0:
            self._places[call.module] = place
        return tensors[place]

    def _binary_reading(
        self, call: Call, place: int, tensor: Tensor, reader: OperandReader
    ) -> Reading | None:
        """What is in an output that has held 0 and 1 only in all calls."""
        key = (call.name, place)
        if key in self.findings.other or not (tensor.is_floating_point() and tensor.dim()):
            return None
        if not tensor.numel():
            return None
        reading = reader.read_binary(_readable(tensor))
        if reading is None:
            self.findings.other.add(key)
        return reading

    def _relayed(self, call: Call, tensor: Tensor, reading: Reading) -> tuple[list[_Fired], bool]:
        """All that modules inside gave out in a call, and whether the output is just that.

        As many values and as many spikes as all of it has, or as the last of them; so whoever
        puts the outer module in the place of the inner ones changes no count.
        """
        inside = self._emitted[self._begun.get(call.name, 0) :]
        sizes = (tensor.numel(), _spikes_in(reading))
        return inside, any(
            sizes == (sum(f.cells for f in part), sum(f.spikes for f in part))
            for part in (inside, inside[-1:])
            if part
        )

    def _around_the_neuron(
        self, call: Call, tensor: Tensor, inside: list[_Fired]
    ) -> Emission | None:
        """A module that passes on what one inside gave out, if it is the neuron of the two."""
        module, cells = inside[0].module, sum(fired.cells for fired in inside)
        if cells != tensor.numel() or any(fired.module is not module for fired in inside):
            return None
        if not self._is_only_around(call.module, module):
            return None
        names = {fired.key[0] for fired in inside} - {call.name}  # it may call itself
        self.findings.inside[call.name] |= names
        del self._emitted[len(self._emitted) - len(inside) :]
        spikes = sum(fired.spikes for fired in inside)
        self._emit(call, tensor, spikes)
        return Emission(tensor, tuple(fired.key for fired in inside))

    def _is_only_around(self, outer: nn.Module, inner: nn.Module) -> bool:
        key = (outer, inner)
        if key not in self._around:
            self._around[key] = not _holds_weights(outer, besides=inner)
        return self._around[key]

    def _behaving(
        self,
        call: Call,
        inputs: list[Tensor],
        tensors: list[Tensor],
        readings: dict[int, Reading],
        reader: OperandReader,
    ) -> Emission | None:
        """The spikes of a module some of whose outputs hold 0 and 1 only."""
        known = self.findings.fired.get(call.name, set())
        fires = [place for place, reading in readings.items() if _spikes_in(reading)]
        place = next(iter([*fires, *(p for p in readings if p in known), *readings]))
        spikes, cells = _spikes_in(readings[place]), tensors[place].numel()
        got = [(x.numel(), reader.read_binary(_readable(x))) for x in inputs if _is_read(x)]
        if any(reading is None for _, reading in got):
            if fires:
                self.findings.fired[call.name].add(place)
        elif spikes and any((n, _spikes_in(r)) == (cells, spikes) for n, r in got if r):
            self.findings.passing.add(call.name)
        self.findings.binary[call.name].add(place)
        self._emit(call, tensors[place], spikes)
        return Emission(tensors[place])

    def _emit(self, call: Call, tensor: Tensor, spikes: int) -> None:
        kind = type(call.module)
        self.findings.classes[call.name] = f"{kind.__module__}.{kind.__qualname__}"
        key = (call.name, call.call)
        self._emitted.append(_Fired(call.module, key, tensor.numel(), spikes))


def _named(model: nn.Module, named: Iterable[Named] | Named) -> set[nn.Module]:
    """The modules that the caller means."""
    modules = dict(model.named_modules(remove_duplicate=False))
    found: set[nn.Module] = set()
    wanted: list[Any] = [named] if isinstance(named, str | type) else list(named)
    for entry in wanted:
        if not isinstance(entry, str | type):
            came = " ".join(repr(entry).split())  # in one line
            raise InputError(f"neurons takes classes and paths of modules, not {came:.60}")
        meant = {module for path, module in modules.items() if _is_meant(entry, path, module)}
        if not meant and isinstance(entry, str):  # classes may be a list for many models
            raise InputError(
                f"neurons names {entry!r}, but the model has no such module, nor pattern of "
                f"modules or class; classes of its layers: {_classes_in(model)}"
            )
        found |= meant
    return found


def _is_meant(entry: Named, path: str, module: nn.Module) -> bool:
    if isinstance(entry, type):
        return isinstance(module, entry)
    if path == entry or (_GLOB & set(entry) and fnmatchcase(path, entry)):
        return True
    bases = type(module).__mro__
    own = bases[: bases.index(nn.Module)]  # what all modules are names none
    return any(entry in (b.__name__, f"{b.__module__}.{b.__qualname__}") for b in own)


def _classes_in(model: nn.Module) -> str:
    """A few names of classes of the innermost modules, those of torch last."""
    leaves = [module for module in model.modules() if not any(True for _ in module.children())]
    leaves.sort(key=_is_of_torch)
    names = list(dict.fromkeys(type(module).__name__ for module in leaves))
    return ", ".join(names[:_SUGGESTED]) + ", ..." * (len(names) > _SUGGESTED)


def _is_of_torch(module: nn.Module) -> bool:
    """Whether torch itself has the layer: none of those is a spiking neuron, whatever it gives."""
    return type(module).__module__.startswith("torch.nn.")


def _holds_weights(outer: nn.Module, besides: nn.Module) -> bool:
    """Whether a module has a matrix, or modules inside with parameters besides one of them.

    A neuron has parameters of its own, of one number or one for each channel.
    """
    apart = {outer, *besides.modules()}
    others = (module for module in outer.modules() if module not in apart)
    return any(sum(n > 1 for n in p.shape) > 1 for p in outer.parameters(recurse=False)) or any(
        True for module in others for _ in module.parameters(recurse=False)
    )


def _is_read(tensor: Tensor) -> bool:
    """Whether an input counts as something a neuron got; masks don't."""
    return bool(tensor.numel()) and not tensor.is_complex() and tensor.dtype != torch.bool


def _readable(tensor: Tensor) -> Tensor:
    """As the reader takes it, ``(N, C, *S)`` and floating."""
    values = tensor if tensor.is_floating_point() else tensor.float()
    if values.dim() > 1:
        return values
    return values.unsqueeze(1) if values.dim() else values.reshape(1, 1)


def _spikes_in(reading: Reading) -> int:
    return int(reading.nonzeros.sum())


def _rank(tensor: Tensor, reader: OperandReader) -> int | None:
    """How likely an output of a neuron is its spikes, best first; None where it can't be."""
    if not (tensor.dim() and tensor.numel()) or tensor.is_complex():
        return None
    values = _readable(tensor)
    binary = reader.read_binary(values)
    if binary is not None:
        return 0 if _spikes_in(binary) else 2
    levels = reader.read(values).levels
    if levels is None:
        return None
    if kind_of(levels) in ("spike", "ternary") and len(levels) > 1:
        return 1
    return 3 if all(level % 1 == 0 for level in levels) else None


def _described(tensor: Tensor, reader: OperandReader) -> str:
    shape = " x ".join(map(str, tensor.shape)) or "a number"
    if not tensor.numel() or tensor.is_complex():
        return f"{shape} of {tensor.dtype}".replace("torch.", "")
    return f"{shape} of {kind_of(reader.read(_readable(tensor)).levels)} values"
