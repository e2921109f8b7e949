"""What the values of a tensor are, and where its non-zeros lie: exact and in one pass.

A sum can't prove that a tensor holds spikes (a float32 sum misses a 0.99999994). Most spikes are
proven by the way they were made (`proofs`); for others the test is v - v*v == 0 for every
element, which holds for 0 and 1 only.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef

from analysis.counting.proofs import BinaryProofs, written
from analysis.records import OperandKind

_GLANCE = 256  # elements in a row looked at first: most tensors of real values are known by them
_PEEK = 4096  # then so many spread over the tensor, which costs as many cache misses
_PEEK_ROWS = 8
_CHUNK = 1 << 19  # elements per pass, so that the scratch buffer stays in the cache
_MOST_LEVELS = 33  # -16 ... 16 times a unit

_BINARY = frozenset({0.0, 1.0})

Levels = frozenset[float] | None  # the distinct values of a tensor; None: too many to tell
Histogram = dict[float, int]  # how often each value occurs


@dataclass(frozen=True)
class Reading:
    """What was found in one operand.

    Attributes:
        levels: Its distinct values, None where there are more than 33.
        nonzeros: Non-zero elements per row and position, summed over channels: ``(N, *S)``
            float64, exact.
        histogram: How often each value occurs, if that was asked for and there are few.
    """

    levels: Levels
    nonzeros: Tensor
    histogram: Histogram | None = None

    @property
    def is_binary(self) -> bool:
        """Whether there are values, and each is 0 or 1."""
        return bool(self.levels) and self.levels is not None and self.levels <= _BINARY


def widen(known: Levels, new: Levels) -> Levels:
    """The values of two operands together.

    Example:
        >>> sorted(widen(frozenset({0.0}), frozenset({0.0, 1.0})))
        [0.0, 1.0]
    """
    if known is None or new is None or len(known | new) > _MOST_LEVELS:
        return None
    return known | new


def kind_of(levels: Levels) -> OperandKind:
    """What a set of values is.

    Example:
        >>> kind_of(frozenset({0.0, 0.5})), kind_of(frozenset({-1.0, 0.0, 1.0}))
        ('spike', 'ternary')
        >>> kind_of(frozenset({0.0, 0.25, 0.75})), kind_of(frozenset({0.1, 0.37}))
        ('graded', 'real')
    """
    if levels is None or not all(map(isfinite, levels)):
        return "real"
    values = sorted(levels - {0.0})
    if not values:
        return "silent"
    if len(values) == 1:
        return "spike" if values[0] > 0 else "ternary"
    if len(values) == 2 and values[0] == -values[1]:
        return "ternary"
    return "graded" if _is_graded(values) else "real"


def _is_graded(values: list[float]) -> bool:
    """Whether all values are integer multiples of one unit, at most 16 times it.

    Multiples of, say, 1/49 are rounded; each still has to be the only value near its multiple.
    """
    smallest = min(map(abs, values))
    for divisor in range(1, 17):
        multiples = [value * divisor / smallest for value in values]
        whole = {round(m) for m in multiples}
        near = all(abs(m - round(m)) < 1e-5 for m in multiples)
        if near and len(whole) == len(values) and max(map(abs, whole)) <= 16:
            return True
    return False


class OperandReader:
    """Reads operands, each storage once while it does not change.

    A neuron layer's output is often read again as the operand of the convolution behind it.

    Args:
        histograms: Whether to count how often each value occurs.
    """

    def __init__(self, *, histograms: bool = False) -> None:
        self._histograms = histograms
        self.proofs = BinaryProofs()
        self._writes: Counter[int] = Counter()  # by storage
        self._known: dict[tuple[object, ...], tuple[StorageWeakRef, Reading]] = {}

    def read(self, operand: Tensor) -> Reading:
        """The values and non-zeros of an operand ``(N, C, *S)``."""
        binary = self.read_binary(operand)
        return binary or self._remember(operand, _read_any(operand))

    def read_binary(self, operand: Tensor) -> Reading | None:
        """The same of an operand that holds 0 and 1 only; None of any other.

        Most others are known by a glance.
        """
        known = self._known.get(self.place(operand))
        if known is not None:
            return known[1] if known[1].is_binary else None
        if self.proofs.hold(operand):
            return self._remember(operand, _read_proven(operand))
        binary = _read_spikes(operand) if _seems_binary(operand) else None
        return binary and self._remember(operand, binary)

    def _remember(self, operand: Tensor, reading: Reading) -> Reading:
        if self._histograms and reading.levels is not None:
            counts = {level: int((operand == level).sum()) for level in sorted(reading.levels)}
            reading = replace(reading, histogram=counts)
        # The weak reference keeps the address from being used again.
        storage = StorageWeakRef(operand.untyped_storage())
        self._known[self.place(operand)] = (storage, reading)
        return reading

    def note(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        """Takes in an operation that writes to tensors or makes spikes.

        Writes are counted here: a view that is made while operations are watched has no version
        of its own that would tell.
        """
        if func._schema.is_mutable:
            self._writes.update(t.untyped_storage()._cdata for t in written(func, args, kwargs))
        self.proofs.note(func, args, kwargs, result)

    def place(self, operand: Tensor) -> tuple[object, ...]:
        """Which values in memory an operand is: another after a write."""
        storage = operand.untyped_storage()._cdata
        form = (operand.storage_offset(), operand.shape, operand.stride(), operand.dtype)
        version = 0 if operand.is_inference() else operand._version
        return (storage, self._writes[storage], version, *form)

    def forget(self) -> None:
        """Drops everything known; to be called after each forward pass."""
        self._known.clear()
        self._writes.clear()
        self.proofs.forget()


def _read_any(operand: Tensor) -> Reading:
    if not operand.numel():
        return Reading(frozenset(), operand.double().sum(1))
    levels = _distinct(_first(operand))
    if levels is not None:
        levels = _all_levels(operand, widen(levels, _distinct(_some(operand))))
    return Reading(levels, _count_nonzeros(operand))


def _seems_binary(operand: Tensor) -> bool:
    if not operand.numel():
        return False
    return all(
        torch.equal(part * part, part) for part in (look(operand) for look in (_first, _some))
    )


def _first(operand: Tensor) -> Tensor:
    """A few elements in a row, so that most tensors of real values cost one look."""
    row = operand[0]
    line = row.flatten() if row.is_contiguous() else row[(0,) * (row.dim() - 1)]
    return line[:_GLANCE]


def _some(operand: Tensor) -> Tensor:
    """A few thousand elements, spread over rows and positions."""
    rows = operand[:: max(1, len(operand) // _PEEK_ROWS)].flatten(1)
    return rows[:, :: max(1, rows.numel() // _PEEK)]


def _distinct(values: Tensor) -> Levels:
    found = torch.unique(values)
    return frozenset(found.tolist()) if len(found) <= _MOST_LEVELS else None


def _chunks(operand: Tensor) -> tuple[Tensor, ...]:
    rows = max(1, _CHUNK // operand[0].numel())
    return operand.split(rows)


def _sum_dtype(operand: Tensor) -> torch.dtype:
    """Channels are summed in at least float32, exact up to 2**24 of them."""
    return torch.float64 if operand.dtype == torch.float64 else torch.float32


def _read_spikes(operand: Tensor) -> Reading | None:
    """Proves that every value is 0 or 1; None where one is not."""
    sums, buffer = [], None
    for chunk in _chunks(operand):
        if buffer is None or buffer.shape != chunk.shape:
            buffer = torch.empty_like(chunk)
        torch.addcmul(chunk, chunk, chunk, value=-1, out=buffer)
        low, high = torch.aminmax(buffer)
        if not (low == 0 and high == 0):  # NaN fails both
            return None
        sums.append(chunk.sum(1, dtype=_sum_dtype(operand)))
    return _binary_reading(operand, torch.cat(sums))


def _read_proven(operand: Tensor) -> Reading:
    """Of a tensor known to hold 0 and 1 only."""
    return _binary_reading(operand, operand.sum(1, dtype=_sum_dtype(operand)))


def _binary_reading(operand: Tensor, sums: Tensor) -> Reading:
    nonzeros = sums.double()
    spikes = int(nonzeros.sum())
    levels = [0.0] * (spikes < operand.numel()) + [1.0] * (spikes > 0)
    return Reading(frozenset(levels), nonzeros)


def _count_nonzeros(operand: Tensor) -> Tensor:
    sums, buffer = [], None
    for chunk in _chunks(operand):
        if buffer is None or buffer.shape != chunk.shape:
            buffer = torch.empty_like(chunk, dtype=_sum_dtype(operand))
        sums.append(torch.ne(chunk, 0, out=buffer).sum(1))
    return torch.cat(sums).double()


def _all_levels(operand: Tensor, levels: Levels) -> Levels:
    """The distinct values of all elements, given those of some; None as soon as there are many."""
    for chunk in _chunks(operand):
        others = chunk
        while levels is not None and others.numel():
            known = torch.tensor(sorted(levels), dtype=operand.dtype, device=operand.device)
            others = others[~torch.isin(others, known)]
            levels = widen(levels, _distinct(others[:_PEEK]))
    return levels
