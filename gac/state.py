"""A network from a configuration and named weights, every name checked.

Both file formats end here. Nothing is built from what a file merely claims: the expected
shapes come from a network without storage, and the file's own tensors become its weights.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from gac.config import MSResNetConfig
from gac.errors import InputError
from gac.msresnet import MSResNet

_WIDENED = (torch.float16, torch.bfloat16)
_FLOATING = (*_WIDENED, torch.float32, torch.float64)


def listed(names: Iterable[str], shown: int = 3) -> str:
    """The first few names and how many are left.

    Example:
        >>> listed(["a", "b", "c", "d", "e"])
        'a, b, c and 2 more'
    """
    all_names = list(names)
    rest = len(all_names) - shown
    return ", ".join(all_names[:shown]) + (f" and {rest} more" if rest > 0 else "")


def skeleton(config: MSResNetConfig) -> MSResNet:
    """The network of a configuration without storage: names, shapes and types only.

    Raises:
        InputError: If no tensor can have the sizes of the configuration.
    """
    try:
        with torch.device("meta"):
            return MSResNet(config)
    except (RuntimeError, TypeError) as error:
        raise InputError(
            f"no network can have these sizes: {str(error).splitlines()[0]}"
        ) from error


def check_tensors(state: Mapping[str, object]) -> dict[str, Tensor]:
    """The same mapping, known to hold finite floating-point weights and integer counters.

    Raises:
        InputError: If a value is not a plain tensor in memory, has no floating-point type
            (int64 for ``num_batches_tracked``), is not finite, or is a negative variance.
    """
    strange = [str(name) for name, value in state.items() if not _is_plain(name, value)]
    if strange:
        raise InputError(f"not plain tensors in memory under a name: {listed(strange)}")
    tensors = {name: value for name, value in state.items() if isinstance(value, Tensor)}
    types = [
        f"{name} ({str(tensor.dtype).removeprefix('torch.')})"
        for name, tensor in tensors.items()
        if tensor.dtype not in ((torch.int64,) if _is_counter(name) else _FLOATING)
    ]
    if types:
        raise InputError(
            f"wrong dtype: {listed(types)}; weights are float16, bfloat16, float32 or float64, "
            "num_batches_tracked is int64"
        )
    infinite = [name for name, tensor in tensors.items() if not tensor.isfinite().all()]
    if infinite:
        raise InputError(f"NaN or infinite values in {listed(infinite)}")
    variances = {name: t for name, t in tensors.items() if name.endswith("running_var")}
    negative = [name for name, variance in variances.items() if (variance < 0).any()]
    if negative:
        raise InputError(f"negative variance in {listed(negative)}")
    return tensors


def check_names(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Requires exactly the expected names and shapes.

    Raises:
        InputError: Naming the missing, unexpected and wrongly shaped ones.
    """
    missing = [name for name in expected if name not in state]
    unexpected = [name for name in state if name not in expected]
    shapes = [
        f"{name} ({_shape(state[name])} instead of {_shape(tensor)})"
        for name, tensor in expected.items()
        if name in state and state[name].shape != tensor.shape
    ]
    faults = {"missing": missing, "unexpected": unexpected, "wrongly shaped": shapes}
    text = "; ".join(f"{kind}: {listed(names)}" for kind, names in faults.items() if names)
    if text:
        raise InputError(f"keys do not fit the network: {text}")


def assemble(model: MSResNet, state: Mapping[str, Tensor]) -> MSResNet:
    """Gives a `skeleton` copies of its weights, 16-bit ones widened to float32; eval mode.

    Args:
        model: Without storage; completed in place.
        state: Checked tensors under the model's own names. All floating-point weights get
            one type: float64 if any of them has it, else float32.
    """
    wide = any(tensor.dtype == torch.float64 for tensor in state.values())
    dtype = torch.float64 if wide else torch.float32
    copies = {
        name: tensor.detach().to(dtype if tensor.is_floating_point() else tensor.dtype, copy=True)
        for name, tensor in state.items()
    }
    model.load_state_dict({name: copy.contiguous() for name, copy in copies.items()}, assign=True)
    return model.eval()


def precision_notes(state: Mapping[str, Tensor]) -> tuple[str, ...]:
    """What has to be said about the types in which the weights were stored."""
    found = {tensor.dtype for tensor in state.values()}
    names = [str(dtype).removeprefix("torch.") for dtype in _WIDENED if dtype in found]
    return (f"weights stored as {' and '.join(names)}, widened",) if names else ()


def _is_counter(name: str) -> bool:
    return name.endswith("num_batches_tracked")


def _is_plain(name: object, value: object) -> bool:
    """Whether this is a dense tensor under a text name that owns all the memory it claims."""
    if not (isinstance(name, str) and isinstance(value, Tensor)):
        return False
    if value.layout != torch.strided or value.is_meta or value.is_quantized:
        return False
    # Stride 0 makes four bytes look like ten gigabytes.
    return value.numel() * value.element_size() <= value.untyped_storage().nbytes()


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "scalar"
