"""What is analysed: a network, its samples, and what can be said of both."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset

from analysis.errors import InputError
from gac.checkpoint import Checkpoint, load, shipped_checkpoint
from gac.data import data_source, load_data, preprocessing_for
from gac.plain import to_plain
from gac.registry import ARCHITECTURES

if TYPE_CHECKING:
    from analysis.cli.job import Job
    from analysis.cli.processes import Place
    from gac.metadata import Preprocessing

RANDOM_INPUT = "random input: rates mean nothing"
_GAC_PAPERS = ("qiu2024gac", "hu2024msresnet")
_BY_RUN = frozenset(  # options that make no other method
    f"--{name}" for name in (
        "seed", "threads", "output", "device", "workers", "resume", "restart", "save-every", "keep",
        "rates-on", "tensorboard", "data-root", "channels-last", "quiet",
    )
)  # fmt: skip
_LONG = {"-o": "--output", "-q": "--quiet"}


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A network with the samples it is to run on.

    Attributes:
        model: On the CPU.
        batches: The batches of one process.
        share: Places of that process' samples in the data; None where they are not known.
        samples: How many there are in all; None where that is not known.
        of: What they were drawn from, such as ``digits test``, and how many that holds.
        example: One sample as a batch, for the crosscheck.
        some: Batches of at most so many samples, drawn with the seed; None where that can't be.
        facts: For the report's provenance.
        settings: For `analysis.analyze`: steps, roles.
    """

    model: nn.Module
    batches: Callable[[Place], Iterable[Any]]
    share: Callable[[Place], Sequence[int] | None]
    samples: int | None
    of: tuple[str, int | None]
    example: Callable[[], Tensor]
    facts: Mapping[str, Any]
    settings: Mapping[str, Any]
    some: Callable[[int], Iterable[Any]] | None = None

    def data(self, ran: int) -> str:
        """The samples in words, given how many of them ran."""
        title, whole = self.of
        return f"{title}, {ran} of {whole} samples" if whole else f"{title}, {ran} samples"


def sha256(file: Path) -> str:
    """The digest of a file, so that a report names its very weights."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def from_checkpoint(job: Job, file: Path | None) -> Subject:
    """A checkpoint of gac-train or of the released code, on its own data or another's.

    Raises:
        InputError: If the checkpoint or the data can't be used.
    """
    file = file or shipped_checkpoint()
    network = load(file, job.steps)
    name = data_name(network, job.data, file)
    how = preprocessing_of(network, name)
    everything = load_data(name, preprocessing=how, root=job.data_root, seed=job.seed)
    chosen = drawn(everything, job)
    places = chosen.indices if isinstance(chosen, Subset) else range(len(chosen))
    labelled = everything.labelled and _same_classes(network, name)

    def loaded(samples: Sequence[int]) -> Iterable[Any]:
        loader: DataLoader[Any] = DataLoader(Subset(chosen, samples), job.batch_size)
        return loader if labelled else ImagesOf(loader)

    def some(most: int) -> Iterable[Any]:
        generator = torch.Generator().manual_seed(job.seed)
        order = torch.randperm(len(chosen), generator=generator)[:most]
        return loaded(sorted(order.tolist()))

    return Subject(
        model=network.model,
        batches=lambda place: loaded(place.share(len(chosen))),
        some=some,
        share=lambda place: [places[position] for position in place.share(len(chosen))],
        samples=len(chosen),
        of=(RANDOM_INPUT if everything.random else f"{name} test", len(everything)),
        example=lambda: chosen[0][0].unsqueeze(0),
        facts={
            "checkpoint": file.name,
            "checkpoint_sha256": sha256(file),
            "preprocessing": asdict(how),
            "notes": _notes(network, name, random=everything.random, labelled=labelled),
            "cites": list(_GAC_PAPERS),
            **_described(network),
        },
        settings={},
    )


@dataclass(frozen=True)
class ImagesOf:
    """The images of labelled batches, batch by batch."""

    loader: DataLoader[Any]

    def __iter__(self) -> Any:
        return (images for images, _ in self.loader)

    def __len__(self) -> int:
        return len(self.loader)


def data_name(network: Checkpoint, asked: str | None, file: Path) -> str:
    """The data set asked for, or the one that a checkpoint was made for.

    Raises:
        InputError: If neither is known.
    """
    name = asked or (network.metadata.data.name if network.metadata.data else None)
    if name is None:
        raise InputError(
            f"{file.name} does not say what data it was made for; give --data (and --data-root)"
        )
    data_source(name)  # an unknown name is told before anything is loaded
    return name


def preprocessing_of(network: Checkpoint, name: str) -> Preprocessing:
    """The checkpoint's own; for other data than its own, the usual one of that data."""
    own = network.metadata.data
    if own is None or own.name == name:
        return network.metadata.preprocessing
    return preprocessing_for(name, network.config)


def drawn(everything: Any, job: Job) -> Any:
    """All samples, or some drawn without replacement; the same ones for the same seed.

    A run that may stop early takes them in random order: data sets are often sorted by class.
    """
    if job.until is None and (job.samples is None or job.samples >= len(everything)):
        return everything
    generator = torch.Generator().manual_seed(job.seed)
    order = torch.randperm(len(everything), generator=generator)
    return Subset(everything, order[: job.samples].tolist())


def _same_classes(network: Checkpoint, name: str) -> bool:
    """Whether the labels of some data can be compared with what the network says."""
    trained_on = network.metadata.data
    if trained_on is None:
        return data_source(name).classes == network.config.classes
    return trained_on.name == name


def _notes(network: Checkpoint, name: str, *, random: bool, labelled: bool) -> list[str]:
    notes = [RANDOM_INPUT] if random else []
    notes += network.metadata.notes
    trained_on = network.metadata.data
    if trained_on is not None and trained_on.name != name:
        notes.append(f"trained on {trained_on.name}, analysed on {name}")
    if not (random or labelled):
        notes.append(
            f"no accuracy: the labels of this data are not the "
            f"{network.config.classes} classes of the network"
        )
    return notes


def _described(network: Checkpoint) -> dict[str, Any]:
    """Model, method and training seed in words; runs that differ by their seed are one method."""
    config, made = network.config, network.metadata.provenance
    parameters = sum(p.numel() for p in network.model.parameters())
    structure = (
        f"MS-ResNet, {config.encoding} encoder, blocks {'-'.join(map(str, config.blocks))}, "
        f"widths {'-'.join(map(str, config.widths))}"
    )
    recipe = f"; {_recipe(made.command)}" if made else ""
    return {
        "model": f"{structure}, {parameters:,} parameters",
        "method": structure + recipe,
        "settings": {
            "network": to_plain(config),
            "preprocessing": to_plain(network.metadata.preprocessing),
            "training": made and (made.settings or recipe),
        },
        "parameters": parameters,
        "architecture": _architecture(network),
        "training_seed": made.seed if made else None,
    }


def _architecture(network: Checkpoint) -> str | None:
    """The name under which its architecture is known, whatever its number of steps."""
    found = (
        name
        for name, known in ARCHITECTURES.items()
        if replace(network.config, steps=known.steps) == known
    )
    return next(found, None)


def _recipe(command: str) -> str:
    """A training command without what makes no other method, its options in order of name.

    Example:
        >>> _recipe("gac-train --seed=1 --recipe digits --resume --epochs 5 --output runs/a")
        'gac-train --epochs 5 --recipe digits'
    """
    program, *words = (part for word in shlex.split(command) for part in word.split("=", 1))
    words = [_LONG.get(word, word) for word in words]
    options: dict[str, list[str]] = {}
    for word in words:
        if word.startswith("--"):
            options[word] = []
        elif options:
            options[[*options][-1]].append(word)
    kept = [word for name in sorted(options) if name not in _BY_RUN
            for word in (name, *options[name])]  # fmt: skip
    return shlex.join([program, *kept])
