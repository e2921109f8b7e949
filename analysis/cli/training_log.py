"""What a training run writes down beside its weights: a table of epochs, events for TensorBoard."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from gac.errors import from_extra
from gac.files import write_atomically
from gac.progress import EpochRecord, Update

# Updates between two points of a curve.
EVERY = 20


class RunLog:
    """``log.csv`` and, if asked for, TensorBoard's events in the same folder.

    Args:
        folder: Of the run.
        tensorboard: Whether to write events.
        updates: Made before; events of later ones, written before an interruption, are dropped.

    Raises:
        InputError: If TensorBoard is asked for and not installed.
    """

    def __init__(self, folder: Path, *, tensorboard: bool, updates: int) -> None:
        self._table = folder / "log.csv"
        self._events: Any = None
        if tensorboard:
            with from_extra("tensorboard"):
                from torch.utils.tensorboard import SummaryWriter
            self._events = SummaryWriter(folder, purge_step=updates or None)

    def update(self, update: Update) -> None:
        """Loss and learning rate, now and then."""
        step = (update.epoch - 1) * update.batches + update.batch
        if self._events is not None and step % EVERY == 0:
            self._events.add_scalar("train/loss", update.loss, step)
            self._events.add_scalar("train/lr", update.lr, step)

    def epochs(self, records: Iterable[EpochRecord], updates: int) -> None:
        """The whole table again, one row per epoch, and the last row as events."""
        rows = [record.row() for record in records]
        names = list(dict.fromkeys(name for row in rows for name in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_atomically(self._table, text.getvalue().encode())
        if self._events is not None:
            for name, value in rows[-1].items():
                self._events.add_scalar(f"epoch/{name}", value, updates)
            self._events.flush()

    def close(self) -> None:
        """Finishes the file of events."""
        if self._events is not None:
            self._events.close()
