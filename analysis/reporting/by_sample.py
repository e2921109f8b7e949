"""Energy of single samples, and of groups of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from analysis.energy.charges import needs_whole_run
from analysis.energy.energy import Energy
from analysis.errors import InputError
from analysis.estimates import Estimate, mean_interval
from analysis.records import Run, SiteKey

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

_KIND = {"synops": "site", "nonzeros": "input", "spikes": "neuron"}


def sample_energy_frame(energy: Energy) -> pd.DataFrame:
    """Picojoules of every sample: those of its own counts, and what is the same for all.

    Raises:
        InputError: If the run kept no counts per sample, or the convention needs others than
            those kept.
    """
    import numpy as np
    import pandas as pd

    run, rule = energy.run, energy.convention
    levels = [str(site.key) for site in run.sites if needs_whole_run(site, rule)]
    if levels:
        raise InputError(
            f"convention {rule.name!r} charges {', '.join(levels)} by levels or by two rates, "
            "which a run does not keep per sample; use graded as-real"
        )
    counts = _counts(run)
    ac_pj, mac_pj = energy.prices
    varying = np.zeros(run.samples)
    for booked in energy.charges.values():
        for slope in booked.slopes:
            each = float(slope.acs) * ac_pj + float(slope.macs) * mac_pj
            varying += each * counts[_KIND[slope.quantity], slope.key]
    rest = float(energy.exact_pj(energy.total)) - varying.mean()
    places = run.sample_index or range(run.samples)
    frame = pd.DataFrame({"sample": places, "energy_pj": varying + rest})
    if not run.labels:
        return frame
    predicted = [classes[-1] for classes in run.predicted]
    frame = frame.assign(label=run.labels, predicted=predicted)
    return frame.assign(correct=frame.label == frame.predicted)


def _counts(run: Run) -> Mapping[tuple[str, SiteKey], npt.NDArray[np.int64]]:
    import numpy as np

    if not run.per_sample:
        raise InputError("this run kept no counts per sample; analyse with per_sample=True")
    return {
        (entry.kind, entry.key): np.array(entry.counts, dtype=np.int64).sum(1)
        for entry in run.per_sample
    }


def groups_frame(
    samples: pd.DataFrame, by: Literal["label", "predicted", "correct"]
) -> pd.DataFrame:
    """One row per group of samples: how many, mean energy with its interval, extremes.

    Raises:
        InputError: If the samples have no labels.
    """
    import pandas as pd

    if by not in samples:
        raise InputError("this run had no labels, so its samples have no groups")
    rows = [(group, *_group(found.energy_pj)) for group, found in samples.groupby(by)]
    ends = [f"energy_pj_{end}" for end in ("low", "high", "min", "max")]
    return pd.DataFrame(rows, columns=[by, "samples", "energy_pj", *ends])


def _group(pj: pd.Series[float]) -> tuple[float, ...]:
    found = Estimate(float(pj.mean()))
    if len(pj) > 1:
        found = mean_interval(found.value, float(pj.var()), len(pj))
    return len(pj), found.value, found.low, found.high, float(pj.min()), float(pj.max())
