"""A user's weights file into the model that a function of theirs built."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from analysis.errors import InputError
from gac.archive import read_archive
from gac.saved import PREFIXES, weights_in
from gac.state import listed

# What neurons call the state that they keep in buffers, besides what frameworks declare.
_STATES = frozenset(
    ("v", "u", "i", "mem", "membrane", "v_mem", "i_syn", "syn", "spike", "spikes", "state",
     "potential", "v_seq", "spk", "activations")
)  # fmt: skip


_COUNTER = "num_batches_tracked"  # of batch norm, which older files do not have


def load_weights(model: nn.Module, file: Path, *, option: str) -> list[str]:
    """Loads weights as people save them: wrapped in a checkpoint, under prefixes, beside states.

    Every parameter and every statistic has to be there in its shape. The state in which neurons
    were saved belongs to some batch of the training and is left out.

    Args:
        model: Gets the weights.
        file: Only ever read as data.
        option: What built the model, for the message.

    Returns:
        What has to be said of it.

    Raises:
        InputError: If the file holds no weights, or another network's.
    """
    content = read_archive(file)
    try:
        saved = weights_in(content)
    except ValueError as error:
        raise InputError(f"{file.name} {error}") from error
    own = {name: x for name, x in model.state_dict().items() if isinstance(x, Tensor)}
    state, around = _named_as(own, saved.state)
    parameters = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    needed = {name for name in own if name in parameters or not _is_state(name)}
    faults = _faults(own, state, needed)
    if faults:
        raise InputError(
            f"{file.name} does not fit the model of {option}: {faults}; --model takes the function "
            "that builds the network of this file; without a file it runs as built"
        )
    chosen = {name: tensor for name, tensor in state.items() if name in needed}
    model.load_state_dict(chosen, strict=False)
    states = [name for name in state if name not in needed]
    notes = list(saved.notes)
    if states:
        notes.append(f"saved state of neurons left out, it is no weight: {listed(states)}")
    if around:
        notes.append(f"not part of the model, left out: {listed(around)}")
    return notes


def _named_as(own: Mapping[str, Any], state: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Names as the model has them, and the names of what stands around the model in the file.

    Of all prefixes that the file may have put before names, those are taken off that give the
    most names of the model.
    """
    plain = {str(name).replace("_orig_mod.", ""): value for name, value in state.items()}
    best = ""
    for prefix in _prefixes():
        if _fitting(own, plain, prefix) > _fitting(own, plain, best):
            best = prefix
    inside = {n.removeprefix(best): value for n, value in plain.items() if n.startswith(best)}
    return inside, [name for name in plain if not name.startswith(best)]


def _prefixes() -> Iterator[str]:
    yield from PREFIXES
    yield from (first + second for first in PREFIXES for second in PREFIXES)


def _fitting(own: Mapping[str, Any], state: Mapping[str, Any], prefix: str) -> int:
    return sum(prefix + name in state for name in own)


def _is_state(name: str) -> bool:
    """Whether a name is that of something a neuron remembers, where it is no parameter."""
    return name.rpartition(".")[2] in _STATES


def _faults(own: Mapping[str, Tensor], state: Mapping[str, Any], needed: set[str]) -> str:
    """Names that are only in the file, only in the model, or of another shape; empty if none."""
    tensors = {name: value for name, value in state.items() if isinstance(value, Tensor)}
    missing = [n for n in own if n in needed and n not in tensors and not n.endswith(_COUNTER)]
    more = [name for name in tensors if name not in own and not _is_state(name)]
    shapes = [
        f"{name} ({_shape(tensors[name])} in the file, {_shape(own[name])} in the model)"
        for name in own
        if name in needed and name in tensors and not is_lazy(own[name])
        and tensors[name].shape != own[name].shape
    ]  # fmt: skip
    kinds = {"only in the model": missing, "only in the file": more, "of other shapes": shapes}
    return "; ".join(f"{kind}: {listed(names)}" for kind, names in kinds.items() if names)


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "scalar"
