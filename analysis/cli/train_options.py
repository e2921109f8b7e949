"""The options of `gac-train`: one for every field of `gac.recipes.TrainConfig`, made from it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields
from typing import Annotated, Any, get_type_hints

import typer
from typer.core import TyperCommand

from gac.recipes import RECIPES, TrainConfig, choices, meaning


class GroupedHelp(TyperCommand):
    """Plain help with its options under headings, in the order they are declared.

    typer's boxed help loads a Markdown renderer, half of the time it takes to answer.
    """

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Writes one section per group."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                name = getattr(parameter, "rich_help_panel", None) or "Options"
                groups.setdefault(name, []).append(record)
        for name, records in groups.items():
            with formatter.section(name):
                formatter.write_dl(records)


_GROUPS = {
    "Optimiser": (
        "epochs", "batch_size", "lr", "warmup_epochs", "momentum", "weight_decay", "seed",
    ),
    "Loss": (
        "loss", "tet_weight", "tet_target", "label_smoothing", "budget", "budget_target",
        "budget_weight",
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
    return typer.Option(*names, help=help_text, rich_help_panel=group, **more)


_COVERED = {name for names in _GROUPS.values() for name in names}
if {field.name for field in fields(TrainConfig)} != _COVERED:
    raise TypeError("every setting needs a group in the help")
