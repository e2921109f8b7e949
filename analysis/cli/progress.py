"""A bar while samples are run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def progress(total: int | None, *, shown: bool) -> Iterator[Callable[[int], None]]:
    """A bar on stderr with the time that is left; silent where stderr is no terminal."""
    columns = (
        TextColumn("counting"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, transient=True, disable=not (shown and console.is_terminal)
    ) as bar:
        task = bar.add_task("counting", total=total)
        yield lambda samples: bar.advance(task, samples)
