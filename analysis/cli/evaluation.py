"""What `gac-eval` does: a checkpoint, its test images, counts of right answers."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, Subset

from analysis.cli.job_run import usable_device
from analysis.cli.processes import Place, joined
from analysis.cli.progress import progress
from analysis.cli.provenance import made_by
from analysis.cli.subject import data_name, preprocessing_of
from analysis.errors import InputError
from gac.checkpoint import load, shipped_checkpoint
from gac.data import data_source, load_data
from gac.fast import fast
from gac.files import save_archive
from gac.inference import Evaluation, evaluate
from gac.official import export_official

_PRECISIONS = {
    "float32": torch.float32, "float64": torch.float64, "bf16": torch.bfloat16,
    "fp16": torch.float16,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """Counts, what they were counted on, and what a reader of them has to know."""

    evaluation: Evaluation
    data: str
    notes: tuple[str, ...]
    facts: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for a file."""
        return {
            "data": self.data,
            **asdict(self.evaluation),
            "notes": self.notes,
            "made_by": self.facts,
        }


def evaluate_file(
    *,
    checkpoint: Path | None,
    data: str | None,
    root: Path | None,
    steps: int | None,
    batch_size: int,
    workers: int,
    precision: str,
    device: str,
    threads: int | None,
    official: Path | None,
    quiet: bool = False,
) -> Evaluated | None:
    """Evaluates a checkpoint; None in all processes but the first.

    Raises:
        InputError: If the checkpoint, the data or a setting can't be used.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    place = Place.of_this_process()
    where = usable_device(place.device(device))
    file = checkpoint or shipped_checkpoint()
    network = load(file, steps)
    name = data_name(network, data, file)
    samples = load_data(name, preprocessing=preprocessing_of(network, name), root=root)
    if not samples.labelled or data_source(name).classes != network.config.classes:
        raise InputError(
            f"no accuracy on {name}: its labels are not the {network.config.classes} classes of "
            "the network"
        )
    if official is not None and place.speaks:
        save_archive(official, export_official(network.model))
    wide = torch.float64 if precision == "float64" else torch.float32
    model = fast(network.model).to(where, wide)
    mine = Subset(samples, place.share(len(samples)))
    batches = DataLoader(mine, batch_size, num_workers=workers, generator=torch.Generator())
    half = _PRECISIONS[precision]
    mixed = precision in ("bf16", "fp16")
    with (
        joined(place, where),
        progress(len(mine), shown=place.speaks and not quiet) as advance,
        torch.autocast(where.type, half) if mixed else nullcontext(),
    ):
        found = evaluate(model, batches, on_batch=advance)
    if not place.speaks:
        return None
    facts = made_by("gac-eval") | {"checkpoint": file.name, "precision": precision}
    notes = network.metadata.notes
    return Evaluated(evaluation=found, data=f"{name} test", notes=notes, facts=facts)
