"""``gac-train``: trains a GAC MS-ResNet and writes its checkpoints.

Only names and settings are imported up here, so that the help answers without torch.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from analysis.cli.errors import Stopped, run
from analysis.cli.provenance import made_by
from gac.config import MSResNetConfig
from gac.data import data_source, load_data, preprocessing_for
from gac.errors import InputError
from gac.metadata import Metadata, Preprocessing, Provenance
from gac.recipes import RECIPES, TrainConfig, recipe
from gac.registry import ARCHITECTURES, architecture

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from gac.msresnet import MSResNet
    from gac.training import EpochRecord

PROGRAM = "gac-train"
# Plain help: typer's boxed one loads a Markdown renderer, half of the time it takes to answer.
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that decides the resulting weights, and where they go."""

    data: str
    root: Path | None
    model: str
    network: MSResNetConfig
    settings: TrainConfig
    preprocessing: Preprocessing
    output: Path
    device: str


def _by_recipe(field: str) -> str:
    """The defaults of one setting, for the help."""
    values: dict[Any, list[str]] = {}
    for name, known in RECIPES.items():
        value = known.model if field == "model" else getattr(known.config, field)
        values.setdefault(value, []).append(name)
    if len(values) == 1:
        return str(next(iter(values)))
    return ", ".join(f"{value} ({', '.join(names)})" for value, names in values.items())


def _help(text: str, field: str) -> Any:
    return typer.Option(help=f"{text}; default {_by_recipe(field)}.", show_default=False)


@app.command(
    epilog="Example: gac-train --data digits --epochs 5 --output runs/quick\n\n"
    "Exit status: 0 trained, 2 bad input, 130 stopped by Ctrl-C (finished epochs are kept)."
)
def train(
    data: Annotated[str, typer.Option(help=f"What to train on: {', '.join(RECIPES)}.")] = "digits",
    data_root: Annotated[
        Path | None,
        typer.Option(
            help="Folder that holds the data set's own folder; not for digits. CIFAR's "
            "files are pickles: trust them."
        ),
    ] = None,
    model: Annotated[
        str | None, _help(f"Architecture: {', '.join(ARCHITECTURES)}", "model")
    ] = None,
    encoder: Annotated[
        str,
        typer.Option(
            help="gac (gated attention coding), direct (plain current), poisson or latency "
            "(pixels become spikes first)."
        ),
    ] = "gac",
    gate: Annotated[
        str,
        typer.Option(
            help="Of the gac encoder: full, or an ablation (temporal, spatial, off, frozen, "
            "permuted)."
        ),
    ] = "full",
    steps: Annotated[
        int | None,
        typer.Option(help="Simulation steps per image; default the architecture's."),
    ] = None,
    epochs: Annotated[int | None, _help("Passes over the training images", "epochs")] = None,
    batch_size: Annotated[int | None, _help("Images per update", "batch_size")] = None,
    lr: Annotated[float | None, _help("First learning rate; cosine to 0", "lr")] = None,
    momentum: Annotated[float | None, _help("Momentum of the updates", "momentum")] = None,
    weight_decay: Annotated[
        float | None, _help("Weight decay, share per unit of learning rate", "weight_decay")
    ] = None,
    label_smoothing: Annotated[
        float | None, _help("Share of the target spread over all classes", "label_smoothing")
    ] = None,
    seed: Annotated[int | None, _help("Of initialisation, order and augmentation", "seed")] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="Folder for last.pth and best.pth; default runs/DATA."),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(help="CPU threads; they change the last bits; default torch's choice."),
    ] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, print the plan, train nothing.")
    ] = False,
) -> None:
    """Train a GAC MS-ResNet and write its checkpoints."""
    known = recipe(data)
    given: dict[str, Any] = {
        "epochs": epochs,
        "batch_size": batch_size,
        "lr": lr,
        "momentum": momentum,
        "weight_decay": weight_decay,
        "label_smoothing": label_smoothing,
        "seed": seed,
    }
    name = model or known.model
    changes = {"classes": data_source(data).classes, "encoder": encoder, "gate": gate}
    network = architecture(name, **changes, **({} if steps is None else {"steps": steps}))
    plan = Plan(
        data=data,
        root=data_root,
        model=name,
        network=network,
        settings=replace(known.config, **{k: v for k, v in given.items() if v is not None}),
        preprocessing=preprocessing_for(data, network),
        output=output or Path("runs") / data,
        device=device,
    )
    _prepare_torch(threads, device)
    _train(plan, dry_run=dry_run)


def main() -> NoReturn:
    """Entry point of ``gac-train``."""
    run(app, PROGRAM)


def _prepare_torch(threads: int | None, device: str) -> None:
    import torch

    if threads is not None:
        if threads < 1:
            raise InputError(f"threads must be at least 1, got {threads}")
        torch.set_num_threads(threads)
    if device not in ("cpu", "cuda"):
        raise InputError(f"unknown device {device!r}; known: cpu, cuda")
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("device cuda: torch sees no GPU here")


def _train(plan: Plan, *, dry_run: bool) -> None:
    from rich.console import Console

    from gac.training import fresh_model, keep
    from gac.training import train as train_epochs

    console = Console(highlight=False, markup=False)
    train_set, test_set = (
        load_data(plan.data, split=split, preprocessing=plan.preprocessing, root=plan.root)
        for split in ("train", "test")
    )
    network = fresh_model(plan.network, plan.settings.seed).to(plan.device)
    console.print(_describe(plan, network, len(train_set), len(test_set)), soft_wrap=True)
    if dry_run:
        return
    _make_folder(plan.output)
    metadata = Metadata(
        data=data_source(plan.data).record(plan.data),
        preprocessing=plan.preprocessing,
        provenance=_provenance(plan),
        metrics={},
    )
    record = None
    with _progress_bar(console) as bar:
        updates = len(train_set) // plan.settings.batch_size * plan.settings.epochs
        task = bar.add_task("updates", total=updates)
        epochs = train_epochs(
            network,
            train_set,
            test_set,
            plan.settings,
            plan.preprocessing,
            on_batch=lambda batch, loss: bar.advance(task),
        )
        try:
            for record in keep(epochs, network, metadata, plan.output):
                bar.console.print(_line(record, plan.settings.epochs))
        except KeyboardInterrupt:
            raise Stopped(_kept(plan, record)) from None
    console.print(f"Wrote last.pth (last epoch) and best.pth to {plan.output}", soft_wrap=True)


def _provenance(plan: Plan) -> Provenance:
    import torch

    made = made_by(PROGRAM)
    return Provenance(
        command=str(made["command"]),
        package_version=str(made["gac-energy"]),
        torch_version=str(made["torch"]),
        commit=made["commit"],
        seed=plan.settings.seed,
        threads=torch.get_num_threads(),
        device=plan.device,
        date=str(made["date"]),
    )


def _progress_bar(console: Console) -> Progress:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    text = TextColumn("{task.description}")
    return Progress(
        text, BarColumn(), MofNCompleteColumn(), Remaining(), console=console, transient=True
    )


def _describe(plan: Plan, network: MSResNet, train_size: int, test_size: int) -> str:
    settings, parameters = plan.settings, sum(p.numel() for p in network.parameters())
    return (
        f"{plan.model}, {plan.network.encoding} encoder, {plan.network.steps} steps, "
        f"{parameters:,} parameters\n"
        f"{plan.data}: {train_size:,} train and {test_size:,} test images, "
        f"{plan.preprocessing.image_size} x {plan.preprocessing.image_size} pixels\n"
        f"{settings.epochs} epochs, batch {settings.batch_size}, learning rate {settings.lr}, "
        f"weight decay {settings.weight_decay}, seed {settings.seed}"
    )


def _line(record: EpochRecord, epochs: int) -> str:
    return (
        f"epoch {record.epoch:>{len(str(epochs))}}/{epochs}  loss {record.loss:.4f}  "
        f"test {record.test_accuracy:.2%} ({record.test_correct}/{record.test_samples})"
    )


def _kept(plan: Plan, record: EpochRecord | None) -> str:
    if record is None:
        return "no epoch was finished, nothing was written"
    return f"kept last.pth (epoch {record.epoch}) and best.pth in {plan.output}"


def _make_folder(folder: Path) -> None:
    """Makes the output folder before hours of training, not after."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {folder}: {error.strerror}") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"cannot write to the folder {folder}")
