"""What each part of the gate is worth: networks trained without it, over several seeds."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any

import pandas as pd

from analysis.drawings.drawing import COLOURS, QUIET, Drawing, drawn
from analysis.drawings.gate_variants import KINDS, WHOLE, look_of, measured, variants_of
from analysis.drawings.seeds import (
    CLEARNESS_TOLD,
    clearness,
    draw_difference,
    draw_seeds,
    label_rows,
    mean_over_seeds,
    name_once,
    name_series,
    paired,
    share_x,
)

# Quantity of a trained whole gate that was changed without training again -> its row.
_CHANGED = {
    "accuracy_then_frozen": "trained whole, then frozen",
    "accuracy_then_permuted": "trained whole, then permuted",
    "accuracy_then_off": "trained whole, then off",
}
_COSTS = ("accuracy", "energy_pj", "energy_once_pj", "gate_energy_pj")


def ablation_accuracies(frame: pd.DataFrame) -> Drawing:
    """Accuracy of every variant of the gate, and of direct coding.

    Args:
        frame: From `analysis.reporting.encoder_tables.frame_of`; other encoders in it are left
            out.

    Raises:
        InputError: If no network with the whole gate is in it.
    """
    found, names = measured(frame, "accuracy"), variants_of(frame)
    rows: list[dict[str, Any]] = []
    with drawn(1, len(found), size=(1.8 + 2.8 * len(found), 1.4 + 0.28 * len(names))) as axes:
        for panel, (steps, variants) in zip(axes[0], found.items(), strict=True):
            for height, name in enumerate(names):
                if name in variants:
                    percent = [100 * value for value in variants[name].values()]
                    colour, marker = look_of(name)
                    draw_seeds(panel, percent, height, colour=colour, marker=marker)
                    rows.append({"steps": steps, "variant": name} | mean_over_seeds(percent))
            panel.set(title=f"T = {steps}", xlabel="accuracy, %")
            label_rows(panel, names)
        name_once(axes[0])
        share_x(axes[0])
        name_series(axes[0, 0].figure, list(KINDS))
    return Drawing(
        name="ablation-accuracies",
        figure=axes[0, 0].figure,
        caption="Accuracy on the test images of networks trained with each variant of the gate: "
        "each seed as a grey dot, the mean with its 95 % interval over the seeds (Student's t; it "
        "is symmetric and may reach beyond 0 or 100 %).",
        data=pd.DataFrame(rows),
    )


def ablation_differences(frame: pd.DataFrame) -> Drawing:
    """Accuracy of every variant less that of the whole gate with the same seed, sorted.

    Args:
        frame: As for `ablation_accuracies`.

    Raises:
        InputError: If no network with the whole gate is in it.
    """
    points = {steps: _points(frame, steps) for steps in sorted(set(frame.steps))}
    comparisons = sum(map(len, points.values()))
    most = max(map(len, points.values()))
    rows: list[dict[str, Any]] = []
    with drawn(1, len(points), size=(4.1 * len(points), 0.9 + 0.28 * most)) as axes:
        for panel, (steps, found) in zip(axes[0], points.items(), strict=True):
            panel.axvline(0, color="black", lw=0.8)
            for height, (name, values) in enumerate(found.items()):
                draw_difference(panel, values, height, comparisons)
                verdict = {"sign": clearness(values, comparisons)}
                rows.append({"steps": steps, "variant": name, **mean_over_seeds(values), **verdict})
            panel.set(title=f"T = {steps}", xlabel="accuracy less the whole gate's,\npoints")
            label_rows(panel, list(found))
        share_x(axes[0])
    return Drawing(
        name="ablation-differences",
        figure=axes[0, 0].figure,
        caption="Accuracy less that of the network with the whole gate and the same seed, each "
        f"seed as a grey dot, the mean with its 95 % interval (Student's t). {CLEARNESS_TOLD} "
        "Rows 'trained whole, then ...' are the trained networks with their gate changed.",
        data=pd.DataFrame(rows),
    )


def ablation_costs(frame: pd.DataFrame) -> Drawing:
    """Energy of every variant, charged at every step and with static parts once.

    Args:
        frame: As for `ablation_accuracies`.

    Raises:
        InputError: If no network with the whole gate is in it.
    """
    names = variants_of(frame)
    means = {quantity: _means(frame, quantity) for quantity in _COSTS}
    data = pd.DataFrame(
        {
            "steps": steps,
            "variant": name,
            **{quantity: means[quantity][steps, name] for quantity in _COSTS},
            "gate_share": means["gate_energy_pj"][steps, name] / means["energy_pj"][steps, name],
        }
        for steps in sorted(set(frame.steps))
        for name in names
        if (steps, name) in means["accuracy"]
    )
    numbers = sorted(set(data.steps))
    with drawn(1, len(numbers), size=(1.8 + 3.6 * len(numbers), 1.4 + 0.28 * len(names))) as axes:
        for panel, steps in zip(axes[0], numbers, strict=True):
            _costs(panel, data[data.steps == steps], names)
            panel.set(title=f"T = {steps}", xlabel="energy per image, nJ", xscale="log")
            panel.xaxis.set_major_formatter("{x:g}")
            label_rows(panel, names)
        name_once(axes[0])
        share_x(axes[0])
        axes[0, 0].figure.get_layout_engine().set(wspace=0.08)
        handles, labels = axes[0, 0].get_legend_handles_labels()
        axes[0, 0].figure.legend(handles, labels, loc="outside upper center", ncols=2)
    return Drawing(
        name="ablation-costs",
        figure=axes[0, 0].figure,
        caption="Energy per image if everything is charged at every step (filled), and if what is "
        "the same at all steps, stem and spatial part of the gate, is charged once (open); "
        "convention operand, 45 nm, means over the seeds. Beside it the gate's share of the "
        "former and the accuracy.",
        data=data,
    )


def ablation_firing(frame: pd.DataFrame) -> Drawing:
    """Accuracy of every single network beside the rate of the neuron behind its encoder.

    Args:
        frame: As for `ablation_accuracies`.

    Raises:
        InputError: If no network with the whole gate is in it.
    """
    names, accuracies = variants_of(frame), measured(frame, "accuracy")
    data = pd.DataFrame(
        {
            "steps": steps,
            "variant": name,
            "seed": seed,
            "accuracy": accuracies[steps][name][seed],
            "firing_rate": rate,
        }
        for steps, rates in measured(frame, "code_firing_rate").items()
        for name in names
        for seed, rate in rates.get(name, {}).items()
    )
    numbers = sorted(set(data.steps))
    with drawn(1, len(numbers), size=(0.8 + 3 * len(numbers), 3.4)) as axes:
        for panel, steps in zip(axes[0], numbers, strict=True):
            for name, part in data[data.steps == steps].groupby("variant", sort=False):
                colour, marker = look_of(str(name))
                style = {"color": colour, "marker": marker, "ls": "none", "ms": 5, "alpha": 0.75}
                panel.plot(part.firing_rate, 100 * part.accuracy, **style)
            panel.set(
                title=f"T = {steps}",
                xlabel="firing rate behind the encoder,\nspikes / neuron / step",
            )
        axes[0, 0].set(ylabel="accuracy, %", ylim=(0, 104))
        for panel in axes[0, 1:]:
            panel.sharey(axes[0, 0])
            panel.tick_params(labelleft=False)
        share_x(axes[0])
        name_series(axes[0, 0].figure, list(KINDS))
    return Drawing(
        name="ablation-firing",
        figure=axes[0, 0].figure,
        caption="Every single network: its accuracy beside the firing rate of the first neuron "
        "behind its encoder, of the images and neurons whose spike trains were analysed.",
        data=data,
    )


def _points(frame: pd.DataFrame, steps: int) -> dict[str, list[float]]:
    """Variant -> accuracy less that of the whole gate, in points, by seed; highest mean first."""
    known = measured(frame, "accuracy")[steps]
    others = {name: known[name] for name in variants_of(frame) if name in known and name != WHOLE}
    for quantity, name in _CHANGED.items():
        changed = measured(frame, quantity).get(steps, {})
        if WHOLE in changed:
            others[name] = changed[WHOLE]
    differences = {name: paired(seeds, known[WHOLE]) for name, seeds in others.items()}
    points = {name: [100 * d for d in found.values()] for name, found in differences.items()}
    return dict(sorted(points.items(), key=lambda item: -fmean(item[1])))


def _means(frame: pd.DataFrame, quantity: str) -> dict[tuple[int, str], float]:
    """(steps, encoder) -> mean over the seeds."""
    return {
        (steps, encoder): fmean(seeds.values())
        for steps, by_encoder in measured(frame, quantity).items()
        for encoder, seeds in by_encoder.items()
    }


def _costs(panel: Any, part: pd.DataFrame, names: Sequence[str]) -> None:
    """Energies of one number of steps, with the gate's share and the accuracy beside them."""
    heights = part.variant.map(list(names).index)
    every, once = part.energy_pj / 1000, part.energy_once_pj / 1000
    panel.hlines(heights, once, every, color=QUIET, lw=1)
    look = {"color": COLOURS[0], "ls": "none"}
    panel.plot(every, heights, marker="o", label="every step charged", **look)
    panel.plot(once, heights, marker="s", mfc="white", label="static parts once", **look)
    beside = panel.get_yaxis_transform()  # x in shares of the panel, y in rows
    for place, heading in ((1.18, "gate"), (1.4, "accuracy")):
        panel.text(place, -0.8, heading, transform=beside, ha="right", fontsize=7.5)
    for height, share, accuracy in zip(heights, part.gate_share, part.accuracy, strict=True):
        for place, value in ((1.18, share), (1.4, accuracy)):
            text = f"{100 * value:.0f} %"
            panel.text(place, height, text, transform=beside, ha="right", va="center", fontsize=7.5)
