"""`--help` with its options in groups, on one screen or as a manual; the frame of a command."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from textwrap import wrap
from typing import Any

import typer
from typer.core import TyperCommand, TyperOption

_WIDTH = 100
_NAMES = 25  # columns for an option and what it takes


def application() -> typer.Typer:
    """A command line whose errors are one line, told by `analysis.cli.errors`."""
    return typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


class OneScreen(TyperCommand):
    """A command whose options are listed by the group they were declared in.

    An option's group is its ``rich_help_panel``; groups and options keep the order in which they
    were declared.
    """

    def get_help(self, ctx: Any) -> str:
        """The whole text."""
        return "\n".join([*self._head(ctx), *self._groups(), *(self.epilog or "").split("\n")])

    def _head(self, ctx: Any) -> Iterator[str]:
        yield f"Usage: {ctx.command_path} [OPTIONS] [CHECKPOINT.pth | REPORT.json]..."
        yield from (line.strip() for line in (self.help or "").splitlines() if line.strip())

    def _groups(self) -> Iterator[str]:
        options = [p for p in self.params if isinstance(p, TyperOption) and not p.hidden]
        for group, members in groupby(options, key=lambda option: option.rich_help_panel or "More"):
            yield f"{group}:"
            for option in members:
                yield from _lines(option)


class Manual(TyperCommand):
    """A command with long help texts, its options under headings in the order of declaration.

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


def _lines(option: TyperOption) -> Iterator[str]:
    """An option with its help behind it, on as few lines as the width allows."""
    takes = "" if option.is_flag else f" {option.metavar or 'TEXT'}"
    names = f"  {option.opts[0]}{takes}"
    if len(names) >= _NAMES:
        yield names
        names = ""
    for line in wrap(option.help or "", _WIDTH - _NAMES - 1) or [""]:
        yield f"{names:{_NAMES}} {line}".rstrip()
        names = ""
