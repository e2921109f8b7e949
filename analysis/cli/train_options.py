"""The options of `gac-train`: one for every field of `gac.recipes.TrainConfig`, made from it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields
from typing import Annotated, Any, get_type_hints

import typer

from gac.recipes import RECIPES, TrainConfig, choices, meaning

_GROUPS = {
    "Optimiser": (
        "epochs", "batch_size", "lr", "warmup_epochs", "momentum", "weight_decay", "seed",
    ),
    "Loss": (
        "loss", "tet_weight", "tet_target", "label_smoothing", "budget", "budget_target",
        "budget_weight", "budget_ramp",
    ),
    "Augmentation": ("shift", "flip", "random_resize", "autoaugment", "cutmix", "cutmix_draw"),
    "Speed and memory": ("precision", "accumulate", "sync_norm"),
}  # fmt: skip


def _by_recipe(field: str) -> str:
    """The defaults of one setting, for the help."""
    values: dict[Any, list[str]] = {}
    for name, known in RECIPES.items():
        values.setdefault(getattr(known.config, field), []).append(name)
    if len(values) == 1:
        return _word(next(iter(values)))
    return ", ".join(f"{_word(value)} ({', '.join(names)})" for value, names in values.items())


def _word(value: Any) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _setting(name: str, group: str) -> inspect.Parameter:
    """The option of one field; unset it is the recipe's."""
    kind = get_type_hints(TrainConfig)[name]
    words = choices(name)
    text = meaning(name)
    if not all(word in text for word in words):
        text = f"{text}: {', '.join(words)}"
    option = typer.Option(
        help=f"{text[0].upper()}{text[1:]}. Default {_by_recipe(name)}.",
        show_default=False,
        metavar={int: "N", float: "NUMBER"}.get(kind, "NAME"),
        rich_help_panel=group,
    )
    annotation: Any = Annotated[(str if words else kind) | None, option]
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation
    )


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command the options of `TrainConfig`, which arrive as keywords."""
    own = inspect.signature(command, eval_str=True)
    kept = [p for p in own.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
    extra = [_setting(name, group) for group, names in _GROUPS.items() for name in names]
    command.__signature__ = own.replace(parameters=[*kept, *extra])  # type: ignore[attr-defined]
    return command


def option(help_text: str, group: str, *names: str, **more: Any) -> Any:
    """An option under a heading of the help."""
    more.setdefault("metavar", "N" if "min" in more else "NAME")
    return typer.Option(*names, help=help_text, rich_help_panel=group, **more)


_COVERED = {name for names in _GROUPS.values() for name in names}
if {field.name for field in fields(TrainConfig)} != _COVERED:
    raise TypeError("every setting needs a group in the help")
