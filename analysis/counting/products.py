"""What one execution of a weight operation comes to: exact counts per row of its leading axis.

First fan-out: how many (output, tap) pairs read each position, in closed form and cached. Then
three forms, which cover every operation: an input that meets weights, two activations that meet
each other, and attention probabilities that nobody sees. Last the weights of the model.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Hashable
from dataclasses import dataclass, replace
from functools import lru_cache, reduce
from math import prod
from typing import Protocol

import torch
from torch import Tensor, nn

from analysis.counting.values import Histogram, Levels, OperandReader
from analysis.records import LayerShape
from analysis.torch_internals import AnyConv, StorageWeakRef, storage_id

Padding = tuple[int, ...]  # zeros before and after each axis, the last axis first


@lru_cache(maxsize=1024)
def axis_fan(
    size: int, outputs: int, kernel: int, stride: int, padding: int, dilation: int, transposed: bool
) -> Tensor:
    """The (output, tap) pairs that read each position along one axis, float64.

    Tap k joins input i and output o where i = o * stride - padding + k * dilation, with the
    two sides exchanged in a transposed convolution.

    Example:
        >>> axis_fan(4, 4, kernel=3, stride=1, padding=1, dilation=1, transposed=False).tolist()
        [2.0, 3.0, 3.0, 2.0]
    """
    position = torch.arange(size).unsqueeze(1)  # (size, 1)
    reach = torch.arange(kernel) * dilation - padding  # (kernel,)
    if transposed:
        output = position * stride + reach
        meets = torch.ones_like(output, dtype=torch.bool)
    else:
        output = (position - reach).div(stride, rounding_mode="floor")
        meets = output * stride + reach == position
    meets &= (output >= 0) & (output < outputs)
    return meets.sum(1).double()


@lru_cache(maxsize=256)
def each_once(size: int) -> Tensor:
    """The fans of an axis every position of which is read once."""
    return torch.ones(size, dtype=torch.float64)


def per_row(counts: Tensor) -> Tensor:
    """``(N, *S)`` -> ``(N,)``."""
    return counts.flatten(1).sum(1) if counts.dim() > 1 else counts


def weighted(nonzeros: Tensor, fans: tuple[Tensor, ...]) -> Tensor:
    """Non-zeros per position, each times its fan-out: ``(N, *S)`` -> ``(N,)``, exact."""
    if not fans:
        return per_row(nonzeros)
    return nonzeros.flatten(1) @ fan_out(fans).to(nonzeros.device)


@lru_cache(maxsize=256)  # the fans of an axis are cached themselves
def fan_out(fans: tuple[Tensor, ...]) -> Tensor:
    """The fan-out of every position: the product of those along its axes, ``(prod(S),)``."""
    return reduce(lambda left, right: torch.outer(left, right).flatten(), fans)


@lru_cache(maxsize=256)
def interior(fans: tuple[Tensor, ...], padding: Padding) -> tuple[int, int]:
    """Positions that padding did not add, and the sum of their fan-outs."""
    trimmed = [_trim(fan, padding, axis) for axis, fan in enumerate(reversed(fans))]
    return prod(map(len, trimmed)), prod(int(fan.sum()) for fan in trimmed)


def _trim(fan: Tensor, padding: Padding, axis: int) -> Tensor:
    """The part of an axis, counted from the last, that padding did not add."""
    before, after = padding[2 * axis : 2 * axis + 2] or (0, 0)
    return fan[before : len(fan) - after]


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

    @property
    def quantities(self) -> list[Tensor]:
        """All counts per row."""
        sides = [side for side in (self.operand, self.other) if side is not None]
        found = [counts for side in sides for counts in (side.nonzeros, side.synops)]
        return found if self.pairs is None else [*found, self.pairs]


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


_LAYERS = (
    AnyConv,
    nn.Linear,
    nn.Bilinear,
    nn.RNNBase,
    nn.RNNCellBase,
    nn.MultiheadAttention,
)
_CHUNK = 1 << 19  # elements per pass, so that the scratch buffer stays in the cache


class Weights:
    """The weights of a model, and whatever else is used as weights.

    Example:
        >>> model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
        >>> weights = Weights(model)
        >>> weights.owners(model[1].weight.mT), weights.never_ran({"0"})
        (['1'], ('1',))
    """

    def __init__(self, model: nn.Module) -> None:
        layers = {n: m for n, m in model.named_modules() if isinstance(m, _LAYERS)}
        self._layers = tuple(layers)
        self._owners: dict[int, list[str]] = defaultdict(list)
        for name, layer in layers.items():
            for weight in layer.parameters(recurse=False):
                self._owners[storage_id(weight)].append(name)
        self._biased = {name for name, layer in layers.items() if _has_bias(layer)}
        self._zeros: dict[Hashable, tuple[StorageWeakRef, int]] = {}

    def owners(self, weight: Tensor) -> list[str]:
        """The layers that a weight, or a view of it, belongs to; whoever uses it."""
        return self.owners_of(storage_id(weight))

    def owners_of(self, storage: int) -> list[str]:
        """The same, by the address of its storage."""
        return self._owners.get(storage, [])

    def shape(self, product: Product) -> LayerShape | None:
        """The sizes of the layer that a product is done for.

        torch adds a bias in the product or after it, as it likes; the layer knows if it has one.
        """
        owners = self.owners(product.weight) if product.weight is not None else []
        if product.shape is None or not owners:
            return product.shape
        return replace(product.shape, biased=not self._biased.isdisjoint(owners))

    def never_ran(self, ran: Container[str]) -> tuple[str, ...]:
        """The layers that took no part, given the names of what did."""
        return tuple(name for name in self._layers if name not in ran)

    def number(self, weight: Tensor) -> tuple[int, int]:
        """The elements of a weight, and how many are exactly zero; looked at once.

        One that was expanded is no larger.
        """
        storage = weight.untyped_storage()
        weight = weight[tuple(slice(0, 1 if stride == 0 else None) for stride in weight.stride())]
        version = 0 if weight.is_inference() else weight._version
        place = storage_id(weight), version, weight.storage_offset(), weight.shape, weight.stride()
        if place not in self._zeros:
            # The weak reference keeps the address from being used again.
            self._zeros[place] = StorageWeakRef(storage), _count_zeros(weight)
        return weight.numel(), self._zeros[place][1]

    def forget(self) -> None:
        """Drops what is known of weights that are no more; to be called after each pass."""
        self._zeros = {k: v for k, v in self._zeros.items() if not v[0].expired()}


def _has_bias(layer: nn.Module) -> bool:
    return any("bias" in name for name, _ in layer.named_parameters(recurse=False))


def _count_zeros(weight: Tensor) -> int:
    """How many elements of a weight are exactly zero."""
    nonzeros, buffer = 0, torch.empty(_CHUNK, device=weight.device)
    for chunk in weight.detach().flatten().split(_CHUNK):
        nonzeros += int(torch.ne(chunk, 0, out=buffer[: len(chunk)]).sum())
    return weight.numel() - nonzeros
