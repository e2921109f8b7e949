"""Forward passes over batches: fresh state, one sample alone as the check, one by one if need be.

The count of a sample is what runs when it is alone in its batch. Running several together is an
optimisation, and it is always checked: the first sample of the first batch runs alone as well,
and every count must be its share in the batch. Where it is not, samples are run one at a time.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from analysis.counting.inputs import Batch, TimeLayout
from analysis.counting.labels import Counts
from analysis.counting.operations import operation_of
from analysis.counting.sites import PassLog, SiteLog, SpikeLog
from analysis.errors import InputError
from analysis.records import SiteKey
from analysis.torch_internals import TorchDispatchMode

_FLIPS = 0.05  # float32 flips change fewer of a layer's inputs or outputs than that
_CANT_RUN = (RuntimeError, ValueError, IndexError, TypeError, AssertionError)

Pass = Callable[[Batch], tuple[PassLog, Any]]


@dataclass(frozen=True)
class Difference:
    """What one sample did otherwise alone than in its batch.

    Attributes:
        layer, quantity: Where and what.
        together, alone: Its share in the batch, and alone; None where it did not run at all, or
            the samples of a batch can't be told apart.
    """

    layer: str
    quantity: str
    together: int | None
    alone: int | None

    def __str__(self) -> str:
        """In words."""
        if self.together is None:
            return (
                f"{self.layer}: its {self.quantity} can't be divided among the samples of a batch"
            )
        return (
            f"{self.layer}: the first sample has {self.together:,} {self.quantity} in its batch "
            f"and {self.alone or 0:,} alone"
        )


class Passes:
    """Runs batches so that every count is that of its samples alone.

    Args:
        run: Runs one batch while it is watched, from a fresh state.
        exact: Whether numbers are exact enough that no spike may differ by rounding.

    Attributes:
        constants: Weight operations that no sample has a part in, by place.
        constant_work: The same of elementwise work: module, kind, how manieth.
        one_by_one: Why samples are run one at a time; None where they are not.
        unchecked: Why the check could not be made, if so.
        layout: How samples and steps lie, once a batch has shown it.
    """

    def __init__(self, run: Pass, *, exact: bool) -> None:
        self._run, self._exact = run, exact
        self.constants: frozenset[SiteKey] = frozenset()
        self.constant_work: frozenset[Hashable] = frozenset()
        self.one_by_one: Difference | None = None
        self.unchecked: str | None = None
        self.layout: TimeLayout | None = None
        self._checked = False
        self._decided: set[Hashable] = set()

    def of(self, batches: Sequence[Batch]) -> Iterator[tuple[Batch, PassLog, Any]]:
        """The passes that a batch takes: one, or one for each sample.

        Args:
            batches: The batch under every layout of samples and steps that it may have, the most
                likely one first; the first that holds the check stays.
        """
        batch = next((b for b in batches if b.layout == self.layout), batches[0])
        if self.one_by_one is None:
            found = self._together(batch, batches)
            if found is not None:
                yield found
                return
        for place in range(batch.samples):
            one = batch.sample(place)
            log, outputs = self._run(one)
            self._decide(one, log, None)
            yield one, log, outputs

    def _together(
        self, batch: Batch, batches: Sequence[Batch]
    ) -> tuple[Batch, PassLog, Any] | None:
        """One pass over all samples; None where that does not give what they do alone."""
        log, outputs = self._run(batch)
        alone = difference = None
        checks = batch.samples > 1 and not self._checked
        if checks:
            self._checked = True
            alone, difference = self._check(batch, log)
        self._decide(batch, log, alone)
        if batch.samples > 1:
            difference = self._undivided(log, batch) or difference
        if checks and self.unchecked is None:
            looped = alone is not None and _loops_over_steps(log, alone, batch)
            if difference is not None or looped:
                held = self._another(batch, batches, difference)
                if held is not None:
                    return held
        if difference is not None and self.unchecked is None:
            self.one_by_one = difference
            return None
        self.layout = batch.layout
        return batch, log, outputs

    def _another(
        self, batch: Batch, batches: Sequence[Batch], difference: Difference | None
    ) -> tuple[Batch, PassLog, Any] | None:
        """The first other layout that holds the check, and a pass under it.

        Raises:
            InputError: If somebody said that it is this one.
        """
        for other in batches:
            fits = other is not batch and (difference is not None or other.layout == "TB")
            held = self._holds(other) if fits else None
            if held is None:
                continue
            if batch.told:
                raise InputError(
                    f"time_layout={batch.layout!r} was given, but the model takes samples and "
                    f"steps otherwise ({difference or 'it loops over the samples'}); "
                    f"time_layout={other.layout!r} was tried and fits"
                )
            self.layout = other.layout
            return other, *held
        return None

    def _holds(self, batch: Batch) -> tuple[PassLog, Any] | None:
        """A pass under another layout, if the check holds there."""
        log, outputs = self._run(batch)
        alone, difference = self._check(batch, log)
        self.unchecked = None
        if alone is None or difference is not None:
            return None
        self._decide(batch, log, alone)
        return None if self._undivided(log, batch) else (log, outputs)

    def _check(self, batch: Batch, log: PassLog) -> tuple[PassLog | None, Difference | None]:
        """The first sample alone, and where it differs from its share in the batch."""
        one = batch.sample(0)
        try:
            with torch.random.fork_rng(_gpus(batch)):
                alone, _ = self._run(one)
        except _CANT_RUN as error:
            lines = str(error).strip().splitlines() or [type(error).__name__]
            self.unchecked = lines[0]
            return None, None
        random = log.random or alone.random
        return alone, _difference(log, alone, batch, exact=self._exact, values=not random)

    def _decide(self, batch: Batch, log: PassLog, alone: PassLog | None) -> None:
        """Finds out of operations that no input went into whether they grow with the samples."""
        free = _free(log)
        if free.keys() <= self._decided:
            return
        if alone is not None:
            fewer, more = _free(alone), free
        else:
            try:
                with torch.random.fork_rng(_gpus(batch)):
                    fewer, more = free, _free(self._run(batch.twice())[0])
            except _CANT_RUN:
                fewer, more = free, {}
        times, again = (Counter(map(_place, sizes)) for sizes in (fewer, more))
        constant = {
            key
            for key, size in fewer.items()
            if more.get(key) == size and times[_place(key)] == again[_place(key)]
        }
        self._decided |= free.keys()
        self.constants |= {key for key in constant if isinstance(key, SiteKey)}
        self.constant_work |= {key for key in constant if not isinstance(key, SiteKey)}

    def _undivided(self, log: PassLog, batch: Batch) -> Difference | None:
        """The first layer whose counts can't be divided among the samples."""
        for site in log.sites:
            known = site.rows.free and site.key in self.constants
            counts = () if known else site.counted.quantities
            if any(site.rows.fold(c, batch.samples, batch.steps) is None for c in counts):
                return Difference(str(site.key), "synaptic operations", None, None)
        for spikes in log.spikes:
            if spikes.rows.fold(spikes.nonzeros, batch.samples, batch.steps) is None:
                return Difference(str(spikes.key), "spikes", None, None)
        return None


def _loops_over_steps(log: PassLog, alone: PassLog, batch: Batch) -> bool:
    """Whether layers run T times for T samples and once for one: a loop over an axis of length T.

    Such a loop is over the steps, and what was taken for samples are the steps of clips; where
    there are as many samples as steps, it may be over either.
    """
    if batch.samples != batch.steps or any(map(batch.is_clip, batch.tensors)):
        return False
    calls, once = (Counter(s.key.name for s in one.sites) for one in (log, alone))
    return any(calls[layer] == batch.steps * once[layer] for layer in once)


def _gpus(batch: Batch) -> list[int]:
    return sorted({x.device.index or 0 for x in batch.tensors if x.is_cuda})


def _free(log: PassLog) -> dict[Hashable, int]:
    """The sizes of all operations that no sample seems to have a part in, by place."""
    found: dict[Hashable, int] = {s.key: s.counted.dense for s in log.sites if s.rows.free}
    found.update(numbered_work(log))
    return found


def _place(key: Any) -> Hashable:
    """Where an operation is, without how manieth it is there: a loop over samples has more."""
    return key.name if isinstance(key, SiteKey) else key[:2]


def numbered_work(log: PassLog) -> dict[Hashable, int]:
    """Elementwise work that no sample seems to have a part in, by module, kind and number."""
    seen: defaultdict[Hashable, int] = defaultdict(int)
    found: dict[Hashable, int] = {}
    for work in log.work:
        if work.free:
            place = (work.site, work.work)
            found[*place, seen[place]] = work.elements
            seen[place] += 1
    return found


def _difference(
    log: PassLog, alone: PassLog, batch: Batch, *, exact: bool, values: bool
) -> Difference | None:
    """Where the first sample of a batch does something else alone, if it does.

    Args:
        log: Of the batch.
        alone: Of its first sample alone.
        batch: What ran.
        exact: Whether counts have to be equal; else a few may differ by rounding.
        values: Whether spikes and non-zeros are compared too, not only sizes.
    """
    together, one = _shares(log, batch), _shares(alone, replace(batch, samples=1))
    for layer, quantity in {**one, **together}:
        size, counts = one.get((layer, quantity), (0, 0))
        other, found = together.get((layer, quantity), (0, 0))
        if other != size:
            return Difference(layer, "elements", other, size)
        allowed = 0 if exact else _FLIPS * size + 2
        if values and abs(found - counts) > allowed:
            return Difference(layer, quantity, found, counts)
    return None


def _shares(log: PassLog, batch: Batch) -> dict[tuple[str, str], tuple[int, int]]:
    """What the first sample has of every count, in all executions of a layer together.

    By layer and quantity: the size that the count is out of (elements, dense MACs, outputs), and
    the count itself.
    """
    found: defaultdict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])

    def add(one: SiteLog | SpikeLog, quantity: str, size: int, counts: Tensor) -> None:
        share = found[one.key.name or "(model)", quantity]
        share[0] += _size(one, batch, size)
        share[1] += _of_first(one, batch, counts)

    for site in log.sites:
        if not site.rows.free:
            counted = site.counted
            add(site, "non-zero inputs", counted.operand.elements, counted.operand.nonzeros)
            add(site, "synaptic operations", counted.dense, counted.operand.synops)
    for spikes in log.spikes:
        add(spikes, "spikes", spikes.outputs, spikes.nonzeros)
    return {key: (size, count) for key, (size, count) in found.items()}


def _of_first(log: SiteLog | SpikeLog, batch: Batch, counts: Tensor) -> int:
    folded: Counts | None = log.rows.fold(counts, batch.samples, batch.steps)
    return 0 if folded is None else int(folded[0].sum())


def _size(log: SiteLog | SpikeLog, batch: Batch, elements: int) -> int:
    """The first sample's share of elements, by its share of rows."""
    if log.rows.samples is None:
        return elements // batch.samples
    rows = int((log.rows.samples == 0).sum())
    return elements * rows // max(log.rows.number, 1)


class InPrecision(TorchDispatchMode):
    """Lets a model that was cast compute in its own precision throughout.

    Neurons written by hand make spikes with ``.float()`` or constants in float32, which can't
    meet weights of another precision. Random numbers are drawn in float32, so that they are the
    same, and cast then.

    Args:
        dtype: The precision of the model.
    """

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._dtype = dtype

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Runs an operation with results in the model's precision instead of float32."""
        kwargs = dict(kwargs or {})
        if torch.Tag.nondeterministic_seeded in func.tags and not func._schema.is_mutable:
            drawn = func(*args, **kwargs)
            return self._cast(drawn)
        if kwargs.get("dtype") is torch.float32:
            kwargs["dtype"] = self._dtype
        made = (
            operation_of(func).kind == "makes" or func.overloadpacket is torch.ops.aten.lift_fresh
        )
        result = func(*args, **kwargs)
        return self._cast(result) if made and not func._schema.is_mutable else result

    def _cast(self, value: Any) -> Any:
        if isinstance(value, Tensor) and value.dtype == torch.float32:
            return value.to(self._dtype)
        return value


def precision_of(model: nn.Module) -> torch.dtype | None:
    """The one floating precision of a model's parameters, if it is another than float32."""
    found = {p.dtype for p in model.parameters() if p.is_floating_point()}
    return found.pop() if len(found) == 1 and torch.float32 not in found else None
