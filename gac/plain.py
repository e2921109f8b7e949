"""Frozen records as plain values, the way a checkpoint keeps them, and back. Needs no torch."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any, TypeVar

from gac.errors import InputError

T = TypeVar("T")


def to_plain(record: Any) -> dict[str, Any]:
    """A dataclass as numbers, strings, lists and dictionaries."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(record)))  # tuples become lists
    return plain


def from_plain(cls: type[T], values: object) -> T:
    """The inverse of `to_plain`: every field there, of its declared type, and no other.

    Raises:
        InputError: Naming the first field that is not so, or whose value is out of its domain.
    """
    from pydantic import TypeAdapter, ValidationError

    try:
        # Strict JSON: a list stands for a tuple, and nothing else for anything else.
        text = json.dumps(values)
        record = TypeAdapter(cls).validate_json(text, strict=True, extra="forbid")
    except ValidationError as error:
        first = error.errors()[0]
        place = "".join(f"{part}: " for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise InputError(f"{cls.__name__}: {place}{message}") from error
    except (TypeError, ValueError, RecursionError) as error:  # a tensor, or no end of nesting
        raise InputError(f"{cls.__name__}: no plain values: {error}") from error
    missing = sorted(_names(to_plain(record)) - _names(values))  # also those with a default
    if missing:
        raise InputError(f"{cls.__name__}: missing {', '.join(missing)}")
    return record


def _names(values: object, before: str = "") -> set[str]:
    """The fields of all levels, such as ``neuron.decay``."""
    if not isinstance(values, dict):
        return set()
    own = {f"{before}{name}" for name in values}
    return own.union(*(_names(value, f"{before}{name}.") for name, value in values.items()))
