"""Options that would have nothing to do are refused: a budget that nobody checks is not kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import typer

from analysis.errors import InputError

_OF_A_RUN = frozenset(
    (
        "data", "data_root", "model", "role", "neurons", "time_layout", "loop", "forward",
        "input_shape", "kinds", "samples", "until_ci", "batch_size", "dtype", "device", "threads",
        "seed", "crosscheck", "flips",
    )
)  # fmt: skip
_OF_A_REPORT = frozenset(
    (
        "by", "top", "per_sample", "coding", "against", "anyway", "baseline", "with_published",
        "budget", "write_budget", "force", "margin", "junit",
    )
)  # fmt: skip
_BUILT_HERE = frozenset(
    ("model", "role", "neurons", "time_layout", "loop", "forward", "kinds", "input_shape")
)
_OF_ONE = frozenset(("by", "top", "memory", "versus"))


def refuse_idle(
    context: typer.Context, inputs: Sequence[Path], *, without_data: str | None = None
) -> None:
    """Refuses what the user typed but this command would not look at.

    Args:
        context: Knows which options were given.
        inputs: Checkpoints and reports.
        without_data: What is priced at stated rates: an ``arch``, a ``model``, a ``report``.

    Raises:
        InputError: If there is such an option.
    """
    if without_data is not None:
        by_kind = {"arch": {"input_shape", "role"}, "model": _BUILT_HERE}
        used = by_kind.get(without_data, frozenset())
        refused = (_OF_A_RUN | _OF_A_REPORT) - used
        refused |= {"steps"} if without_data == "report" else set()
        _refuse(context, refused, "--rates and --solve-rate run no network on samples")
    elif inputs and all(is_report(file) for file in inputs):
        _refuse(context, _OF_A_RUN | {"steps"}, "a report is a run that was made already")
    if len(inputs) > 1:
        _refuse(context, _OF_ONE, "several inputs are shown as one table")


def is_report(file: Path) -> bool:
    """Whether an input is a report that was written, no checkpoint."""
    return file.suffix == ".json"


def _refuse(context: typer.Context, names: Iterable[str], why: str) -> None:
    given = [
        option.opts[0]
        for option in context.command.params
        if option.name in names and _typed(context, option.name)
    ]
    if given:
        raise InputError(f"{why}, so {', '.join(given)} would do nothing; leave it out")


def _typed(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
