"""How much memory training takes, before any of it is taken."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from gac.config import MSResNetConfig
from gac.state import skeleton


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Bytes that training takes; workspaces of single operations come on top.

    Attributes:
        parameters: Trainable numbers.
        weights: Weights, gradients and momentum.
        saved: What the backward pass needs of one part of a batch.
        precision: What the network was assumed to compute in.
    """

    parameters: int
    weights: int
    saved: int
    precision: str = "float32"

    @property
    def total(self) -> int:
        """Both."""
        return self.weights + self.saved


def training_memory(config: MSResNetConfig, images: int) -> Memory:
    """The memory to train a network on so many images at a time.

    The network runs without storage: shapes only.
    """
    if config.reads_intensities:  # values are looked at there; the rest of the network is the same
        config = replace(config, encoder="direct")
    model = skeleton(config).train()
    size = config.image_size
    batch = torch.empty(images, config.in_channels, size, size, device="meta")
    weights = list(model.parameters())
    return Memory(
        parameters=sum(weight.numel() for weight in weights),
        weights=3 * sum(weight.nbytes for weight in weights),
        saved=saved_bytes(model, batch),
    )


def saved_bytes(model: nn.Module, batch: Tensor) -> int:
    """What autograd keeps for the backward pass, the parameters themselves left out."""
    # By the storages, one object each: tensors on the meta device have no address.
    known = {weight.untyped_storage() for weight in model.parameters()}
    saved: set[torch.UntypedStorage] = set()

    def keep(tensor: Tensor) -> Tensor:
        if tensor.untyped_storage() not in known:
            saved.add(tensor.untyped_storage())
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        model(batch).sum()
    return sum(storage.nbytes() for storage in saved)
