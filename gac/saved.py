"""Where a file that somebody saved keeps its weights, and under which names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from gac.errors import InputError
from gac.state import listed

# Keys under which training scripts keep the weights; of several, the first one is taken.
WRAPPERS = (
    "state_dict", "model_state_dict", "model", "net", "state", "module", "state_dict_ema", "ema",
)  # fmt: skip
# What data parallelism, torch.compile, Lightning and the like put in front of every name.
PREFIXES = ("module.", "_orig_mod.", "model.", "net.")
_DEEPEST = 3


@dataclass(frozen=True)
class Saved:
    """The weights of a file.

    Attributes:
        state: By the names of the file; values that are no tensors among them, too.
        under: The keys that lead to them.
        others: Keys of further weights that were not taken.
    """

    state: Mapping[str, Any]
    under: tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What has to be said of them."""
        if not self.others:
            return ()
        return (f"weights under {'.'.join(self.under)!r}; not those under {listed(self.others)}",)


def weights_in(content: Any) -> Saved:
    """The weights in what a file holds: names to tensors, or those wrapped in a checkpoint.

    Raises:
        InputError: If there are none, with the keys that were found.

    Example:
        >>> import torch
        >>> weights_in({"epoch": 3, "net": {"module.fc.weight": torch.ones(1)}}).under
        ('net',)
    """
    found = content
    under: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    for _ in range(_DEEPEST):
        if not isinstance(found, Mapping) or any(isinstance(v, Tensor) for v in found.values()):
            break
        keys = [key for key in WRAPPERS if isinstance(found.get(key), Mapping)]
        if not keys:
            break
        found, under, others = found[keys[0]], (*under, keys[0]), (*others, *keys[1:])
    if isinstance(found, Mapping) and any(isinstance(v, Tensor) for v in found.values()):
        return Saved(found, under, others)
    if not isinstance(content, Mapping):
        raise InputError(f"holds a {type(content).__name__}, no weights (names -> tensors)")
    raise InputError(
        f"holds no weights (names -> tensors), also not under {', '.join(WRAPPERS)}; its keys are "
        f"{listed(map(str, content), 8) or 'none'}"
    )


def without_prefixes(state: Mapping[str, Any]) -> dict[str, Any]:
    """Names without what is in front of all of them.

    Example:
        >>> without_prefixes({"module._orig_mod.fc.weight": 1, "module._orig_mod.fc.bias": 2})
        {'fc.weight': 1, 'fc.bias': 2}
    """
    found = dict(state)
    for _ in range(_DEEPEST):
        prefix = next((p for p in PREFIXES if all(str(n).startswith(p) for n in found)), None)
        if prefix is None or not found:
            break
        found = {name.removeprefix(prefix): value for name, value in found.items()}
    return found
