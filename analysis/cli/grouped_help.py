"""`--help`, its options in groups and as wide as the terminal; what all commands have."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from importlib.metadata import version
from io import StringIO
from itertools import groupby
from shutil import get_terminal_size
from textwrap import wrap
from typing import Annotated, Any

import typer
from typer.core import TyperArgument, TyperCommand, TyperOption

_WIDEST, _NARROWEST = 100, 60
_NAMES = 25  # columns for an option and what it takes
HELP_NAMES = {"help_option_names": ["-h", "--help"]}


def application() -> typer.Typer:
    """A command line whose errors are one line, told by `analysis.cli.errors`."""
    return typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


def _tell_version(context: typer.Context, asked: bool) -> None:
    if asked:
        sys.stdout.write(f"{context.info_name} {version('gac-energy')}\n")
        raise typer.Exit


Version = Annotated[
    bool,
    typer.Option(
        "--version", is_eager=True, callback=_tell_version, rich_help_panel="More",
        help="print the version and end",
    ),
]  # fmt: skip
Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet", "-q", rich_help_panel="More",
        help="print nothing but errors; files and the exit status tell the rest",
    ),
]  # fmt: skip


@contextmanager
def speaking(*, quiet: bool) -> Iterator[None]:
    """What is printed to stdout inside is dropped if it is to be quiet."""
    if not quiet:
        yield
        return
    with redirect_stdout(StringIO()):
        yield


class GroupedHelp(TyperCommand):
    """A command whose options are listed by the group they were declared in.

    An option's group is its ``rich_help_panel``; groups and options keep the order in which they
    were declared. typer's boxed help loads a Markdown renderer, half of the time it takes to
    answer.
    """

    def get_help(self, ctx: Any) -> str:
        """The whole text."""
        width = min(max(get_terminal_size((_WIDEST, 24)).columns, _NARROWEST), _WIDEST)
        epilog = [
            line for text in (self.epilog or "").split("\n") for line in _wrapped(text, width)
        ]
        return "\n".join([*self._head(ctx, width), *self._groups(width), *epilog])

    def _head(self, ctx: Any, width: int) -> Iterator[str]:
        taken = [p for p in self.params if isinstance(p, TyperArgument)]
        usage = ["Usage:", ctx.command_path, "[OPTIONS]", *(_bracketed(p) for p in taken)]
        yield from wrap(" ".join(usage), width, subsequent_indent="    ")
        for paragraph in (self.help or "").split("\n\n"):
            yield from wrap(" ".join(paragraph.split()), width)
        for argument in self.params:
            if isinstance(argument, TyperArgument) and argument.help:
                yield from _lines(f"  {argument.metavar}", argument.help, width)

    def _groups(self, width: int) -> Iterator[str]:
        options = [p for p in self.params if isinstance(p, TyperOption) and not p.hidden]
        options.sort(key=lambda option: option.rich_help_panel == "More")
        for group, members in groupby(
            options, key=lambda option: option.rich_help_panel or "Options"
        ):
            yield f"{group}:"
            for option in members:
                yield from _lines(f"  {_names(option)}", _meaning(option), width)
        yield from _lines("  -h, --help", "print this and end", width)


def _bracketed(argument: TyperArgument) -> str:
    """An argument in the line of usage; all of them may be left out."""
    name = argument.metavar or argument.name or ""
    return name if name.startswith("[") else f"[{name}]"


def _names(option: TyperOption) -> str:
    """All its names, and what it takes."""
    long, *short = option.opts
    names = ", ".join([*short, " / ".join([long, *option.secondary_opts])])
    return names if option.is_flag else f"{names} {option.metavar or 'NAME'}"


def _meaning(option: TyperOption) -> str:
    """Its help, with the default where the text does not say it."""
    text, value = option.help or "", option.default
    said = "efault" in text or option.is_flag or value is None or isinstance(value, list)
    return text if said else f"{text.rstrip('.')}; default {value}"


def _lines(names: str, text: str, width: int) -> Iterator[str]:
    """An option with its help behind it, on as few lines as the width allows."""
    if len(names) >= _NAMES:
        yield names
        names = ""
    for line in wrap(text, width - _NAMES - 1) or [""]:
        yield f"{names:{_NAMES}} {line}".rstrip()
        names = ""


def _wrapped(line: str, width: int) -> list[str]:
    """A line of examples as it is where it fits; else on several, the later ones indented."""
    if len(line) <= width:
        return [line]
    return wrap(line, width, subsequent_indent="    ")
