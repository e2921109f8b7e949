"""Which executions of one forward pass are one site: those of a loop over steps belong together."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from analysis.counting.pass_log import PassLog, SiteLog, SpikeLog
from analysis.counting.rows import Batch
from analysis.records import SiteKey


@dataclass(frozen=True)
class Calls:
    """Calls that are one site: a single one, or one per step of a loop over steps.

    Attributes:
        key: The site; in a loop its call counts within one step.
        logs: One, or T of them in the order of the steps.
    """

    key: SiteKey
    logs: list[SiteLog]


def site_calls(logs: list[SiteLog], batch: Batch, *, looped: bool) -> Iterator[Calls]:
    """Groups executions into sites: by step in a loop over steps, else each by itself."""
    groups: dict[tuple[str, int], list[SiteLog]] = defaultdict(list)
    for log in logs:
        groups[log.key.name, log.key.index].append(log)
    merged: dict[SiteKey, Calls] = {}
    for (name, index), found in groups.items():
        per_step = calls_per_step(found, batch, looped=looped)
        if not per_step:
            merged |= {log.key: Calls(log.key, [log]) for log in found}
            continue
        for call in range(per_step):
            key = SiteKey(name=name, index=index, call=call)
            merged[key] = Calls(key, found[call::per_step])
    order = {log.key: position for position, log in enumerate(logs)}
    yield from sorted(merged.values(), key=lambda calls: order[calls.logs[0].key])


def calls_per_step(logs: Sequence[SiteLog | SpikeLog], batch: Batch, *, looped: bool) -> int:
    """How often a place is run at each step of a loop; 0 where its calls are no loop over steps."""
    in_loop = looped and batch.steps > 1 and len(logs) % batch.steps == 0
    if not in_loop or any(log.rows.steps is not None for log in logs):
        return 0
    return len(logs) // batch.steps


def is_looped(log: PassLog, batch: Batch) -> bool:
    """Whether a model seems to run once per step: nothing holds steps, neurons run T times."""
    logs: list[SiteLog | SpikeLog] = [*log.sites, *log.spikes]
    if batch.steps == 1 or any(x.rows.steps is not None or x.rows.mixes for x in logs):
        return False
    calls = Counter(spike.site for spike in log.spikes)
    calls = calls or Counter(site.key.name for site in log.sites if site.key.index == 0)
    return bool(calls) and all(n % batch.steps == 0 for n in calls.values())
