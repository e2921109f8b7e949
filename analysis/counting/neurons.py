"""Which modules are spiking neurons: the classes of known frameworks, or the caller's own.

Nothing is imported: a framework that is not loaded can't have neurons in the model.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

from torch import nn

_CLASSES = (("gac.neurons", "LIF"),)  # (module, class); subclasses count too


def find_neurons(
    model: nn.Module, named: Iterable[type[nn.Module] | str] = ()
) -> frozenset[nn.Module]:
    """The spiking neuron layers of a model.

    Args:
        model: Any model.
        named: Further neuron classes, or module paths.

    Example:
        >>> find_neurons(nn.Sequential(nn.Linear(2, 2), nn.Tanh()), [nn.Tanh])
        frozenset({Tanh()})
    """
    wanted = list(named)
    classes = tuple(entry for entry in wanted if isinstance(entry, type))
    for home, name in _CLASSES:
        if home in sys.modules:
            classes += (getattr(sys.modules[home], name),)
    paths = {entry for entry in wanted if isinstance(entry, str)}
    return frozenset(
        module
        for path, module in model.named_modules()
        if isinstance(module, classes) or path in paths
    )
