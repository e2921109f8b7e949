"""What one forward pass left behind, before its calls are put in order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass, field

from torch import Tensor

from analysis.counting.dataflow import NeuronPlace
from analysis.counting.operands import Levels
from analysis.counting.products import Counted
from analysis.counting.rows import Rows
from analysis.records import LayerShape, Origin, SiteKey, Work


@dataclass(frozen=True, kw_only=True)
class SiteLog:
    """One execution of a weight operation.

    Attributes:
        key, op: Which one.
        origins: Of its activations.
        upstream: The neuron layers nearest to each of them.
        counted, rows: Exact counts per row, and the sample and step of each row.
        static: Whether its input was the same at all steps.
        place: Which values in memory its input was.
        weights: Its weight elements, and how many of them are exactly zero.
        weight_place: Which values in memory its weights were; None for two activations.
        biased_outputs: Output elements that a bias is added to.
        shape: Sizes of the layer, if it is one with weights.
    """

    key: SiteKey
    op: str
    origins: tuple[Origin, ...]
    upstream: tuple[tuple[NeuronPlace, ...], ...]
    counted: Counted
    rows: Rows
    static: bool
    place: tuple[object, ...]
    weights: tuple[int, int]
    biased_outputs: int
    shape: LayerShape | None = None
    weight_place: Hashable = None


@dataclass(frozen=True, kw_only=True)
class SpikeLog:
    """One output of a neuron layer.

    Attributes:
        key: Path of its module, and which call of it.
        cells: Elements of the output.
        counts: Spikes per row.
        levels: Its distinct values.
        rows: Sample and step of each row.
        by_neuron: Spikes of every neuron, ``(C, *S)``, if that was asked for.
    """

    key: SiteKey
    cells: int
    counts: Tensor
    levels: Levels
    rows: Rows
    by_neuron: Tensor | None = None


@dataclass(frozen=True)
class WorkLog:
    """Elementwise work of one operation.

    Attributes:
        site, work: Where and what kind.
        elements: How many elements it touched.
        serves_all: Whether its result serves all steps at once.
    """

    site: str
    work: Work
    elements: int
    serves_all: bool


@dataclass
class PassLog:
    """Everything of one forward pass, in the order it happened.

    Attributes:
        sites, spikes, work: What was counted.
        uncounted: Operations on weights that no rule covers, with the times each ran.
        ran: Modules that did something with weights, and layers whose weights were used.
        begun: Where an axis of steps seemed to begin, by joining or repeating T tensors: after how
            many calls of neuron layers.
    """

    sites: list[SiteLog] = field(default_factory=list)
    spikes: list[SpikeLog] = field(default_factory=list)
    work: list[WorkLog] = field(default_factory=list)
    uncounted: Counter[str] = field(default_factory=Counter)
    ran: set[str] = field(default_factory=set)
    begun: list[int] = field(default_factory=list)
