"""The modules of a network as a tree: parameters and energy, rolled up."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from analysis.records import LayerShape
from analysis.reporting.report import Report


@dataclass(frozen=True, kw_only=True)
class Module:
    """A module with all that is in it.

    Attributes:
        name: The last part of its path; that of the model for the whole.
        shape: What its own layer maps to what, or how many neurons it has.
        parameters: Of it and all below it; None where they are not known.
        energy_pj: Picojoules per sample of all weight layers in it; None without any.
        share: Of the energy of all weight layers; None without any, or if that is 0.
        unpriced: Whether some of it has no price: the energy is then a lower bound.
        parts: The modules in it, in the order they ran.
    """

    name: str
    shape: str
    parameters: int | None
    energy_pj: float | None
    share: float | None
    unpriced: bool
    parts: tuple[Module, ...]

    @property
    def size(self) -> int:
        """Modules in all, this one among them."""
        return 1 + sum(part.size for part in self.parts)


def module_tree(report: Report) -> Module:
    """All modules that ran weight operations or neurons, or hold parameters."""
    model, _, _ = str(report.run.provenance.get("model", "model")).partition(", ")
    return _Tree(report).module("", model)


class _Tree:
    def __init__(self, report: Report) -> None:
        run, energy = report.run, report.energy
        self._spent: dict[str, float] = defaultdict(float)
        self._shapes: dict[str, str] = {}
        self._unpriced: set[str] = set()
        for site in run.sites:
            path = site.key.name
            self._spent[path] += energy.site_pj(site.key)
            self._shapes.setdefault(path, _shape(site.shape))
            if energy.unpriced_of(energy.charges[site.key]):
                self._unpriced.add(path)
        for neuron in run.neurons:
            self._shapes.setdefault(neuron.site, f"{neuron.neurons:,} neurons")
        told = run.provenance.get("module_parameters")
        self._held: Mapping[str, int] | None = told if isinstance(told, Mapping) else None
        self._total = sum(self._spent.values())
        self._parts = _parts([*self._shapes, *(self._held or ())])

    def module(self, path: str, name: str) -> Module:
        parts = tuple(
            self.module(part, part.removeprefix(f"{path}.") if path else part)
            for part in self._parts.get(path, ())
        )
        spent = [self._spent[path]] if path in self._spent else []
        spent += [part.energy_pj for part in parts if part.energy_pj is not None]
        own = None if self._held is None else self._held.get(path, 0)
        return Module(
            name=name,
            shape=self._shapes.get(path, ""),
            parameters=None if own is None else own + sum(part.parameters or 0 for part in parts),
            energy_pj=sum(spent) if spent else None,
            share=sum(spent) / self._total if spent and self._total else None,
            unpriced=path in self._unpriced or any(part.unpriced for part in parts),
            parts=parts,
        )


def _parts(paths: Iterable[str]) -> Mapping[str, Mapping[str, None]]:
    """The modules right below each module, by their paths."""
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for path in paths:
        below = path
        while below:
            above = below.rpartition(".")[0]
            found[above][below] = None
            below = above
    return found


def _shape(shape: LayerShape | None) -> str:
    """What a layer maps to what.

    Example:
        >>> _shape(LayerShape(channels_in=3, channels_out=16, kernel=(3, 3), stride=(2, 2)))
        '3 → 16, 3 x 3, stride 2 x 2'
    """
    if shape is None:
        return ""
    words = [f"{shape.channels_in} → {shape.channels_out}"]
    if shape.kernel:
        words.append(" x ".join(map(str, shape.kernel)))
    if any(stride > 1 for stride in shape.stride):
        words.append(f"stride {' x '.join(map(str, shape.stride))}")
    return ", ".join(words)
