"""One run over all processes of a `torch.distributed` group.

Every process counts its own samples. Their ledgers are then gathered and added up in the order of
the ranks, so that all processes hold the same integers, and the same as a single one would have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from torch import Tensor, distributed

from analysis.counting.inputs import Answers
from analysis.counting.totals import Ledger
from analysis.errors import InputError
from analysis.records import Run

if TYPE_CHECKING:
    from analysis.counting.neurons import Findings
    from analysis.counting.run import Counting


@dataclass(frozen=True)
class Part:
    """What one process counted.

    Attributes:
        settings: How it counted: the same for all, or they can't be added up.
        ledger, answers: As in `Counting`.
        one_by_one, unchecked: As in `Passes`.
        findings: Which modules seemed to be neurons and were or were none.
        sample_index: Place of each of its samples among all of them, if it knows.
        provenance: What it says of how the run was made.
    """

    settings: Mapping[str, Any]
    ledger: Ledger
    answers: Answers
    one_by_one: Any
    unchecked: str | None
    findings: Findings
    sample_index: tuple[int, ...] | None
    provenance: Mapping[str, Any]
    flipped: int | None

    @classmethod
    def of(cls, counting: Counting) -> Part:
        """What this process counted, ready to be sent."""
        _lighten(counting.ledger)
        options, neurons = counting.options, counting.neurons
        keys = ("per_sample", "neuron_detail", "levels")
        return cls(
            settings={"steps": counting.steps, **{key: getattr(options, key) for key in keys}},
            ledger=counting.ledger,
            answers=counting.answers,
            one_by_one=counting.passes.one_by_one,
            unchecked=counting.passes.unchecked,
            findings=neurons.findings,
            sample_index=None if options.sample_index is None else tuple(options.sample_index),
            provenance=counting.provenance(),
            flipped=counting.flipped,
        )


def is_shared() -> bool:
    """Whether this process counts together with others."""
    return distributed.is_available() and distributed.is_initialized()


def together(work: Callable[[], Counting]) -> Run:
    """Counts with all processes of the group; each gets the run of all their samples.

    An exception in one of them ends all of them, instead of leaving the others waiting.

    Args:
        work: Counts the samples of this process, perhaps none.

    Raises:
        InputError: If another process failed, they count differently, or none had a sample.
    """
    try:
        counting = work()
    except Exception as error:
        _gather(f"{type(error).__name__}: {error}")
        raise
    parts = _gather(Part.of(counting))
    merged = _checked(parts)
    _take_over(counting, merged)
    return replace(counting.result(), provenance=merged[0].provenance)


def _gather(mine: Part | str) -> list[Part | str]:
    everything: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(everything, mine)
    return everything


def _checked(parts: Sequence[Part | str]) -> list[Part]:
    found: list[Part] = []
    for rank, part in enumerate(parts):
        if isinstance(part, str):
            raise InputError(f"process {rank} failed: {part}")
        if found and part.settings != found[0].settings:
            raise InputError(
                f"processes 0 and {rank} count differently: {found[0].settings} and {part.settings}"
            )
        found.append(part)
    return found


def _take_over(counting: Counting, parts: Sequence[Part]) -> None:
    """Makes one process hold what all of them counted."""
    counting.ledger = Ledger(counting.steps, keep_samples=counting.options.per_sample)
    counting.answers = Answers(keep=counting.options.per_sample)
    for part in parts:
        counting.ledger.merge(part.ledger)
        counting.answers.merge(part.answers)
        counting.neurons.findings.merge(part.findings)
        passes = counting.passes
        passes.one_by_one = passes.one_by_one or part.one_by_one
        passes.unchecked = passes.unchecked or part.unchecked
    flipped = [part.flipped for part in parts if part.flipped is not None]
    counting.flipped = sum(flipped) if flipped else None
    places = [place for part in parts for place in part.sample_index or ()]
    counting.sample_index = places or None


def _lighten(ledger: Ledger) -> None:
    """Leaves out what only the next batch would need; tensors go to the CPU to travel."""
    ledger.last = {}
    for neuron in ledger.neurons.values():
        if isinstance(neuron.by_neuron, Tensor):
            neuron.by_neuron = neuron.by_neuron.cpu()
