"""What pricing counts again costs: totals and the table of all conventions, without the model.

    python benchmarks/pricing.py [--model msresnet18-cifar] [--repeats 20]

Recomputing a report under another convention or technology should stay under 50 ms.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import replace

import torch

import analysis
import gac
from analysis.energy.conventions import PRESETS


def counted(name: str) -> analysis.Report:
    """A report on two images of noise."""
    torch.manual_seed(0)
    model = gac.build(name)
    side = model.config.image_size
    images = [torch.randn(2, 3, side, side)]
    return analysis.analyze(model, images, levels=True, per_sample=True)


def spent(function: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Median and slowest time of one call, milliseconds."""
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        function()
        times.append(1000 * (time.perf_counter() - begin))
    return statistics.median(times), max(times)


def main() -> None:
    """Prints one line per job."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="msresnet18-cifar")
    parser.add_argument("--repeats", type=int, default=20)
    options = parser.parse_args()
    report = counted(options.model)
    columns = len(report.run.moments.columns)
    print(f"{options.model}: {len(report.run.sites)} sites, {columns} columns of moments")
    jobs = {f"totals under {name}": lambda n=name: report.under(n).totals for name in PRESETS}
    jobs |= {
        "totals on Loihi": lambda: report.under("operand", "loihi").totals,
        "table of sites": lambda: report.under("eq17").sites,
        "all conventions": lambda: [e.energy_pj for _, e in report.side_by_side()],
        "by part, all conventions": report.by_role,
        "difference": lambda: report.difference("operand", "folk"),
        "curve over steps": lambda: report.under("eq17").curve,
        "energy by sample": lambda: report.under("eq17").sample_energy(),
        "models with memory": lambda: replace(report).memory,
        "counterparts": lambda: report.counterpart(0.5),
    }
    report.under("eq17").totals  # noqa: B018 - imports pandas
    for name, job in jobs.items():
        middle, slowest = spent(job, options.repeats)
        print(f"{name:28} median {middle:6.2f} ms, slowest {slowest:6.2f} ms")


if __name__ == "__main__":
    main()
