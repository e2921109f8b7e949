"""What moves the number: the difference of two conventions, split into their fields."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from analysis.energy.conventions import Convention, rules
from analysis.energy.energy import Energy
from analysis.energy.technology import Technology
from analysis.records import Run


@dataclass(frozen=True, kw_only=True)
class Share:
    """What one field moves, all fields before it being changed already.

    Attributes:
        field, before, after: Which field, and its values in the two conventions.
        acs, macs, energy_pj: What it adds per sample, exactly; negative where it saves.
    """

    field: str
    before: str
    after: str
    acs: Fraction
    macs: Fraction
    energy_pj: Fraction


def difference(
    run: Run, one: Convention, other: Convention, technology: Technology
) -> tuple[Share, ...]:
    """How one convention becomes another, field by field in the order of `rules`.

    The shares add up to the whole difference, exactly. Each depends on the order, because
    fields act on the same sites; the sum does not. Operations without a price count as 0 pJ.

    Raises:
        InputError: If one of them, or a step between them, can't be applied to the run.
    """
    now, shares = one, []
    for name in rules():
        changes: dict[str, Any] = {name: getattr(other, name)}
        then = replace(now, **changes)
        if then != now:
            shares.append(_share(run, now, then, name, technology))
        now = then
    return tuple(shares)


def _share(run: Run, now: Convention, then: Convention, name: str, technology: Technology) -> Share:
    before, after = Energy(run, now, technology), Energy(run, then, technology)
    return Share(
        field=name,
        before=getattr(now, name),
        after=getattr(then, name),
        acs=(after.total.acs - before.total.acs) / run.samples,
        macs=(after.total.macs - before.total.macs) / run.samples,
        energy_pj=after.exact_pj(after.total) - before.exact_pj(before.total),
    )
