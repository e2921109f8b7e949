"""What a checkpoint says about itself beside the weights. Needs no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

from gac.errors import InputError

Split = Literal["train", "test"]
EventValues = Literal["binary", "counts"]


@dataclass(frozen=True, kw_only=True)
class EventFrames:
    """From the events of a recording to one frame per step; see `gac.events.frames`.

    The period of the recording is cut into equal slices of time, one per frame; an event exactly
    at its end belongs to the last.

    Attributes:
        steps: Frames T, which are the steps of the network.
        polarities: 2 keeps OFF and ON events apart, in channels 0 and 1; 1 puts them together.
        values: ``counts`` of the events of a pixel in a slice, or ``binary``: 1 where there was
            at least one.

    Raises:
        InputError: If there is no frame, or nothing known to put into it.
    """

    steps: int
    polarities: int
    values: EventValues

    def __post_init__(self) -> None:
        if self.steps < 1 or self.polarities not in (1, 2):
            raise InputError(
                f"event frames need at least 1 step and 1 or 2 polarities, got {self.steps} and "
                f"{self.polarities}"
            )
        known = get_args(EventValues)
        if self.values not in known:
            raise InputError(
                f"unknown values of event frames {self.values!r}; known: {', '.join(known)}"
            )


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """From a stored picture or recording to what the network reads; kept, as it changes rates.

    Pictures in [0, 1] are resized bilinearly, one channel is repeated where the network reads
    several, then ``(x - mean) / std`` per channel. Events become frames: those of neighbouring
    pixels are put together, so that no frame is ever interpolated.

    Attributes:
        image_size: Height and width of the result, pixels; of events on a sensor that is no
            square, the longer side.
        mean, std: Per channel, in units of the full brightness 1, or of one event.
        resize: Shorter side after the resize, pixels; the centre square of ``image_size`` is
            cut out then. None resizes straight to ``image_size``.
        events: How events become frames; None for pictures.

    Raises:
        InputError: If the values contradict each other.
    """

    image_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    resize: int | None = None
    events: EventFrames | None = None

    def __post_init__(self) -> None:
        numbers: tuple[Any, ...] = (*self.mean, *self.std)
        if len(self.mean) != len(self.std) or not self.mean:
            raise InputError(
                f"mean and std need one number per channel, got {self.mean}, {self.std}"
            )
        plain = all(isinstance(n, int | float) and math.isfinite(n) for n in numbers)
        if not plain or min(self.std) <= 0:
            raise InputError(f"mean and std must be numbers, std positive, got {numbers}")
        if self.image_size < 1 or (self.resize is not None and self.resize < self.image_size):
            raise InputError(
                f"expected 1 <= image_size <= resize, got {self.image_size}, {self.resize}"
            )
        if self.events is not None and (self.resize or len(self.mean) != self.events.polarities):
            raise InputError(
                f"event frames have one mean per polarity and no resize, got {self.mean} for "
                f"{self.events.polarities}, resize {self.resize}"
            )


@dataclass(frozen=True, kw_only=True)
class DataRecord:
    """The data a network was trained on.

    Attributes:
        name: One of `gac.data.DATASETS`.
        split: Which samples were for training and which for testing, in words.
        seed: Of the split; None where the split comes with the data.
    """

    name: str
    split: str
    seed: int | None


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """How a checkpoint was made.

    Attributes:
        command: That makes it again.
        package_version, torch_version: Of gac-energy and torch.
        commit: Of the package's git checkout, ``-dirty`` with local changes; None outside one.
        seed: Of initialisation, order of samples and augmentation.
        threads: CPU threads; sums in another order give other last bits.
        device: ``cpu`` or ``cuda``.
        date: UTC, ISO 8601.
        settings: Everything that decided the weights beside network, data and seed, as JSON;
            None in files of earlier versions.
    """

    command: str
    package_version: str
    torch_version: str
    commit: str | None
    seed: int
    threads: int
    device: str
    date: str
    settings: str | None = None


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """All of it.

    Attributes:
        preprocessing: Of the images the weights were made with.
        data, provenance: None in a released state dict, which tells neither.
        metrics: Such as ``test_accuracy`` in [0, 1] and ``epoch``.
        notes: Sentences a reader of any number from this network has to see.
    """

    preprocessing: Preprocessing
    data: DataRecord | None = None
    provenance: Provenance | None = None
    metrics: dict[str, float]
    notes: tuple[str, ...] = ()
