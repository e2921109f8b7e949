"""Conventions: how counted operations become accumulates and multiply-accumulates.

Counts are exact; a convention is an opinion about them. Each is a frozen record whose fields
can be changed one by one, and every output prints the one it used.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from fractions import Fraction
from typing import Literal, get_args, get_type_hints

from analysis.errors import InputError
from analysis.records import SiteRecord

ChargedSteps = Literal["every-step", "once", "free"]


@dataclass(frozen=True, kw_only=True)
class Convention:
    """How operations are booked.

    Attributes:
        name: Of the preset it started from.
        source: Where this way of counting stands.
        stem, gate: How many steps these roles are charged: ``every-step``; ``once``, only where
            the input was equal, bit for bit, at all steps; ``free``, left out and listed.
        spike: Sites that read spikes (ternary ones too) cost ``events`` (pairs of non-zero
            input and weight, exact at borders) or ``rate-x-dense`` accumulates.
        real: Sites that read real values cost ``dense-mac`` or ``nonzero-mac``
            multiply-accumulates, or ``rate-ac``: accumulates at their input's rate, as if the
            values were spikes; the stem is never booked that way.
        silent: Sites whose input was always zero cost nothing (``as-spike``), or what they
            would if it were real (``as-real``).
    """

    name: str
    source: str
    stem: ChargedSteps = "every-step"
    gate: ChargedSteps = "every-step"
    spike: Literal["events", "rate-x-dense"] = "events"
    real: Literal["dense-mac", "nonzero-mac", "rate-ac"] = "dense-mac"
    silent: Literal["as-spike", "as-real"] = "as-spike"

    def __post_init__(self) -> None:
        for name, allowed in rules().items():
            value = getattr(self, name)
            if value not in allowed:
                raise InputError(
                    f"unknown value {value!r} for {name} of a convention; "
                    f"allowed: {', '.join(allowed)}"
                )

    def describe(self) -> str:
        """All fields in one line."""
        settings = ", ".join(f"{name} {getattr(self, name)}" for name in rules())
        return f"{self.name} ({settings})"


def rules() -> dict[str, tuple[str, ...]]:
    """The fields that decide, each with its allowed values."""
    hints = get_type_hints(Convention)
    names = [field.name for field in fields(Convention)]
    return {name: get_args(hints[name]) for name in names if name not in ("name", "source")}


_OPERAND = Convention(
    name="operand",
    source="this project: what the values of the operand need",
)
PRESETS: dict[str, Convention] = {
    preset.name: preset
    for preset in (
        _OPERAND,
        replace(
            _OPERAND,
            name="operand-sparse",
            source="this project: as operand, hardware that skips every zero",
            real="nonzero-mac",
        ),
        replace(
            _OPERAND,
            name="operand-once",
            source="this project: as operand, what is equal at all steps computed once",
            stem="once",
            gate="once",
        ),
        Convention(
            name="eq17",
            source="Yao et al., Attention SNN, TPAMI 2023, eq. 17 and Table S1",
            gate="free",
            spike="rate-x-dense",
            real="rate-ac",
        ),
    )
}


def convention(name: str, **changes: str) -> Convention:
    """A preset, some of its fields changed.

    Raises:
        InputError: If the name, a field or a value is unknown.

    Example:
        >>> convention("operand", stem="once").describe()
        'operand (stem once, gate every-step, spike events, real dense-mac, silent as-spike)'
    """
    if name not in PRESETS:
        raise InputError(f"unknown convention {name!r}; known: {', '.join(PRESETS)}")
    unknown = sorted(set(changes) - set(rules()))
    if unknown:
        raise InputError(
            f"unknown field of a convention: {', '.join(unknown)}; known: {', '.join(rules())}"
        )
    return replace(PRESETS[name], **changes)  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True)
class Charge:
    """What a convention books for one site, over all samples of a run.

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
        InputError: If a site is to be charged once whose input was not equal at all steps.
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
    if _is_spiking(site, rule):
        return _by_events(site, share) if rule.spike == "events" else _by_rate(site, share)
    if rule.real == "rate-ac" and site.role != "stem":
        return _by_rate(site, share)
    if rule.real == "nonzero-mac":
        return Charge(macs=share * site.synops, per_synop=(Fraction(0), share))
    return Charge(macs=share * site.dense_macs)


def _is_spiking(site: SiteRecord, rule: Convention) -> bool:
    if site.operand == "silent":
        return rule.silent == "as-spike"
    return site.operand in ("spike", "ternary") and site.origin != "image"


def _by_events(site: SiteRecord, share: Fraction) -> Charge:
    return Charge(acs=share * site.synops, per_synop=(share, Fraction(0)))


def _by_rate(site: SiteRecord, share: Fraction) -> Charge:
    each = share * Fraction(site.dense_macs, site.elements or 1)
    return Charge(acs=each * site.nonzeros, per_nonzero=(each, Fraction(0)))
