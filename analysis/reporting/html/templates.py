"""The templates of pages, with what all of them use."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Any

from analysis.reporting.tables import Cell, number, shown

if TYPE_CHECKING:
    from markupsafe import Markup


def rendered(name: str, **content: Any) -> str:
    """A template filled in; whatever is not marked as safe is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    pages = Environment(
        loader=PackageLoader("analysis.reporting", "html"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    pages.globals |= {"asset": _asset, "shown": shown, "number": _finite}
    return pages.get_template(name).render(content)


def _asset(name: str) -> Markup:
    from markupsafe import Markup

    text = (files("analysis.reporting.html") / name).read_text(encoding="utf-8")
    return Markup(text)  # noqa: S704 - our own file


def _finite(cell: Cell) -> float | None:
    """The number of a cell, None where it has none."""
    value = number(cell)
    return None if value == float("-inf") else value
