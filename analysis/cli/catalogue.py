"""Networks by name: those of this package, of torchvision and of timm, without their weights."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from torch import nn

import gac
from analysis.errors import InputError
from gac.registry import ARCHITECTURES


@dataclass(frozen=True)
class Entry:
    """A network, the shape of one of its inputs, and its simulation steps."""

    model: nn.Module
    shape: tuple[int, ...]
    steps: int


def built(name: str, steps: int | None, shape: tuple[int, ...] | None) -> Entry:
    """The network of a name such as ``msresnet18`` or ``torchvision/resnet18``.

    Args:
        name: As `analysis.cli.question` has checked it.
        steps: Other than its own; a network of torchvision or timm has one.
        shape: Of one input, other than its own.

    Raises:
        InputError: If there is no such network, or the library is not installed.
    """
    library, _, plain = name.rpartition("/")
    if library == "torchvision":
        return Entry(_of_torchvision(plain), shape or (3, 224, 224), steps or 1)
    if library == "timm":
        model, own = _of_timm(plain)
        return Entry(model, shape or own, steps or 1)
    network = gac.build(name, **({} if steps is None else {"steps": steps}))
    config = network.config
    own = (config.in_channels, config.image_size, config.image_size)
    return Entry(network, shape or own, config.steps)


def _of_torchvision(name: str) -> nn.Module:
    try:
        from torchvision import models
    except ModuleNotFoundError as error:
        raise InputError(f"--arch torchvision/{name} needs torchvision, which is not installed: "
                         "pip install torchvision") from error  # fmt: skip
    known = models.list_models(module=models)
    if name not in known:
        raise InputError(_unknown("torchvision", name, known))
    model: nn.Module = models.get_model(name, weights=None)
    return model


def _of_timm(name: str) -> tuple[nn.Module, tuple[int, ...]]:
    try:
        import timm
    except ModuleNotFoundError as error:
        raise InputError(f"--arch timm/{name} needs timm, which is not installed: "
                         "pip install timm") from error  # fmt: skip
    if not timm.is_model(name):
        raise InputError(_unknown("timm", name, timm.list_models()))
    model: Any = timm.create_model(name, pretrained=False)
    return model, tuple(model.default_cfg["input_size"])


def _unknown(library: str, name: str, known: list[str]) -> str:
    near = get_close_matches(name, known, n=5) or known[:5]
    names = ", ".join(f"{library}/{other}" for other in near)
    return (
        f"{library} has no image classifier {name!r}; near: {names}; of this package: "
        f"{', '.join(ARCHITECTURES)}"
    )
