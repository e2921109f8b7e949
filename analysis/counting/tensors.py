"""The tensors in whatever a module or an operation takes and gives."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

# Most leaves are of these types, and looking them up is ten times as fast as asking pytree.
_PLAIN = frozenset(
    {int, float, bool, str, type(None), torch.dtype, torch.device, torch.layout}
    | {torch.memory_format}
)


def tensors_in(value: Any) -> list[Tensor]:
    """All tensors in nested arguments or results, from left to right.

    Example:
        >>> len(tensors_in((torch.ones(1), {"states": [torch.ones(2), None]}, 3)))
        2
    """
    if isinstance(value, Tensor):
        return [value]
    if type(value) in _PLAIN:
        return []
    if type(value) in (tuple, list):
        return [tensor for part in value for tensor in tensors_in(part)]
    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor)]
