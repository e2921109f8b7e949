"""The dispatch mode that watches a forward pass: the only file that instruments a model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from analysis.counting.dataflow import DataFlow, Trace, elements_of_work, moves_only
from analysis.counting.op_rules import RULES, Product
from analysis.counting.operands import OperandReader
from analysis.counting.scopes import Scope, Scopes
from analysis.counting.tally import NeuronTally, Series, SiteTally, exact
from analysis.counting.time_layout import TimeLayout
from analysis.errors import InputError
from analysis.records import Origin, SiteKey, Work


class Capture(TorchDispatchMode):
    """Counts every weight operation and every spike while it is active.

    It sits below autograd on the operations themselves, so functional calls, shared modules and
    keyword arguments are all seen. Use `watch` around one forward pass; sums stay.

    Args:
        model: The model to be run.
        neurons: Its spiking neuron layers.
        may_be_static: Which sites to look at for equal input at all steps.
        keep_samples: Whether to keep the counts of every sample.
    """

    def __init__(
        self,
        model: nn.Module,
        neurons: frozenset[nn.Module],
        *,
        may_be_static: Callable[[str], bool] = lambda _name: False,
        keep_samples: bool = False,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.sites: dict[SiteKey, SiteTally] = {}
        self.neurons: dict[tuple[str, int], NeuronTally] = {}
        self.elementwise: Counter[tuple[str, Work]] = Counter()
        self.uncounted: Counter[str] = Counter()
        self.scopes = Scopes(model, self._leave)
        self._neuron_modules = neurons
        self._may_be_static = may_be_static
        self._keep_samples = keep_samples
        self._reader = OperandReader()
        self._flow = DataFlow()
        self._layout = TimeLayout(samples=1, steps=1)
        self._elementary: set[Any] = set()
        for parameter in model.parameters():
            self._flow.mark(parameter, Trace("weight"))

    @contextmanager
    def watch(self, inputs: Tensor, layout: TimeLayout) -> Iterator[None]:
        """Counts one forward pass over a batch."""
        self._layout = layout
        self._flow.mark(inputs, Trace("image"))
        try:
            with self.scopes.watch(), self:
                yield
        finally:
            self._reader.forget()
            self._flow.keep_only_weights()

    def series(self) -> dict[str, Series]:
        """Every counted quantity, by the name of its column in the moments."""
        found = {}
        for key, site in self.sites.items():
            place = f"{key.name} {key.index} {key.call}"
            found[f"synops {place}"] = site.synops
            found[f"nonzeros {place}"] = site.nonzeros
        for (name, call), neuron in self.neurons.items():
            found[f"spikes {name} {call}"] = neuron.spikes
        return found

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Counts an operation, then runs it."""
        kwargs = kwargs or {}
        rule = RULES.get(func)
        if rule is not None:
            self._count(rule(*args, **kwargs))
            result = func(*args, **kwargs)
            self._flow.mark(result, Trace("current"))
            return result
        if func not in self._elementary:
            with self:  # under inference_mode whole layers arrive here: look inside them
                result = func.decompose(*args, **kwargs)
            if result is not NotImplemented:
                return result
            self._elementary.add(func)
        result = func(*args, **kwargs)
        inside_neuron = self.scopes.current.module in self._neuron_modules
        if not moves_only(func) and not inside_neuron:
            self._note_work(func, args, result)
        if not inside_neuron:
            self._flow.follow(func, args, result)
        return result

    def _count(self, product: Product) -> None:
        if self._flow.of(product.weight).origin != "weight":
            self.uncounted["product of two activations"] += 1
            return
        key = self.scopes.current.next_site()
        trace, layout = self._flow.of(product.operand), self._layout
        reading = self._reader.read(product.operand)
        meets = _weighted(reading.nonzeros, product.fans) * product.multiplicity
        nonzeros = _per_row(reading.nonzeros)

        synops, nonzeros = layout.fold(meets, key.name), layout.fold(nonzeros, key.name)
        spans = layout.spans(key.name)
        repeats = layout.steps if synops.shape[1] < layout.steps and not spans else 1
        columns = synops.shape[1] * repeats
        tally = self._site(key, product.op, _origin(trace), spans=spans)
        tally.synops.add(exact(synops.expand(-1, columns)))
        tally.nonzeros.add(exact(nonzeros.expand(-1, columns)))
        tally.see(reading.levels, origin=_origin(trace), static=self._is_static(key, product))
        tally.repeats, tally.executed_steps = repeats, layout.steps // repeats
        rows = len(product.operand) * repeats
        interior = [_trim(fan, pad) for fan, pad in _with_padding(product.fans, trace.padding)]
        channels = product.operand.shape[1]
        tally.dense_macs += rows * product.dense_per_row
        tally.inside_macs += (
            rows * channels * product.multiplicity * prod(int(fan.sum()) for fan in interior)
        )
        tally.elements += rows * channels * prod(len(fan) for fan in interior)
        self.elementwise[key.name, "bias"] += rows * product.biased_outputs_per_row

    def _site(self, key: SiteKey, op: str, origin: Origin, *, spans: bool) -> SiteTally:
        if key not in self.sites:
            synops, nonzeros = Series(self._keep_samples), Series(self._keep_samples)
            self.sites[key] = SiteTally(
                key=key, op=op, origin=origin, spans=spans, synops=synops, nonzeros=nonzeros
            )
        return self.sites[key]

    def _is_static(self, key: SiteKey, product: Product) -> bool:
        if not self._layout.holds_steps(len(product.operand)):
            return True
        return self._may_be_static(key.name) and self._layout.equal_steps(product.operand)

    def _note_work(self, func: Any, args: tuple[Any, ...], result: Any) -> None:
        found = elements_of_work(func, args, result)
        if found is None:
            if func.overloadpacket in flop_registry or self._flow.reads_weight_matrix(args):
                self.uncounted[str(func)] += 1
            return
        work, tensor = found
        scope, layout = self.scopes.current, self._layout
        rows = len(tensor) if tensor.dim() else 1
        serves_all_steps = not layout.leads(tensor.shape) and not layout.holds_steps(rows)
        repeats = layout.steps if serves_all_steps and not layout.spans(scope.name) else 1
        self.elementwise[scope.name, work] += tensor.numel() * repeats

    def _leave(self, scope: Scope, output: Any) -> None:
        if scope.module not in self._neuron_modules:
            return
        if not isinstance(output, Tensor):
            raise InputError(
                f"neuron layer {scope.name!r} returned {type(output).__name__}, expected a tensor"
            )
        self._flow.mark(output, Trace("spikes"))
        layout = self._layout
        with torch.utils._python_dispatch._disable_current_modes():
            rows = output.flatten(0, 1) if layout.leads(output.shape) else output
            reading = self._reader.read(rows)
            spikes = layout.fold(_per_row(reading.nonzeros), scope.name)
        neurons = rows.numel() // (layout.samples * layout.steps)
        tally = self.neurons.setdefault(
            (scope.name, scope.call),
            NeuronTally(scope.name, scope.call, neurons, Series(self._keep_samples)),
        )
        tally.spikes.add(exact(spikes))


def _origin(trace: Trace) -> Origin:
    return "current" if trace.origin == "weight" else trace.origin


def _per_row(nonzeros: Tensor) -> Tensor:
    """``(N, *S)`` -> ``(N,)``."""
    return nonzeros.flatten(1).sum(1) if nonzeros.dim() > 1 else nonzeros


def _weighted(nonzeros: Tensor, fans: tuple[Tensor, ...]) -> Tensor:
    """Non-zeros per position, each times its fan-out: ``(N, *S)`` -> ``(N,)``, exact."""
    for fan in reversed(fans):
        nonzeros = nonzeros @ fan.to(nonzeros.device)
    return nonzeros


def _with_padding(
    fans: tuple[Tensor, ...], padding: tuple[int, ...]
) -> Iterator[tuple[Tensor, tuple[int, int]]]:
    """Each axis with the zeros before and after it; torch lists them from the last axis."""
    for axis, fan in enumerate(reversed(fans)):
        before, after = padding[2 * axis : 2 * axis + 2] or (0, 0)
        yield fan, (before, after)


def _trim(fan: Tensor, padding: tuple[int, int]) -> Tensor:
    return fan[padding[0] : len(fan) - padding[1]]
