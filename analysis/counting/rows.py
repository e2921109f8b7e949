"""Which sample and step each row of an operand belongs to, and sums of counts over them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import torch
from torch import Tensor

from analysis.counting.axes import Axes, Axis, Line
from analysis.counting.dataflow import DataFlow
from analysis.errors import InputError

TimeLayout = Literal["BT", "TB", "loop"]


@dataclass(frozen=True, kw_only=True)
class Batch:
    """One forward pass.

    Attributes:
        samples, steps: B and T.
        layout: How one axis that holds both is ordered, where data flow can't tell.
    """

    samples: int
    steps: int
    layout: TimeLayout | None = None

    @classmethod
    def of(cls, inputs: Tensor, steps: int, layout: TimeLayout | None) -> Batch:
        """The batch that a tensor of inputs makes: ``(B, ...)``, or ``(T, B, ...)`` if said so."""
        axis = 1 if layout == "TB" and inputs.dim() > 2 and len(inputs) == steps else 0
        return cls(samples=inputs.shape[axis], steps=steps, layout=layout)

    def axes(self, inputs: Tensor) -> Axes:
        """Where samples and steps lie in the inputs; an expanded axis lies nowhere."""
        start = int(inputs.storage_offset())
        is_clip = self._is_clip(inputs)
        order = (1, 0) if self.layout == "TB" and is_clip else (0, 1)

        def axis(dim: int, size: int) -> Axis | None:
            return Axis(inputs.stride(dim), size, start) if inputs.stride(dim) else None

        step = axis(order[1], self.steps) if is_clip else None
        return Axes(axis(order[0], self.samples), step)

    def first(self, inputs: Any) -> Any:
        """The first sample of the inputs, or of every tensor in a dictionary that holds samples."""
        if isinstance(inputs, Mapping):
            return {name: self.first(value) for name, value in inputs.items()}
        if not isinstance(inputs, Tensor) or not inputs.dim():
            return inputs
        if self.layout == "TB" and self._is_clip(inputs):
            return inputs[:, :1]
        return inputs[:1] if len(inputs) == self.samples else inputs

    def _is_clip(self, inputs: Tensor) -> bool:
        """Whether inputs hold an axis of steps; the channels of a picture are not taken for it."""
        said = self.layout in ("BT", "TB")
        leads = (self.steps, self.samples) if self.layout == "TB" else (self.samples, self.steps)
        likely = inputs.dim() in (3, 5) or said
        return self.steps > 1 and likely and tuple(inputs.shape[:2]) == leads


@dataclass(frozen=True)
class Rows:
    """The rows of one operand.

    Attributes:
        samples: Sample of each row, ``(N,)``.
        steps: Step of each row; None where the rows hold no steps.
        mixes: Whether all steps are in every row.
        guessed: Whether that is a guess from the number of rows.
    """

    samples: Tensor
    steps: Tensor | None
    mixes: bool
    guessed: bool

    def fold(self, counts: Tensor, batch: Batch) -> Tensor:
        """Sums counts per row into ``(B, T)``, or ``(B, 1)`` where the rows hold no steps."""
        width = 1 if self.steps is None else batch.steps
        place = self.samples * width + (0 if self.steps is None else self.steps)
        sums = torch.zeros(batch.samples * width, dtype=torch.float64, device=counts.device)
        sums.index_add_(0, place.to(counts.device), counts.double())
        return sums.view(batch.samples, width)


def rows_of(values: Tensor, flow: DataFlow, batch: Batch, name: str) -> Rows:
    """Assigns the rows of an operand ``(N, ...)`` to samples and steps.

    Raises:
        InputError: If nothing is known of it and the rows can't be divided among the samples.
    """
    axes = flow.of(values).axes
    along = axes.sample.along(values) if axes.sample else None
    known = flow.knows(values) and (batch.samples == 1 or (along is not None and along[0] == 0))
    if not known:
        return _guess(len(values), batch, name)
    step = flow.step_along(values)
    has_steps = step is not None and step[0] == 0
    mixes = axes.mixed or (step is not None and not has_steps)
    first = Line(len(values), values.stride(0), int(values.storage_offset()))
    return _known(first, axes, batch, has_steps, mixes and not has_steps)


@lru_cache(maxsize=1024)  # the layers of a network have few forms
def _known(line: Line, axes: Axes, batch: Batch, has_steps: bool, mixes: bool) -> Rows:
    samples, steps = torch.zeros(line.length, dtype=torch.long), None
    if batch.samples > 1 and axes.sample is not None:
        samples = axes.sample.indices(line)
    if has_steps:
        steps = axes.step.indices(line) if axes.step else torch.arange(line.length) % batch.steps
    return Rows(samples, steps, mixes=mixes, guessed=False)


def _guess(rows: int, batch: Batch, name: str) -> Rows:
    """By the number of rows: samples x steps, samples slowest unless said so, or samples."""
    position = torch.arange(rows)
    if rows % (batch.samples * batch.steps) == 0 and rows >= batch.samples * batch.steps:
        part = rows // (batch.samples * batch.steps)
        outer, inner = position // part // batch.steps, position // part % batch.steps
        if batch.layout == "TB":
            outer, inner = position // part % batch.samples, position // part // batch.samples
        return Rows(outer, inner if batch.steps > 1 else None, mixes=False, guessed=True)
    if rows % batch.samples:
        raise InputError(
            f"{name or 'the model'}: {rows} rows can't be divided among {batch.samples} samples "
            f"and {batch.steps} steps; is the number of steps right?"
        )
    sure = rows == batch.samples
    return Rows(position // (rows // batch.samples), None, mixes=False, guessed=not sure)
