"""What `gac-train` says: the plan, a bar, a line per epoch, how it ended."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from analysis.cli.processes import Place
from analysis.cli.training_plan import Plan
from analysis.reporting.tables import shown
from gac.memory import training_memory
from gac.order import Order
from gac.progress import EpochRecord, Update
from gac.training import Trainer

PROGRAM = "gac-train"


class _Rate(ProgressColumn):
    """Images per second."""

    def __init__(self, batch_size: int) -> None:
        super().__init__()
        self._batch_size = batch_size

    def render(self, task: Task) -> Text:
        return Text("" if task.speed is None else f"{task.speed * self._batch_size:,.0f} images/s")


@contextmanager
def bar(trainer: Trainer, plan: Plan) -> Iterator[Callable[[Update], None]]:
    """A bar over all updates on stderr; silent where stderr is no terminal."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
        _Rate(plan.settings.batch_size), TimeElapsedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    shown = console.is_terminal and not plan.quiet
    with Progress(*columns, console=console, transient=True, disable=not shown) as shown_bar:
        total = plan.settings.epochs * trainer.order.batches
        task = shown_bar.add_task("updates", total=total, completed=trainer.updates)

        def advance(update: Update) -> None:
            epoch = f"epoch {update.epoch}/{plan.settings.epochs}, loss {update.loss:.3f}"
            shown_bar.update(task, advance=1, description=epoch)

        yield advance


def listed(facts: Mapping[str, Any], section: str = "") -> str:
    """Nested settings as TOML."""
    own = [f"{k} = {json.dumps(v)}" for k, v in facts.items() if not isinstance(v, dict | None)]
    inner = [(f"{section}{k}", v) for k, v in facts.items() if isinstance(v, dict)]
    tables = [f"\n[{name}]\n{listed(table, f'{name}.')}" for name, table in inner]
    return "\n".join([*own, *tables])


def described(plan: Plan, place: Place, train_size: int, test_size: int) -> str:
    """What is going to be trained, and what it takes."""
    settings, network = plan.settings, plan.network
    order = Order(train_size, settings, world=place.world)
    memory = training_memory(network, order.part_size)
    side = plan.preprocessing.image_size
    kept = "images" if plan.preprocessing.events is None else "recordings"
    split = f"{place.world} processes x {settings.accumulate} parts of {order.part_size}"
    return (
        f"{plan.model}, {network.encoding} encoder, {network.steps} steps, "
        f"{memory.parameters:,} parameters\n"
        f"{plan.data}: {train_size:,} train and {test_size:,} test {kept}, {side} x {side} pixels\n"
        f"{settings.epochs} epoch{'s' * (settings.epochs > 1)} of {order.batches:,} updates, "
        f"batch {settings.batch_size}"
        f"{f' = {split}' if order.part_size < settings.batch_size else ''}, learning rate "
        f"{settings.lr}, weight decay {settings.weight_decay}, seed {settings.seed}\n"
        f"memory per process, estimated for {memory.precision}: {_mib(memory.weights)} for "
        f"weights, gradients and momentum, {_mib(memory.saved)} for the backward pass; "
        "workspaces not included"
    )


def _mib(size: int) -> str:
    return f"{size / 2**20:,.0f} MiB"


def line(record: EpochRecord, epochs: int) -> str:
    """One epoch."""
    measures = record.measures
    spikes = (
        f"  rate {measures['firing_rate']:.4f}  {measures['energy_pj'] / 1e6:.4g} µJ"
        if measures
        else ""
    )
    return (
        f"epoch {record.epoch:>{len(str(epochs))}}/{epochs}  loss {record.loss:.4f}  "
        f"test {shown(record.test_accuracy, 'percent')} "
        f"({record.test_correct}/{record.test_samples}){spikes}"
    )


def ending(plan: Plan, trainer: Trainer) -> str:
    """What was written, or how to go on."""
    if trainer.finished:
        return f"Wrote last.pth (last epoch) and best.pth to {plan.output}"
    words = [PROGRAM, *sys.argv[1:]]
    again = words if plan.resume else [*words, "--resume"]
    position = trainer.position
    return (
        f"Stopped in epoch {position.epoch}, after update {trainer.updates:,}; everything is "
        f"saved. Go on with: {shlex.join(word for word in again if word != '--restart')}"
    )


def say(text: str) -> None:
    """A line on stdout at once, also into a pipe."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
