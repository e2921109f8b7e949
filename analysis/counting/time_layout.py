"""How the leading axis of a tensor meets samples and steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

import torch
from torch import Tensor

from analysis.errors import InputError

Order = Literal["BT", "TB"]


@dataclass(frozen=True, kw_only=True)
class TimeLayout:
    """Samples and steps of one forward pass.

    Attributes:
        samples, steps: B and T.
        order: Which of the two varies slowest where one axis holds both.
        spanning: Patterns of sites that mix all steps at once.
    """

    samples: int
    steps: int
    order: Order = "BT"
    spanning: Sequence[str] = ()

    def spans(self, name: str) -> bool:
        """Whether a site is declared to mix all steps."""
        return any(fnmatchcase(name, pattern) for pattern in self.spanning)

    def leads(self, shape: Sequence[int]) -> bool:
        """Whether the first two axes of a shape are samples and steps, one each."""
        leading = (self.samples, self.steps) if self.order == "BT" else (self.steps, self.samples)
        return len(shape) > 1 and tuple(shape[:2]) == leading

    def holds_steps(self, rows: int) -> bool:
        """Whether an axis of that length runs over samples and steps (else: samples only)."""
        return rows % (self.samples * self.steps) == 0

    def fold(self, rows: Tensor, name: str) -> Tensor:
        """Sums counts per row into counts per sample and step.

        Args:
            rows: One count per row of the leading axis.
            name: Of the site, for messages.

        Returns:
            ``(B, T)``, or ``(B, 1)`` where the rows hold no steps.

        Raises:
            InputError: If the rows can't be divided among the samples.
        """
        if self.holds_steps(len(rows)):
            return self._sample_first(rows).sum(2)
        if len(rows) % self.samples:
            raise InputError(
                f"{name}: {len(rows)} rows can't be divided among {self.samples} samples and "
                f"{self.steps} steps; is the number of steps right?"
            )
        return rows.view(self.samples, -1).sum(1, keepdim=True)

    def equal_steps(self, x: Tensor) -> bool:
        """Whether the rows of a tensor are the same, bit for bit, at all steps."""
        if not self.holds_steps(x.shape[0]):
            return True
        by_step = self._sample_first(x)  # (B, T, rest, ...)
        if not torch.equal(by_step[:1, -1], by_step[:1, 0]):
            return False  # most that differ do so in the first sample: spare the rest
        return all(torch.equal(by_step[:, t], by_step[:, 0]) for t in range(1, self.steps))

    def _sample_first(self, rows: Tensor) -> Tensor:
        """``(N, ...)`` -> ``(B, T, N / (B*T), ...)``."""
        leading = (self.samples, self.steps) if self.order == "BT" else (self.steps, self.samples)
        folded = rows.reshape(*leading, -1, *rows.shape[1:])
        return folded if self.order == "BT" else folded.transpose(0, 1)
