"""Trained networks in pictures: accuracy against energy, over training seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from analysis.drawings.drawing import COLOURS, MARKERS, Drawing, drawn
from analysis.drawings.seeds import mean_over_seeds, name_series
from analysis.estimates import mean_of_few
from analysis.reporting.report import Report

Networks = Mapping[str, Mapping[int, Report]]  # name -> training seed -> report on the test set

_UJ = 1e-6  # picojoules to microjoules
_OVER_SEEDS = "Small marks are trainings, large ones their mean with its 95 % interval (Student's)."


def totals_by_seed(networks: Networks, conventions: Sequence[str]) -> pd.DataFrame:
    """One row per training and convention.

    Columns: network, seed, convention, accuracy (%), firing_rate, energy_uj (per sample).
    """
    rows = [
        {
            "network": name,
            "seed": seed,
            "convention": rule,
            "accuracy": 100 * report.totals.accuracy,
            "firing_rate": report.totals.firing_rate,
            "energy_uj": _UJ * report.under(rule).totals.energy_pj,
        }
        for name, seeds in networks.items()
        for seed, report in seeds.items()
        for rule in conventions
    ]
    return pd.DataFrame(rows)


def differences_to(networks: Networks, base: str, conventions: Sequence[str]) -> pd.DataFrame:
    """How every network differs from one of them with the same seeds.

    Columns: network, quantity (accuracy in points, firing_rate, or the energy under a convention
    in µJ), mean, low and high of its 95 % interval, seeds (that both have).
    """
    frame = totals_by_seed(networks, conventions)
    wide = frame.pivot_table(
        index=["network", "seed"], columns="convention", values="energy_uj", sort=False
    )
    same = frame.drop_duplicates(["network", "seed"]).set_index(["network", "seed"])
    wide = same[["accuracy", "firing_rate"]].join(wide).reset_index()
    by_name = {
        str(name): part.drop(columns="network").set_index("seed")
        for name, part in wide.groupby("network")
    }
    rows = []
    for name in networks:
        if name == base:
            continue
        for quantity, values in (by_name[name] - by_name[base]).items():
            pairs = values.dropna().tolist()
            if pairs:
                rows.append({"network": name, "quantity": quantity, **mean_over_seeds(pairs)})
    return pd.DataFrame(rows)


def accuracy_energy(
    networks: Networks,
    conventions: Sequence[str] = ("operand", "operand-once"),
    name: str = "accuracy-energy",
) -> Drawing:
    """Networks on the accuracy-energy plane, a panel for each convention.

    Args:
        networks: With labels, so that there is an accuracy.
        conventions: Presets.
        name: Of the files.
    """
    frame = totals_by_seed(networks, conventions)
    with drawn(1, len(conventions), size=(3.6 * len(conventions), 3.4)) as panels:
        for panel, rule in zip(panels[0], conventions, strict=True):
            for place, network in enumerate(networks):
                chosen = frame[(frame.network == network) & (frame.convention == rule)]
                _point(panel, chosen.energy_uj, chosen.accuracy, place)
            panel.set(xlabel="energy per image, µJ", title=f"convention {rule}")
        panels[0, 0].set_ylabel("test accuracy, %")
        name_series(panels[0, 0].figure, list(networks))
    return Drawing(
        name=name,
        figure=panels[0, 0].figure,
        caption="The same trainings under each convention: accuracy on the test set against energy "
        f"per image, 45 nm. {_OVER_SEEDS}",
        data=frame,
    )


def accuracy_by_step(networks: Networks, convention: str = "operand") -> Drawing:
    """Accuracy against energy if a network is read out after each step.

    Args:
        networks: With labels, so that there is an accuracy.
        convention: A preset.
    """
    rows = [
        (name, seed, row["step"], _UJ * row["energy_pj"], 100 * row["accuracy"])
        for name, seeds in networks.items()
        for seed, report in seeds.items()
        for row in report.under(convention).curve.to_dict("records")
    ]
    frame = pd.DataFrame(rows, columns=["network", "seed", "step", "energy_uj", "accuracy"])
    with drawn(size=(6, 3.6)) as panels:
        panel = panels[0, 0]
        for place, network in enumerate(networks):
            steps = [group for _, group in frame[frame.network == network].groupby("step")]
            means = [(g.energy_uj.mean(), mean_of_few(g.accuracy.tolist())) for g in steps]
            x, y = [energy for energy, _ in means], [found.value for _, found in means]
            panel.plot(x, y, color=COLOURS[place], marker=MARKERS[place])
            for energy, found in means:
                panel.plot([energy] * 2, [found.low, found.high], color=COLOURS[place], alpha=0.5)
        panel.set(xlabel=f"energy per image so far, µJ ({convention})", ylabel="test accuracy, %")
        name_series(panel.figure, list(networks))
    return Drawing(
        name="accuracy-by-step",
        figure=panel.figure,
        caption="Networks stopped after 1, 2, ... T steps: accuracy of the mean of the logits so "
        "far against the energy spent so far. Mean over the training seeds with its 95 % interval "
        "(Student's).",
        data=frame,
    )


def _point(panel: Any, x: pd.Series[float], y: pd.Series[float], place: int) -> None:
    """All trainings of a network, and their mean with its intervals both ways."""
    colour, marker = COLOURS[place], MARKERS[place]
    panel.plot(x, y, marker, color=colour, markersize=3, alpha=0.5, linestyle="none")
    across, up = mean_of_few(x.tolist()), mean_of_few(y.tolist())
    panel.plot([across.low, across.high], [up.value] * 2, color=colour, linewidth=1.2)
    panel.plot([across.value] * 2, [up.low, up.high], color=colour, linewidth=1.2)
    panel.plot(
        across.value, up.value, marker, color=colour, markersize=8, markeredgecolor="white"
    )  # fmt: skip
