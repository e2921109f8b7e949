"""Our dense multiply-accumulates beside those of three other counters, layer by layer.

They know nothing of spikes, so only dense counts can be compared. A difference is explained where
the reason is known, and called unknown where it is not.
"""

from __future__ import annotations

import inspect
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from analysis.counting.inputs import TimeLayout, made_batch
from analysis.counting.neurons import Neurons
from analysis.errors import InputError
from analysis.other_counters import TOOLS, Found, ask
from analysis.records import Run
from analysis.torch_internals import AnyBatchNorm

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("tool", "layer", "ours", "theirs", "difference", "reason")
MODEL, TOTAL = "(model)", "(total)"  # the model itself, outside of its layers; the sum
_NORMS = (AnyBatchNorm, nn.LayerNorm, nn.GroupNorm)
_RECURRENT = (nn.RNNBase, nn.RNNCellBase)


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One module as we counted it.

    Attributes:
        name, names: Its path, and how many names it has.
        module: The module; None if the path is not in the model.
        ours: Dense multiply-accumulates per sample, all steps.
        stands_for: How many steps each of its executions stands for.
        bias: Output elements per sample that a bias is added to.
    """

    name: str
    names: int = 1
    module: nn.Module | None = None
    ours: Fraction = Fraction(0)
    stands_for: int = 1
    bias: Fraction = Fraction(0)


def crosscheck(
    model: nn.Module,
    inputs: Tensor | Mapping[str, Any],
    run: Run,
    *,
    time_layout: TimeLayout | None = None,
) -> pd.DataFrame:
    """Compares the dense multiply-accumulates of a run with what other counters say.

    A layer that runs once and serves all T steps counts T times, as in the report; the tools see
    it once, so their figure is multiplied by T.

    Args:
        model: The model that was run; it is not touched.
        inputs: One batch as the model takes it, in its device and precision.
        run: The counts of that model on samples of the same shape.
        time_layout: As for `analysis.analyze`, if it was needed there.

    Returns:
        A row per tool and layer, then one for its total: tool, layer, ours, theirs, difference
        (multiply-accumulates per sample) and the reason of a difference, ``unknown`` if there is
        none that we know. A tool that fails has a single row without figures, with its error.

    Raises:
        InputError: If the inputs hold no sample, or can't be passed by position.
    """
    import pandas as pd

    arguments = _arguments(model, inputs)
    samples = _samples(model, arguments, run.steps, time_layout)
    layers = _layers(model, run)
    rows = []
    for tool in TOOLS:
        try:
            found = ask(tool, model, arguments)
        except Exception as error:  # noqa: BLE001 - whatever a tool can't do is a row of the table
            ours = float(sum(layer.ours for layer in layers.values()))
            rows.append((tool, TOTAL, ours, None, None, f"failed: {_in_words(error)}"))
        else:
            rows += _rows(tool, found, layers, model, samples)
    figures = dict.fromkeys(("ours", "theirs", "difference"), float)
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(figures)


def _arguments(model: nn.Module, inputs: Tensor | Mapping[str, Any]) -> tuple[Any, ...]:
    """The inputs by position, as fvcore and thop want them."""
    if not isinstance(inputs, Mapping):
        return (inputs,)
    bound = inspect.signature(model.forward).bind(**inputs)
    if bound.kwargs:
        raise InputError(f"arguments only known by name: {', '.join(bound.kwargs)}")
    return bound.args


def _samples(
    model: nn.Module, arguments: tuple[Any, ...], steps: int, layout: TimeLayout | None
) -> int:
    """How many samples a batch holds; in some frameworks its first axis are the steps."""
    first = next((x for x in arguments if isinstance(x, Tensor) and x.dim()), None)
    if first is None or not first.numel():
        raise InputError("a crosscheck needs a batch with at least one sample")
    order = layout or Neurons(model).layout(first, steps)
    return made_batch(arguments, {}, None, steps, order, told=layout is not None).samples


def _layers(model: nn.Module, run: Run) -> dict[str, Layer]:
    """Every module that did a weight operation, by its first name."""
    modules = dict(model.named_modules())
    dense: Counter[str] = Counter()
    stands_for: defaultdict[str, set[int]] = defaultdict(set)
    for site in run.sites:
        dense[site.key.name] += site.stands_for * site.dense_macs
        stands_for[site.key.name].add(site.stands_for)
    biased: Counter[str] = Counter()
    for work in run.at_every_step.elementwise:
        biased[work.site] += work.elements if work.work == "bias" else 0
    names = {site.key.name: 1 + len(site.aliases) for site in run.sites}
    return {
        name: Layer(
            name=name,
            names=names[name],
            module=modules.get(name),
            ours=Fraction(macs, run.samples),
            stands_for=stands_for[name].pop() if len(stands_for[name]) == 1 else 1,
            bias=Fraction(biased[name], run.samples),
        )
        for name, macs in dense.items()
    }


def _rows(
    tool: str, found: Found, layers: Mapping[str, Layer], model: nn.Module, samples: int
) -> Iterator[tuple[Any, ...]]:
    seen = _by_first_name(found.macs, model)
    modules = dict(model.named_modules())
    own, ours, theirs = Fraction(sum(seen.values()), samples), Fraction(), Fraction()
    why: dict[str, Fraction] = {}
    for name in [*layers, *(name for name in seen if seen[name] and name not in layers)]:
        layer = layers.get(name) or Layer(name=name, module=modules.get(name))
        figure = Fraction(seen[name] * layer.stands_for, samples)
        reason = explain(tool, layer, figure, found.skipped.get(name, ""))
        ours, theirs = ours + layer.ours, theirs + figure
        if figure != layer.ours:
            why[reason] = why.get(reason, Fraction()) + figure - layer.ours
        yield _row(tool, name or MODEL, layer.ours, figure, reason)
    words = [f"{float(size):+,.0f}: {reason}" for reason, size in why.items()]
    if own != theirs:
        words.append(f"its own total is {float(own):,.0f}, what runs once counted once")
    yield _row(tool, TOTAL, ours, theirs, "; ".join(words))


def _by_first_name(macs: Mapping[str, int], model: nn.Module) -> Counter[str]:
    """A tool may know a module with several names by another one than we do."""
    first = {module: name for name, module in model.named_modules()}
    modules = dict(model.named_modules(remove_duplicate=False))
    seen: Counter[str] = Counter()
    for name, count in macs.items():
        seen[first[modules[name]]] += count
    return seen


def _row(tool: str, layer: str, ours: Fraction, theirs: Fraction, why: str) -> tuple[Any, ...]:
    return tool, layer, float(ours), float(theirs), float(theirs - ours), why


def explain(tool: str, layer: Layer, theirs: Fraction, skipped: str = "") -> str:
    """Why a tool's figure for a layer is what it is.

    Args:
        tool: One of `TOOLS`.
        layer: The layer as we counted it.
        theirs: The tool's multiply-accumulates per sample, at every step that it stands for.
        skipped: Operations of the layer that the tool says it has no rule for.

    Returns:
        A few words; nothing for equal figures, ``unknown`` where no reason is known.
    """
    module, excess = layer.module, theirs - layer.ours
    if not excess:
        once = f"runs once for all {layer.stands_for} steps: its figure x {layer.stands_for}"
        return once if layer.stands_for > 1 else ""
    if not layer.ours:
        return _of_no_weights(layer)
    if skipped and excess < 0:
        same = " (padding='same')" if "_convolution_mode" in skipped else ""
        return f"has no rule for {skipped}{same}"
    if not theirs:
        return _of_nothing(tool, layer)
    if excess == layer.bias:
        return "counts the bias"
    if any(theirs == layer.ours * names**2 for names in range(2, layer.names + 1)):
        return "hooks a module once for each of its names, and sums it as often"
    if tool == "thop" and isinstance(module, _RECURRENT):
        return "counts the elementwise work of the gates"
    return "unknown"


def _of_no_weights(layer: Layer) -> str:
    if isinstance(layer.module, _NORMS):
        return "counts normalisation"
    weights = [] if layer.module is None else layer.module.parameters(recurse=False)
    if any(weight.dim() > 1 for weight in weights):
        return "counts weights that we counted nothing of"
    return "counts elementwise work"


def _of_nothing(tool: str, layer: Layer) -> str:
    if tool == "thop":
        return "has no rule for this class, nor for functional products"
    if isinstance(layer.module, nn.MultiheadAttention | nn.RNNBase):
        return "can't look into a fused operation"
    return "unknown"


def _in_words(error: Exception) -> str:
    lines = str(error).strip().splitlines() or ["no message"]
    return f"{type(error).__name__}: {lines[0][:200]}"
