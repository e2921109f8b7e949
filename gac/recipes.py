"""How to train on each data set: frozen settings by name, each with its source. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, get_args

from gac.errors import InputError

Loss = Literal["mean-logits", "tet"]
CutMixDraw = Literal["batch", "epoch"]
AutoAugment = Literal["none", "cifar10", "imagenet"]
Precision = Literal["float32", "float64", "bf16", "fp16"]
Budget = Literal["none", "rate", "energy"]

_INFINITY = float("inf")


def _setting(meaning: str, default: Any, holds: Any = None, domain: str = "") -> Any:
    """A field with its meaning, for the help, and the values it may have."""
    facts = {"meaning": meaning, "holds": holds, "domain": domain}
    return field(default=default, metadata=facts)


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Everything beside network and data that decides the weights training ends with.

    Stochastic gradient descent with momentum; the learning rate follows half a cosine to 0, one
    value per epoch. `meaning` says what each field is.

    Raises:
        InputError: If a value is out of its domain.
    """

    epochs: int = _setting("passes over the training images", 1, lambda v: v >= 1, "at least 1")
    batch_size: int = _setting(
        "images per update, of all processes together; a smaller rest of an epoch is left out",
        64,
        lambda v: v >= 2,
        "at least 2",
    )
    lr: float = _setting(
        "learning rate of the first epoch; half a cosine to 0",
        0.1,
        lambda v: 0 < v < _INFINITY,
        "positive",
    )
    warmup_epochs: float = _setting(
        "epochs over which the learning rate first rises from 0, update by update",
        0.0,
        lambda v: 0 <= v < _INFINITY,
        "at least 0",
    )
    momentum: float = _setting("momentum of the updates", 0.9, lambda v: 0 <= v < 1, "in [0, 1)")
    weight_decay: float = _setting(
        "weight decay, share per unit of learning rate",
        5e-5,
        lambda v: 0 <= v < _INFINITY,
        "at least 0",
    )
    loss: Loss = _setting(
        "mean-logits: cross-entropy of the logits' mean over the steps; tet: mean over the steps "
        "of the cross-entropy (Deng et al., ICLR 2022)",
        "mean-logits",
    )
    tet_weight: float = _setting(
        "of the tet loss: share of the squared distance of all logits from tet_target",
        1e-3,
        lambda v: 0 <= v <= 1,
        "in [0, 1]",
    )
    tet_target: float = _setting("of the tet loss: what it draws the logits to", 1.0)
    label_smoothing: float = _setting(
        "share of the target spread over all classes", 0.0, lambda v: 0 <= v < 1, "in [0, 1)"
    )
    shift: int = _setting(
        "random shift, at most so many pixels each way; black moves in",
        0,
        lambda v: v >= 0,
        "at least 0",
    )
    flip: bool = _setting("mirror half of the images", False)
    random_resize: bool = _setting(
        "cut out 8 to 100 % of an image at random and resize it (RandomResizedCrop)", False
    )
    autoaugment: AutoAugment = _setting(
        "torchvision's AutoAugment with the policy found for this data set", "none"
    )
    cutmix: float = _setting(
        "probability that images are mixed by CutMix (beta 1)",
        0.0,
        lambda v: 0 <= v <= 1,
        "in [0, 1]",
    )
    cutmix_draw: CutMixDraw = _setting(
        "what that probability decides on: every batch, or all batches of an epoch at once",
        "batch",
    )
    precision: Precision = _setting(
        "float32, float64, or mixed with bf16 or fp16; membranes then stay float32", "float32"
    )
    accumulate: int = _setting(
        "parts a batch is split into, one after another, to save memory; batch norm then sees "
        "one part at a time",
        1,
        lambda v: v >= 1,
        "at least 1",
    )
    sync_norm: bool = _setting(
        "several processes share the statistics of batch norm (SyncBatchNorm)", True
    )
    budget: Budget = _setting(
        "what to keep within a budget: rate (of firing), energy, or none of them", "none"
    )
    budget_target: float = _setting(
        "the budget: spikes per neuron and step, or picojoules per sample",
        0.0,
        lambda v: 0 <= v < _INFINITY,
        "at least 0",
    )
    budget_weight: float = _setting(
        "added to the loss for being over the budget by 100 %",
        1.0,
        lambda v: 0 <= v < _INFINITY,
        "at least 0",
    )
    budget_ramp: float = _setting(
        "share of the training over which that weight rises from 0: a network that has not learnt "
        "to see falls silent for good under all of it",
        0.5,
        lambda v: 0 <= v <= 1,
        "in [0, 1]",
    )
    seed: int = _setting(
        "of initialisation, order and augmentation", 0, lambda v: 0 <= v < 2**63, "in [0, 2**63)"
    )  # fmt: skip

    def __post_init__(self) -> None:
        for entry in fields(self):
            value, holds = getattr(self, entry.name), entry.metadata["holds"]
            allowed = choices(entry.name)
            if allowed and value not in allowed:
                raise InputError(f"unknown {entry.name} {value!r}; known: {', '.join(allowed)}")
            if holds is not None and not holds(value):
                raise InputError(f"{entry.name} must be {entry.metadata['domain']}, got {value}")
        if self.budget != "none" and not self.budget_target:
            raise InputError(f"a budget of {self.budget} needs its size: budget_target")
        if self.budget == "none" and self.budget_target:
            raise InputError(
                f"budget_target {self.budget_target} is of no budget; say which: rate or energy"
            )


def meaning(name: str) -> str:
    """What a setting of `TrainConfig` is, for the help."""
    return TrainConfig.__dataclass_fields__[name].metadata["meaning"]


def choices(name: str) -> tuple[str, ...]:
    """The words a setting may have; none for numbers."""
    return get_args(_CHOICES.get(name))


_CHOICES: dict[str, Any] = {
    "loss": Loss,
    "autoaugment": AutoAugment,
    "cutmix_draw": CutMixDraw,
    "precision": Precision,
    "budget": Budget,
}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A network and the settings to train it with, for one data set.

    Attributes:
        data: One of `gac.data.DATASETS`.
        model: One of `gac.registry.ARCHITECTURES`.
        config: The settings.
        source: Where they come from.
        released: Settings of the released script that are better left behind; see `as_released`.
    """

    data: str
    model: str
    config: TrainConfig
    source: str
    released: Mapping[str, Any] = field(default_factory=dict)

    def as_released(self) -> Recipe:
        """The recipe with what the released script does, also where it looks like a slip."""
        return replace(self, config=replace(self.config, **self.released))


# Released code (bollossom/GAC, commit ed8130a), CIFAR script: SGD with momentum 0.9 and weight
# decay 5e-5, learning rate 0.1, cosine over 250 epochs, batch 64, seed 1000; crop 32 with
# padding 4, flip, CutMix with beta 1 and probability 0.5.
_CIFAR = TrainConfig(epochs=250, seed=1000, shift=4, flip=True, cutmix=0.5)
# The same, ImageNet script: batch 256, weight decay 1e-5, label smoothing 0.1, 250 epochs, mixed
# precision, seed 445; RandomResizedCrop 224, AutoAugment, CutMix on every batch, no flip.
_IMAGENET = TrainConfig(
    epochs=250,
    batch_size=256,
    weight_decay=1e-5,
    label_smoothing=0.1,
    random_resize=True,
    autoaugment="imagenet",
    flip=True,  # beside the released script, which leaves it out
    cutmix=1.0,
    precision="fp16",
    seed=445,
)
_CIFAR_SOURCE = "released code (bollossom/GAC), CIFAR training script"
_IMAGENET_SOURCE = "released code (bollossom/GAC), ImageNet training script; flip added"
_EVENTS_SOURCE = "chosen for this package, not run: no data here"

RECIPES: dict[str, Recipe] = {
    "digits": Recipe(
        data="digits",
        model="msresnet8",
        # With seed 0 the gate's two hidden units start, and stay, closed.
        config=TrainConfig(epochs=15, weight_decay=5e-4, shift=1, seed=1),
        source="chosen for this package: two to four minutes on two cores",
    ),
    "mnist5k": Recipe(
        data="mnist5k",
        model="msresnet8-28",
        config=TrainConfig(epochs=40, weight_decay=5e-4, shift=2, seed=1),
        source="chosen for this package: under 15 minutes on two cores",
    ),
    "cifar10": Recipe(
        data="cifar10",
        model="msresnet18-cifar",
        config=_CIFAR,
        source=_CIFAR_SOURCE,
        released={"cutmix_draw": "epoch"},
    ),
    "cifar100": Recipe(
        data="cifar100",
        model="msresnet18-cifar",
        config=_CIFAR,
        source=_CIFAR_SOURCE,
        released={"cutmix_draw": "epoch"},
    ),
    "event-digits": Recipe(
        data="event-digits",
        model="msresnet8-events",
        config=TrainConfig(epochs=10, batch_size=32, weight_decay=5e-4, shift=1, seed=1),
        source="chosen for this package: one to four minutes on two cores",
    ),
    "nmnist": Recipe(
        data="nmnist",
        model="msresnet8-events-34",
        config=TrainConfig(epochs=20, weight_decay=5e-4, shift=2, seed=1),
        source=_EVENTS_SOURCE,
    ),
    "dvs128gesture": Recipe(
        data="dvs128gesture",
        model="msresnet18-events",
        # No mirror images: three classes are the left hand's, three the right hand's.
        config=TrainConfig(epochs=100, batch_size=16, lr=0.05, weight_decay=5e-4, shift=4, seed=1),
        source=_EVENTS_SOURCE,
    ),
    "cifar10dvs": Recipe(
        data="cifar10dvs",
        model="msresnet18-events",
        config=TrainConfig(
            epochs=100, batch_size=32, lr=0.05, weight_decay=5e-4, shift=4, flip=True, seed=1
        ),
        source=_EVENTS_SOURCE,
    ),
    "imagenet-r18": Recipe(
        data="imagenet",
        model="msresnet18",
        config=_IMAGENET,
        source=_IMAGENET_SOURCE,
        released={"flip": False},
    ),
    "imagenet-r34": Recipe(
        data="imagenet",
        model="msresnet34",
        config=_IMAGENET,
        source=_IMAGENET_SOURCE,
        released={"flip": False},
    ),
}


def recipe(name: str) -> Recipe:
    """The recipe of a name.

    Raises:
        InputError: If there is none.

    Example:
        >>> recipe("cifar100").config.epochs
        250
    """
    if name not in RECIPES:
        raise InputError(f"no recipe {name!r}; known: {', '.join(RECIPES)}")
    return RECIPES[name]
