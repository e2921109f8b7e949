"""Runs a `Plan`: data, network, trainer, logs; the only place where training meets the counter."""

from __future__ import annotations

import json
import shlex
import shutil
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
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
from torch.utils.data import DataLoader, Subset

from analysis.cli.processes import Place, joined
from analysis.cli.provenance import made_by
from analysis.cli.training_log import RunLog
from analysis.cli.training_plan import Plan
from analysis.pipeline import analyze
from analysis.twin import spike_budget
from gac.data import data_source, load_data
from gac.errors import InputError
from gac.files import write_atomically
from gac.losses import Penalty
from gac.memory import training_memory
from gac.metadata import Metadata, Provenance
from gac.msresnet import MSResNet
from gac.order import Order
from gac.pictures import Samples
from gac.plain import to_plain
from gac.progress import EpochRecord, Update
from gac.snapshots import Snapshots, SnapshotWarning
from gac.training import Trainer, fresh_model, keep

PROGRAM = "gac-train"


def dry_run(plan: Plan) -> None:
    """Prints what a run would be; builds and reads everything, trains and writes nothing.

    Raises:
        InputError: If the data are not there, or anything does not fit together.
    """
    place = Place.of_this_process()
    _device(plan, place)
    train_set, test_set = _data(plan)
    if place.speaks:
        _say(_described(plan, place, len(train_set), len(test_set)))
        _say(_listed(_resolved(plan)))


def run_plan(plan: Plan) -> None:
    """Trains, or goes on training.

    Raises:
        InputError: If anything can't be used, or the loss stops being finite.
    """
    place = Place.of_this_process()
    device = _device(plan, place)
    with joined(place, device):
        train_set, test_set = _data(plan)
        model = fresh_model(plan.network, plan.settings.seed).to(device)
        if plan.channels_last:
            model = model.to(memory_format=torch.channels_last)
        snapshots = Snapshots(plan.output / "snapshots", plan.keep)
        if place.speaks:
            _make_room(plan, snapshots)
            _say(_described(plan, place, len(train_set), len(test_set)))
        _Run(plan, place, model, train_set, test_set, snapshots).go()


@dataclass
class _Run:
    """A run under way in one process; the first one writes and speaks."""

    plan: Plan
    place: Place
    model: MSResNet
    train_set: Samples
    test_set: Samples
    snapshots: Snapshots

    def go(self) -> None:
        plan = self.plan
        trainer = Trainer(
            self.model,
            self.train_set,
            self.test_set,
            plan.settings,
            penalty=self._penalty(),
            observe=self._observe if plan.rates_on else None,
            on_update=self._on_update,
            workers=plan.workers,
            snapshots=self.snapshots,
            save_every=plan.save_every,
            facts=plan.facts(),
        )
        resumed = plan.resume and _resumed(trainer)
        if not self.place.speaks:
            with _told_to_stop(trainer):
                for _ in trainer.epochs():
                    pass
            return
        log = RunLog(plan.output, tensorboard=plan.tensorboard, updates=trainer.updates)
        if resumed:
            _say(f"goes on in epoch {trainer.position.epoch}, after update {trainer.updates:,}")
        with _told_to_stop(trainer), _bar(trainer, plan) as advance:
            self._advance, self._log = advance, log
            earlier = trainer.position.records
            kept = keep(trainer.epochs(), self.model, _metadata(plan), plan.output, earlier)
            for record in kept:
                log.epochs((*trainer.position.records, record), trainer.updates)
                _say(_line(record, plan.settings.epochs))
        log.close()
        _say(_ending(plan, trainer))

    def _penalty(self) -> Penalty | None:
        settings = self.plan.settings
        if settings.budget == "none":
            return None
        images = torch.stack([self.train_set[k][0] for k in range(min(8, len(self.train_set)))])
        return spike_budget(
            self.model, images, settings.budget, settings.budget_target, settings.budget_weight
        )

    def _on_update(self, update: Update) -> None:
        if self.place.speaks:
            self._advance(update)
            self._log.update(update)

    def _observe(self, model: MSResNet) -> Mapping[str, float]:
        """Firing rate of every neuron layer and energy per sample, by the counter."""
        chosen = range(min(self.plan.rates_on, len(self.test_set)))
        mine = self.place.share(len(chosen))
        loader = DataLoader(Subset(self.test_set, mine), batch_size=64, generator=torch.Generator())
        dtype = next(model.parameters()).dtype
        report = analyze(model, (images.to(dtype) for images, _ in loader), sample_index=mine)
        neurons = report.neurons
        names = [
            f"rate {site}{f' #{call}' if call else ''}"
            for site, call in zip(neurons.site, neurons.call, strict=True)
        ]
        return {
            "firing_rate": float(report.totals.firing_rate),
            "energy_pj": float(report.totals.energy_pj),
            **dict(zip(names, map(float, neurons.firing_rate), strict=True)),
        }


class _Rate(ProgressColumn):
    """Images per second."""

    def __init__(self, batch_size: int) -> None:
        super().__init__()
        self._batch_size = batch_size

    def render(self, task: Task) -> Text:
        return Text("" if task.speed is None else f"{task.speed * self._batch_size:,.0f} images/s")


@contextmanager
def _bar(trainer: Trainer, plan: Plan) -> Iterator[Callable[[Update], None]]:
    """A bar over all updates on stderr; silent where stderr is no terminal."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
        _Rate(plan.settings.batch_size), TimeElapsedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    shown = console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=not shown) as bar:
        total = plan.settings.epochs * trainer.order.batches
        task = bar.add_task("updates", total=total, completed=trainer.updates)

        def advance(update: Update) -> None:
            epoch = f"epoch {update.epoch}/{plan.settings.epochs}, loss {update.loss:.3f}"
            bar.update(task, advance=1, description=epoch)

        yield advance


@contextmanager
def _told_to_stop(trainer: Trainer) -> Iterator[None]:
    """SIGTERM and the first Ctrl-C end training after the update under way."""
    before = {sign: signal.getsignal(sign) for sign in (signal.SIGINT, signal.SIGTERM)}

    def stop(*_: object) -> None:
        trainer.stop()
        for sign, handler in before.items():  # the next one ends the process
            signal.signal(sign, handler)

    for sign in before:
        signal.signal(sign, stop)
    try:
        yield
    finally:
        for sign, handler in before.items():
            signal.signal(sign, handler)


def _resumed(trainer: Trainer) -> bool:
    """Goes to the newest whole snapshot; a damaged one is told in one line."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", SnapshotWarning)
        resumed = trainer.resume()
    for warning in caught:
        if issubclass(warning.category, SnapshotWarning):
            sys.stderr.write(f"{PROGRAM}: warning: {warning.message}\n")
    return resumed


def _make_room(plan: Plan, snapshots: Snapshots) -> None:
    """Makes the folder before hours of training, not after, and never overwrites a run."""
    if snapshots.files() and not (plan.resume or plan.restart):
        raise InputError(
            f"{plan.output} holds a run: --resume goes on with it, --restart throws it away; or "
            "take another --output"
        )
    try:
        if plan.restart and snapshots.folder.is_dir():
            shutil.rmtree(snapshots.folder)
        plan.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {plan.output}: {error.strerror}") from error
    facts = _resolved(plan) | {"made_by": made_by(PROGRAM)}
    write_atomically(plan.output / "run.json", (json.dumps(facts, indent=1) + "\n").encode())


def _resolved(plan: Plan) -> dict[str, Any]:
    return {
        "model": plan.model,
        "network": to_plain(plan.network),
        "training": to_plain(plan.settings),
        **plan.facts(),
    }


def _listed(facts: Mapping[str, Any], section: str = "") -> str:
    """Nested settings as TOML."""
    own = [f"{k} = {json.dumps(v)}" for k, v in facts.items() if not isinstance(v, dict | None)]
    inner = [(f"{section}{k}", v) for k, v in facts.items() if isinstance(v, dict)]
    tables = [f"\n[{name}]\n{_listed(table, f'{name}.')}" for name, table in inner]
    return "\n".join([*own, *tables])


def _data(plan: Plan) -> tuple[Samples, Samples]:
    train_set, test_set = (
        load_data(plan.data, split=split, preprocessing=plan.preprocessing, root=plan.root)
        for split in ("train", "test")
    )
    return train_set, test_set


def _device(plan: Plan, place: Place) -> torch.device:
    if plan.threads is not None:
        torch.set_num_threads(plan.threads)
    if plan.device not in ("cpu", "cuda"):
        raise InputError(f"unknown device {plan.device!r}; known: cpu, cuda")
    if plan.device == "cuda" and not torch.cuda.is_available():
        raise InputError("device cuda: torch sees no GPU here")
    return torch.device(place.device(plan.device))


def _metadata(plan: Plan) -> Metadata:
    made = made_by(PROGRAM)
    return Metadata(
        data=data_source(plan.data).record(plan.data),
        preprocessing=plan.preprocessing,
        provenance=Provenance(
            command=str(made["command"]),
            package_version=str(made["gac-energy"]),
            torch_version=str(made["torch"]),
            commit=made["commit"],
            seed=plan.settings.seed,
            threads=torch.get_num_threads(),
            device=plan.device,
            date=str(made["date"]),
        ),
        metrics={},
    )


def _described(plan: Plan, place: Place, train_size: int, test_size: int) -> str:
    settings, network = plan.settings, plan.network
    order = Order(train_size, settings, world=place.world)
    memory = training_memory(network, order.part_size)
    side = plan.preprocessing.image_size
    split = f"{place.world} processes x {settings.accumulate} parts of {order.part_size}"
    return (
        f"{plan.model}, {network.encoding} encoder, {network.steps} steps, "
        f"{memory.parameters:,} parameters\n"
        f"{plan.data}: {train_size:,} train and {test_size:,} test images, {side} x {side} pixels\n"
        f"{settings.epochs} epochs of {order.batches:,} updates, batch {settings.batch_size}"
        f"{f' = {split}' if order.part_size < settings.batch_size else ''}, learning rate "
        f"{settings.lr}, weight decay {settings.weight_decay}, seed {settings.seed}\n"
        f"memory per process, estimated for {memory.precision}: {_mib(memory.weights)} for "
        f"weights, gradients and momentum, {_mib(memory.saved)} for the backward pass; "
        "workspaces not included"
    )


def _mib(size: int) -> str:
    return f"{size / 2**20:,.0f} MiB"


def _line(record: EpochRecord, epochs: int) -> str:
    measures = record.measures
    spikes = (
        f"  rate {measures['firing_rate']:.4f}  {measures['energy_pj'] / 1e6:.4g} µJ"
        if measures
        else ""
    )
    return (
        f"epoch {record.epoch:>{len(str(epochs))}}/{epochs}  loss {record.loss:.4f}  "
        f"test {record.test_accuracy:.2%} ({record.test_correct}/{record.test_samples}){spikes}"
    )


def _ending(plan: Plan, trainer: Trainer) -> str:
    if trainer.finished:
        return f"Wrote last.pth (last epoch) and best.pth to {plan.output}"
    words = [PROGRAM, *sys.argv[1:]]
    again = words if plan.resume else [*words, "--resume"]
    position = trainer.position
    return (
        f"Stopped in epoch {position.epoch}, after update {trainer.updates:,}; everything is "
        f"saved. Go on with: {shlex.join(word for word in again if word != '--restart')}"
    )


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
