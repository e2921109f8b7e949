"""How many steps a model simulates: as the caller says, or as the model itself does."""

from __future__ import annotations

from typing import Any, TypeGuard

from torch import nn

from analysis.errors import InputError

# What models call their number of steps, here and in the published code of others.
NAMES = ("steps", "T", "time_step", "time_steps", "num_steps", "time_window", "timesteps")


def steps_of(model: nn.Module, said: int | None) -> tuple[int, str | None]:
    """The number of simulation steps, and the attribute of the model it was read from, if any.

    Raises:
        InputError: If nobody says it, it is no whole number of at least 1, or attributes of the
            model disagree.

    Example:
        >>> model = nn.Identity()
        >>> model.time_step = 4
        >>> steps_of(model, None), steps_of(model, 8)
        ((4, 'time_step'), (8, None))
    """
    if said is not None:
        if not _is_number(said):
            raise InputError(f"steps must be a whole number of at least 1, got {said!r}")
        return said, None
    values = {name: getattr(model, name, None) for name in NAMES}
    found: dict[str, int] = {name: n for name, n in values.items() if _is_number(n)}
    if not found:
        raise InputError(
            "the number of simulation steps is needed as steps=..., a whole number of at least 1 "
            "(on the command line --steps); the model has no attribute that says it: "
            f"{', '.join(NAMES)}"
        )
    if len(set(found.values())) > 1:
        told = ", ".join(f"{name} = {value}" for name, value in found.items())
        raise InputError(
            f"the model's attributes disagree on the number of steps: {told}; say it with "
            "steps=..., on the command line --steps"
        )
    name, value = next(iter(found.items()))
    return value, name


def _is_number(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
