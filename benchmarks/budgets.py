"""Accuracy against energy: networks trained to different budgets, the same in all else.

    python benchmarks/budgets.py --recipe digits --rates 0.1 0.05 --seeds 1 [--threads 1]

Trains one network without a budget and one for each target rate, in runs/budgets; a run that is
there already is gone on with, so the command may be stopped and given again. Writes a table and a
figure to reports/budgets. Counts are of the whole test set, by the same counter as every report;
one seed says nothing about another.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import torch
from torch.utils.data import DataLoader

import analysis
import gac
from analysis.cli.provenance import made_by
from gac.data import load_data


def trained(chosen, rate, seed):
    """The checkpoint of one run."""
    name = "none" if rate is None else f"rate{rate:g}"
    folder = Path("runs/budgets") / chosen.recipe / f"{name}-seed{seed}"
    command = [sys.executable, "-m", "analysis.cli.train", "--recipe", chosen.recipe]
    command += ["--seed", str(seed), "--output", str(folder), "--rates-on", "32", "--resume"]
    if rate is not None:
        command += ["--budget", "rate", "--budget-target", str(rate)]
    if chosen.threads:
        command += ["--threads", str(chosen.threads)]
    subprocess.run(command, check=True)
    return folder / "last.pth"


def counted(file):
    """Accuracy, rate and energy on the whole test set."""
    checkpoint = gac.load(file)
    metadata = checkpoint.metadata
    test = load_data(metadata.data.name, preprocessing=metadata.preprocessing)
    report = analysis.analyze(checkpoint.model, DataLoader(test, 100))
    totals, sites = report.totals, report.sites
    return {
        "accuracy": totals.accuracy,
        "firing_rate": totals.firing_rate,
        "energy_uj": totals.energy_pj / 1e6,
        "spiking_energy_uj": sites[sites.role == "spiking"].energy_pj.sum() / 1e6,
        "samples": int(totals.samples),
    }


def figure(table, path, recipe):
    import matplotlib.pyplot as plt

    drawn, axes = plt.subplots(figsize=(5, 3.4), layout="constrained")
    axes.plot(table.spiking_energy_uj, 100 * table.accuracy, "o", color="#0072b2")
    for row in table.itertuples():
        name = "no budget" if pd.isna(row.target_rate) else f"rate {row.target_rate:g}"
        axes.annotate(
            name, (row.spiking_energy_uj, 100 * row.accuracy), xytext=(5, -10),
            textcoords="offset points", fontsize=8,
        )  # fmt: skip
    axes.set_xlabel("energy of the layers that read spikes, µJ per image")
    axes.set_ylabel("test accuracy, %")
    axes.set_title(f"{recipe}: trained to a budget of spikes", fontsize=10)
    axes.margins(0.2)
    drawn.savefig(path, dpi=150)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", default="digits")
    parser.add_argument("--rates", type=float, nargs="+", default=[0.1, 0.05])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--threads", type=int)
    chosen = parser.parse_args()
    if chosen.threads:
        torch.set_num_threads(chosen.threads)
    rows = [
        {"target_rate": rate, "seed": seed, **counted(trained(chosen, rate, seed))}
        for rate in (None, *chosen.rates)
        for seed in chosen.seeds
    ]
    table = pd.DataFrame(rows)
    folder = Path("reports/budgets")
    folder.mkdir(parents=True, exist_ok=True)
    table.to_csv(folder / f"{chosen.recipe}.csv", index=False, float_format="%.5g")
    figure(table, folder / f"{chosen.recipe}.png", chosen.recipe)
    facts = made_by("benchmarks/budgets.py") | {"columns": list(table.columns)}
    (folder / f"{chosen.recipe}.json").write_text(json.dumps(facts, indent=1) + "\n")
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
