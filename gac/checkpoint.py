"""Checkpoint files: our own format, and the released one read without any option."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gac.archive import read_archive
from gac.config import MSResNetConfig
from gac.data import DATASETS, usual_preprocessing
from gac.errors import InputError
from gac.files import save_archive
from gac.metadata import Metadata
from gac.msresnet import MSResNet
from gac.official import find_layout, load_state
from gac.plain import from_plain, to_plain
from gac.saved import weights_in, without_prefixes
from gac.state import assemble, check_names, check_tensors, precision_notes, skeleton

FORMAT = "gac-energy checkpoint"
SCHEMA = 1
_PARTS = ("config", "state", "metadata")
# Settings that files of earlier versions do not have, as those versions worked.
_ADDED: dict[str, Any] = {"gate": "full", "encoder_seed": 0}
_ADDED_TO_PREPROCESSING: dict[str, Any] = {"events": None}


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A trained network and what is known about it.

    Attributes:
        model: In eval mode, on the CPU.
        config: Its configuration.
        metadata: Data, preprocessing, metrics, provenance, notes.
    """

    model: MSResNet
    config: MSResNetConfig
    metadata: Metadata


def shipped_checkpoint() -> Path:
    """The trained network that comes with the package: digits, GAC encoder, 4 steps."""
    return Path(__file__).parent / "checkpoints" / "digits-gac.pth"


def save_checkpoint(path: Path | str, model: MSResNet, metadata: Metadata) -> None:
    """Writes a checkpoint; an older file of that name stays whole until the new one is.

    Raises:
        InputError: If it cannot be written (no space, no permission, no such folder).
    """
    content = {
        "format": FORMAT,
        "schema": SCHEMA,
        "config": to_plain(model.config),
        "state": {name: tensor.cpu() for name, tensor in model.state_dict().items()},
        "metadata": to_plain(metadata),
    }
    save_archive(Path(path), content)


def load(path: Path | str, steps: int | None = None) -> Checkpoint:
    """Reads a checkpoint, of our own format or a state dict of the released code.

    Args:
        path: The file; never executed, whatever it holds.
        steps: Simulation steps; needed for a released network without the encoder.

    Raises:
        InputError: If it is no such file, is damaged, or its weights do not fit; one line.
    """
    path = Path(path)
    content = read_archive(path)
    if not isinstance(content, Mapping):
        raise InputError(f"{path} holds a {type(content).__name__}, not a checkpoint")
    try:
        return (
            _own(content, steps) if content.get("format") == FORMAT else _official(content, steps)
        )
    except InputError as error:
        raise InputError(f"{path}: {_one_line(str(error))}") from error


def _own(content: Mapping[str, Any], steps: int | None) -> Checkpoint:
    schema = content.get("schema")
    if not isinstance(schema, int) or schema != SCHEMA:
        raise InputError(f"unknown schema version {schema}; this version reads {SCHEMA}")
    wrong = [name for name in _PARTS if not isinstance(content.get(name), dict)]
    if wrong:
        raise InputError(f"parts missing or of a wrong type: {', '.join(wrong)}")
    config = from_plain(MSResNetConfig, _ADDED | content["config"])
    if steps is not None and steps != config.steps:
        raise InputError(f"the network has {config.steps} steps, asked for {steps}")
    state = check_tensors(content["state"])
    if sum(config.blocks) > len(state):  # before a million blocks are built
        raise InputError(f"{sum(config.blocks)} blocks claimed, {len(state)} tensors there")
    model = skeleton(config)
    check_names(state, model.state_dict())
    metadata = from_plain(Metadata, _completed(content["metadata"]))
    metadata = replace(metadata, notes=(*metadata.notes, *precision_notes(state)))
    return Checkpoint(model=assemble(model, state), config=config, metadata=metadata)


def _completed(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    """Metadata with what files of earlier versions do not say."""
    added = {"preprocessing": _ADDED_TO_PREPROCESSING, "provenance": {"settings": None}}
    told = {name: metadata.get(name) for name in added}
    whole = {name: added[name] | part for name, part in told.items() if isinstance(part, dict)}
    return {**metadata, **whole}


def _official(content: Mapping[str, Any], steps: int | None) -> Checkpoint:
    saved = weights_in(content)
    state = without_prefixes(saved.state)
    layout = find_layout(state)  # another network's weights are told by their names
    model = load_state(state, steps)
    classes = model.config.classes
    fitting = [name for name in layout.data_sets if DATASETS[name].classes == classes]
    usual = (*fitting, *layout.data_sets)[0]
    notes = (
        f"released state dict ({layout.name} layout): strides, neuron and input size are the "
        "family's",
        f"its preprocessing is unknown; the usual one of {usual} is assumed",
        *saved.notes,
        *precision_notes(state),
    )
    return Checkpoint(
        model=model,
        config=model.config,
        metadata=Metadata(
            preprocessing=usual_preprocessing(usual, model.config.image_size),
            metrics={},
            notes=notes,
        ),
    )


def _one_line(message: str, longest: int = 400) -> str:
    """Names in a file can hold anything: line breaks, terminal commands, a megabyte of text."""
    text = "".join(c if c.isprintable() else "?" for c in " ".join(message.split()))
    return text if len(text) <= longest else f"{text[:longest]}..."
