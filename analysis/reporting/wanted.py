"""What can be asked for besides the usual sections of a report. Needs no pandas."""

from __future__ import annotations

from dataclasses import dataclass, replace

from analysis.energy.conventions import Convention


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is asked for besides the usual sections.

    Attributes:
        memory: Models that price memory.
        zeros: Beside the same shape without spikes, with this share of skipped activations; 0
            for the dense one only.
        versus: What moves the number from the report's convention to this one.
    """

    memory: bool = False
    zeros: float | None = None
    versus: Convention | None = None

    def for_pages(self) -> Wanted:
        """What goes into files, which have room for memory and counterpart unasked."""
        return replace(self, memory=True, zeros=self.zeros or 0.0)
