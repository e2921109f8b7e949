"""What to do when an operation runs; worked out once for each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from analysis.counting.elementwise import is_known, moves_only
from analysis.counting.op_rules import RULES
from analysis.counting.proofs import Effect, effect_of

TORCHS_OWN = ("aten", "prim", "prims")


@dataclass(frozen=True, kw_only=True)
class Handling:
    """What to do when an operation runs; worked out once for each.

    Attributes:
        func: The operation, kept alive so that nobody else gets its id.
        rule: Finds the products in it.
        effect: What it does to proofs that a tensor is binary.
        is_work: Whether it is elementwise work, or at least no mere move.
        may_be_composite: Whether it may be made of other operations.
    """

    func: Any
    rule: Callable[..., list[Any]] | None
    effect: Effect | None
    is_work: bool
    may_be_composite: bool


def handling_of(func: Any) -> Handling:
    """What to do with an operation."""
    rule = RULES.get(func)
    return Handling(
        func=func,
        rule=rule,
        effect=effect_of(func),
        is_work=rule is None and not moves_only(func),
        may_be_composite=rule is None and not is_known(func),
    )
