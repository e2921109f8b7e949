"""What the values of a tensor are, and where its non-zeros lie: exact and in one pass.

A sum can't prove that a tensor holds spikes (a float32 sum misses a 0.99999994). Most spikes are
proven by the way they were made: every framework fires by a comparison, and truth values that are
converted to numbers, moved, or written step by step stay 0 and 1. For others the test is
v - v*v == 0 for every element, which holds for 0 and 1 only.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import isfinite
from typing import Any

import torch
from torch import Tensor

from analysis.counting.inputs import tensors_in
from analysis.counting.operations import operation_of, written
from analysis.records import OperandKind
from analysis.torch_internals import StorageWeakRef, storage_id

aten = torch.ops.aten

_GLANCE = 256  # elements in a row looked at first: most tensors of real values are known by them
_PEEK = 4096  # then so many spread over the tensor, which costs as many cache misses
_PEEK_ROWS = 8
_CHUNK = 1 << 19  # elements per pass, so that the scratch buffer stays in the cache
_MOST_LEVELS = 33  # -16 ... 16 times a unit
MOST_OF_NEURONS = 4096  # levels of a neuron layer's output that are kept apart
_NEAR = 1e-5  # multiples of, say, 1/49 are rounded

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


def widen(known: Levels, new: Levels, most: int = _MOST_LEVELS) -> Levels:
    """The values of two operands together; None where there are more than ``most``.

    Example:
        >>> sorted(widen(frozenset({0.0}), frozenset({0.0, 1.0})))
        [0.0, 1.0]
    """
    if known is None or new is None or len(known | new) > most:
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
        near = all(abs(m - round(m)) < _NEAR for m in multiples)
        if near and len(whole) == len(values) and max(map(abs, whole)) <= 16:
            return True
    return False


def are_events(levels: Levels) -> bool:
    """Whether the values of an input are events: {0, a}, ternary, or small whole numbers.

    Example:
        >>> are_events(frozenset({0.0, 1.0, 2.0})), are_events(frozenset({0.0, 0.25, 0.75}))
        (True, False)
    """
    kind = kind_of(levels)
    return kind not in ("graded", "real") or (
        kind == "graded" and all(level.is_integer() for level in levels or ())
    )


def unit_of(levels: Levels) -> float | None:
    """The value of one spike: the smallest step between levels, of which all are multiples.

    Example:
        >>> unit_of(frozenset({0.0, 6.0})), unit_of(frozenset({0.0, 0.5, 0.75}))
        (6.0, 0.25)
        >>> unit_of(frozenset({0.0, 0.3, 1.0})) is None
        True
    """
    if levels is None or not all(map(isfinite, levels)):
        return None
    values = sorted({0.0} | {abs(level) for level in levels})
    if len(values) == 1:
        return None
    unit = min(after - before for before, after in pairwise(values))
    multiples = [value / unit for value in values]
    near = all(abs(m - round(m)) < _NEAR * max(m, 1) for m in multiples)
    return unit if near else None


def levels_of(values: Tensor, most: int) -> Levels:
    """The distinct absolute values of a tensor; None where there are more than so many."""
    found = torch.unique(values.abs())
    return frozenset(found.tolist()) if len(found) <= most else None


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
        return binary or self._remember(operand, read_values(operand))

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
            self._writes.update(storage_id(t) for t in written(func, args, kwargs))
        self.proofs.note(func, args, kwargs, result)

    def place(self, operand: Tensor) -> tuple[object, ...]:
        """Which values in memory an operand is: another after a write."""
        storage = storage_id(operand)
        form = (operand.storage_offset(), operand.shape, operand.stride(), operand.dtype)
        version = 0 if operand.is_inference() else operand._version
        return (storage, self._writes[storage], version, *form)

    def forget(self) -> None:
        """Drops everything known; to be called after each forward pass."""
        self._known.clear()
        self._writes.clear()
        self.proofs.forget()


def read_values(operand: Tensor) -> Reading:
    """The values and non-zeros of any tensor ``(N, C, *S)``."""
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


# Proofs ---------------------------------------------------------------------------------------


@dataclass
class _Proof:
    """What is known of one storage.

    Attributes:
        storage: A weak reference, which keeps the address from being used again.
        dtype: Of the tensor.
        parts: Where 0 and 1 were written so far: (sizes, strides) by offset.
        whole: Whether they fill the storage.
    """

    storage: StorageWeakRef
    dtype: torch.dtype
    parts: dict[int, tuple[torch.Size, tuple[int, ...]]] = field(default_factory=dict)
    whole: bool = False


class BinaryProofs:
    """Which storages hold 0 and 1 only, known without reading them.

    Example:
        >>> proofs, spikes = BinaryProofs(), (torch.tensor([0.3, 1.2]) > 1).float()
        >>> proofs.note(aten._to_copy.default, (torch.tensor([False, True]),), {}, spikes)
        >>> proofs.hold(spikes)
        True
        >>> proofs.note(aten.mul_.Tensor, (spikes, 2), {}, spikes)
        >>> proofs.hold(spikes)  # written to
        False
    """

    def __init__(self) -> None:
        self._proofs: dict[int, _Proof] = {}

    def note(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        """Takes in an operation that ran, if it has a part in any proof."""
        effect = operation_of(func).binary
        if func._schema.is_mutable:
            self._note_write(func, args, kwargs, result, gives=effect == "gives")
        elif effect == "gives":
            if func._schema.name.startswith("gac::"):  # numbers, not truth values
                self._proof(result).whole = True
        elif effect == "converts" and (args[0].dtype == torch.bool or self.hold(args[0])):
            self._proof(result).whole = True
        elif effect == "keeps" and all(map(self.hold, tensors_in(args[0]))):
            pads = func.overloadpacket is aten.constant_pad_nd and len(args) > 2
            if not pads or args[2] in (0, 1):
                kept = result[:1] if isinstance(result, tuple) else tensors_in(result)
                for tensor in kept:
                    self._proof(tensor).whole = True

    def _note_write(
        self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any, *, gives: bool
    ) -> None:
        """A proof ends with a write, unless 0 and 1 are written."""
        copies = func.overloadpacket is aten.copy_
        if gives or (copies and (args[1].dtype == torch.bool or self.hold(args[1]))):
            self._fill(result)
            return
        for tensor in written(func, args, kwargs):
            self._proofs.pop(storage_id(tensor), None)

    def hold(self, tensor: Tensor) -> bool:
        """Whether a tensor holds 0 and 1 only, for certain."""
        known = self._proofs.get(storage_id(tensor))
        return known is not None and known.whole and known.dtype == tensor.dtype

    def forget(self) -> None:
        """Drops everything known; to be called after each forward pass."""
        self._proofs.clear()

    def _fill(self, view: Tensor) -> None:
        """0 and 1 were just written into a part of a storage, or all of it."""
        known = self._proofs.get(storage_id(view))
        if known is None or known.dtype != view.dtype:
            known = self._proof(view)
        known.parts[int(view.storage_offset())] = view.shape, view.stride()
        size = view.untyped_storage().nbytes() // view.element_size()
        known.whole = known.whole or _covers(known.parts, size)

    def _proof(self, tensor: Tensor) -> _Proof:
        proof = _Proof(StorageWeakRef(tensor.untyped_storage()), tensor.dtype)
        self._proofs[storage_id(tensor)] = proof
        return proof


def _covers(parts: dict[int, tuple[torch.Size, tuple[int, ...]]], size: int) -> bool:
    """Whether parts of one form, evenly spaced, fill a storage of that many elements.

    Example:
        >>> half = torch.Size([2, 3]), (6, 1)  # one of two steps of three neurons, two samples
        >>> _covers({0: half, 3: half}, 12), _covers({0: half, 1: half}, 12), _covers({0: half}, 12)
        (True, False, False)
    """
    starts = sorted(parts)
    gap = starts[1] - starts[0] if len(starts) > 1 else 0
    evenly = starts == [gap * k for k in range(len(starts))]
    forms = set(parts.values())
    if not evenly or len(forms) > 1:
        return False
    ((sizes, strides),) = forms
    axes = sorted((d, n) for n, d in zip((*sizes, len(starts)), (*strides, gap), strict=True))
    filled = 1
    for stride, length in axes:
        if length > 1 and stride != filled:
            return False
        filled *= length
    return filled == size
