"""What the values of a tensor are, and where its non-zeros lie: exact and in one pass.

A sum can't prove that a tensor holds spikes (a float32 sum misses a 0.99999994); the test here
is v - v*v == 0 for every element, which holds for 0 and 1 only.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isfinite

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef

from analysis.records import OperandKind

_PEEK = 4096  # elements looked at first: most tensors of real values are known by them
_PEEK_ROWS = 8
_CHUNK = 1 << 19  # elements per pass, so that the scratch buffer stays in the cache
_MOST_LEVELS = 33  # -16 ... 16 times a unit

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
        self._known: dict[tuple[object, ...], tuple[StorageWeakRef, Reading]] = {}

    def read(self, operand: Tensor) -> Reading:
        """The values and non-zeros of an operand ``(N, C, *S)``."""
        if operand.is_inference():  # no version counter: can't tell whether it changed
            return self._read(operand)
        storage = operand.untyped_storage()
        key = (
            storage._cdata,
            operand.storage_offset(),
            operand.shape,
            operand.stride(),
            operand.dtype,
            operand._version,
        )
        if key not in self._known:
            # The weak reference keeps the address from being used again.
            self._known[key] = (StorageWeakRef(storage), self._read(operand))
        return self._known[key][1]

    def _read(self, operand: Tensor) -> Reading:
        reading = _read(operand)
        if not self._histograms or reading.levels is None:
            return reading
        counts = {level: int((operand == level).sum()) for level in sorted(reading.levels)}
        return replace(reading, histogram=counts)

    def forget(self) -> None:
        """Drops everything known; to be called after each forward pass."""
        self._known.clear()


def _read(operand: Tensor) -> Reading:
    if not operand.numel():
        return Reading(frozenset(), operand.double().sum(1))
    if seems_binary(operand):
        binary = _read_spikes(operand)
        if binary is not None:
            return binary
    return Reading(_all_levels(operand, _distinct(_some(operand))), _count_nonzeros(operand))


def seems_binary(operand: Tensor) -> bool:
    """Whether some elements are all 0 or 1; no proof, but spares most tensors the whole test."""
    some = _some(operand)
    return torch.equal(some * some, some)


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
    nonzeros = torch.cat(sums).double()
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


def count_zeros(weight: Tensor) -> int:
    """How many elements of a weight matrix are exactly zero."""
    return weight.numel() - int(_count_nonzeros(weight.detach()).sum())


def _all_levels(operand: Tensor, levels: Levels) -> Levels:
    """The distinct values of all elements, given those of some; None as soon as there are many."""
    for chunk in _chunks(operand):
        others = chunk
        while levels is not None and others.numel():
            known = torch.tensor(sorted(levels), dtype=operand.dtype, device=operand.device)
            others = others[~torch.isin(others, known)]
            levels = widen(levels, _distinct(others[:_PEEK]))
    return levels
