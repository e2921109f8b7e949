"""Weights inside a neuron layer that walks over the steps by itself: one site, not one per step."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

import torch

from analysis.counting.operands import Histogram, widen
from analysis.counting.pass_log import SiteLog
from analysis.counting.products import Counted, Side
from analysis.records import SiteKey


def by_step(logs: Iterable[SiteLog], steps: int, call: int) -> list[SiteLog]:
    """The executions inside one call of a neuron layer, those of all steps as one.

    Operations that ran another number of times, or hold the steps in their rows, stay as they are.
    """
    places: dict[str, list[SiteLog]] = defaultdict(list)
    for log in logs:
        places[log.key.name].append(log)
    found = []
    for name, group in places.items():
        per_step, rest = divmod(len(group), steps)
        if rest or any(log.rows.steps is not None or log.rows.mixes for log in group):
            found += group
            continue
        for index in range(per_step):
            key = SiteKey(name=name, index=index, call=call)
            found.append(_joined(key, group[index::per_step]))
    return found


def _joined(key: SiteKey, logs: list[SiteLog]) -> SiteLog:
    """One execution per step as a single one, whose rows hold the steps."""
    rows = [log.rows for log in logs]
    steps = torch.arange(len(logs)).repeat_interleave(torch.tensor([len(r.samples) for r in rows]))
    counted = [log.counted for log in logs]
    others = [c.other for c in counted if c.other is not None]
    pairs = [c.pairs for c in counted if c.pairs is not None]
    return replace(
        logs[0],
        key=key,
        counted=Counted(
            operand=_one_side([c.operand for c in counted]),
            other=_one_side(others) if others else None,
            pairs=torch.cat(pairs) if pairs else None,
            dense=sum(c.dense for c in counted),
            inside=sum(c.inside for c in counted),
        ),
        rows=replace(
            rows[0],
            samples=torch.cat([r.samples for r in rows]),
            steps=steps,
            at=None,
            guessed=any(r.guessed for r in rows),
        ),
        static=False,
        biased_outputs=sum(log.biased_outputs for log in logs),
    )


def _one_side(sides: Sequence[Side]) -> Side:
    levels = sides[0].levels
    for side in sides[1:]:
        levels = widen(levels, side.levels)
    histogram: Histogram = Counter()
    level_synops: Histogram = Counter()
    for side in sides:
        histogram.update(side.histogram or {})
        level_synops.update(side.level_synops or {})
    return Side(
        levels=levels,
        nonzeros=torch.cat([side.nonzeros for side in sides]),
        elements=sum(side.elements for side in sides),
        synops=torch.cat([side.synops for side in sides]),
        histogram=histogram or None,
        level_synops=level_synops or None,
    )
