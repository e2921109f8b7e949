"""What a checkpoint says about itself beside the weights. Needs no torch."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from types import UnionType
from typing import Any, TypeVar, get_origin, get_type_hints

from gac.errors import InputError

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """From a stored picture to what the network reads; it changes rates, so it is kept.

    Pictures in [0, 1] are resized bilinearly, one channel is repeated where the network reads
    several, then ``(x - mean) / std`` per channel.

    Attributes:
        image_size: Height and width of the result, pixels.
        mean, std: Per channel, in units of the full brightness 1.
        resize: Shorter side after the resize, pixels; the centre square of ``image_size`` is
            cut out then. None resizes straight to ``image_size``.

    Raises:
        InputError: If the values contradict each other.
    """

    image_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    resize: int | None = None

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
    """

    command: str
    package_version: str
    torch_version: str
    commit: str | None
    seed: int
    threads: int
    device: str
    date: str


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

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, strings, lists and dictionaries."""
        plain: dict[str, Any] = _listed(asdict(self))
        return plain

    @classmethod
    def from_dict(cls, values: Any) -> Metadata:
        """The inverse of `to_dict`.

        Raises:
            InputError: If a field is missing, unknown or of a wrong type.
        """
        return _record(cls, values)


def _listed(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _listed(entry) for name, entry in value.items()}
    return list(value) if isinstance(value, tuple) else value


def _record(cls: type[T], values: Any) -> T:
    """A frozen record from plain values, every field there and of its declared type."""
    known = [field.name for field in fields(cls)]  # type: ignore[arg-type]
    if not isinstance(values, dict) or set(values) != set(known):
        got = ", ".join(map(str, values)) if isinstance(values, dict) else type(values).__name__
        raise InputError(f"{cls.__name__} needs the fields {', '.join(known)}; got {got}")
    hints = get_type_hints(cls)
    return cls(**{name: _field(name, hints[name], value) for name, value in values.items()})


def _field(name: str, hint: Any, value: Any) -> Any:
    options = hint.__args__ if isinstance(hint, UnionType) else (hint,)
    for option in options:
        plain = get_origin(option) or option
        if hasattr(plain, "__dataclass_fields__") and isinstance(value, dict):
            return _record(plain, value)
        if plain is tuple and isinstance(value, list):
            return tuple(value)
        if isinstance(value, plain):
            return value
    raise InputError(f"{name} must be {hint}, got {type(value).__name__}")
