"""All that is used of torch although torch doesn't promise to keep it.

Counting sees every operation by a dispatch mode, which torch's public API doesn't offer. What that
takes stands here and nowhere else, so that a torch that lacks a piece is told in one sentence, and
whoever moves to a new torch has one file to look at.

Raises:
    InputError: On import, if the installed torch lacks one of them.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor

from analysis.errors import InputError

try:
    from torch.multiprocessing.reductions import StorageWeakRef
    from torch.nn.modules.batchnorm import _NormBase as AnyBatchNorm
    from torch.nn.modules.conv import _ConvNd as AnyConv
    from torch.utils._mode_utils import no_dispatch
    from torch.utils._python_dispatch import TorchDispatchMode, _get_current_dispatch_mode_stack
    from torch.utils._pytree import (
        MappingKey,
        keystr,
        tree_flatten_with_path,
        tree_leaves,
        tree_map,
    )

    OpOverload: Any = torch._ops.OpOverload
    _COMPOSITE = torch._C.DispatchKey.CompositeImplicitAutograd
    _VIEWS = torch._C.DispatchKey.ADInplaceOrView
    _has_kernel = torch._C._dispatch_has_kernel_for_dispatch_key
    _without_key = torch._C._SetExcludeDispatchKeyGuard
    _ = torch.UntypedStorage._cdata, torch.ops.aten.add.Tensor._op_dk
except (ImportError, AttributeError) as error:
    raise InputError(
        f"torch {torch.__version__} works inside in another way than counting knows: {error}; "
        "install another torch, from 2.6 on and no newer than this package's release"
    ) from error

__all__ = [
    "AnyBatchNorm", "AnyConv", "MappingKey", "OpOverload", "StorageWeakRef", "TorchDispatchMode",
    "dispatch_modes", "has_composite_kernel", "keystr", "no_dispatch", "run_composite",
    "storage_id", "tree_flatten_with_path", "tree_leaves", "tree_map", "without_view_tracking",
]  # fmt: skip


def storage_id(tensor: Tensor) -> int:
    """A number that tensors share if they share memory, also those without any (meta tensors).

    Given again once the memory is freed: keep the tensor or a `StorageWeakRef` beside it.
    """
    return int(tensor.untyped_storage()._cdata)


def dispatch_modes() -> list[TorchDispatchMode]:
    """The modes that see operations now, outermost first."""
    return list(_get_current_dispatch_mode_stack())


def has_composite_kernel(func: Any) -> bool:
    """Whether torch makes an operation of others, whose gradients it follows."""
    return bool(_has_kernel(func.name(), _COMPOSITE))


def run_composite(func: Any, args: tuple[Any, ...], kwargs: Any) -> Any:
    """Runs the operations that a composite one is made of."""
    return func._op_dk(_COMPOSITE, *args, **kwargs)


def without_view_tracking(func: Any) -> AbstractContextManager[None]:
    """Inside, views are made as outside of any mode, unless the operation is a view itself."""
    guard: AbstractContextManager[None] = _without_key(_VIEWS, func.is_view)
    return guard
