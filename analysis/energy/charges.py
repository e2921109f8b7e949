"""What a convention books for each site, and for the work that no synapse does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from analysis.energy.conventions import Convention
from analysis.errors import InputError
from analysis.records import ElementwiseRecord, Run, SiteRecord, Work

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
# the usual accounting of leaky neurons (Lemaire et al. 2022, one MAC per neuron and step).
NEURON_COST = (0, 1)


@dataclass(frozen=True, kw_only=True)
class Charge:
    """What a convention books, over all samples of a run.

    Attributes:
        acs, macs: Accumulates and multiply-accumulates; exact fractions where a rate is involved.
        left_out_macs: Dense multiply-accumulates that the convention does not price.
        per_synop, per_nonzero: How the accumulates and multiply-accumulates of one sample follow
            from its synops and its non-zeros, as (ACs, MACs) each; what follows from neither is
            the same for every sample.
    """

    acs: Fraction = Fraction(0)
    macs: Fraction = Fraction(0)
    left_out_macs: int = 0
    per_synop: tuple[Fraction, Fraction] = (Fraction(0), Fraction(0))
    per_nonzero: tuple[Fraction, Fraction] = (Fraction(0), Fraction(0))


def charge(site: SiteRecord, rule: Convention, steps: int) -> Charge:
    """Books one site under a convention.

    Raises:
        InputError: If a site is to be charged once whose input was not equal at all steps, or
            by the levels of its input and the run kept none.
    """
    charged = {"stem": rule.stem, "gate": rule.gate}.get(site.role, "every-step")
    if charged == "free":
        return Charge(left_out_macs=site.dense_macs)
    share = Fraction(1)
    if charged == "once" and site.synops_by_step is not None:
        if not site.static:
            raise InputError(
                f"convention {rule.name!r} charges {site.key.name} once, but its input was not "
                "equal at all steps; use every-step"
            )
        share = Fraction(1, steps)
    if site.role == "gate" and rule.gate_as == "dense-mac":
        return Charge(macs=share * site.dense_macs)
    if _is_spiking(site, rule):
        return _by_events(site, share) if rule.spike == "events" else _by_rate(site, share)
    if _is_repeated(site, rule):
        return _by_events(site, share * mean_level(site, rule.name))
    if rule.real == "rate-ac" and site.role != "stem":
        return _by_rate(site, share)
    if rule.real == "nonzero-mac":
        return Charge(macs=share * site.synops, per_synop=(Fraction(0), share))
    return Charge(macs=share * site.dense_macs)


def _is_spiking(site: SiteRecord, rule: Convention) -> bool:
    if site.operand == "silent":
        return rule.silent == "as-spike"
    return site.operand in ("spike", "ternary") and site.origin != "image"


def _is_repeated(site: SiteRecord, rule: Convention) -> bool:
    graded = site.operand == "graded" and site.origin != "image" and site.other_operand is None
    return graded and rule.graded == "repeat-ac"


def _by_events(site: SiteRecord, share: Fraction) -> Charge:
    return Charge(acs=share * site.synops, per_synop=(share, Fraction(0)))


def _by_rate(site: SiteRecord, share: Fraction) -> Charge:
    each = share * Fraction(site.dense_macs, site.elements or 1)
    return Charge(acs=each * site.nonzeros, per_nonzero=(each, Fraction(0)))


def mean_level(site: SiteRecord, why: str) -> Fraction:
    """The mean of abs(k) over the non-zero inputs of a site that reads multiples k of one value.

    It is that of all inputs: near a border, where inputs meet fewer weights, the levels may be
    others than in the middle.

    Args:
        site: With the levels of its operand.
        why: Name of the convention that asks, for the message.

    Raises:
        InputError: If the levels were not kept or are no multiples of one value.
    """
    if not site.levels:
        raise InputError(
            f"convention {why!r} books {site.key.name} by the levels of its input (graded "
            "repeat-ac), but the run kept none; analyse with levels=True"
        )
    counts = {abs(float(value)): 0 for value in site.levels if float(value)}
    for value, count in site.levels.items():
        if float(value):
            counts[abs(float(value))] += count
    for parts in range(1, MOST_LEVELS + 1):
        unit = min(counts) / parts
        multiples = {value: round(value / unit) for value in counts}
        if all(abs(value / unit - k) < _NEAR for value, k in multiples.items()):
            weighted = sum(multiples[value] * count for value, count in counts.items())
            return Fraction(weighted, sum(counts.values()))
    raise InputError(f"the levels of {site.key.name} are no multiples of one value")


def work_done(run: Run) -> Iterator[tuple[str, Work | None, int]]:
    """Work that no synapse does: its name, its kind (None: neuron updates) and its elements.

    A multiplication in a module that holds a site of a gate is that gate's product.
    """
    holders = _gate_holders(run)
    if run.neuron_updates:
        yield NEURON_UPDATES, None, run.neuron_updates
    for entry in run.elementwise:
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
            known = booked.get(name, Charge())
            booked[name] = Charge(acs=known.acs + acs * elements, macs=known.macs + macs * elements)
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
    return rule.elementwise == "included" or (
        rule.elementwise == "gate-product" and name == GATE_PRODUCT
    )


def part_of(site: SiteRecord) -> str:
    """The part of the network a site belongs to: its role, gates split by what they mix."""
    if site.role != "gate":
        return site.role
    return "temporal gate" if site.synops_by_step is None else "spatial gate"
