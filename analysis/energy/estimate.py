"""Energy without data: an architecture's operations at stated rates, and the rate an energy needs.

The operations come from one pass over an image of noise, whose rates are thrown away.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from fractions import Fraction

from analysis.energy.conventions import Convention
from analysis.energy.energy import Energy
from analysis.energy.technology import Technology
from analysis.errors import InputError
from analysis.records import Moments, NeuronRecord, OperandKind, Run, SiteRecord

MARK = "architecture counts at stated rates, no data was run"
_NUMBER = r"(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,2})?"
_PJ = {"pJ": 1, "nJ": 10**3, "uJ": 10**6, "µJ": 10**6, "mJ": 10**9, "J": 10**12}


def at_rates(run: Run, rates: Fraction | Mapping[str, Fraction]) -> Run:
    """The same architecture with the input of every layer non-zero at a stated rate.

    Counts become rate x elements and rate x MACs inside, rounded to whole ones. The stem reads
    an image, of which every value counts as non-zero. What a site reads follows from where its
    input comes from, not from the values of the pass: spikes from neurons, counts of them where
    several are added, real values else. A count is taken for 1 where it is not 0, so that
    ``graded repeat-ac`` gives the accumulates of spikes that never meet, the fewest there can be.

    Args:
        run: Of one sample, whatever it was.
        rates: Non-zero share of the input of each layer after the stem, in [0, 1]: one for all,
            or by module path, where ``*`` stands for anything and the first match counts.

    Returns:
        A run of one sample marked as an estimate. Its neurons fire at the one stated rate, or at
        the mean rate of the layers that read their spikes.

    Raises:
        InputError: If a rate is not in [0, 1], a layer has none or a pattern fits no layer.
    """
    by_site = _resolve(run, rates)
    sites = tuple(_at_rate(site, by_site[site.key.name]) for site in run.sites)
    return replace(
        run,
        sites=sites,
        neurons=tuple(_firing(n, sites) for n in run.neurons),
        moments=Moments(columns=(), mean=(), scatter=()),
        correct=None,
        correct_by_step=(),
        warnings=(),
        per_sample=(),
        sample_index=(),
        labels=(),
        predicted=(),
        stated_rates={pattern: float(rate) for pattern, rate in checked_rates(rates).items()},
        provenance={**run.provenance, "data": f"none: {MARK}", "notes": [MARK]},
    )


def checked_rates(rates: Fraction | Mapping[str, Fraction]) -> Mapping[str, Fraction]:
    """Rates by pattern of sites; one rate stands for all.

    Raises:
        InputError: If one is not between 0 and 1.
    """
    patterns = {"*": rates} if isinstance(rates, Fraction) else rates
    for pattern, rate in patterns.items():
        if not 0 <= rate <= 1:
            raise InputError(f"a rate must be between 0 and 1, got {float(rate):g} for {pattern}")
    return patterns


def _resolve(run: Run, rates: Fraction | Mapping[str, Fraction]) -> dict[str, Fraction]:
    patterns = checked_rates(rates)
    found = {}
    for site in run.sites:
        name = site.key.name
        matching = [pattern for pattern in patterns if fnmatchcase(name, pattern)]
        reads_image = site.role == "stem" and site.origin != "events"
        if not (matching or reads_image):
            raise InputError(f"no rate for the layer {name}")
        found[name] = Fraction(1) if reads_image else patterns[matching[0]]
    unknown = [p for p in patterns if not any(fnmatchcase(name, p) for name in found)]
    if unknown:
        raise InputError(f"no layer is called {', '.join(unknown)}; layers: {', '.join(found)}")
    return found


def _at_rate(site: SiteRecord, rate: Fraction) -> SiteRecord:
    spikes = site.role == "spiking" or (site.origin == "spikes" and site.role != "gate")
    operand: OperandKind = "spike" if spikes or site.origin == "events" else "real"
    if operand == "real" and site.origin == "summed-spikes":
        operand = "graded"
    synops, nonzeros = round(rate * site.inside_macs), round(rate * site.elements)
    return replace(
        site,
        operand=operand,
        unit=None,
        other_nonzeros=None if site.other_elements is None else round(rate * site.other_elements),
        nonzeros=nonzeros,
        synops=synops,
        synops_by_step=_spread(synops, site.synops_by_step),
        nonzeros_by_step=_spread(nonzeros, site.nonzeros_by_step),
        levels={"1.0": nonzeros} if operand == "graded" else None,
        level_synops={"1.0": synops} if operand == "graded" else None,
    )


def _spread(count: int, before: tuple[int, ...] | None) -> tuple[int, ...] | None:
    """A count over as many steps as were known before; None where none were."""
    if before is None:
        return None
    base, rest = divmod(count, len(before))
    return tuple(base + (step < rest) for step in range(len(before)))


def _firing(neuron: NeuronRecord, sites: Sequence[SiteRecord]) -> NeuronRecord:
    spiking = [site for site in sites if site.operand == "spike"]
    read = [site for site in spiking if neuron.key in site.upstream] or spiking
    elements = sum(site.elements for site in read)
    rate = Fraction(sum(site.nonzeros for site in read), elements or 1)
    if neuron.outputs_by_step is None:
        return replace(
            neuron, spikes=round(rate * neuron.outputs), spikes_by_step=None, detail=None
        )
    spikes = tuple(round(rate * outputs) for outputs in neuron.outputs_by_step)
    return replace(neuron, spikes=sum(spikes), spikes_by_step=spikes, detail=None)


@dataclass(frozen=True, kw_only=True)
class Solved:
    """The one rate at which a convention gives an energy.

    Attributes:
        convention: Its name.
        rate: Non-zero share of the input of every layer after the stem; None if there is none.
        reason: Why there is none, or why it is an upper bound only.
        nearest_pj: The energy nearest to the one asked for that some rate gives; None where the
            convention can't be applied.
    """

    convention: str
    rate: float | None
    reason: str = ""
    nearest_pj: float | None = None


def solve_rate(run: Run, energy_pj: Fraction, rule: Convention, technology: Technology) -> Solved:
    """The rate at which an architecture takes so much energy under a convention.

    Energy is a constant plus a slope times the rate, both exact. One equation with one free
    rate fits many stories: a rate in [0, 1] does not prove that this was how it was counted.
    """
    try:
        at_zero, at_one = (_at(run, rate, rule, technology) for rate in (0, 1))
    except InputError as error:
        return Solved(convention=rule.name, rate=None, reason=str(error))
    slope = at_one - at_zero
    nearest = min(max(energy_pj, at_zero), at_one)
    if at_zero > energy_pj:
        reason = f"{_mj(at_zero)} without a single spike"
    elif at_one < energy_pj:
        reason = f"{_mj(at_one)} with a spike everywhere at every step"
    elif not slope:
        reason = "no operation depends on the rate"
    else:
        rate = float((energy_pj - at_zero) / slope)
        without = Energy(at_rates(run, Fraction(1)), rule, technology).unpriced
        names = ", ".join(f"{name.upper()}s" for name in without)
        reason = f"at most: {names} have no price" if without else ""
        return Solved(convention=rule.name, rate=rate, reason=reason, nearest_pj=float(nearest))
    return Solved(convention=rule.name, rate=None, reason=reason, nearest_pj=float(nearest))


def _at(run: Run, rate: int, rule: Convention, technology: Technology) -> Fraction:
    energy = Energy(at_rates(run, Fraction(rate)), rule, technology)
    return energy.exact_pj(energy.total)


def _mj(picojoules: Fraction) -> str:
    return f"{float(picojoules) / _PJ['mJ']:.3g} mJ"


def parse_energy(text: str) -> Fraction:
    """Picojoules of a text such as ``1.49mJ``.

    Raises:
        InputError: If number or unit can't be read.

    Example:
        >>> int(parse_energy("1.49 mJ"))
        1490000000
    """
    found = re.fullmatch(rf"({_NUMBER})\s*([pnuµm]?J)", text.strip())
    if found is None:
        raise InputError(f"expected an energy such as 1.49mJ ({', '.join(_PJ)}), got {text!r}")
    return Fraction(found[1]) * _PJ[found[2]]
