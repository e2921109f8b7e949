"""The budget file: what may be spent, as TOML, and how it is read.

schema = 1
convention = "operand"              # what [total] and [layers] are priced under
technology = "45nm-fp32"

[total]
accuracy = { min = 0.98 }
energy_pj = { min = 4.8e7, max = 5.8e7 }

[conventions."operand-once"]        # totals under another convention
energy_pj = { max = 2.5e7 }

[layers."stages.*.neuron?"]         # every layer that the pattern fits, each on its own
firing_rate = { min = 0.01, max = 0.3 }
"""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from pydantic import ConfigDict, TypeAdapter, ValidationError

from analysis.errors import InputError

TotalQuantity = Literal["accuracy", "firing_rate", "acs", "macs", "energy_pj"]
PricedQuantity = Literal["acs", "macs", "energy_pj"]
SITE_QUANTITIES = ("in_rate", "synops", "acs", "macs", "energy_pj")
LayerQuantity = Literal["firing_rate", "in_rate", "synops", "acs", "macs", "energy_pj"]


@dataclass(frozen=True)
class Limit:
    """What a quantity may be; both ends belong to it.

    Raises:
        InputError: If there is no end, an end is no number, or they are the wrong way round.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    min: float | None = None
    max: float | None = None

    def __post_init__(self) -> None:
        ends = [end for end in (self.min, self.max) if end is not None]
        if not ends:
            raise InputError("give min, max or both")
        if not all(math.isfinite(end) and end >= 0 for end in ends):
            raise InputError(f"min and max must be numbers of at least 0, got {self}")
        if ends != sorted(ends):
            raise InputError(f"min is above max: {self}")

    def __str__(self) -> str:
        """As the file has it.

        Examples:
            >>> str(Limit(0.1, 0.2)), str(Limit(max=3.0))
            ('min 0.1, max 0.2', 'max 3')
        """
        ends = (("min", self.min), ("max", self.max))
        return ", ".join(f"{name} {end:.12g}" for name, end in ends if end is not None)


@dataclass(frozen=True, kw_only=True)
class Budget:
    """The content of a budget file.

    Attributes:
        schema: Version of this layout.
        convention, technology: What totals and layers are priced under, by name.
        data: What the limits were measured on; a run on something else is refused.
        network: What the limits were measured of; another one is still checked, with a word.
        margin: With which the file was written, such as ``10%``; for the next time.
        total: Limits on the whole network, per sample.
        conventions: The same under further conventions, by their names.
        layers: Limits on every layer that a pattern fits: ``*`` stands for anything, ``?`` for
            one character; a layer's exact name is a pattern, too.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    schema: Literal[1]
    convention: str = "operand"
    technology: str = "45nm-fp32"
    data: str | None = None
    network: str | None = None
    margin: str | None = None
    total: Mapping[TotalQuantity, Limit] = field(default_factory=dict)
    conventions: Mapping[str, Mapping[PricedQuantity, Limit]] = field(default_factory=dict)
    layers: Mapping[str, Mapping[LayerQuantity, Limit]] = field(default_factory=dict)

    def limits(self) -> Iterator[Limit]:
        """All of them."""
        yield from self.total.values()
        for priced in self.conventions.values():
            yield from priced.values()
        for layer in self.layers.values():
            yield from layer.values()


def read_budget(path: str | Path) -> Budget:
    """Reads a budget file.

    Raises:
        InputError: If it can't be read, breaks the layout or limits nothing; in one line.
    """
    try:
        table = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(
            f"{path}: no such budget; write one with gac-analyze --write-budget {path}"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: can't be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: not TOML: {error}") from error
    try:
        # as JSON: strict rules take a table for a record there, but no text for a number
        budget = TypeAdapter(Budget).validate_json(json.dumps(table, default=str), strict=True)
    except ValidationError as error:
        raise InputError(f"{path}: {_first(error)}") from error
    if not any(budget.limits()):
        raise InputError(f"{path}: no limits; give some in [total], [conventions.NAME] or [layers]")
    return budget


def _first(error: ValidationError) -> str:
    """The first thing that is wrong, and what is allowed there."""
    first = error.errors()[0]
    place = [str(part) for part in first["loc"] if part != "[key]"]
    message = first["msg"].removeprefix("Value error, ")
    known = {
        "total": get_args(TotalQuantity),
        "conventions": get_args(PricedQuantity),
        "layers": get_args(LayerQuantity),
    }
    if first["type"] == "literal_error" and place[0] in known:
        return f"{'.'.join(place)}: unknown quantity; known: {', '.join(known[place[0]])}"
    if first["type"] == "unexpected_keyword_argument":
        allowed = "min, max" if len(place) > 1 else ", ".join(Budget.__dataclass_fields__)
        return f"{'.'.join(place)}: unknown key; known: {allowed}"
    if first["type"] in ("dict_type", "dataclass_type", "mapping_type"):
        return f"{'.'.join(place)}: expected a table such as {{ max = 1 }}, got {first['input']!r}"
    came = "" if first["type"] in ("missing", "value_error") else f", got {first['input']!r}"
    return f"{'.'.join(place)}: {message}{came}"
