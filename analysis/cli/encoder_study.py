"""Trains and measures the networks of a comparison of encoders, one after the other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import DataLoader, TensorDataset

from analysis.cli.coding import DRAWS, encoder_pj, spike_code
from analysis.cli.provenance import made_by
from analysis.coding.observer import steps_within
from analysis.drawings import encoders_compared
from analysis.errors import InputError
from analysis.files import make_folder, write_text
from analysis.pipeline import analyze
from analysis.reporting.encoder_tables import frame_of, tables
from analysis.reporting.report import Report
from gac.config import GateMode, MSResNetConfig
from gac.data import load_data, preprocessing_for
from gac.inference import accuracy
from gac.metadata import Split
from gac.msresnet import MSResNet
from gac.pictures import Samples
from gac.plain import to_plain
from gac.recipes import TrainConfig, recipe
from gac.registry import architecture
from gac.state import assemble, skeleton
from gac.training import fresh_model, train

if TYPE_CHECKING:
    import pandas as pd

# Name -> fields of the network. The gate has kernels of 4 and steps // 2 hidden units unless said.
ENCODINGS: dict[str, dict[str, Any]] = {
    "direct": {"encoder": "direct"},
    "gac": {"encoder": "gac"},
    "gac, temporal only": {"encoder": "gac", "gate": "temporal"},
    "gac, spatial only": {"encoder": "gac", "gate": "spatial"},
    "gac, gate off": {"encoder": "gac", "gate": "off"},
    "gac, frozen": {"encoder": "gac", "gate": "frozen"},
    "gac, permuted": {"encoder": "gac", "gate": "permuted"},
    "gac, kernel 2": {"encoder": "gac", "gate_kernel": 2},
    "gac, kernel 6": {"encoder": "gac", "gate_kernel": 6},
    "gac, reduction 1": {"encoder": "gac", "gate_reduction": 1},
    "gac, reduction 3": {"encoder": "gac", "gate_reduction": 3},
    "poisson": {"encoder": "poisson"},
    "latency": {"encoder": "latency"},
}
# Done to the trained GAC network, without training again: what its dynamics are worth to it.
AFTERWARDS: tuple[GateMode, ...] = ("frozen", "permuted", "off")

DATA = "digits"
SPLITS: tuple[Split, Split] = ("train", "test")
# Narrow, and on the digits' own 8 x 8 pixels: a training takes 4 to 10 seconds of one core.
NETWORK: dict[str, Any] = {
    "stem_width": 8, "widths": (8, 16), "blocks": (1, 1), "strides": (1, 2), "image_size": 8,
}  # fmt: skip
NEURONS = 256


@dataclass(frozen=True)
class Cell:
    """One training of the comparison."""

    encoding: str
    steps: int
    seed: int


@dataclass(frozen=True)
class Study:
    """A comparison in a folder.

    Attributes:
        folder: Where its results are.
        steps: Numbers of simulation steps.
        seeds: Trainings of each network, with seeds from 0.
        epochs: Of each training.
        threads: CPU threads.

    Raises:
        InputError: If the folder holds results of other settings.
    """

    folder: Path
    steps: tuple[int, ...]
    seeds: int
    epochs: int
    threads: int

    def __post_init__(self) -> None:
        if min(self.steps) < 2:
            raise InputError(f"steps must be at least 2, got {min(self.steps)}: nothing changes")
        known = self._read_settings()
        if known is not None and known["settings"] != self.settings:
            raise InputError(
                f"{self.folder} holds runs with other settings; give another --output, or the "
                f"settings of {self.folder / 'settings.json'}"
            )

    @property
    def settings(self) -> dict[str, Any]:
        """What decides the result of a training, beside encoder, steps and seed."""
        base = architecture("msresnet8", **NETWORK)
        network = {name: to_plain(base)[name] for name in ("neuron", *NETWORK)}
        training = to_plain(self._training)
        training.pop("seed")
        return {
            "data": DATA, "network": network, "training": training, "threads": self.threads,
            "draws": DRAWS, "neurons_analysed": NEURONS,
        }  # fmt: skip

    @property
    def cells(self) -> list[Cell]:
        """All trainings, seed by seed, so that an unfinished comparison is a fair one."""
        return [
            Cell(encoding, steps, seed)
            for seed in range(self.seeds)
            for steps in self.steps
            for encoding, fields in ENCODINGS.items()
            if steps >= fields.get("gate_reduction", 0)  # or no hidden unit is left
        ]

    @property
    def _training(self) -> TrainConfig:
        """The recipe of the digits, without random shifts: pictures are prepared once."""
        return replace(recipe(DATA).config, epochs=self.epochs, shift=0)

    @cached_property
    def _runs(self) -> Path:
        return self.folder / "runs.csv"

    def found(self) -> pd.DataFrame:
        """What has been measured: columns encoder, steps, seed, quantity, step, value."""
        return frame_of(self._runs if self._runs.exists() else None)

    def missing(self) -> list[Cell]:
        """Trainings that are not done yet."""
        frame = self.found()
        done = {Cell(*key) for key in zip(frame.encoder, frame.steps, frame.seed, strict=True)}
        return [cell for cell in self.cells if cell not in done]

    def train(self, cell: Cell) -> float:
        """Trains and measures one network, keeps the numbers, gives back its accuracy."""
        import pandas as pd

        make_folder(self.folder)
        torch.set_num_threads(self.threads)
        rows = [
            (cell.encoding, cell.steps, cell.seed, quantity, step, value)
            for quantity, step, value in self._measured(cell)
        ]
        new = pd.DataFrame(rows, columns=list(self.found().columns))
        whole = pd.concat([self.found(), new.astype({"step": "Int64"})], ignore_index=True)
        self._note()
        write_text(self._runs, whole.to_csv(index=False))
        return float(new[new.quantity == "accuracy"].value.iloc[0])

    def write(self) -> Iterator[Path]:
        """Writes the tables and the figure of what there is."""
        frame = self.found()
        if frame.empty:
            return
        made = (self._read_settings() or {}).get("made", [])
        yield self._written("tables.md", tables(frame, made, self.epochs))
        drawing = encoders_compared(frame).save(self.folder)
        yield self.folder / f"{drawing.name}.png"

    def _written(self, name: str, text: str) -> Path:
        write_text(self.folder / name, text)
        return self.folder / name

    def _measured(self, cell: Cell) -> Iterator[tuple[str, int | None, float]]:
        config = self._config(cell)
        how = preprocessing_for(DATA, config)
        learn, test = (_prepared(load_data(DATA, split=s, preprocessing=how)) for s in SPLITS)
        model = fresh_model(config, cell.seed)
        settings = replace(self._training, seed=cell.seed)
        for _ in train(model, learn, test, settings):
            pass
        model.eval()
        loader = DataLoader(test, batch_size=128, generator=torch.Generator())
        report = analyze(model, loader)
        yield from _of_the_network(report)
        yield from _of_the_code(model, loader, report)
        if cell.encoding == "gac":
            for mode in AFTERWARDS:
                yield f"accuracy_then_{mode}", None, accuracy(with_gate(model, mode), loader)

    def _config(self, cell: Cell) -> MSResNetConfig:
        fields = ENCODINGS[cell.encoding]
        return architecture("msresnet8", steps=cell.steps, **fields, **NETWORK)

    def _read_settings(self) -> dict[str, Any] | None:
        path = self.folder / "settings.json"
        if not path.exists():
            return None
        try:
            known: Any = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"{path} is damaged; give another --output") from error
        if not (isinstance(known, dict) and {"settings", "made"} <= known.keys()):
            raise InputError(f"{path} holds no settings of a comparison; give another --output")
        return known

    def _note(self) -> None:
        """Writes down the settings, and each command and commit that trained a network."""
        made = (self._read_settings() or {}).get("made", [])
        facts = made_by("gac-encoders")
        this = {k: facts[k] for k in ("command", "commit", "gac-energy", "torch", "python")}
        if this not in made:
            made.append(this)
        content = {"settings": self.settings, "made": made}
        write_text(self.folder / "settings.json", json.dumps(content, indent=1) + "\n")


def _prepared(samples: Samples) -> Samples:
    """All samples as the network reads them, in memory."""
    pictures, labels = zip(*(samples[place] for place in range(len(samples))), strict=True)
    return Samples(TensorDataset(torch.stack(pictures), torch.tensor(labels)))


def with_gate(model: MSResNet, mode: GateMode) -> MSResNet:
    """A trained GAC network with the same weights and an ablated gate, in eval mode.

    What belongs to the part that is switched off is left out.
    """
    other = skeleton(replace(model.config, gate=mode))
    state = model.state_dict()
    return assemble(other, {name: state[name] for name in other.state_dict()})


def _of_the_network(report: Report) -> Iterator[tuple[str, int | None, float]]:
    totals = report.totals
    for name in ("accuracy", "firing_rate", "acs", "macs", "energy_pj"):
        yield name, None, float(totals[name])
    sites = report.sites
    yield "encoder_energy_pj", None, encoder_pj(report)
    yield "gate_energy_pj", None, float(sites[sites.role == "gate"].energy_pj.sum())
    for rule, energy in report.side_by_side():
        if rule.name == "operand-once" and not isinstance(energy, InputError):
            yield "energy_once_pj", None, float(energy.energy_pj.value)
    accuracies = report.curve.accuracy.tolist()
    for step, value in enumerate(accuracies, start=1):
        yield "accuracy_up_to", step, value
    yield "network_steps_within_half_point", None, steps_within(accuracies)


def _of_the_code(
    model: MSResNet, loader: DataLoader[Any], report: Report
) -> Iterator[tuple[str, int | None, float]]:
    for value in spike_code(model, loader, report, most_neurons=NEURONS).measured:
        name = f"code_{value.quantity}" if value.quantity == "firing_rate" else value.quantity
        yield name, value.step, value.value
