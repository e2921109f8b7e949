"""Gated Attention Coding MS-ResNets: models, checkpoints, training.

Everything is imported on first use, so that a command line that only prints its help does not
load torch.
"""

from importlib import import_module
from typing import Any

__version__ = "0.2.0"

_HOME = {
    "ARCHITECTURES": "gac.registry",
    "Checkpoint": "gac.checkpoint",
    "InputError": "gac.errors",
    "MSResNetConfig": "gac.config",
    "build": "gac.registry",
    "export_official": "gac.official",
    "load": "gac.checkpoint",
    "load_state": "gac.official",
}
__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
