"""What a convention books for each site, and for the work that no synapse does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

from analysis.energy.conventions import ChargedSteps, Convention
from analysis.energy.layers import executions, reads_spikes
from analysis.errors import InputError
from analysis.records import ElementwiseRecord, Role, Run, SiteKey, SiteRecord, Work

GATE_PRODUCT = "gate product"
NEURON_UPDATES = "neuron updates"
MOST_LEVELS = 16  # a graded operand holds multiples of one value up to this one
_NEAR = 1e-5  # multiples of, say, 1/49 are rounded

# Accumulates and multiply-accumulates per element. Price lists know only these two operations.
WORK_COST: dict[Work, tuple[int, int]] = {
    "addition": (1, 0),
    "bias": (1, 0),
    "pooling": (1, 0),  # each element is added, or compared, once
    "product": (0, 1),  # a multiplication alone is dearer than an addition: the nearest above
    "normalisation": (0, 1),  # scale and shift; at test time mean and variance are constants
    "activation": (0, 1),  # less for a ReLU, more for a sigmoid; the records don't tell them apart
    "other": (0, 1),  # not known what it is, so the dearer one
}
# The leak times the membrane plus the input; the comparison and the reset are left out, as in
# the usual accounting of leaky neurons (Lemaire et al. 2022, one MAC per neuron and step). A
# price list with a price for neuron updates takes that instead.
NEURON_COST = (0, 1)


@dataclass(frozen=True, kw_only=True)
class Slope:
    """How the bookings of one sample follow from one of its counts, which are of what ran.

    Attributes:
        quantity: Synops or non-zero inputs of a site, or spikes of a neuron layer.
        key: Which site or layer.
        acs, macs: Per count.
    """

    quantity: Literal["synops", "nonzeros", "spikes"]
    key: SiteKey
    acs: Fraction = Fraction(0)
    macs: Fraction = Fraction(0)


@dataclass(frozen=True, kw_only=True)
class Charge:
    """What a convention books, over all samples of a run.

    Attributes:
        acs, macs: Accumulates and multiply-accumulates; exact fractions where a rate is involved.
        left_out_macs: Dense multiply-accumulates that the convention does not price.
        neuron_updates: Of the multiply-accumulates, those that update a neuron: a price list may
            have a price of its own for them.
        slopes: What differs from sample to sample; the rest is the same for every one.
        own_rate: Whether the rate of its own input had to do, for want of a neuron layer upstream.
    """

    acs: Fraction = Fraction(0)
    macs: Fraction = Fraction(0)
    left_out_macs: int = 0
    neuron_updates: int = 0
    slopes: tuple[Slope, ...] = ()
    own_rate: bool = False

    @classmethod
    def sum(cls, charges: Iterable[Charge]) -> Charge:
        """Several charges together; slopes stay with the parts."""
        charges = list(charges)
        return cls(
            acs=sum((c.acs for c in charges), Fraction(0)),
            macs=sum((c.macs for c in charges), Fraction(0)),
            left_out_macs=sum(c.left_out_macs for c in charges),
            neuron_updates=sum(c.neuron_updates for c in charges),
        )


def charge(site: SiteRecord, rule: Convention, run: Run) -> Charge:
    """Books one site of a run under a convention.

    Raises:
        InputError: If a site is to be charged once whose input was not equal at all steps, or
            by the levels of its input and the run kept none.
    """
    event_stem = is_event_stem(site, rule)
    if event_stem and rule.event_stem == "as-image":
        site, event_stem = replace(site, origin="image"), False
    charged = "every-step" if event_stem else _charged_steps(site, rule)
    reads_image = site.role == "stem" and not event_stem
    if charged == "free":
        return Charge(left_out_macs=site.stands_for * site.dense_macs)
    share = _share_once(site, rule, run) if charged == "once" else Fraction(site.stands_for)
    if site.role == "gate" and rule.gate_as == "dense-mac":
        return Charge(macs=share * site.dense_macs)
    if event_stem and rule.event_stem == "rate-mac":
        return _by_rate_in_macs(site, share)
    if reads_image and rule.stem_as == "rate-ac":
        return _by_rate(site, share, rule, run)
    if _is_spiking(site, rule):
        return _by_spikes(site, share, rule, run)
    if is_repeated(site, rule):
        return _by_events(site, share * _repeats_per_synop(site, rule.name))
    if run.spikes_inside and not reads_image:
        as_spikes = {"rate-ac", "full-mac"} if site.nonzeros < site.elements else {"rate-ac"}
        if rule.real in as_spikes:
            return _by_rate(site, share, rule, run)
        if rule.real == "event-ac":
            return _by_events(site, share)
    if rule.real == "nonzero-mac":
        slope = Slope(quantity="synops", key=site.key, macs=share)
        return Charge(macs=share * site.synops, slopes=(slope,))
    return Charge(macs=share * site.dense_macs)


def _by_spikes(site: SiteRecord, share: Fraction, rule: Convention, run: Run) -> Charge:
    """What a site costs that reads spikes."""
    if rule.spike in ("at-rate-0", "at-rate-1"):
        return Charge(acs=share * site.dense_macs * (rule.spike == "at-rate-1"))
    if rule.spike == "events":
        return _by_events(site, share)
    if rule.pairs == "min-rate" and site.other_operand in ("spike", "ternary"):
        return _by_smaller_rate(site, share)
    return _by_rate(site, share, rule, run)


def _by_smaller_rate(site: SiteRecord, share: Fraction) -> Charge:
    """Dense MACs times the smaller non-zero share of two activations, of the run as a whole.

    Raises:
        InputError: If the run is from a file that does not hold the second one.
    """
    if site.other_nonzeros is None or not site.other_elements:
        raise InputError(f"the rate of the second input of {site.key.name} was not kept")
    one = Fraction(site.nonzeros, site.elements or 1)
    rate = min(one, Fraction(site.other_nonzeros, site.other_elements))
    return Charge(acs=share * site.dense_macs * rate)


def _charged_steps(site: SiteRecord, rule: Convention) -> ChargedSteps:
    by_role: dict[Role, ChargedSteps] = {
        "gate": rule.gate, "stem": rule.stem, "readout": rule.readout,
    }  # fmt: skip
    return by_role.get(site.role, "every-step")


def is_event_stem(site: SiteRecord, rule: Convention) -> bool:
    """Whether a stem reads events, or spikes that were made in front of it, and no image."""
    events = site.origin == "events" or reads_spikes(site) or is_repeated(site, rule)
    return site.role == "stem" and events


def _share_once(site: SiteRecord, rule: Convention, run: Run) -> Fraction:
    """The part of what ran that a site computed once would have run."""
    ran = executions(site, run)
    if site.mixes_steps or site.stands_for > 1 or ran <= 1:
        return Fraction(1)
    if not site.static:
        raise InputError(
            f"convention {rule.name!r} charges {site.key.name} once, but its input was not "
            "found equal at all steps; use every-step"
        )
    return 1 / ran


def _is_spiking(site: SiteRecord, rule: Convention) -> bool:
    if site.operand == "silent":
        return rule.silent == "as-spike"
    return reads_spikes(site)


def is_repeated(site: SiteRecord, rule: Convention) -> bool:
    """Whether a site is charged by the levels of its input."""
    graded = site.operand == "graded" and site.other_operand is None and site.origin != "image"
    return graded and rule.graded == "repeat-ac"


def needs_whole_run(site: SiteRecord, rule: Convention) -> bool:
    """Whether a site is charged by what is known of the whole run only, not of its samples."""
    smaller = rule.pairs == "min-rate" and rule.spike == "rate-x-dense"
    return is_repeated(site, rule) or (smaller and site.other_operand in ("spike", "ternary"))


def _by_events(site: SiteRecord, each: Fraction) -> Charge:
    slope = Slope(quantity="synops", key=site.key, acs=each)
    return Charge(acs=each * site.synops, slopes=(slope,))


def _by_rate_in_macs(site: SiteRecord, share: Fraction) -> Charge:
    """Dense MACs times the non-zero share of the input."""
    each = share * Fraction(site.dense_macs, site.elements or 1)
    slope = Slope(quantity="nonzeros", key=site.key, macs=each)
    return Charge(macs=each * site.nonzeros, slopes=(slope,))


def _by_rate(site: SiteRecord, share: Fraction, rule: Convention, run: Run) -> Charge:
    """Dense MACs times a rate; of several neuron layers upstream, the rate of all their neurons."""
    upstream = [n for n in run.neurons if n.key in site.upstream]
    outputs = sum(neuron.outputs for neuron in upstream)
    at_neurons = rule.rate_at == "upstream-neuron"
    if not (at_neurons and outputs):
        each = share * Fraction(site.dense_macs, site.elements or 1)
        slope = Slope(quantity="nonzeros", key=site.key, acs=each)
        return Charge(acs=each * site.nonzeros, slopes=(slope,), own_rate=at_neurons)
    each = share * Fraction(site.dense_macs, outputs)
    slopes = tuple(Slope(quantity="spikes", key=n.key, acs=each) for n in upstream)
    return Charge(acs=each * sum(neuron.spikes for neuron in upstream), slopes=slopes)


def _repeats_per_synop(site: SiteRecord, why: str) -> Fraction:
    """Accumulates per synop if k spikes take abs(k) of them; exact in the sum.

    Where no value of one spike is known, it is the largest that all levels are multiples of.
    """
    if not site.level_synops:
        raise InputError(
            f"convention {why!r} books {site.key.name} by the levels of its input (graded "
            "repeat-ac), but the run kept none; analyse with levels=True"
        )
    sizes = {value: abs(float(value)) for value in site.level_synops}
    unit = _unit(set(sizes.values())) if site.unit is None else abs(site.unit)
    if not (unit and _are_multiples(sizes.values(), unit)):
        raise InputError(f"the levels of {site.key.name} are no multiples of one value")
    repeats = sum(round(sizes[value] / unit) * n for value, n in site.level_synops.items())
    return Fraction(repeats, site.synops or 1)


def _unit(values: set[float]) -> float | None:
    """The largest value that all of some are multiples of, at most 16 of it in the smallest."""
    for parts in range(1, MOST_LEVELS + 1):
        unit = min(values) / parts
        if _are_multiples(values, unit):
            return unit
    return None


def _are_multiples(values: Iterable[float], unit: float) -> bool:
    return all(abs(value / unit - round(value / unit)) < _NEAR for value in values)


def work_done(run: Run) -> Iterator[tuple[str, Work | None, int]]:
    """Work that no synapse does: its name, its kind (None: neuron updates) and its elements.

    Elements are those of every step that the work stands for. A multiplication in a module that
    holds a site of a gate is that gate's product.
    """
    holders = _gate_holders(run)
    if run.neuron_updates:
        yield NEURON_UPDATES, None, run.neuron_updates
    for entry in run.at_every_step.elementwise:
        yield _name(entry, holders), entry.work, entry.elements


def _name(entry: ElementwiseRecord, holders: set[str]) -> str:
    return GATE_PRODUCT if entry.work == "product" and entry.site in holders else entry.work


def _gate_holders(run: Run) -> set[str]:
    holders = set()
    for site in run.sites:
        if site.role == "gate":
            parts = site.key.name.split(".")
            holders |= {".".join(parts[:depth]) for depth in range(1, len(parts))} or {""}
    return holders


def work_charges(run: Run, rule: Convention) -> dict[str, Charge]:
    """What a convention books for such work, by its name; nothing for what it leaves out."""
    booked: dict[str, Charge] = {}
    for name, kind, elements in work_done(run):
        if _is_charged(name, kind, rule):
            acs, macs = WORK_COST[kind] if kind else NEURON_COST
            new = Charge(
                acs=Fraction(acs * elements),
                macs=Fraction(macs * elements),
                neuron_updates=0 if kind else elements,
            )
            booked[name] = Charge.sum([booked.get(name, Charge()), new])
    return booked


def work_left_out(run: Run, rule: Convention) -> dict[str, int]:
    """Elements of such work, over all samples, that a convention does not price."""
    left: dict[str, int] = {}
    for name, kind, elements in work_done(run):
        if not _is_charged(name, kind, rule):
            left[name] = left.get(name, 0) + elements
    return left


def _is_charged(name: str, kind: Work | None, rule: Convention) -> bool:
    if kind == "normalisation":
        return rule.norm == "counted"
    only = {"gate-product": GATE_PRODUCT, "biases": "bias"}.get(rule.elementwise)
    return rule.elementwise == "included" or name == only


def part_of(site: SiteRecord) -> str:
    """The part of the network a site belongs to: its role, gates split by what they mix."""
    if site.role != "gate":
        return site.role
    return "temporal gate" if site.mixes_steps else "spatial gate"
