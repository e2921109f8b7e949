"""`--help` on one screen: a line per option, in groups, then examples."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from textwrap import wrap
from typing import Any

from typer.core import TyperCommand, TyperOption

_WIDTH = 100
_NAMES = 25  # columns for an option and what it takes


class GroupedCommand(TyperCommand):
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
