"""What defines a GAC MS-ResNet: frozen, printable, saved in every checkpoint. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from gac.errors import InputError

Surrogate = Literal["triangle", "rectangle"]
Encoder = Literal["gac", "direct", "poisson", "latency"]
GateMode = Literal["full", "temporal", "spatial", "off", "frozen", "permuted"]
Initialisation = Literal["default", "kaiming"]


def _check(condition: bool, message: str) -> None:
    if not condition:
        raise InputError(message)


def _check_choice(name: str, value: str, allowed: tuple[str, ...]) -> None:
    _check(value in allowed, f"unknown {name} {value!r}; known: {', '.join(allowed)}")


@dataclass(frozen=True, kw_only=True)
class NeuronConfig:
    """A leaky integrate-and-fire neuron with hard reset to 0 and a strict threshold.

    Attributes:
        threshold: Firing threshold of the membrane (dimensionless).
        decay: Share of the membrane that survives a step, in (0, 1].
        surrogate: Gradient of the spike: ``triangle`` max(0, 1 - abs(u)) or ``rectangle``
            1 where abs(u) < 1/2, with u = membrane - threshold.
        detach_reset: Whether no gradient flows through the reset.
    """

    threshold: float
    decay: float
    surrogate: Surrogate
    detach_reset: bool

    def __post_init__(self) -> None:
        _check(self.threshold > 0, f"threshold must be positive, got {self.threshold}")
        _check(0 < self.decay <= 1, f"decay must lie in (0, 1], got {self.decay}")
        _check_choice("surrogate", self.surrogate, get_args(Surrogate))


# The two neurons of the released code: one per data set, `LIFSpike` and `mem_update`.
CIFAR_NEURON = NeuronConfig(threshold=1.0, decay=0.5, surrogate="triangle", detach_reset=False)
IMAGENET_NEURON = NeuronConfig(threshold=0.5, decay=0.25, surrogate="rectangle", detach_reset=True)


@dataclass(frozen=True, kw_only=True)
class MSResNetConfig:
    """Shape and behaviour of one network of the family.

    Attributes:
        steps: Simulation steps T.
        classes: Number of classes.
        encoder: ``gac`` (spikes times attention gate), ``direct`` (the current itself), or one
            that turns pixels into spikes first: ``poisson`` (rate) or ``latency``.
        widths, blocks, strides: Channels, residual blocks and first stride of each stage.
        stem_width, stem_kernel, stem_stride: The first convolution.
        neuron: The neuron used everywhere in the network.
        norm_gain: Initial gain of every batch norm but the last one of a block.
        last_norm_gain: Initial gain of the second batch norm of a block.
        initialisation: Of the 2-d convolutions: torch's ``default`` or ``kaiming`` (normal,
            fan-out).
        gate_kernel: Kernel of the gate's two spatial convolutions.
        gate_reduction: The gate's temporal attention has ``steps // gate_reduction`` hidden units.
        gate: ``full`` as released, or an ablation: only its ``temporal`` or its ``spatial``
            factor; ``off``, plain spikes; ``frozen``, the mean of the temporal factor at every
            step; ``permuted``, the temporal factor's steps in another order.
        encoder_seed: Of the draws of the Poisson code and of the permuted order.
        in_channels, image_size: The images the network was made for.

    Raises:
        InputError: If the values contradict each other.
    """

    steps: int
    classes: int
    widths: tuple[int, ...]
    blocks: tuple[int, ...]
    strides: tuple[int, ...]
    neuron: NeuronConfig
    encoder: Encoder = "gac"
    stem_width: int = 64
    stem_kernel: int = 3
    stem_stride: int = 1
    norm_gain: float = 1.0
    last_norm_gain: float = 1.0
    initialisation: Initialisation = "default"
    gate_kernel: int = 4
    gate_reduction: int = 2
    gate: GateMode = "full"
    encoder_seed: int = 0
    in_channels: int = 3
    image_size: int = 32

    def __post_init__(self) -> None:
        positive = ("steps", "classes", "stem_width", "stem_kernel", "stem_stride", "gate_kernel")
        for name in (*positive, "gate_reduction", "in_channels", "image_size"):
            value = getattr(self, name)
            _check(isinstance(value, int) and value > 0, f"{name} must be at least 1, got {value}")
        _check(
            len(self.widths) == len(self.blocks) == len(self.strides) > 0,
            f"widths, blocks and strides need one entry per stage, got {self.widths}, "
            f"{self.blocks}, {self.strides}",
        )
        entries: tuple[Any, ...] = (*self.widths, *self.blocks, *self.strides)
        _check(
            all(isinstance(entry, int) and entry > 0 for entry in entries),
            f"widths, blocks and strides must be at least 1, got {self.widths}, {self.blocks}, "
            f"{self.strides}",
        )
        for name in ("norm_gain", "last_norm_gain"):
            value = getattr(self, name)
            _check(isinstance(value, int | float), f"{name} must be a number, got {value!r}")
        _check_choice("encoder", self.encoder, get_args(Encoder))
        _check_choice("initialisation", self.initialisation, get_args(Initialisation))
        _check_choice("gate", self.gate, get_args(GateMode))
        _check(
            self.gate == "full" or self.encoder == "gac",
            f"gate {self.gate!r} needs the gac encoder, got encoder {self.encoder!r}",
        )
        seed: Any = self.encoder_seed
        _check(
            isinstance(seed, int) and 0 <= seed < 2**32,
            f"encoder_seed must lie in [0, 2**32), got {seed!r}",
        )
        _check(
            not self.attends_to_time or self.steps >= self.gate_reduction,
            f"the gac encoder needs at least {self.gate_reduction} steps (its temporal attention "
            f"has steps // {self.gate_reduction} hidden units), got {self.steps}; "
            "use encoder='direct' or more steps",
        )
        _check(
            self.gate != "permuted" or self.steps >= 2,
            f"a permuted gate needs at least 2 steps, got {self.steps}",
        )

    @property
    def encoding(self) -> str:
        """The encoder in words, its ablation with it: ``gac`` or ``gac (gate frozen)``."""
        return self.encoder if self.gate == "full" else f"{self.encoder} (gate {self.gate})"

    @property
    def attends_to_time(self) -> bool:
        """Whether there is a temporal attention."""
        return self.encoder == "gac" and self.gate not in ("spatial", "off")

    @property
    def reads_intensities(self) -> bool:
        """Whether images have to be plain intensities in [0, 1], not normalised ones."""
        return self.encoder in ("poisson", "latency")
