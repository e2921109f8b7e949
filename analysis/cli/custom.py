"""Any torch model from the command line: a function of the user's own builds it.

Its batches come from another such function, or from a data set by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from analysis.cli.early import check_place
from analysis.cli.subject import RANDOM_INPUT, ImagesOf, Subject, drawn, sha256
from analysis.cli.weights import load_weights
from analysis.errors import InputError
from gac.data import data_source, load_data
from gac.pictures import NOISE_SAMPLES

if TYPE_CHECKING:
    from analysis.cli.job import Job
    from analysis.cli.processes import Place
    from gac.metadata import Preprocessing


def from_functions(job: Job, weights: Path | None) -> Subject:
    """A model that a function of the user builds, on batches of another or of a known data set.

    The functions are the user's own code and run as such; a weights file is only data.

    Raises:
        InputError: If a function can't be found, gives something else, the weights don't fit, or
            the data can't be read.
    """
    if job.data is None:
        raise InputError(
            "--model needs its samples: --data package.module:loader, or the name of a data set; "
            "without any: --rates RATE --input-shape C,H,W"
        )
    data = job.data
    model, notes = _model(str(job.model), weights)
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
        facts={**_facts(str(job.model), model, weights, notes), **more},
        settings={
            "steps": job.steps,
            "samples": job.samples,
            "neurons": job.neurons,
            "time_layout": job.time_layout,
            "loop": job.loop,
            "forward": None if job.forward is None else own_forward(job.forward, model),
        },
    )


def own_model(place: str) -> nn.Module:
    """What a function of the user's builds.

    Raises:
        InputError: If there is no such function, or it gives no model.
    """
    model: object = found(place, "--model")()
    if not isinstance(model, nn.Module):
        raise InputError(f"--model {place} gave a {type(model).__name__}, not a torch module")
    return model


def _model(place: str, weights: Path | None) -> tuple[nn.Module, list[str]]:
    """A model with the weights of a file, and what to say of both."""
    model = own_model(place)
    if weights is None:
        return model, ["no weights file: as the function built it"]
    return model, load_weights(model, weights, option=f"--model {place}")


def own_forward(place: str, model: nn.Module) -> Callable[..., Any]:
    """A function of the user's that gets the model before the inputs."""
    function = found(place, "--forward")
    if not callable(function):
        raise InputError(f"--forward {place} is a {type(function).__name__}, not a function")
    return partial(function, model)


def _shown(job: Job, data: str) -> tuple[Iterable[Any], tuple[str, int | None], dict[str, Any]]:
    """The batches, what they are of, and what the report has to say of them."""
    if ":" in data:
        return _batches(data), (data, None), {}
    if job.shape is not None:
        return _Noise(job), (RANDOM_INPUT, None), {}
    how = _usual(data, job.steps)
    everything = load_data(data, preprocessing=how, root=job.data_root, seed=job.seed)
    loader: DataLoader[Any] = DataLoader(drawn(everything, job), job.batch_size)
    title = RANDOM_INPUT if everything.random else f"{data} test"
    shown = loader if everything.labelled else ImagesOf(loader)
    return shown, (title, len(everything)), {"preprocessing": asdict(how)}


@dataclass(frozen=True)
class _Noise:
    """Batches of normal noise in the shape that was asked for; the batch size changes no value."""

    job: Job

    def __iter__(self) -> Iterator[Tensor]:
        shape = self.job.shape or ()
        generator = torch.Generator().manual_seed(self.job.seed)
        left = self.job.samples or NOISE_SAMPLES
        while left > 0:
            size = min(left, self.job.batch_size)
            yield torch.stack([torch.randn(shape, generator=generator) for _ in range(size)])
            left -= size


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


def _facts(
    place: str, model: nn.Module, weights: Path | None, notes: Sequence[str]
) -> dict[str, Any]:
    parameters = sum(parameter.numel() for parameter in model.parameters())
    facts = {
        "model": f"{place.rpartition(':')[2]}, {parameters:,} parameters",
        "method": place,
        "parameters": parameters,
    }
    file = (
        {}
        if weights is None
        else {"checkpoint": weights.name, "checkpoint_sha256": sha256(weights)}
    )
    return {**file, **facts, "notes": [*notes]}


def found(place: str, option: str) -> Any:
    """What stands at ``package.module:name``, seen from the current folder as well.

    Raises:
        InputError: If there is no such module or name.
    """
    check_place(place, option)
    module, _, name = place.partition(":")
    try:
        holder = import_module(module)
    except ModuleNotFoundError as error:
        raise InputError(f"{option} {place}: no module named {error.name!r}") from error
    try:
        return getattr(holder, name)
    except AttributeError as error:
        known = ", ".join(n for n in vars(holder) if not n.startswith("_"))
        raise InputError(f"{option} {place}: {module} has no {name!r}; it has: {known}") from error


def _one(batch: Any) -> Tensor:
    images = batch[0] if isinstance(batch, list | tuple) else batch
    if not isinstance(images, torch.Tensor):
        raise InputError("--crosscheck needs batches of tensors, or of (tensor, labels)")
    return images[:1]
