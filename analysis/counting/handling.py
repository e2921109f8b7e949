"""What to do when an operation runs; worked out once for each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from analysis.counting.elementwise import aten, is_known, moves_only
from analysis.counting.op_rules import RULES
from analysis.counting.proofs import Effect, effect_of

TORCHS_OWN = ("aten", "prim", "prims")
_COMPOSITE = torch._C.DispatchKey.CompositeImplicitAutograd
_VIEWS = torch._C.DispatchKey.ADInplaceOrView


@dataclass(frozen=True, kw_only=True)
class Handling:
    """What to do when an operation runs; worked out once for each.

    Attributes:
        func: The operation, kept alive so that nobody else gets its id.
        rule: Finds the products in it.
        effect: What it does to proofs that a tensor is binary.
        is_work: Whether it is elementwise work, or at least no mere move.
        copies: Whether it copies values, which is followed inside neuron layers too.
        is_composite: Whether it is made of other operations, which are what counts.
    """

    func: Any
    rule: Callable[..., list[Any]] | None
    effect: Effect | None
    is_work: bool
    copies: bool
    is_composite: bool


def handling_of(func: Any) -> Handling:
    """What to do with an operation."""
    rule = RULES.get(func)
    return Handling(
        func=func,
        rule=rule,
        effect=effect_of(func),
        is_work=rule is None and not moves_only(func),
        copies=func.overloadpacket in (aten.clone, aten._to_copy),
        is_composite=rule is None and not is_known(func) and _has_parts(func),
    )


def run_parts(mode: TorchDispatchMode, func: Any, args: tuple[Any, ...], kwargs: Any) -> Any:
    """Runs the operations that a composite one is made of, in a mode that sees each.

    A model that is counted has to compute what it computes alone. The public ``func.decompose``
    may take a decomposition written in Python, which adds in another order; and views have to be
    made as outside of any mode, since ``matmul`` chooses its way by whether they need gradients.
    """
    # A composite view is made to one when it leaves the mode, as any other.
    with torch._C._SetExcludeDispatchKeyGuard(_VIEWS, func.is_view), mode:
        return func._op_dk(_COMPOSITE, *args, **kwargs)


def _has_parts(func: Any) -> bool:
    return bool(torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), _COMPOSITE))
