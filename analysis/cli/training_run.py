"""Runs a `Plan`: data, network, trainer, logs; the only place where training meets the counter."""

from __future__ import annotations

import json
import shutil
import signal
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch.utils.data import DataLoader, Subset

from analysis.cli.allocator import keep_freed_memory
from analysis.cli.channels_last import try_channels_last
from analysis.cli.processes import Place, joined
from analysis.cli.provenance import made_by
from analysis.cli.training_log import RunLog
from analysis.cli.training_plan import Plan
from analysis.cli.training_text import PROGRAM, bar, described, ending, line, listed, say
from analysis.files import make_folder
from analysis.pipeline import analyze
from analysis.twin import spike_budget
from gac.data import data_source, load_data
from gac.errors import InputError
from gac.files import write_atomically
from gac.keeping import keep
from gac.losses import Penalty
from gac.metadata import Metadata, Provenance
from gac.msresnet import MSResNet
from gac.order import Order
from gac.pictures import Samples
from gac.plain import to_plain
from gac.progress import Update
from gac.snapshots import Snapshots, SnapshotWarning
from gac.training import Trainer, fresh_model


def dry_run(plan: Plan) -> None:
    """Prints what a run would be; builds and reads everything, trains and writes nothing.

    Raises:
        InputError: If the data are not there, or anything does not fit together.
    """
    place = Place.of_this_process()
    _device(plan, place)
    train_set, test_set = _data(plan)
    if place.speaks:
        say(described(plan, place, len(train_set), len(test_set)))
        say(listed(_resolved(plan)))


def run_plan(plan: Plan) -> None:
    """Trains, or goes on training.

    Raises:
        InputError: If anything can't be used, or the loss stops being finite.
    """
    keep_freed_memory()
    place = Place.of_this_process()
    device = _device(plan, place)
    with joined(place, device):
        train_set, test_set = _data(plan)
        if plan.channels_last and device.type == "cpu":
            part = Order(len(train_set), plan.settings, world=place.world).part_size
            try_channels_last(plan.network, plan.settings, [part, *train_set[0][0].shape])
        model = fresh_model(plan.network, plan.settings.seed).to(device)
        if plan.channels_last:
            model = model.to(memory_format=torch.channels_last)
        snapshots = Snapshots(plan.output / "snapshots", plan.keep)
        if place.speaks:
            _make_room(plan, snapshots)
            say(described(plan, place, len(train_set), len(test_set)))
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
        if not resumed:
            self._write_facts()
        elif trainer.position.epoch > plan.settings.epochs:
            say("every epoch was trained already: nothing is left to do")
        else:
            say(f"goes on in epoch {trainer.position.epoch}, after update {trainer.updates:,}")
        with _told_to_stop(trainer), bar(trainer, plan) as advance:
            self._advance, self._log = advance, log
            earlier = trainer.position.records
            kept = keep(trainer.epochs(), self.model, _metadata(plan), plan.output, earlier)
            for record in kept:
                log.epochs((*trainer.position.records, record), trainer.updates)
                say(line(record, plan.settings.epochs))
        log.close()
        say(ending(plan, trainer))

    def _write_facts(self) -> None:
        facts = _resolved(self.plan) | {"made_by": made_by(PROGRAM)}
        text = json.dumps(facts, indent=1) + "\n"
        write_atomically(self.plan.output / "run.json", text.encode())

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
    except OSError as error:
        raise InputError(f"can't remove {snapshots.folder}: {error.strerror}") from error
    make_folder(plan.output)


def _resolved(plan: Plan) -> dict[str, Any]:
    return {
        "model": plan.model,
        "network": to_plain(plan.network),
        "training": to_plain(plan.settings),
        **plan.facts(),
    }


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


def _settings(plan: Plan) -> str:
    """All of a training but its seed: what makes another method."""
    decides = {name: value for name, value in asdict(plan.settings).items() if name != "seed"}
    return json.dumps(decides, sort_keys=True)


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
            settings=_settings(plan),
        ),
        metrics={},
    )
