"""What belongs to the caller stays as it was: modes, settings, random numbers, what modules hold.

Parameters are not copied, since a forward pass does not write to them.
"""

from __future__ import annotations

import random
import sys
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from operator import is_
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules import module as global_hooks
from torch.nn.parameter import is_lazy

_MOST_OBJECTS = 20_000  # a model that holds its trainer, say, would lead anywhere
_LONGEST = 10_000  # entries of a container; the entries of longer ones are not looked into
_ABSENT = object()
_PLAIN = frozenset({type(None), bool, int, float, complex, str, bytes, torch.dtype, torch.device})
_CONTAINERS = frozenset({dict, OrderedDict, list, set, deque})
# What others may be using at this moment must not be wound back.
_OF_THREADS = frozenset({"_thread", "threading", "queue", "multiprocessing", "concurrent"})
_OTHERS_CODE = sys.stdlib_module_names | {"torch", "numpy"}  # objects of theirs are left alone
_WHOLE_NUMBERS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
_HOLDERS = frozenset({"module", "mapping", "list", "tuple"})  # forms that may hold modules
_REGISTERED = frozenset({"_modules", "_parameters", "_buffers"})
_HOOKS = ("_forward_pre_hooks", "_forward_hooks")

# Global settings that a forward pass may change: how to look them up and how to set them.
_SETTINGS: tuple[tuple[Callable[[], Any], Callable[[Any], object]], ...] = (
    (torch.is_grad_enabled, torch.set_grad_enabled),
    (torch.get_default_dtype, torch.set_default_dtype),
    (torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode),
    (torch.get_num_threads, torch.set_num_threads),
    (torch.backends.mha.get_fastpath_enabled, torch.backends.mha.set_fastpath_enabled),
)

_Form = Literal[
    "plain", "script", "module", "tensor", "mapping", "list", "tuple", "set", "deque", "array",
    "random", "object",
]  # fmt: skip


def modules_of(model: nn.Module) -> list[nn.Module]:
    """All modules of a model, also those in plain lists and dictionaries, outer ones first."""
    waiting = list(model.modules())
    found = set(waiting)
    for module in waiting:
        for name, value in vars(module).items():
            kind: Any = type(value)
            if kind in _PLAIN or name in _REGISTERED or (kind in _CONTAINERS and not value):
                continue
            if _form_of(kind) in _HOLDERS:
                for hidden in _modules_in(value):
                    new = [part for part in hidden.modules() if part not in found]
                    found.update(new)
                    waiting += new
    return waiting


def _modules_in(value: Any) -> list[nn.Module]:
    if isinstance(value, nn.Module):
        return [value]
    if not isinstance(value, dict | list | tuple) or not 0 < len(value) <= _LONGEST:
        return []
    parts = value.values() if isinstance(value, dict) else value
    return [found for part in parts if type(part) not in _PLAIN for found in _modules_in(part)]


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients for a run; afterwards everything is as before.

    Modes go back through ``train()``, since layers of which a class overrides it may do more
    there: low-rank adapters merge their weights in evaluation mode and have to undo it.
    """
    modes = {module: module.training for module in modules_of(model)}
    # Rounding would remain of weights that were merged and separated again.
    weights = [p for m in modes if _has_own_modes(m) for p in m.parameters(recurse=False)]
    with _settings_kept(), _random_numbers_kept(model), torch.no_grad():
        held = Held(model, objects=False, also=weights)
        try:
            if any(module.training for module in model.modules()):
                model.eval()
            yield
        finally:
            for module, training in modes.items():
                if module.training != training:
                    module.train(training)
            held.put_back()  # the flags too, of modules that refuse a mode
            if torch.is_autocast_enabled("cpu") or torch.is_autocast_enabled("cuda"):
                torch.clear_autocast_cache()  # its copies of weights were made without gradients


@contextmanager
def fresh(model: nn.Module, resets: Iterable[Callable[[], object]] = ()) -> Iterator[None]:
    """One forward pass from the state the caller left, which comes back whatever happens.

    Args:
        model: Any model.
        resets: A framework's own ways to make its neurons forget.
    """
    with _settings_kept():
        held = Held(model)
        try:
            for reset in resets:
                reset()
            yield
        finally:
            held.put_back()


def _has_own_modes(module: nn.Module) -> bool:
    kind = type(module)
    return kind.train is not nn.Module.train or kind.eval is not nn.Module.eval


@contextmanager
def _settings_kept() -> Iterator[None]:
    before = [look_up() for look_up, _ in _SETTINGS]
    try:
        yield
    finally:
        for value, (look_up, put) in zip(before, _SETTINGS, strict=True):
            if look_up() != value:
                put(value)


@contextmanager
def _random_numbers_kept(model: nn.Module) -> Iterator[None]:
    """The generators of torch here and on the model's devices, of Python and of NumPy."""
    gpus = {p.device.index for p in model.parameters() if p.is_cuda}
    of_python, of_numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        with torch.random.fork_rng(gpus):
            yield
    finally:
        random.setstate(of_python)
        np.random.set_state(of_numpy)  # noqa: NPY002


class Held:
    """A snapshot of what the modules of a model hold besides parameters.

    Numbers, containers, tensors, arrays, generators of random numbers and objects, as far as they
    can be reached from attributes of modules. Which parameters, buffers and children there are
    belongs to it, the values of parameters don't. Objects of the standard library, of torch and
    those that hold a lock are left alone.

    Args:
        model: Any model.
        objects: Whether to look into objects other than modules.
        also: Further tensors to keep the values of.

    Example:
        >>> layer = nn.Linear(1, 1)
        >>> layer.seen = [1]
        >>> held = Held(layer)
        >>> layer.seen.append(2)
        >>> layer.calls = 3
        >>> held.put_back()
        >>> layer.seen, hasattr(layer, "calls")
        ([1], False)
    """

    def __init__(
        self, model: nn.Module, *, objects: bool = True, also: Iterable[Tensor] = ()
    ) -> None:
        self._objects = objects
        self._kinds: list[tuple[nn.Module, type]] = []
        # with keys, values and the module whose attributes or hooks they are
        self._mappings: list[tuple[Any, tuple[Any, ...], tuple[Any, ...], nn.Module | None]] = []
        self._empty: list[Any] = []
        self._lists: list[tuple[list[Any], list[Any]]] = []
        self._tensors: list[tuple[Tensor, Tensor, Tensor]] = []  # with an alias and a copy
        self._undo: list[Callable[[], object]] = []
        self._seen: set[int] = set()
        self._waiting: list[tuple[Any, nn.Module | None]] = [(model, None)]
        with torch.no_grad():
            for tensor in also:
                self._take_tensor(tensor)
            while self._waiting and len(self._seen) < _MOST_OBJECTS:
                self._take(*self._waiting.pop())
        self._waiting.clear()

    @torch.no_grad()
    def put_back(self) -> None:
        """Restores everything in place, so that whoever holds a list still holds it."""
        # A lazy layer becomes another class when it first runs, and stays that.
        others = {id(module) for module, kind in self._kinds if type(module) is not kind}
        for mapping, keys, values, owner in self._mappings:
            as_before = len(mapping) == len(keys) and all(map(is_, mapping.values(), values))
            if not (as_before and all(map(is_, mapping, keys))) and id(owner) not in others:
                _refill(mapping, zip(keys, values, strict=True))
        for container in self._empty:
            if container:
                container.clear()
        for now, before in self._lists:
            if len(now) != len(before) or not all(map(is_, now, before)):
                list.__setitem__(now, slice(None), before)
        for tensor, alias, copy in self._tensors:
            _put_back(tensor, alias, copy)
        for undo in self._undo:
            undo()

    def _take(self, value: Any, owner: nn.Module | None) -> None:
        if id(value) in self._seen:
            return
        self._seen.add(id(value))
        kind: Any = type(value)
        match _form_of(kind):
            case "module":
                self._kinds.append((value, type(value)))
                self._take_mapping(vars(value), value, inner=value)
            case "script":  # attributes are out of reach, in C++
                for tensor in value.buffers():
                    self._take_tensor(tensor)
            case "mapping":
                self._take_mapping(value, owner)
            case "tensor":
                self._take_tensor(value)
            case "list":
                self._lists.append((value, list(value)))
                self._look_into(value)
            case "tuple":
                self._look_into(value)
            case "object" if self._objects:
                self._take_object(value)
            case "set" | "deque" | "array" | "random" as form:
                self._undo.append(_way_back(value, form))
                if form == "deque":
                    self._look_into(value)

    def _take_mapping(
        self, mapping: Any, owner: nn.Module | None, inner: nn.Module | None = None
    ) -> None:
        values = tuple(mapping.values())
        self._mappings.append((mapping, tuple(mapping), values, owner))
        self._look_into(values, inner)

    def _look_into(self, values: Any, owner: nn.Module | None = None) -> None:
        if len(values) > _LONGEST:
            return
        for value in values:
            kind: Any = type(value)
            if kind in _CONTAINERS and not value:  # twelve in each module, so without a record
                self._empty.append(value)
            elif kind not in _PLAIN and _form_of(kind) != "plain":
                self._waiting.append((value, owner))

    def _take_tensor(self, tensor: Tensor) -> None:
        if is_lazy(tensor) or tensor.layout is not torch.strided or tensor.is_meta:
            return
        self._tensors.append((tensor, tensor.detach(), _dense(tensor).clone()))

    def _take_object(self, value: Any) -> None:
        namespace = getattr(value, "__dict__", None)
        slots = {name: getattr(value, name, _ABSENT) for name in _slots_of(value.__class__)}
        inside = [*(namespace or {}).values(), *slots.values()]
        if any(type(part).__module__.partition(".")[0] in _OF_THREADS for part in inside):
            return
        if isinstance(namespace, dict):
            self._take_mapping(namespace, None)
        if slots:
            self._undo.append(partial(_set_slots, value, slots))
            self._look_into(tuple(slots.values()))


@cache
def _form_of(kind: type) -> _Form:
    """What objects of a class are, as far as a snapshot is concerned."""
    if kind in _PLAIN or issubclass(kind, nn.Parameter | type):
        return "plain"
    forms: dict[_Form, Any] = {
        "script": torch.jit.ScriptModule,
        "module": nn.Module,
        "tensor": Tensor,
        "mapping": dict,
        "list": list,
        "tuple": tuple | frozenset,
        "set": set,
        "deque": deque,
        "array": np.ndarray,
        "random": random.Random | torch.Generator | np.random.Generator | np.random.RandomState,
    }
    for form, kinds in forms.items():
        if issubclass(kind, kinds):
            return form
    foreign = kind.__module__.partition(".")[0] in _OTHERS_CODE
    return "plain" if foreign and not issubclass(kind, SimpleNamespace) else "object"


@cache
def _slots_of(kind: Any) -> tuple[str, ...]:
    named = [vars(base).get("__slots__", ()) for base in kind.__mro__]
    return tuple(
        name
        for names in named
        for name in ((names,) if isinstance(names, str) else names)
        if not name.startswith("__")
    )


def _refill(mapping: Any, items: Iterable[tuple[Any, Any]]) -> None:
    """Writes past methods of a subclass, which may count or check."""
    home: Any = OrderedDict if isinstance(mapping, OrderedDict) else dict
    home.clear(mapping)
    for key, value in items:
        home.__setitem__(mapping, key, value)


def _dense(tensor: Tensor) -> Tensor:
    """A tensor without its expanded dimensions: every place in memory once."""
    if 0 not in tensor.stride():
        return tensor.detach()
    return tensor.detach()[tuple(slice(None if step else 1) for step in tensor.stride())]


def _put_back(tensor: Tensor, alias: Tensor, copy: Tensor) -> None:
    """Restores a tensor of which an alias knows the memory it had and a copy the values."""
    if not _same_bits(_dense(alias), copy):
        with torch.inference_mode(alias.is_inference()):
            _dense(alias).copy_(copy)
    if _place(tensor) != _place(alias):
        tensor.data = alias


def _place(tensor: Tensor) -> tuple[Any, ...]:
    return tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride()


def _same_bits(one: Tensor, other: Tensor) -> bool:
    """Also tells 0 from -0, and takes NaN for equal to itself."""
    if one.is_floating_point():
        whole = _WHOLE_NUMBERS[one.itemsize]
        one, other = one.view(whole), other.view(whole)
    return torch.equal(one, other)


def _set_slots(value: Any, slots: dict[str, Any]) -> None:
    for name, before in slots.items():
        if getattr(value, name, _ABSENT) is not before:
            if before is _ABSENT:
                object.__delattr__(value, name)
            else:
                object.__setattr__(value, name, before)


def _way_back(value: Any, form: Literal["set", "deque", "array", "random"]) -> Callable[[], object]:
    """What restores a value of one of these forms as it is now."""
    if form == "random":
        return _way_back_of_random(value)
    before = value.copy()

    def restore() -> None:
        if form == "array":
            if value.flags.writeable and value.shape == before.shape:
                value[...] = before
        else:
            value.clear()
            (value.update if form == "set" else value.extend)(before)

    return restore


def _way_back_of_random(value: Any) -> Callable[[], object]:
    if isinstance(value, random.Random):
        return partial(value.setstate, value.getstate())
    if isinstance(value, np.random.Generator):
        return partial(setattr, value.bit_generator, "state", value.bit_generator.state)
    return partial(value.set_state, value.get_state())


@contextmanager
def hooks_apart(
    model: nn.Module, mark: Callable[[], Any], rewind: Callable[[Any], object]
) -> Iterator[None]:
    """Keeps what forward hooks compute apart from what the model computes.

    Hooks that are there already run as usual. One that gives nothing back only looks on: what was
    counted meanwhile is dropped. One that gives something back takes part in the model. Global
    hooks that are registered inside are nobody else's and are left alone.

    Args:
        model: Any model.
        mark: Called before each hook; says how far the count is.
        rewind: Called with that after a hook that gave nothing back.
    """

    def apart(hook: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            place = mark()
            result = hook(*args, **kwargs)
            if result is None:
                rewind(place)
            return result

        return run

    with ExitStack() as stack:
        for hooks in _hooks_of(model):
            stack.enter_context(_replaced(hooks, apart))
        yield


def _hooks_of(model: nn.Module) -> Iterator[dict[int, Callable[..., Any]]]:
    yield global_hooks._global_forward_pre_hooks
    yield global_hooks._global_forward_hooks
    for module in modules_of(model):
        yield from (vars(module)[name] for name in _HOOKS if vars(module).get(name))


@contextmanager
def _replaced(hooks: dict[int, Any], wrap: Callable[[Any], Any]) -> Iterator[None]:
    """Other values in a dictionary for a while; keys and order stay, on which torch relies."""
    before = {key: (hook, wrap(hook)) for key, hook in hooks.items()}
    hooks.update({key: wrapped for key, (_, wrapped) in before.items()})
    try:
        yield
    finally:
        for key, (hook, wrapped) in before.items():
            if hooks.get(key) is wrapped:  # it may have removed itself
                hooks[key] = hook
