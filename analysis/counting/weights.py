"""The weights of a model: which layers they belong to, how many are zero, which took part."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Hashable
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef

from analysis.counting.products import Product
from analysis.records import LayerShape

_LAYERS = (
    nn.modules.conv._ConvNd,
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
                self._owners[weight.untyped_storage()._cdata].append(name)
        self._biased = {name for name, layer in layers.items() if _has_bias(layer)}
        self._zeros: dict[Hashable, tuple[StorageWeakRef, int]] = {}

    def owners(self, weight: Tensor) -> list[str]:
        """The layers that a weight, or a view of it, belongs to; whoever uses it."""
        return self.owners_of(weight.untyped_storage()._cdata)

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
        place = storage._cdata, version, weight.storage_offset(), weight.shape, weight.stride()
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
