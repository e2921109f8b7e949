"""What a run of `gac-train` is: everything its options come to. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gac.config import MSResNetConfig
from gac.metadata import Preprocessing
from gac.plain import to_plain
from gac.recipes import TrainConfig


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All settings of a run.

    Attributes:
        data, root: Data set and the folder that holds its own.
        model, network: Architecture by name, and what it is after all changes.
        settings: How to train.
        preprocessing: Of the images.
        output: Folder of the run.
        device, channels_last, workers, threads: How to compute; no change of meaning.
        resume, restart: What to do with a run that is in the folder already.
        save_every, keep: Updates between snapshots, and how many of them stay.
        rates_on: Test images to count spikes on after every epoch.
        tensorboard: Whether to write events.
        quiet: Whether to print nothing but errors.
    """

    data: str
    root: Path | None
    model: str
    network: MSResNetConfig
    settings: TrainConfig
    preprocessing: Preprocessing
    output: Path
    device: str
    channels_last: bool
    workers: int
    threads: int | None
    resume: bool
    restart: bool
    save_every: int
    keep: int
    rates_on: int
    tensorboard: bool
    quiet: bool = False

    def facts(self) -> dict[str, Any]:
        """What has to be the same when the run goes on, beside network and settings."""
        return {"data": {"name": self.data, "preprocessing": to_plain(self.preprocessing)}}
