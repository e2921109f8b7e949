"""What can be asked for besides the usual sections of a report. Needs no pandas."""

from __future__ import annotations

from dataclasses import dataclass

from analysis.energy.conventions import Convention


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is asked for besides the usual sections.

    Attributes:
        memory: Models that price memory.
        zeros: Beside the same shape without spikes, with this share of skipped activations.
        versus: What moves the number from the report's convention to this one.
    """

    memory: bool = False
    zeros: float | None = None
    versus: Convention | None = None
