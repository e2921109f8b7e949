"""Which module is running: names, calls and the order of operations inside each call."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import nn
from torch.nn.modules import module as global_hooks

from analysis.counting.neurons import Neurons
from analysis.records import SiteKey


@dataclass
class Scope:
    """One module call in progress.

    Attributes:
        module, name, call: Which one.
        in_neuron: Whether it is a neuron layer or part of one, which is counted as a whole.
        operations: Weight operations so far.
    """

    module: nn.Module
    name: str
    call: int
    in_neuron: bool = False
    operations: int = 0

    def next_site(self) -> SiteKey:
        """The key of the next weight operation of this call."""
        key = SiteKey(name=self.name, index=self.operations, call=self.call)
        self.operations += 1
        return key


class Scopes:
    """The stack of running modules of one model.

    Hooks are global, not on the modules: the model stays as it is. A module with several names
    goes by its first; modules outside the model are ignored.

    Args:
        model: Any model.
        neurons: Which modules are neuron layers.
        on_enter: Called with scope and inputs when a neuron layer begins.
        on_leave: Called with scope, inputs and output at the end of a module call.
    """

    def __init__(
        self,
        model: nn.Module,
        neurons: Neurons,
        on_enter: Callable[[Scope, Any], None],
        on_leave: Callable[[Scope, Any, Any], None],
    ) -> None:
        names: dict[nn.Module, list[str]] = defaultdict(list)
        for name, module in model.named_modules(remove_duplicate=False):
            names[module].append(name)
        self.names = {module: found[0] for module, found in names.items()}
        self.aliases = {found[0]: tuple(found[1:]) for found in names.values()}
        self._model = model
        self._neurons, self._is_neuron = neurons, neurons.is_neuron
        self._on_enter, self._on_leave = on_enter, on_leave
        self._weighs = {m for m in self.names if any(p.dim() > 1 for p in m.parameters())}
        self._stack: list[Scope] = []
        self.in_neuron = False  # whether a neuron layer is running
        self.is_followed = True  # whether data flow is: not inside neuron layers without weights
        self._calls: Counter[str] = Counter()

    @property
    def current(self) -> Scope:
        """The innermost module call in progress; the model itself outside any."""
        if not self._stack:
            self._stack.append(Scope(self._model, "", 0))
        return self._stack[-1]

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Follows one forward pass; call numbers start again at 0."""
        self._stack.clear()
        self.in_neuron, self.is_followed = False, True
        self._calls.clear()
        enter = global_hooks.register_module_forward_pre_hook(self._enter)
        leave = global_hooks.register_module_forward_hook(
            self._leave_with, with_kwargs=True, always_call=True
        )
        neurons = [m for m in self.names if self._is_neuron(m) and "forward" not in vars(m)]
        try:
            for module in neurons:  # whose forward() may be called without the hooks
                vars(module)["forward"] = partial(self._forward, module, module.forward)
            yield
        finally:
            for module in neurons:
                vars(module).pop("forward", None)
            enter.remove()
            leave.remove()

    def _forward(
        self, module: nn.Module, forward: Callable[..., Any], *args: Any, **kw: Any
    ) -> Any:
        if self._stack and self._stack[-1].module is module:  # by way of the hooks
            return forward(*args, **kw)
        output = None
        self._enter(module, args)
        try:
            output = forward(*args, **kw)
        finally:
            self._leave(module, (args, kw), output)
        return output

    def _enter(self, module: nn.Module, inputs: Any) -> None:
        name = self.names.get(module)
        if name is None:
            return
        begins = not self.in_neuron and self._is_neuron(module)
        self.in_neuron = self.in_neuron or begins
        scope = Scope(module, name, self._calls[name], self.in_neuron)
        self._stack.append(scope)
        self._calls[name] += 1
        if not self.in_neuron:
            self._neurons.entering(scope)
        if begins:
            self.is_followed = module in self._weighs
            self._on_enter(scope, inputs)

    def _leave_with(self, module: nn.Module, inputs: Any, *named_and_output: Any) -> None:
        *named, output = named_and_output  # torch leaves out the named ones after an exception
        self._leave(module, (inputs, *named), output)

    def _leave(self, module: nn.Module, inputs: Any, output: Any) -> None:
        if not self._stack or self._stack[-1].module is not module:
            return
        scope = self._stack.pop()
        self.in_neuron = bool(self._stack) and self._stack[-1].in_neuron
        self.is_followed = self.is_followed or not self.in_neuron
        if output is not None:
            self._on_leave(scope, inputs, output)
