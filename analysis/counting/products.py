"""What one execution of a weight operation comes to: exact counts per row of its leading axis.

Three forms cover every operation: an input that meets weights, two activations that meet each
other, and attention probabilities that nobody sees.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from analysis.counting.fans import Padding, interior, per_row, weighted
from analysis.counting.operands import Histogram, Levels, OperandReader
from analysis.records import LayerShape


@dataclass(frozen=True)
class Side:
    """One input of a product, counted.

    Attributes:
        levels: Its distinct values; None: too many.
        nonzeros: Non-zero elements per row, ``(N,)``.
        elements: Elements of all rows, zero padding left out.
        synops: Per row, pairs of its non-zeros with whatever is on the other side, ``(N,)``.
        histogram: How often each value occurs, if that was asked for.
        level_synops: The synops of each non-zero value, of all rows; then only, and only of an
            input that meets weights.
    """

    levels: Levels
    nonzeros: Tensor
    elements: int
    synops: Tensor
    histogram: Histogram | None = None
    level_synops: Histogram | None = None


@dataclass(frozen=True)
class Counted:
    """One execution of a weight operation, counted.

    Attributes:
        operand, other: The input; and the second one where both are activations.
        pairs: Per row, pairs of non-zeros of both inputs, ``(N,)``; None with a weight.
        dense, inside: Multiply-accumulates of all rows if no input were zero, with and without
            the products that padding or a mask takes away.
    """

    operand: Side
    other: Side | None
    pairs: Tensor | None
    dense: int
    inside: int


class Product(Protocol):
    """A weight operation that can be counted."""

    @property
    def op(self) -> str:
        """Its everyday name."""

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The activations as the operation got them, to ask where they come from."""

    @property
    def rows(self) -> Tensor:
        """A tensor whose first axis holds the rows that counts are given for."""

    @property
    def weight(self) -> Tensor | None:
        """The weights; None where both factors are activations."""

    @property
    def biased_outputs(self) -> int:
        """Output elements that a bias is added to."""

    @property
    def shape(self) -> LayerShape | None:
        """Sizes of the layer; None where both factors are activations."""

    def count(self, reader: OperandReader, padding: Padding) -> Counted:
        """Counts it, given the zeros that were put around the input before."""


@dataclass(frozen=True)
class WeightProduct:
    """An input that meets weights.

    An input element at position ``s`` of its channel meets
    ``multiplicity * prod(fans[i][s[i]])`` weight elements.

    Attributes:
        op: Everyday name.
        inputs: The input as the operation got it.
        values: The same as ``(N, C, *S)``.
        weight: The weights.
        fans: Per axis of S, the (output, tap) pairs that read each position, float64.
        multiplicity: Output channels that each input channel feeds.
        dense_per_row: Multiply-accumulates per row, padding included.
        biased_outputs: Output elements that a bias is added to.
        shape: Sizes of the layer; None for a transposed convolution.
    """

    op: str
    inputs: tuple[Tensor, ...]
    values: Tensor
    weight: Tensor
    fans: tuple[Tensor, ...]
    multiplicity: int
    dense_per_row: int
    biased_outputs: int = 0
    shape: LayerShape | None = None

    @property
    def rows(self) -> Tensor:
        """See `Product`."""
        return self.values

    def for_each(self, samples: int) -> WeightProduct:
        """The product as often as there are samples, one after another."""
        values = self.values.repeat(samples, *[1] * (self.values.dim() - 1))
        return replace(self, values=values, biased_outputs=self.biased_outputs * samples)

    def count(self, reader: OperandReader, padding: Padding) -> Counted:
        """See `Product`."""
        reading = reader.read(self.values)
        positions, reached = interior(self.fans, padding)
        rows, channels = self.values.shape[:2]
        side = Side(
            levels=reading.levels,
            nonzeros=per_row(reading.nonzeros),
            elements=rows * channels * positions,
            synops=weighted(reading.nonzeros, self.fans) * self.multiplicity,
            histogram=reading.histogram,
            level_synops=self._synops_by_level(reading.histogram),
        )
        return Counted(
            operand=side,
            other=None,
            pairs=None,
            dense=rows * self.dense_per_row,
            inside=rows * channels * self.multiplicity * reached,
        )

    def _synops_by_level(self, levels: Histogram | None) -> Histogram | None:
        if levels is None:
            return None
        found = {}
        for level in filter(None, levels):
            places = (self.values == level).sum(1, dtype=torch.float64)
            found[level] = int(weighted(places, self.fans).sum()) * self.multiplicity
        return found


@dataclass(frozen=True)
class PairProduct:
    """Two activations that meet over a shared axis: ``left @ right``.

    Attributes:
        op: Everyday name.
        inputs: The two as the operation got them.
        left, right: ``(N, H, L, K)`` and ``(N, H, K, S)``: row, head, positions, shared axis.
        allowed: Which positions meet, ``(N, H, L, S)`` of 0 and 1; None: all.
    """

    op: str
    inputs: tuple[Tensor, ...]
    left: Tensor
    right: Tensor
    allowed: Tensor | None = None
    weight: None = None
    biased_outputs: int = 0
    shape: None = None

    @property
    def rows(self) -> Tensor:
        """See `Product`."""
        return self.left

    def count(self, reader: OperandReader, padding: Padding) -> Counted:
        """See `Product`."""
        left = reader.read(self.left.transpose(1, 2))  # non-zeros (N, H, K): summed over L
        right = reader.read(self.right.permute(0, 3, 1, 2))  # (N, H, K): summed over S
        rows, heads, length, shared = self.left.shape
        width = self.right.shape[-1]
        dense = rows * heads * length * shared * width
        if self.allowed is None:
            left_synops, right_synops = left.nonzeros * width, right.nonzeros * length
            pairs, inside = left.nonzeros * right.nonzeros, dense
        else:
            is_left, is_right = (self.left != 0).double(), (self.right != 0).double()
            left_synops = is_left * self.allowed.sum(3, keepdim=True)
            right_synops = is_right * self.allowed.sum(2, keepdim=True)
            pairs = (is_left @ is_right) * self.allowed
            inside = int(self.allowed.sum()) * shared
        nonzeros = (left.nonzeros, right.nonzeros)
        sides = [
            Side(found.levels, per_row(n), whole.numel(), per_row(synops), found.histogram)
            for found, n, whole, synops in zip(
                (left, right), nonzeros, (self.left, self.right), (left_synops, right_synops),
                strict=True,
            )
        ]  # fmt: skip
        return Counted(sides[0], sides[1], per_row(pairs), dense, inside)


@dataclass(frozen=True)
class AttentionValues:
    """Attention probabilities times values inside a fused operation.

    The probabilities are never seen; a softmax makes them real and non-zero wherever it is
    allowed to look.

    Attributes:
        op: Everyday name.
        inputs: The values as the operation got them.
        values: ``(N, H, S, E)``.
        allowed: Which positions are looked at, ``(N, H, L, S)`` of 0 and 1.
    """

    op: str
    inputs: tuple[Tensor, ...]
    values: Tensor
    allowed: Tensor
    weight: None = None
    biased_outputs: int = 0
    shape: None = None

    @property
    def rows(self) -> Tensor:
        """See `Product`."""
        return self.inputs[0]

    def count(self, reader: OperandReader, padding: Padding) -> Counted:
        """See `Product`; the operand are the probabilities, the other side the values."""
        reading = reader.read(self.values.permute(0, 3, 1, 2))  # (N, H, S): summed over E
        width = self.values.shape[-1]
        pairs = per_row(reading.nonzeros * self.allowed.sum(2))
        looks = per_row(self.allowed)
        hidden = Side(None, looks, self.allowed.numel(), looks * width)
        seen = Side(
            reading.levels,
            per_row(reading.nonzeros),
            self.values.numel(),
            pairs,
            reading.histogram,
        )
        dense, inside = self.allowed.numel() * width, int(looks.sum()) * width
        return Counted(hidden, seen, pairs, dense, inside)


def everywhere(rows: int, heads: int, length: int, width: int, device: torch.device) -> Tensor:
    """A mask that allows all positions, as a view of a single one."""
    return torch.ones((), dtype=torch.float64, device=device).expand(rows, heads, length, width)
