"""Models and batches as a caller has them: made ready to be run, or refused in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from analysis.errors import InputError


def countable(model: nn.Module) -> nn.Module:
    """The model itself; of a compiled one the original, which runs while operations are watched.

    Raises:
        InputError: If it can't be counted, or has parameters whose values can't be looked at.
    """
    if not isinstance(model, nn.Module):
        raise InputError(f"the model must be a torch module, got {type(model).__name__}")
    if isinstance(model, nn.DataParallel):
        raise InputError(
            "nn.DataParallel runs the model in threads that can't be counted; give its .module"
        )
    model = getattr(model, "_orig_mod", model)  # torch.compile wraps it in a module
    for name, parameter in model.named_parameters():
        if problem := _uncountable(parameter):
            raise InputError(f"parameter {name!r} is {problem}; only dense real ones are counted")
    return model


def _uncountable(tensor: Tensor) -> str:
    """Why the values of a tensor can't be read; empty where they can."""
    if tensor.is_meta:
        return "on the meta device, without values"
    if tensor.layout != torch.strided:
        return f"{str(tensor.layout).removeprefix('torch.')}, without dense values"
    return "complex" if tensor.is_complex() else ""


@contextmanager
def words_for_hidden_storage() -> Iterator[None]:
    """Says in words that tensors without a storage of their own can't be followed.

    Raises:
        InputError: Instead of torch's error about it.
    """
    try:
        yield
    except NotImplementedError as error:
        if "storage" not in str(error):
            raise
        raise InputError(
            "the model makes tensors that have no storage of their own, sparse ones or those "
            "inside torch.vmap, and can't be counted"
        ) from error


def split(batch: Any, model: nn.Module) -> tuple[Any, Tensor | None]:
    """Inputs in the device and precision of the model, and labels if the batch has any."""
    inputs, *rest = batch if isinstance(batch, list | tuple) else (batch,)
    labels = rest[0] if rest and isinstance(rest[0], Tensor) else None
    if isinstance(inputs, Mapping):
        return {name: _suited(value, model) for name, value in inputs.items()}, labels
    if not isinstance(inputs, Tensor):
        raise InputError(
            f"a batch must be a tensor, a dictionary, or (inputs, labels), "
            f"got {type(inputs).__name__}"
        )
    if inputs.dtype == torch.bool:  # events; masks come in dictionaries
        inputs = inputs.float()
    return _suited(inputs, model), labels


def class_numbers(labels: Tensor | None, samples: int) -> Tensor | None:
    """Labels that are one whole number per sample; None where they are something else.

    Raises:
        InputError: If there are more or fewer of them than samples.
    """
    if labels is None or labels.dim() != 1 or labels.is_floating_point():
        return None
    if len(labels) != samples:
        raise InputError(f"a batch of {samples} samples came with {len(labels)} labels")
    return labels


def _suited(value: Any, model: nn.Module) -> Any:
    parameter = next((p for p in model.parameters() if p.is_floating_point()), None)
    if not isinstance(value, Tensor) or parameter is None:
        return value
    dtype = parameter.dtype if value.is_floating_point() else value.dtype
    return value.to(parameter.device, dtype)


def first_tensor(inputs: Any) -> Tensor:
    """The tensor whose first axis runs over samples (or steps)."""
    values = inputs.values() if isinstance(inputs, Mapping) else [inputs]
    found = next((value for value in values if isinstance(value, Tensor) and value.dim()), None)
    if found is None:
        raise InputError("a batch holds no tensor whose first axis could run over samples")
    if problem := _uncountable(found):
        raise InputError(f"the inputs are {problem}; give dense real tensors")
    return found
