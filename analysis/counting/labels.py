"""Which sample and which step every element belongs to: labels that go through the operations.

Beside the values of a storage stand two whole numbers for each element: its sample and its step.
Views share them. Any other operation does to the labels what it does to the values: what moves
values moves labels, what works element by element keeps the later step, what sums over a
dimension keeps a label that all have and else says MIXED. What nobody has a rule for is UNKNOWN
wherever it matters. Labels only ever say who did what: no total depends on them.

The labels of a tensor are an array ``(2, *sizes)``: the sample, then the step, with a size of 1
along every dimension in which nothing changes. Those of a storage are one pair for each ``unit``
elements in a row.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import gcd, prod
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from numpy.lib.stride_tricks import as_strided
from torch import Tensor

from analysis.torch_internals import storage_id

NONE, MIXED, UNKNOWN = -2, -1, -3  # no sample or step; several of them; nobody knows
SAMPLE, STEP = 0, 1  # the first axis of an array of labels

Labels = npt.NDArray[np.int16]
Counts = npt.NDArray[np.int64]  # (samples, steps); (samples, 1) where they belong to no one step
NoStep = Literal["none", "mixed", "unknown"]  # why rows belong to no one step


class Form(NamedTuple):
    """How a tensor lies in its storage; ``size``: elements of the storage."""

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int
    size: int

    @classmethod
    def of(cls, x: Tensor) -> Form:
        """The form of a tensor."""
        size = x.untyped_storage().nbytes() // x.element_size()
        return cls(tuple(x.shape), x.stride(), int(x.storage_offset()), size)

    @property
    def real(self) -> list[tuple[int, int, int]]:
        """Its dimensions with several elements of their own: (dimension, length, stride)."""
        found = zip(range(len(self.shape)), self.shape, self.stride, strict=True)
        return [(d, n, s) for d, n, s in found if n > 1 and s > 0]

    @property
    def is_whole(self) -> bool:
        """Whether it fills its storage."""
        return prod(n for _, n, _ in self.real) == self.size


class Table(NamedTuple):
    """The labels of a storage: samples, then steps, one for each ``unit`` elements in a row."""

    unit: int
    data: bytes

    @classmethod
    def of(cls, unit: int, values: Labels) -> Table:
        """A table of an array ``(2, size // unit)``, as short as it can be."""
        if values.shape[1] > 1 and (values == values[:, :1]).all():
            return cls(unit * values.shape[1], values[:, :1].tobytes())
        return cls(unit, values.tobytes())

    def values(self, unit: int) -> Labels:
        """The labels for every ``unit`` elements, which divides the table's own."""
        known = np.frombuffer(self.data, dtype=np.int16).reshape(2, -1)
        return known.repeat(self.unit // unit, axis=1)

    @lru_cache(maxsize=256)  # noqa: B019 - a table is a value
    def in_units(self, old: int, new: int) -> Table:
        """The same where the storage is seen as elements of another size, in bytes."""
        if self.unit * old % new == 0:
            return Table(self.unit * old // new, self.data)
        return Table(1, self.values(1)[:, :: new // old].tobytes())


@lru_cache(maxsize=64)
def constant(sample: int, step: int, dims: int) -> Labels:
    """The same labels for all elements of a tensor of so many dimensions."""
    return np.array([sample, step], dtype=np.int16).reshape(2, *[1] * dims)


def nothing(dims: int) -> Labels:
    """The labels of a tensor that no sample and no step has a part in."""
    return constant(NONE, NONE, dims)


def along(labels: Labels, which: int, dim: int, size: int, length: int) -> Labels:
    """Labels with 0 to size - 1 along a dimension, which may be longer: equal ones together.

    Example:
        >>> along(nothing(2), STEP, 1, 2, 4)[STEP].tolist()
        [[0, 0, 1, 1]]
    """
    line = np.arange(size, dtype=np.int16).repeat(length // size)
    one = line.reshape([-1 if d == dim else 1 for d in range(labels.ndim - 1)])
    shape = np.broadcast_shapes(labels.shape[1:], one.shape)
    found = np.broadcast_to(labels, (2, *shape)).copy()
    found[which] = one
    return found


@lru_cache(maxsize=1 << 13)
def labels_of(table: Table, form: Form) -> Labels:
    """The labels of a tensor of some form."""
    dims = len(form.shape)
    if 0 in form.shape:
        return nothing(dims)
    unit, real = table.unit, form.real
    inside = sum((n - 1) * s for _, n, s in real if s % unit) + form.offset % unit
    if inside >= unit:
        unit = gcd(unit, form.offset, *(s for _, _, s in real))
    shape, stride = [1] * dims, [1] * dims
    for d, n, s in real:
        if s % unit == 0:
            shape[d], stride[d] = n, s // unit
    return compact(_strided(table.values(unit), shape, stride, form.offset // unit))


@lru_cache(maxsize=1 << 13)
def _written(table: Table, form: Form, shape: tuple[int, ...], label: bytes) -> Table:
    """A storage's labels after those of a tensor in it were written."""
    if 0 in form.shape:
        return table
    labels = np.frombuffer(label, dtype=np.int16).reshape(shape)
    least = min((s for n, s in zip(shape[1:], form.stride, strict=True) if n > 1), default=0)
    if form.is_whole and not least:
        return Table(form.size, label)
    least = least or 1
    unit = gcd(form.size, form.offset, *(s for _, _, s in form.real if s >= least))
    if not form.is_whole:
        unit = gcd(unit, table.unit)
    inner = [(n, s) for _, n, s in form.real if s < unit]
    if prod(n for n, _ in inner) != unit or sum((n - 1) * s for n, s in inner) >= unit:
        unit = 1  # what lies within a unit is not written as a whole
    if form.is_whole:
        values = np.full((2, form.size // unit), NONE, dtype=np.int16)
    else:
        values = table.values(unit)
    sizes = [n if n > 1 and s >= unit else 1 for n, s in zip(form.shape, form.stride, strict=True)]
    _strided(values, sizes, [s // unit for s in form.stride], form.offset // unit)[...] = labels
    return Table.of(unit, values)


def _strided(values: Labels, shape: Sequence[int], stride: Sequence[int], offset: int) -> Labels:
    """A view of labels ``(2, n)`` as those of a tensor."""
    item, rows = values.itemsize, values.shape[1]
    whole = np.ascontiguousarray(values).reshape(-1)[offset:]
    strides = (rows * item, *(s * item for s in stride))
    found: Labels = as_strided(whole, (2, *shape), strides)
    return found


def compact(labels: Labels) -> Labels:
    """The same with a size of 1 along every dimension in which nothing changes."""
    for axis in range(1, labels.ndim):
        if labels.shape[axis] > 1:
            first = labels.take([0], axis)
            if (labels == first).all():
                labels = first
    return labels


def by_place(labels: Labels, shape: Sequence[int], steps: int) -> Labels:
    """Labels in which the steps along a dimension of length T go by their place.

    What was delayed or turned round runs at the step where it came to lie.
    """
    dims = [d for d in range(len(shape)) if labels.shape[d + 1] > 1]
    varied = [d for d in dims if (labels[STEP] != labels[STEP].take([0], d)).any()]
    if len(varied) != 1 or shape[varied[0]] != steps or (labels[STEP] < 0).all():
        return labels
    return along(labels, STEP, varied[0], steps, steps)


def is_constant(labels: Labels) -> bool:
    """Whether all elements have the same labels."""
    return labels.size == 2


def joined(parts: Iterable[Labels]) -> Labels:
    """What elements that meet have together: their one sample and their latest step.

    Example:
        >>> joined([constant(1, 0, 0), constant(1, 2, 0)]).tolist()
        [1, 2]
        >>> joined([constant(0, NONE, 0), constant(1, NONE, 0)]).tolist() == [MIXED, NONE]
        True
    """
    found: Labels | None = None
    for part in parts:
        if found is None or found is part:
            found = part
            continue
        apart = (found >= 0) & (part >= 0) & (found != part)
        apart[STEP] = False
        unknown = (found == UNKNOWN) | (part == UNKNOWN)
        found = np.maximum(found, part)
        found[apart] = MIXED
        found[unknown] = UNKNOWN
    if found is None:
        raise ValueError("no labels to join")
    return found


def merged_over(labels: Labels, dims: Sequence[int]) -> Labels:
    """Labels after a sum over some dimensions, kept with a size of 1: what all have, or MIXED."""
    axes = tuple(d + 1 for d in dims if labels.shape[d + 1] > 1)
    if not axes:
        return labels
    high = labels.max(axes, keepdims=True)
    low = np.where(labels == NONE, np.iinfo(np.int16).max, labels).min(axes, keepdims=True)
    found = np.where(low < high, MIXED, high).astype(np.int16)
    found[(labels == UNKNOWN).any(axes, keepdims=True)] = UNKNOWN
    return found


class LabelStore:
    """The labels of all storages of one forward pass, by their address."""

    def __init__(self) -> None:
        self._tables: dict[int, tuple[int, Table]] = {}  # with the bytes of an element

    def clear(self) -> None:
        """Forgets everything."""
        self._tables.clear()

    def table(self, tensor: Tensor) -> Table | None:
        """The labels of a tensor's storage, if it has any."""
        known = self._tables.get(storage_id(tensor))
        if known is None:
            return None
        old, table = known
        new = tensor.element_size()
        return table if old == new else table.in_units(old, new)

    def of(self, tensor: Tensor) -> Labels:
        """The labels of a tensor."""
        table = self.table(tensor)
        return nothing(tensor.dim()) if table is None else labels_of(table, Form.of(tensor))

    def write(self, tensor: Tensor, labels: Labels) -> None:
        """Says which sample and step the elements of a tensor belong to."""
        form = Form.of(tensor)
        known = self.table(tensor) or Table(max(form.size, 1), nothing(0).tobytes())
        table = _written(known, form, labels.shape, labels.tobytes())
        self.put(tensor, table)

    def put(self, tensor: Tensor, table: Table) -> None:
        """Gives a tensor's storage a table as it is."""
        self._tables[storage_id(tensor)] = (tensor.element_size(), table)


# How labels pass through one operation -------------------------------------------------------


def elementwise(held: Sequence[tuple[Tensor, Labels]], result: Tensor) -> Labels:
    """Labels of a result each element of which comes from those at its place, broadcast."""
    dims = result.dim()
    parts = []
    for x, labels in held:
        if x.dim() > dims:
            return _unknown_unless_constant(held, dims)
        parts.append(labels.reshape(2, *[1] * (dims - x.dim()), *labels.shape[1:]))
    try:
        found = joined(parts)
    except ValueError:  # no broadcasting after all
        return _unknown_unless_constant(held, dims)
    fits = all(n in (1, m) for n, m in zip(found.shape[1:], result.shape, strict=True))
    return found if fits else _unknown_unless_constant(held, dims)


def reduced(
    held: Sequence[tuple[Tensor, Labels]], result: Tensor, dims: Sequence[int] | None
) -> Labels:
    """Labels of a sum, mean, maximum or pooling; ``dims``: those named, all if there are none."""
    parts = []
    for x, labels in held:
        over = range(x.dim()) if dims is None else [d % max(x.dim(), 1) for d in dims]
        if x.dim() == result.dim() and dims is None and x.dim():
            over = [d for d in range(x.dim()) if x.shape[d] != result.shape[d]]  # pooling
        leads = dims is None and result.dim() > 0 and labels.size == 2 * labels.shape[1]
        if leads and x.dim() != result.dim() and len(x) == len(result):  # patches, joined
            parts.append(labels.reshape(2, -1, *[1] * (result.dim() - 1)))
            continue
        found = merged_over(labels, list(over))
        if x.dim() > result.dim():
            gone = tuple(d + 1 for d in over)
            found = found.squeeze(gone) if len(gone) == x.dim() - result.dim() else found
        if found.ndim - 1 != result.dim():
            return _unknown_unless_constant(held, result.dim())
        parts.append(found)
    return elementwise([(result, part) for part in parts], result)


def contracted(held: Sequence[tuple[Tensor, Labels, int]], result: Tensor) -> Labels:
    """Labels of a product of matrices; each factor with the dimension that is summed over."""
    parts = []
    for x, labels, summed in held:
        found = merged_over(labels, [summed])
        if x.dim() > result.dim():  # a vector was the other factor
            found = found.squeeze(summed + 1)
        elif x.dim() < result.dim():
            return _unknown_unless_constant([(y, one) for y, one, _ in held], result.dim())
        parts.append(found)
    return elementwise([(result, part) for part in parts], result)


def convolved(x: Tensor, labels: Labels, result: Tensor) -> Labels:
    """Labels of a convolution ``(N, C, *S)``: whatever changes along C or S is mixed."""
    found = merged_over(labels, range(1, x.dim()))
    return (
        found if x.dim() == result.dim() else _unknown_unless_constant([(x, labels)], result.dim())
    )


def moved(
    func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], index: int,
    held: Sequence[tuple[Tensor, Labels]], result: Tensor,
) -> Labels:  # fmt: skip
    """Labels of what an operation only places elsewhere: by doing the same with the labels.

    Args:
        func: The operation.
        args: What it was given.
        kwargs: What it was given by name.
        index: Which of its results is meant.
        held: The tensors that are moved; what the others say of places stays.
        result: What came out.
    """
    known = {id(x): labels for x, labels in held}

    def of(value: Any, which: int) -> Any:
        if isinstance(value, Tensor) and id(value) in known:
            labels = torch.from_numpy(known[id(value)][which].astype(np.float32) - NONE)
            return labels.expand(value.shape).to(value.device)
        if isinstance(value, list | tuple):
            return [of(one, which) for one in value]
        if isinstance(value, Tensor) and value.is_floating_point():
            return torch.zeros_like(value, dtype=torch.float32)  # NONE, as what is filled up
        return value

    try:
        given = [func(*(of(a, which) for a in args), **kwargs) for which in (SAMPLE, STEP)]
    except (RuntimeError, TypeError, NotImplementedError):
        return _unknown_unless_constant(held, result.dim())
    found = [one if isinstance(one, Tensor) else one[index] for one in given]
    if any(f.shape != result.shape for f in found):
        return _unknown_unless_constant(held, result.dim())
    both: Labels = (torch.stack(found).float() + NONE).cpu().numpy().astype(np.int16)
    return _filled(both)


def _filled(labels: Labels) -> Labels:
    """Labels in which what has none, such as padding, belongs to what stands beside it."""
    for dim in range(labels.ndim - 1):
        if labels.shape[dim + 1] > 1 and (labels == NONE).any():
            beside = merged_over(labels, [dim])
            labels = np.where((labels == NONE) & (beside >= 0), beside, labels)
    return compact(labels)


def _unknown_unless_constant(held: Sequence[tuple[Tensor, Labels]], dims: int) -> Labels:
    """Labels after an operation that nobody has a rule for: what all elements share stays."""
    parts = [labels for _, labels in held]
    return unruled(parts, dims)


def unruled(parts: Sequence[Labels], dims: int) -> Labels:
    """Labels after an operation without a rule: those that all elements share, or UNKNOWN."""
    one = []
    for labels in parts:
        flat = labels.reshape(2, -1)
        same = (flat == flat[:, :1]).all(1)
        one.append(np.where(same, flat[:, 0], UNKNOWN).astype(np.int16))
    return joined(one).reshape(2, *[1] * dims)


# The rows of one operand ---------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Rows:
    """Which sample and which step the rows of an operand ``(N, ...)`` belong to.

    Attributes:
        number: N.
        samples: Sample of each row, ``(N,)``; None where that is not known.
        steps: Step of each row, ``(N,)`` or one for all; else why they belong to no one step.
        free: Whether no sample has a part in them.
        inferred: Whether the steps are inferred, not told.
    """

    number: int
    samples: Tensor | None
    steps: Tensor | int | NoStep
    free: bool = False
    inferred: bool = False

    def fold(self, counts: Tensor, samples: int, steps: int) -> Counts | None:
        """Counts per row, summed into ``(B, T)``, or ``(B, 1)`` where they belong to no step.

        Rows without a sample are shared equally among all, if that goes; else None.
        """
        if self.samples is None:
            each, rest = divmod(int(counts.sum()), samples)
            even = not rest and (self.free or not each)
            return self._at(np.full((samples, 1), each), steps) if even else None
        has_steps = isinstance(self.steps, Tensor)
        width = steps if has_steps else 1
        place = self.samples * width + (self.steps if isinstance(self.steps, Tensor) else 0)
        sums = torch.zeros(samples * width, dtype=torch.float64, device=counts.device)
        sums.index_add_(0, place.to(counts.device), counts.double())
        # Whole numbers held in float64 are exact below 2**53.
        found = sums.view(samples, width).cpu().numpy().astype(np.int64)
        return found if has_steps else self._at(found, steps)

    def _at(self, counts: Counts, steps: int) -> Counts:
        """Counts of all samples at the one step they belong to, if there is one."""
        if not isinstance(self.steps, int):
            return counts
        found = np.zeros((len(counts), steps), dtype=np.int64)
        found[:, self.steps] = counts[:, 0]
        return found

    def executions(self, samples: int) -> Counts | None:
        """How often each sample ran, ``(B, 1)``: once for each step it has rows of."""
        if self.samples is None:
            return np.ones((samples, 1), dtype=np.int64) if self.free else None
        ran = [sample for sample, _ in self._pairs]
        return np.bincount(ran, minlength=samples)[:, None]

    @property
    def cells(self) -> frozenset[tuple[int, int]]:
        """Samples and steps that it holds rows of; empty where they are not known."""
        return frozenset() if isinstance(self.steps, str) else self._pairs

    @cached_property
    def _pairs(self) -> frozenset[tuple[int, int]]:
        """Samples and steps, 0 for all where no step is known."""
        if self.samples is None:
            return frozenset()
        step = self.steps if isinstance(self.steps, int) else 0
        one = torch.full_like(self.samples, step)
        steps = self.steps if isinstance(self.steps, Tensor) else one
        return frozenset(zip(self.samples.tolist(), steps.tolist(), strict=True))


def by_row(labels: Labels) -> Labels:
    """The labels of each row, ``(2, N)``: what all its elements share, else MIXED or UNKNOWN."""
    if labels.ndim == 1:
        return labels.reshape(2, 1)
    found = merged_over(labels, range(1, labels.ndim - 1))
    return found.reshape(2, labels.shape[1])


def rows_of(labels: Labels, number: int, samples: int, *, inferred: bool) -> Rows:
    """The rows of an operand of so many rows, by their labels ``(2, N)`` or ``(2, 1)``."""
    sample, step = labels
    free = bool((sample == NONE).all())
    known = samples == 1 or bool((sample >= 0).all())
    found = np.zeros_like(sample) if samples == 1 else sample
    of_rows = torch.from_numpy(np.broadcast_to(found, (number,)).astype(np.int64))
    return Rows(number, of_rows if known else None, _steps(step, number), free, inferred)


def _steps(step: Labels, number: int) -> Tensor | int | NoStep:
    if (step == UNKNOWN).any():
        return "unknown"
    if (step == step[:1]).all():
        one = int(step[0]) if len(step) else NONE
        return one if one >= 0 else "none" if one == NONE else "mixed"
    if (step >= 0).all():
        return torch.from_numpy(np.broadcast_to(step, (number,)).astype(np.int64))
    return "mixed" if (step == MIXED).any() else "unknown"


def in_front(values: Tensor, dims: Sequence[int]) -> Tensor:
    """Values with one dimension in front, or two of them as one."""
    moved = values.movedim(list(dims), list(range(len(dims))))
    return moved.flatten(0, 1) if len(dims) == 2 else moved
