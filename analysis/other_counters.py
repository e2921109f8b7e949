"""Other counters of dense multiply-accumulates, each run on a deep copy of the model.

They know nothing of spikes. Torch's ``FlopCounterMode`` counts two operations per
multiply-accumulate, so it is halved; fvcore traces; thop goes by module classes. The copy is
theirs alone, since they hook and mark what they count.
"""

from __future__ import annotations

import copy
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from analysis.counting.neurons import Neurons
from analysis.errors import from_extra

_PRODUCTS = ("conv", "mm", "matmul", "linear", "attention", "lstm", "gru", "rnn", "einsum")


@dataclass(frozen=True)
class Found:
    """What a tool says of one forward pass over a batch.

    Attributes:
        macs: By module path, without the modules inside; "" is the model itself.
        skipped: By module path, operations that the tool says it has no rule for.
    """

    macs: Mapping[str, int]
    skipped: Mapping[str, str] = field(default_factory=dict)


def ask(tool: str, model: nn.Module, arguments: tuple[Any, ...]) -> Found:
    """What one of `TOOLS` says of a forward pass in evaluation mode without gradients.

    Raises:
        Exception: Whatever the copy, the tool or the model raise.
    """
    twin = copy.deepcopy(model).eval()
    inputs = tuple(x.clone() if isinstance(x, Tensor) else x for x in arguments)
    with warnings.catch_warnings(), torch.no_grad(), Neurons(twin).fresh():
        warnings.simplefilter("ignore")
        return TOOLS[tool](twin, inputs)


def _flop_counter(model: nn.Module, inputs: tuple[Any, ...]) -> Found:
    """Torch's own counter; what it adds between two module borders belongs to the innermost."""
    from torch.utils.flop_counter import FlopCounterMode

    names = {module: name for name, module in model.named_modules()}
    counter, flops = FlopCounterMode(display=False), Counter[str]()
    running = [""]

    def book() -> None:
        flops[running[-1]] += counter.get_total_flops() - flops.total()

    def enter(module: nn.Module, _inputs: Any) -> None:
        book()
        running.append(names[module])

    def leave(_module: nn.Module, _inputs: Any, _output: Any) -> None:
        book()
        running.pop()

    for module in names:
        module.register_forward_pre_hook(enter)
        module.register_forward_hook(leave)
    with counter:
        model(*inputs)
    return Found({name: count // 2 for name, count in flops.items()})


def _fvcore(model: nn.Module, inputs: tuple[Any, ...]) -> Found:
    """Counts on a traced graph; a module's figure includes those inside it."""
    with from_extra("crosscheck"):
        from fvcore.nn import FlopCountAnalysis

    analysis = FlopCountAnalysis(model, inputs)
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    analysis.tracer_warnings("none")
    inclusive = {name: int(count) for name, count in analysis.by_module().items()}
    macs = Counter(inclusive)
    for name, count in inclusive.items():
        if name:
            macs[name.rpartition(".")[0]] -= count
    skipped = {
        name: ", ".join(op for op in analysis.unsupported_ops(name) if _multiplies(op))
        for name, _ in model.named_modules()
    }
    return Found(macs, skipped)


def _multiplies(operation: str) -> bool:
    """Whether an operation multiplies matrices; fvcore skips additions and views, too."""
    return any(part in operation for part in _PRODUCTS)


def _thop(model: nn.Module, inputs: tuple[Any, ...]) -> Found:
    """Counts by module class: no subclasses, no functional products."""
    with from_extra("crosscheck"):
        import thop

    total, _, tree = thop.profile(model, inputs, verbose=False, ret_layer_info=True)
    own: Counter[nn.Module] = Counter()
    _take_apart(model, total, tree, own)
    return Found({name: own[module] for name, module in model.named_modules()})


def _take_apart(
    module: nn.Module, inclusive: float, tree: Mapping[str, Any], own: Counter[nn.Module]
) -> None:
    """What of thop's total each module is, at all places of the tree where thop sums it."""
    for name, child in module.named_children():
        if name in tree:
            count, _, subtree = tree[name]
            _take_apart(child, count, subtree, own)
            inclusive -= count
    own[module] += int(inclusive)


TOOLS: Mapping[str, Callable[[nn.Module, tuple[Any, ...]], Found]] = {
    "FlopCounterMode": _flop_counter,
    "fvcore": _fvcore,
    "thop": _thop,
}
