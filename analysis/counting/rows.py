"""Which sample and step each row of an operand belongs to, and sums of counts over them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from analysis.counting.axes import Axes, Axis, Line, line_of
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
            return Axis(inputs.stride(dim), range(size), start) if inputs.stride(dim) else None

        step = axis(order[1], self.steps) if is_clip else None
        return Axes(axis(order[0], self.samples), step)

    def axes_of_state(self, buffer: Tensor) -> Axes:
        """Where samples lie in a buffer: one with an entry for each holds their states."""
        holds = buffer.dim() > 0 and len(buffer) == self.samples > 1
        return Axes(Axis(buffer.stride(0), range(self.samples))) if holds else Axes()

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
        batch: What runs.
        guessed: Whether that is a guess from the number of rows or calls.
        at: The one step that all rows belong to, where that is known.
    """

    samples: Tensor
    steps: Tensor | None
    mixes: bool
    batch: Batch
    guessed: bool = False
    at: int | None = None

    @property
    def serves_all(self) -> bool:
        """Whether the rows stand for all steps at once, without mixing them."""
        return self.steps is None and self.at is None and not self.mixes

    def fold(self, counts: Tensor) -> Tensor:
        """Sums counts per row into ``(B, T)``, or ``(B, 1)`` where they belong to no one step."""
        step = self.steps if self.at is None else self.at
        width = 1 if step is None else self.batch.steps
        place = self.samples * width + (0 if step is None else step)
        sums = torch.zeros(self.batch.samples * width, dtype=torch.float64, device=counts.device)
        sums.index_add_(0, place.to(counts.device), counts.double())
        return sums.view(self.batch.samples, width)

    @cached_property
    def present(self) -> npt.NDArray[np.bool_]:
        """Which samples it holds rows of, ``(B,)``."""
        found = np.zeros(self.batch.samples, dtype=bool)
        found[self.samples.numpy()] = True
        return found

    @cached_property
    def cells(self) -> npt.NDArray[np.bool_]:
        """Which samples at which steps it holds rows of, ``(B, T)``."""
        found = np.zeros((self.batch.samples, self.batch.steps), dtype=bool)
        if self.at is not None:
            found[:, self.at] = self.present
        elif self.steps is None:
            found[self.present] = True
        else:
            found[self.samples.numpy(), self.steps.numpy()] = True
        return found


def rows_of(values: Tensor, flow: DataFlow, batch: Batch, name: str) -> Rows:
    """Assigns the rows of an operand ``(N, ...)`` to samples and steps.

    Raises:
        InputError: If nothing is known of it and the rows can't be divided among the samples.
    """
    axes = flow.of(values).axes
    step = flow.step_along(values)
    at = axes.step.only(values) if axes.step and step is None and batch.steps > 1 else None
    along = axes.sample.along(values) if axes.sample else None
    one = axes.sample.only(values) if axes.sample else None
    apart = batch.samples == 1 or one is not None or (along is not None and along[0] == 0)
    if flow.is_weight(values) and values.stride(0) == 0 and len(values) == batch.samples:
        return rows_for_each(1, batch)
    if not flow.knows(values) or not apart:
        return _guess(len(values), batch, name, at)
    first = Line(len(values), values.stride(0), int(values.storage_offset()))
    has_steps = step is not None and step[0] == 0
    spread = axes.step is not None and axes.step.is_spread(values)
    mixes = at is None and not has_steps and (axes.mixed or spread or step is not None)
    return _known(first, axes, batch, has_steps, mixes, at)


def rows_for_each(rows: int, batch: Batch) -> Rows:
    """Of the same rows once for every sample, one sample after another."""
    return Rows(torch.arange(batch.samples).repeat_interleave(rows), None, False, batch)


@lru_cache(maxsize=1024)  # the layers of a network have few forms
def _known(
    line: Line, axes: Axes, batch: Batch, has_steps: bool, mixes: bool, at: int | None
) -> Rows:
    samples, steps = torch.zeros(line.length, dtype=torch.long), None
    if batch.samples > 1 and axes.sample is not None:
        samples = axes.sample.indices(line)
    if has_steps and axes.step is not None and len(axes.step.places) > 1:
        steps = axes.step.indices(line)
    elif has_steps:  # a dimension that was expanded
        steps = torch.arange(line.length) % batch.steps
    return Rows(samples, steps, mixes, batch, at=at)


def _guess(rows: int, batch: Batch, name: str, at: int | None) -> Rows:
    """By the number of rows: samples x steps, samples slowest unless said so, or samples."""
    position, cells = torch.arange(rows), batch.samples * batch.steps
    if at is None and rows % cells == 0 and rows >= cells:
        part = rows // cells
        outer, inner = position // part // batch.steps, position // part % batch.steps
        if batch.layout == "TB":
            outer, inner = position // part % batch.samples, position // part // batch.samples
        steps = inner if batch.steps > 1 else None
        return Rows(outer, steps, mixes=False, batch=batch, guessed=True)
    if rows % batch.samples:
        raise InputError(
            f"{name or 'the model'}: {rows} rows can't be divided among {batch.samples} samples "
            f"and {batch.steps} steps; is the number of steps right?"
        )
    samples, sure = position // (rows // batch.samples), rows == batch.samples
    return Rows(samples, None, mixes=False, batch=batch, guessed=not sure, at=at)


def outer_dims(flow: DataFlow, operand: Tensor, before: int) -> list[int]:
    """The dimensions of samples and of steps, in the order they have, among the first ones."""
    sample, step = flow.sample_dim(operand), flow.step_along(operand)
    dims = {sample, step[0] if step else None}
    return sorted(dim for dim in dims if dim is not None and dim < before)


def in_front(flow: DataFlow, operand: Tensor, dims: list[int]) -> Tensor:
    """An operand with its outer dimensions as one in front, laid out as the flow knows."""
    values = merged(operand, dims)
    if len(dims) == 2 and not flow.knows(values):  # had to be copied
        known, (outer, inner) = flow.of(operand), dims
        strides = {inner: values.stride(0), outer: values.stride(0) * operand.shape[inner]}
        sample, step = (inner, outer) if flow.sample_dim(operand) == inner else (outer, inner)
        axes = Axes(
            Axis(strides[sample], _places(known.axes.sample, operand, sample)),
            Axis(strides[step], _places(known.axes.step, operand, step)),
        )
        flow.mark(values, replace(known, axes=axes))
    return values


def merged(values: Tensor, dims: list[int]) -> Tensor:
    """Values with one dimension in front, or two of them as one."""
    moved = values.movedim(dims, tuple(range(len(dims))))
    return moved.flatten(0, 1) if len(dims) == 2 else moved


def _places(axis: Axis | None, operand: Tensor, dim: int) -> range:
    """The indices along a dimension; all of them where it was expanded."""
    every = range(operand.shape[dim])
    if axis is None or operand.stride(dim) == 0:
        return every
    return axis.slice_of(line_of(operand, dim), 1) or every
