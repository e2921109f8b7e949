"""What a run leaves behind: frozen counts, no torch. Second file to read, after `pipeline`.

Every count is an exact integer: the sum of what ran, over all samples, steps and batches. Nothing
is multiplied; division happens once, in the report. A site that ran once and stands for all T
steps says so in `SiteRecord.stands_for`, and `Run.at_every_step` shows it at each of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

OperandKind = Literal["silent", "spike", "ternary", "graded", "real"]
Origin = Literal[
    "image", "events", "current", "spikes", "gated-spikes", "pooled-spikes", "summed-spikes"
]
InputKind = Literal["events", "image"]
Role = Literal["stem", "gate", "spiking", "shortcut", "readout", "other"]
Work = Literal["normalisation", "addition", "product", "activation", "pooling", "other", "bias"]


@dataclass(frozen=True, kw_only=True, order=True)
class SiteKey:
    """One weight operation at a place in the model.

    Attributes:
        name: Path of the module that was running; the first of its names.
        index: Which weight operation inside that module call, from 0.
        call: Which call of that module in the forward pass, from 0.
    """

    name: str
    index: int = 0
    call: int = 0

    def __str__(self) -> str:
        """As tables show it: ``name[index] #call``, zeros left out; ``(model)`` for the root."""
        index = f"[{self.index}]" if self.index else ""
        return f"{self.name or '(model)'}{index}" + (f" #{self.call}" if self.call else "")


@dataclass(frozen=True, kw_only=True)
class LayerShape:
    """The sizes of a layer with weights that memory models ask for.

    Attributes:
        channels_in, channels_out: Of a convolution; input and output features of a product with
            a matrix. Of all groups together.
        kernel, stride: Along each axis of a convolution; empty for a product with a matrix.
        biased: Whether it adds a bias of its own.
    """

    channels_in: int
    channels_out: int
    kernel: tuple[int, ...] = ()
    stride: tuple[int, ...] = ()
    biased: bool = False


@dataclass(frozen=True, kw_only=True)
class SiteRecord:
    """What happened at one weight operation; counts are sums over everything that ran.

    Attributes:
        key: Which operation.
        aliases: Further names of its module.
        role: The part it plays; ``role_source`` says who said so (model, user or guess).
        op: Kind of operation, such as ``conv2d`` or ``linear``.
        operand: What the values of its input are, over the whole run.
        unit: The value of one spike in its input; None where the values are no spikes.
        origin: Where its input comes from, by data flow: ``image`` or ``events``, if it is an input
            of the model or made of such by moving, scaling, adding and pooling.
        static: Whether its input was the same, bit for bit, at all steps.
        executions: How often it ran per sample, a mean: T at every step, 1 if once for all steps,
            a fraction where some samples end early.
        stands_for: Steps that one execution stands for: T if it ran once, no neuron layer comes
            before it and its result reaches neuron layers that live through T steps; else 1.
        mixes_steps: Whether its input holds all steps in every row, as a convolution over time.
        dense_macs: Multiply-accumulates if no input were zero, products with padding included.
        inside_macs: The same without the products with zero padding.
        synops: Pairs (non-zero input element, weight element) that meet inside the output.
        nonzeros, elements: Of the input.
        synops_by_step, nonzeros_by_step: Those of each step; None where that is not known, or a
            single execution belongs to no one step.
        upstream: The neuron layers nearest to its input in the data flow, those with the fewest
            operations in between; several if they are equally near, none behind an image.
        other_operand: What the second input is, where both are activations: then synops are
            pairs of non-zeros if both or neither are spikes, else counted from the spikes' side.
        other_nonzeros, other_elements: Of that second input.
        one_sided_synops: The non-zeros of the first input times their fan-out, where synops are
            pairs.
        weights, zero_weights: Weight elements, and how many of them are exactly zero; synops
            with those are counted like any other.
        levels, level_synops: How often each value of the operand occurs, and the synops of each
            non-zero one, if that was asked for.
        shape: Sizes of the layer; None for two activations and transposed convolutions.
    """

    key: SiteKey
    aliases: tuple[str, ...] = ()
    role: Role = "other"
    role_source: Literal["model", "user", "guess"] = "guess"
    op: str
    operand: OperandKind
    unit: float | None = None
    origin: Origin
    static: bool
    executions: float
    stands_for: int = 1
    mixes_steps: bool = False
    dense_macs: int
    inside_macs: int
    synops: int
    nonzeros: int
    elements: int
    synops_by_step: tuple[int, ...] | None
    nonzeros_by_step: tuple[int, ...] | None = None
    upstream: tuple[SiteKey, ...] = ()
    other_operand: OperandKind | None = None
    other_nonzeros: int | None = None
    other_elements: int | None = None
    one_sided_synops: int | None = None
    weights: int = 0
    zero_weights: int = 0
    levels: Mapping[str, int] | None = None
    level_synops: Mapping[str, int] | None = None
    shape: LayerShape | None = None

    @property
    def in_rate(self) -> float:
        """Non-zero share of the input."""
        return self.nonzeros / self.elements if self.elements else 0.0

    @property
    def at_every_step(self) -> SiteRecord:
        """The same as if it had run at each of the steps that one execution stands for."""
        times = self.stands_for
        if times == 1:
            return self
        return replace(
            self,
            executions=self.executions * times,
            stands_for=1,
            static=True,
            dense_macs=self.dense_macs * times,
            inside_macs=self.inside_macs * times,
            synops=self.synops * times,
            nonzeros=self.nonzeros * times,
            elements=self.elements * times,
            synops_by_step=(self.synops,) * times,
            nonzeros_by_step=(self.nonzeros,) * times,
            other_nonzeros=None if self.other_nonzeros is None else self.other_nonzeros * times,
            other_elements=None if self.other_elements is None else self.other_elements * times,
            one_sided_synops=None
            if self.one_sided_synops is None
            else self.one_sided_synops * times,
            levels=_times(self.levels, times),
            level_synops=_times(self.level_synops, times),
        )


def _times(counts: Mapping[str, int] | None, times: int) -> Mapping[str, int] | None:
    return None if counts is None else {value: n * times for value, n in counts.items()}


@dataclass(frozen=True, kw_only=True)
class InputRecord:
    """One input of the model.

    Attributes:
        name: Of the argument, with the path inside a nest: ``x``, ``clips.left``, ``views[0]``.
        kind: Whether it holds events or an image.
        said_by: Whether somebody said so, or its values over the whole run decide: {0, 1},
            ternary and small whole numbers are events.
        values: What these values are.
        unit: The value of one event; None where the values are no multiples of one.
        nonzeros, elements: Of the whole run.
    """

    name: str
    kind: InputKind
    said_by: Literal["user", "values"] = "values"
    values: OperandKind
    unit: float | None = None
    nonzeros: int
    elements: int

    @property
    def rate(self) -> float:
        """Non-zero share."""
        return self.nonzeros / self.elements if self.elements else 0.0


@dataclass(frozen=True, kw_only=True)
class Constant:
    """A weight operation that no sample has a part in: it can be done once and folded away.

    Attributes:
        key: Which operation.
        macs: Dense multiply-accumulates in one forward pass.
    """

    key: SiteKey
    macs: int


RATE_BINS = 10


@dataclass(frozen=True, kw_only=True)
class NeuronDetail:
    """The single neurons of a layer; of one whose size differs from pass to pass there is none.

    Attributes:
        channels: Spikes of each channel.
        dead, saturated: Neurons that never fired, and that fired at every step of every sample.
        histogram: Neurons by their firing rate, in ten equal bins from 0 to 1.
    """

    channels: tuple[int, ...]
    dead: int
    saturated: int
    histogram: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class NeuronRecord:
    """What one spiking neuron layer did; counts are sums over everything that ran.

    Attributes:
        site, call: Path of its module, and which call of it in the forward pass, from 0.
        neurons: Neurons in the layer, of one sample at one step; the most if that differs.
        spikes: All of them; a neuron that fires k times within a step counts k.
        outputs: Neuron outputs that ran, one per neuron, step and sample: what a rate is over.
        spikes_by_step, outputs_by_step: Those of each step; None where that is not known, or the
            layer ran once and belongs to no one step.
        found_by: Whether its class or name was known, or its behaviour gave it away.
        detail: Of the single neurons, if that was asked for.
    """

    site: str
    call: int
    neurons: int
    spikes: int
    outputs: int
    spikes_by_step: tuple[int, ...] | None = None
    outputs_by_step: tuple[int, ...] | None = None
    found_by: Literal["known", "behaviour"] = "known"
    detail: NeuronDetail | None = None

    @property
    def key(self) -> SiteKey:
        """Which call of which module it is."""
        return SiteKey(name=self.site, call=self.call)

    @property
    def firing_rate(self) -> float:
        """Spikes per neuron and step."""
        return self.spikes / self.outputs if self.outputs else 0.0

    @property
    def rate_by_step(self) -> tuple[float, ...] | None:
        """Spikes per neuron at each step."""
        if self.spikes_by_step is None or self.outputs_by_step is None:
            return None
        pairs = zip(self.spikes_by_step, self.outputs_by_step, strict=True)
        return tuple(spikes / outputs if outputs else 0.0 for spikes, outputs in pairs)


@dataclass(frozen=True, kw_only=True)
class ElementwiseRecord:
    """Work that no synapse does: elements touched by one kind of work in one module.

    Attributes:
        site: Path of the module.
        work: What kind.
        elements: Of everything that ran.
        stands_for: Steps that each of them stands for, as in `SiteRecord`.
    """

    site: str
    work: Work
    elements: int
    stands_for: int = 1

    @property
    def at_every_step(self) -> ElementwiseRecord:
        """The same as if it had been done at each of the steps that it stands for."""
        return replace(self, elements=self.elements * self.stands_for, stands_for=1)


@dataclass(frozen=True, kw_only=True)
class Moments:
    """First and second moments over samples of every count that varies from sample to sample.

    Attributes:
        columns: ``synops|nonzeros|spikes``, then the site, as in `moment_column`.
        mean: Mean count per sample, one per column.
        scatter: Sum over samples of the outer product of deviations from the mean.
    """

    columns: tuple[str, ...]
    mean: tuple[float, ...]
    scatter: tuple[tuple[float, ...], ...]


def moment_column(quantity: str, name: str, *numbers: int) -> str:
    """The name of a column of `Moments`.

    Examples:
        >>> moment_column("synops", "stages.0.0.conv1", 0, 0)
        'synops stages.0.0.conv1 0 0'
    """
    return " ".join([quantity, name, *map(str, numbers)])


@dataclass(frozen=True, kw_only=True)
class SampleCount:
    """One exact count of every sample, by step.

    Attributes:
        kind: ``site``: synops; ``input``: non-zero inputs of a site; ``neuron``: spikes.
        counts: One row per sample, one entry per step; a single one where steps are not known or
            one execution belongs to no one of them.
    """

    kind: Literal["site", "input", "neuron"]
    key: SiteKey
    counts: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How a run decided that it had seen enough samples, by its total synops.

    Attributes:
        target: Half of the interval's width over the mean, at which it may stop.
        looks_planned, looks_used: How often the interval could be and was looked at.
        level: Of the interval at each look, so that all of them together have 95 %.
        mean, low, high: Synops per sample; no interval from a single sample.
        reached: Whether the interval became as narrow as that before the samples ended.
    """

    target: float
    looks_planned: int
    looks_used: int
    level: float
    mean: float
    low: float | None
    high: float | None
    reached: bool


@dataclass(frozen=True, kw_only=True)
class Run:
    """Everything counted in one run of a model over samples.

    Attributes:
        samples, steps: How many were run.
        sites, neurons, elementwise: The counts.
        inputs: What went into the model: all tensors that hold samples and are read as numbers.
        constants: Weight operations that no sample has a part in; they are not in the counts.
        moments: How the counts vary over samples.
        correct: Samples whose most likely class was their label; None without labels.
        correct_by_step: The same by the mean of the logits up to each step, one entry per step;
            a single one where logits hold no steps, none without labels.
        never_ran: Weight layers of the model that took no part.
        uncounted: Operations on weights that no rule covers, with the times each runs in a
            forward pass.
        warnings: What a reader should know before trusting a number.
        provenance: Versions, device, precision, data: whatever made the run.
        per_sample: Counts of each sample, if they were asked for.
        sample_index: Place of each of those samples in the data, if that is known.
        labels, predicted: Of each sample: its label, and its most likely class after each step;
            then only, and only with labels.
        sampling: Why it ended where it did, if not simply with the data.
        stated_rates: Of an estimate, for which nothing was measured: the rates that were said, by
            pattern of layers.
        flipped: Samples that have other counts in float64, where no membrane rounds across its
            threshold by accident; None if that was not looked at.
    """

    samples: int
    steps: int
    sites: tuple[SiteRecord, ...]
    neurons: tuple[NeuronRecord, ...]
    elementwise: tuple[ElementwiseRecord, ...]
    moments: Moments
    inputs: tuple[InputRecord, ...] = ()
    constants: tuple[Constant, ...] = ()
    correct: int | None = None
    correct_by_step: tuple[int, ...] = ()
    never_ran: tuple[str, ...] = ()
    uncounted: Mapping[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)
    per_sample: tuple[SampleCount, ...] = ()
    sample_index: tuple[int, ...] = ()
    labels: tuple[int, ...] = ()
    predicted: tuple[tuple[int, ...], ...] = ()
    sampling: Sampling | None = None
    stated_rates: Mapping[str, float] = field(default_factory=dict)
    flipped: int | None = None

    @cached_property
    def at_every_step(self) -> Run:
        """The run as if everything that stands for several steps had run at each of them.

        Moments and counts of single samples stay those of what ran.
        """
        return replace(
            self,
            sites=tuple(site.at_every_step for site in self.sites),
            elementwise=tuple(work.at_every_step for work in self.elementwise),
        )

    @cached_property
    def spikes_inside(self) -> bool:
        """Whether anything spikes: neuron layers, functions that give spikes, or stated rates.

        Where nothing does, as in a network of ReLUs, non-zeros are no firing rates.
        """
        made = ("image", "events")
        spikes = (s.operand in ("spike", "ternary") and s.origin not in made for s in self.sites)
        return bool(self.neurons or self.stated_rates) or any(spikes)

    @cached_property
    def neuron_updates(self) -> int:
        """Membrane updates: one per neuron output that ran."""
        return sum(neuron.outputs for neuron in self.neurons)

    @cached_property
    def firing_rate(self) -> float:
        """Spikes per neuron and step over the whole network (NaN without neuron layers)."""
        spikes = sum(neuron.spikes for neuron in self.neurons)
        return spikes / self.neuron_updates if self.neuron_updates else float("nan")
