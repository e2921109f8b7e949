"""How to train on each data set: frozen settings by name. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass

from gac.errors import InputError


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Stochastic gradient descent with a cosine schedule to 0.

    Attributes:
        epochs: Passes over the training images.
        batch_size: Images per update; the last, smaller batch of an epoch is left out.
        lr: Learning rate of the first epoch.
        momentum, weight_decay: Of the optimiser.
        label_smoothing: Share of the target spread over all classes, in [0, 1).
        seed: Of the order of samples and of the augmentation.
        shift: Random shift, at most so many pixels each way; black moves in.
        flip: Whether to mirror half of the images.
        cutmix: Probability that a batch is mixed by CutMix (beta 1), in [0, 1].

    Raises:
        InputError: If a value is out of its domain.
    """

    epochs: int
    batch_size: int = 64
    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-5
    label_smoothing: float = 0.0
    seed: int = 0
    shift: int = 0
    flip: bool = False
    cutmix: float = 0.0

    def __post_init__(self) -> None:
        domains = {
            "epochs": (self.epochs >= 1, "at least 1"),
            "batch_size": (self.batch_size >= 2, "at least 2"),
            "lr": (0 < self.lr < float("inf"), "positive"),
            "momentum": (0 <= self.momentum < 1, "in [0, 1)"),
            "weight_decay": (0 <= self.weight_decay < float("inf"), "at least 0"),
            "label_smoothing": (0 <= self.label_smoothing < 1, "in [0, 1)"),
            "seed": (0 <= self.seed < 2**63, "in [0, 2**63)"),
            "shift": (self.shift >= 0, "at least 0"),
            "cutmix": (0 <= self.cutmix <= 1, "in [0, 1]"),
        }
        for name, (holds, domain) in domains.items():
            if not holds:
                raise InputError(f"{name} must be {domain}, got {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A network and the settings to train it with, for one data set.

    Attributes:
        model: One of `gac.registry.ARCHITECTURES`.
        config: The settings.
        source: Where they come from.
    """

    model: str
    config: TrainConfig
    source: str


# CutMix: the released script draws once for all batches of an epoch, here every batch draws.
_RELEASED = TrainConfig(epochs=250, seed=1000, shift=4, flip=True, cutmix=0.5)

RECIPES: dict[str, Recipe] = {
    "digits": Recipe(
        model="msresnet8",
        # With seed 0 the gate's two hidden units start, and stay, closed.
        config=TrainConfig(epochs=15, weight_decay=5e-4, shift=1, seed=1),
        source="chosen for this package: two to four minutes on two cores",
    ),
    "cifar10": Recipe(
        model="msresnet18-cifar",
        config=_RELEASED,
        source="released code (bollossom/GAC), CIFAR training script",
    ),
    "cifar100": Recipe(
        model="msresnet18-cifar",
        config=_RELEASED,
        source="released code (bollossom/GAC), CIFAR training script",
    ),
}


def recipe(name: str) -> Recipe:
    """The recipe for a data set.

    Raises:
        InputError: If there is none.

    Example:
        >>> recipe("cifar100").config.epochs
        250
    """
    if name not in RECIPES:
        raise InputError(f"no recipe to train on {name!r}; known: {', '.join(RECIPES)}")
    return RECIPES[name]
