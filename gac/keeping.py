"""Which epochs of a training run are kept as checkpoints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from gac.checkpoint import save_checkpoint
from gac.metadata import Metadata
from gac.msresnet import MSResNet
from gac.progress import EpochRecord

LAST_NOTE = "weights of the last epoch; no test image had a say in the choice"
BEST_NOTE = "weights of the epoch with the best test accuracy, which is optimistic for that"


def keep(
    records: Iterable[EpochRecord],
    model: MSResNet,
    metadata: Metadata,
    folder: Path,
    earlier: Iterable[EpochRecord] = (),
) -> Iterator[EpochRecord]:
    """Passes records through; ``last.pth`` and ``best.pth`` are up to date when one arrives.

    Args:
        records: Of `Trainer.epochs`.
        model: The network being trained.
        metadata: What is known before training; metrics and the choice of epoch are added.
        folder: Where to write.
        earlier: Records of the epochs before an interruption.
    """
    best = max((record.test_correct for record in earlier), default=-1)
    for record in records:
        known = replace(metadata, metrics=record.metrics())
        notes = metadata.notes
        save_checkpoint(folder / "last.pth", model, replace(known, notes=(*notes, LAST_NOTE)))
        if record.test_correct > best:
            best = record.test_correct
            save_checkpoint(folder / "best.pth", model, replace(known, notes=(*notes, BEST_NOTE)))
        yield record
