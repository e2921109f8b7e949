"""The named architectures. Adding one is adding an entry here; needs no torch until built."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from gac.config import CIFAR_NEURON, IMAGENET_NEURON, MSResNetConfig
from gac.errors import InputError

if TYPE_CHECKING:
    from gac.msresnet import MSResNet

_IMAGENET = MSResNetConfig(
    steps=4,
    classes=1000,
    widths=(64, 128, 256, 512),
    blocks=(2, 2, 2, 2),
    strides=(2, 2, 2, 2),
    neuron=IMAGENET_NEURON,
    stem_kernel=7,
    stem_stride=2,
    norm_gain=0.5,
    last_norm_gain=0.0,
    initialisation="kaiming",
    image_size=224,
)
_CIFAR = MSResNetConfig(
    steps=6,
    classes=100,
    widths=(128, 256, 512),
    blocks=(3, 3, 2),
    strides=(1, 2, 2),
    neuron=CIFAR_NEURON,
)
_SMALL = replace(
    _CIFAR,
    steps=4,
    classes=10,
    stem_width=16,
    widths=(32, 64, 128),
    blocks=(1, 1, 1),
    image_size=16,
)
# Events are spikes already, so the stem reads them directly. A gate learnt event-digits as well
# (seed 1, 14 epochs: 97.2 % of 360 to 96.7 %) and took 15 times the energy (41 to 2.8 uJ, operand).
_SMALL_EVENTS = replace(_SMALL, encoder="direct", strides=(2, 2, 2), in_channels=2)

ARCHITECTURES: dict[str, MSResNetConfig] = {
    # Released code, CODE/CIFAR: MS-ResNet-18 with stages of 3, 3 and 2 blocks.
    "msresnet18-cifar": _CIFAR,
    # Released code, CODE/ImageNet: every stage starts with stride 2, no max-pooling.
    "msresnet18": _IMAGENET,
    "msresnet34": replace(_IMAGENET, blocks=(3, 4, 6, 3)),
    # Small enough to train on two cores in minutes; the shipped checkpoint is one of these.
    "msresnet8": _SMALL,
    # The same for images of 28 x 28 pixels, at about the same cost: the first block halves them.
    "msresnet8-28": replace(_SMALL, strides=(2, 2, 2), image_size=28),
    # For clips of event frames, OFF and ON in a channel each.
    "msresnet8-events": _SMALL_EVENTS,
    "msresnet8-events-34": replace(_SMALL_EVENTS, steps=10, image_size=34),
    "msresnet18-events": replace(
        _CIFAR, encoder="direct", steps=10, strides=(2, 2, 2), in_channels=2, image_size=64
    ),
}


def architecture(name: str, **changes: Any) -> MSResNetConfig:
    """The configuration of a named architecture, some fields changed.

    Raises:
        InputError: If the name or a field is unknown, or a value is out of its domain.

    Example:
        >>> architecture("msresnet18-cifar", classes=10).steps
        6
    """
    if name not in ARCHITECTURES:
        raise InputError(f"unknown model {name!r}; known: {', '.join(ARCHITECTURES)}")
    known = ARCHITECTURES[name]
    settings = [field.name for field in fields(known)]
    unknown = sorted(set(changes) - set(settings))
    if unknown:
        raise InputError(
            f"unknown model settings: {', '.join(unknown)}; known: {', '.join(settings)}"
        )
    return replace(known, **changes)


def build(name: str, **changes: Any) -> MSResNet:
    """A freshly initialised network of a named architecture.

    Args:
        name: One of `ARCHITECTURES`.
        **changes: Fields of `MSResNetConfig` to set differently, such as ``classes``,
            ``steps`` or ``encoder``.

    Raises:
        InputError: If the name or a field is unknown, or a value is out of its domain.

    Example:
        >>> network = build("msresnet8", steps=2)
        >>> sum(parameter.numel() for parameter in network.parameters())
        312350
    """
    from gac.msresnet import MSResNet

    return MSResNet(architecture(name, **changes))
