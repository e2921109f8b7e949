"""Any torch model from the command line: a function of the user's own builds it.

Its batches come from another such function, or from a data set by name.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from analysis.cli.subject import RANDOM_INPUT, ImagesOf, Subject, drawn, sha256
from analysis.errors import InputError
from gac.archive import read_archive
from gac.data import data_source, load_data

if TYPE_CHECKING:
    from analysis.cli.job import Job
    from analysis.cli.processes import Place
    from gac.metadata import Preprocessing

_WRAPPERS = ("state_dict", "model", "model_state_dict", "state")  # keys that usually hold weights


def from_functions(job: Job, weights: Path | None) -> Subject:
    """A model that a function of the user builds, on batches of another or of a known data set.

    The functions are the user's own code and run as such; a weights file is only data.

    Raises:
        InputError: If a function can't be found, gives something else, the weights don't fit, or
            the data can't be read.
    """
    if job.data is None:
        raise InputError(
            "--model needs its samples: --data package.module:loader, or the name of a data set"
        )
    data = job.data
    model = _model(str(job.model), weights)
    shown, of, more = _shown(job, data)

    def of_one_process(place: Place) -> Iterable[Any]:
        if place.world > 1:
            raise InputError("--model runs in one process; start it without torchrun")
        return shown

    return Subject(
        model=model,
        batches=of_one_process,
        share=lambda _place: None,
        samples=job.samples,
        of=of,
        example=lambda: _one(next(iter(_shown(job, data)[0]))),
        facts={**_facts(str(job.model), model, weights), **more},
        settings={
            "steps": job.steps,
            "samples": job.samples,
            "neurons": job.neurons,
            "time_layout": job.time_layout,
            "loop": job.loop,
            "forward": None if job.forward is None else _forward(job.forward, model),
        },
    )


def _model(place: str, weights: Path | None) -> nn.Module:
    model: object = found(place, "--model")()
    if not isinstance(model, nn.Module):
        raise InputError(f"--model {place} gave a {type(model).__name__}, not a torch module")
    if weights is not None:
        load_weights(model, weights)
    return model


def _forward(place: str, model: nn.Module) -> Callable[..., Any]:
    """A function of the user's that gets the model before the inputs."""
    function = found(place, "--forward")
    if not callable(function):
        raise InputError(f"--forward {place} is a {type(function).__name__}, not a function")
    return partial(function, model)


def _shown(job: Job, data: str) -> tuple[Iterable[Any], tuple[str, int | None], dict[str, Any]]:
    """The batches, what they are of, and what the report has to say of them."""
    if ":" in data:
        return _batches(data), (data, None), {}
    how = _usual(data, job.steps)
    everything = load_data(data, preprocessing=how, root=job.data_root, seed=job.seed)
    loader: DataLoader[Any] = DataLoader(drawn(everything, job), job.batch_size)
    title = RANDOM_INPUT if everything.random else f"{data} test"
    shown = loader if everything.labelled else ImagesOf(loader)
    return shown, (title, len(everything)), {"preprocessing": asdict(how)}


def _usual(data: str, steps: int | None) -> Preprocessing:
    """The usual preprocessing of a data set; events become one frame per step asked for."""
    how = data_source(data).preprocessing
    if how.events is None or steps is None:
        return how
    return replace(how, events=replace(how.events, steps=steps))


def _batches(place: str) -> Iterable[Any]:
    loaded = found(place, "--data")
    batches: object = loaded() if callable(loaded) else loaded
    if not isinstance(batches, Iterable):
        raise InputError(f"--data {place} gave a {type(batches).__name__}, not batches")
    return batches


def _facts(place: str, model: nn.Module, weights: Path | None) -> dict[str, Any]:
    parameters = sum(parameter.numel() for parameter in model.parameters())
    facts = {
        "model": f"{place.rpartition(':')[2]}, {parameters:,} parameters",
        "method": place,
        "parameters": parameters,
    }
    if weights is None:
        return {**facts, "notes": ["no weights file: as the function built it"]}
    file = {"checkpoint": weights.name, "checkpoint_sha256": sha256(weights)}
    return {**file, **facts, "notes": []}


def found(place: str, option: str) -> Any:
    """What stands at ``package.module:name``, seen from the current folder as well.

    Raises:
        InputError: If there is no such module or name.
    """
    module, mark, name = place.partition(":")
    if not (module and mark and name):
        raise InputError(f"{option} takes package.module:name, not {place!r}")
    if "" not in sys.path:
        sys.path.insert(0, "")  # as `python -m` does
    try:
        holder = import_module(module)
    except ModuleNotFoundError as error:
        raise InputError(f"{option} {place}: no module named {error.name!r}") from error
    try:
        return getattr(holder, name)
    except AttributeError as error:
        known = ", ".join(n for n in vars(holder) if not n.startswith("_"))
        raise InputError(f"{option} {place}: {module} has no {name!r}; it has: {known}") from error


def load_weights(model: nn.Module, file: Path) -> None:
    """Loads a state dict, strictly; also one wrapped in a checkpoint or by data parallelism.

    Raises:
        InputError: If the file holds none, or another network's.
    """
    content = read_archive(file)
    for key in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            break
    if not isinstance(content, Mapping) or not all(isinstance(v, Tensor) for v in content.values()):
        raise InputError(f"{file.name} holds no state dict (names -> tensors)")
    state = {str(name).removeprefix("module."): tensor for name, tensor in content.items()}
    try:
        model.load_state_dict(state, strict=True)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:400]
        raise InputError(f"{file.name} does not fit the model: {reason}") from error


def _one(batch: Any) -> Tensor:
    images = batch[0] if isinstance(batch, list | tuple) else batch
    if not isinstance(images, torch.Tensor):
        raise InputError("--crosscheck needs batches of tensors, or of (tensor, labels)")
    return images[:1]
