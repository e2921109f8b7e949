"""How many steps a model simulates, and calling one that is written for a single step T times.

A model that keeps its membranes in its modules is only called; one that hands its state out gets
it back at the next step: what ``forward(x, state=None)`` gives as ``(output, state)``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn

from analysis.counting.inputs import Batch, tensors_in
from analysis.errors import InputError

# What models call their number of steps, here and in the published code of others.
NAMES = ("steps", "T", "time_step", "time_steps", "num_steps", "time_window", "timesteps")
_STATES = ("*state*", "*mem*", "hidden*", "h", "hx", "*syn*", "carry*", "*potential*", "v", "u")


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


def run_loop(run: Callable[..., Any], batch: Batch) -> list[Any]:
    """What a model gives out at every step, called with one frame of each clip at a time.

    Args:
        run: The model, or what is called instead of it.
        batch: Clips are read frame by frame; other inputs come again at every step.

    Raises:
        InputError: If the model wants more than the inputs.
    """
    names = _states(run, batch)
    held: dict[str, Any] = {}
    found = []
    for step in range(batch.steps):
        now = batch.at_step(step)
        output = run(*now.args, **now.kwargs, **held)
        if names and isinstance(output, tuple | list) and len(output) == 1 + len(names):
            output, *states = output
            held = dict(zip(names, states, strict=True))
        found.append(output)
    return found


def over_steps(outputs: Sequence[Any]) -> Any:
    """Logits ``(B, T, classes)`` of those of each step; anything else as it came, step by step.

    The first tensor of several is the output: frameworks give out spikes before membranes.

    Example:
        >>> over_steps([torch.zeros(8, 10), torch.zeros(8, 10)]).shape
        torch.Size([8, 2, 10])
    """
    firsts = [next(iter(tensors_in(output)), None) for output in outputs]
    logits = [first for first in firsts if isinstance(first, Tensor) and first.dim() == 2]
    alike = len(logits) == len(outputs) and len({first.shape for first in logits}) == 1
    return torch.stack(logits, dim=1) if alike else list(outputs)


def _states(run: Callable[..., Any], batch: Batch) -> tuple[str, ...]:
    """Parameters behind the inputs that take the state of the step before, None at first."""
    try:
        signature = inspect.signature(getattr(run, "forward", run))
        bound = signature.bind_partial(*batch.args, **batch.kwargs).arguments
    except (TypeError, ValueError):  # a call that can't be read, or that will tell what is wrong
        return ()
    plain = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    known = [p for p in signature.parameters.values() if p.kind in plain]
    left = [p for p in known if p.name not in bound]
    mistaken = [p for p in known[1:] if p.name in bound and _is_state(p)]  # labels in their place
    needed = [p.name for p in (*mistaken, *left) if p.default is p.empty]
    if needed:
        raise InputError(
            f"called once per step, the model wants {', '.join(needed)} besides its inputs, and "
            "nobody says what that is at first: write the loop yourself and give it as "
            "forward=..., on the command line --forward MODULE:FUNCTION"
        )
    return tuple(p.name for p in left if p.default is None and _is_state(p))


def _is_state(parameter: inspect.Parameter) -> bool:
    """Whether a parameter is called as states are."""
    return any(fnmatchcase(parameter.name, pattern) for pattern in _STATES)
