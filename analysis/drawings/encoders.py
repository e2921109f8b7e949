"""Trained networks that differ in their encoder, in pictures: means and intervals over the seeds.

They take the frame of `analysis.reporting.encoder_tables.frame_of`: one row per trained network
and quantity. The observer-model analysis in it is our reconstruction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from analysis.drawings.drawing import COLOURS, MARKERS, QUIET, Drawing, drawn
from analysis.drawings.seeds import mean_over_seeds
from analysis.errors import InputError

# Quantity -> (axis, factor).
_COMPARED: dict[str, tuple[str, float]] = {
    "accuracy": ("accuracy in %", 100),
    "image_information": ("about the image,\nbits per train", 1),
    "information_per_spike": ("about the image,\nbits per spike", 1),
    "dynamic_duration": ("$T_E$ per neuron\nin steps", 1),
}
_AFTERWARDS = {
    "accuracy": "as trained",
    "accuracy_then_frozen": "frozen over time",
    "accuracy_then_permuted": "steps permuted",
    "accuracy_then_off": "off",
}
_BY_STEP = {
    "information_up_to": ("about the image, bits per train", 1),
    "accuracy_up_to": ("accuracy in %", 100),
}


def encoders_compared(frame: pd.DataFrame) -> Drawing:
    """Accuracy, information, bits per spike and T_E of all encoders.

    Args:
        frame: With the columns encoder, steps, seed, quantity, step, value.

    Raises:
        InputError: If the accuracy is missing; a quantity that no network has is left out.
    """
    whole = frame[frame.step.isna()]
    words = {
        quantity: label
        for quantity, (label, _) in _COMPARED.items()
        if quantity == "accuracy" or (whole.quantity == quantity).any()
    }
    data = pd.concat([_means(_of(whole, quantity), _COMPARED[quantity][1]) for quantity in words])
    return Drawing(
        name="encoders-compared",
        figure=_rows(data, words),
        caption=f"{frame.groupby(['encoder', 'steps', 'seed']).ngroups} trained networks: mean "
        "over the training seeds and its 95 % interval (Student's t). All but the accuracy is of "
        "the trains of the first neuron behind the encoder. Hollow where not every seed has a "
        f"value: without a spike there are no bits per spike. {_bias(whole)}",
        data=data,
    )


def beside_direct(frame: pd.DataFrame) -> Drawing:
    """Accuracy, information and T_E of all encoders less those of direct coding with the same seed.

    Args:
        frame: As for `encoders_compared`.

    Raises:
        InputError: If a quantity is missing, or there is no direct coding.
    """
    whole = frame[frame.step.isna()]
    words = {
        "accuracy": "accuracy in points",
        "image_information": "about the image,\nbits per train",
        "dynamic_duration": "$T_E$ per neuron\nin steps",
    }
    parts = []
    for quantity in words:
        wide = _of(whole, quantity).pivot_table(
            index=["steps", "seed"], columns="encoder", values="value", sort=False
        )
        if "direct" not in wide:
            raise InputError("no network with direct coding to compare with")
        less = wide.drop(columns="direct").sub(wide["direct"], axis=0)
        long = less.melt(ignore_index=False).dropna().reset_index().assign(quantity=quantity)
        parts.append(_means(long, _COMPARED[quantity][1]))
    data = pd.concat(parts)
    figure = _rows(data, words, zero=True)
    return Drawing(
        name="encoders-beside-direct",
        figure=figure,
        caption="The same, less direct coding with the same seed: mean and 95 % interval of the "
        "differences. Hollow where the interval holds 0: these seeds show no difference. Each "
        "interval is for itself; of as many as here some miss by chance.",
        data=data,
    )


def information_by_step(
    frame: pd.DataFrame,
    *,
    steps: int,
    encoders: Sequence[str] = ("direct", "gac", "poisson", "latency"),
) -> Drawing:
    """What is known after each step: bits about the image, and the accuracy of the network.

    Args:
        frame: As for `encoders_compared`.
        steps: Of the networks.
        encoders: That are drawn.

    Raises:
        InputError: If a quantity is missing.
    """
    chosen = frame[(frame.steps == steps) & frame.encoder.isin(encoders)]
    found = []
    with drawn(1, 2, size=(7.4, 3.4)) as panels:
        for panel, (quantity, (words, factor)) in zip(panels[0], _BY_STEP.items(), strict=True):
            data = _means(_of(chosen, quantity), factor, by="step")
            for place, encoder in enumerate(encoders):
                part = data[data.encoder == encoder]
                look = {"color": COLOURS[place], "marker": MARKERS[place], "markersize": 5}
                label = encoder if panel is panels[0, 0] else None
                panel.plot(part.step, part["mean"], label=label, **look)
                panel.fill_between(
                    part.step, part.low, part.high, color=COLOURS[place], alpha=0.18, linewidth=0
                )
            panel.set(xlabel="steps so far", ylabel=words, xticks=range(1, steps + 1))
            panel.set_ylim(bottom=0)
            found.append(data)
        panels[0, 0].figure.legend(loc="outside upper center", ncols=len(encoders))
    return Drawing(
        name="information-by-step",
        figure=panels[0, 0].figure,
        caption=f"What an observer of the first steps of {steps} knows: left from one train of the "
        "first neuron behind the encoder about the image, right the whole network if its mean "
        "logits are cut off. Mean over the training seeds, shaded its 95 % interval. "
        f"{_bias(chosen)}",
        data=pd.concat(found, ignore_index=True),
    )


def gate_changed(frame: pd.DataFrame) -> Drawing:
    """Accuracy of trained GAC networks whose gate is frozen, permuted or taken away afterwards.

    Args:
        frame: As for `encoders_compared`.

    Raises:
        InputError: If a quantity is missing.
    """
    trained = frame[(frame.encoder == "gac") & frame.step.isna()]
    parts = [_of(trained, quantity) for quantity in _AFTERWARDS]
    data = pd.concat([_means(part, 100) for part in parts])
    places = {quantity: place for place, quantity in enumerate(_AFTERWARDS)}
    all_steps = sorted(data.steps.unique())
    with drawn(1, len(all_steps), size=(7.4, 2.4)) as panels:
        for panel, steps in zip(panels[0], all_steps, strict=True):
            for part in parts:
                seeds = part[part.steps == steps]
                heights = seeds.quantity.map(places) - 0.18
                panel.plot(100 * seeds.value, heights, "|", color=QUIET, markersize=6)
            for row in _records(data[data.steps == steps]):
                _mark(panel, places[row["quantity"]], row, place=0, filled=True)
            panel.set(title=f"T = {steps}", xlabel="accuracy in %", xlim=(0, 100))
            panel.set_yticks(
                range(len(places)), _AFTERWARDS.values() if steps == all_steps[0] else []
            )
            panel.invert_yaxis()
        panels[0, 0].set_ylabel("gate")
    return Drawing(
        name="gate-changed",
        figure=panels[0, 0].figure,
        caption="Trained GAC networks asked again with another gate, without training for it: "
        "frozen at its mean over time, its steps in another order, or left out. Mean over the "
        "seeds, its 95 % interval, and every seed as a dash.",
        data=data,
    )


def _of(frame: pd.DataFrame, quantity: str) -> pd.DataFrame:
    found = frame[frame.quantity == quantity]
    if found.empty:
        raise InputError(f"no {quantity} among the measured quantities")
    return found


def _means(frame: pd.DataFrame, factor: float, by: str | None = None) -> pd.DataFrame:
    """Mean over the seeds with its interval, one row per encoder, steps and quantity."""
    keys = ["encoder", "steps", "quantity", *([by] if by else [])]
    rows = [
        dict(zip(keys, key, strict=True)) | mean_over_seeds((factor * group.value).tolist())
        for key, group in frame.groupby(keys, sort=False)
    ]
    return pd.DataFrame(rows, columns=[*keys, "mean", "low", "high", "seeds"])


def _rows(data: pd.DataFrame, words: Mapping[str, str], *, zero: bool = False) -> Any:
    """One panel per quantity, one line per encoder, in it one mark per number of steps.

    Args:
        data: Of `_means`.
        words: Quantity -> label of its axis.
        zero: Whether these are differences: hollow where an interval holds 0.
    """
    encoders = list(dict.fromkeys(data.encoder))
    all_steps = sorted(data.steps.unique())
    shift = {steps: 0.17 * (2 * k - len(all_steps) + 1) for k, steps in enumerate(all_steps)}
    with drawn(1, len(words), size=(1.6 + 1.6 * len(words), 0.9 + 0.34 * len(encoders))) as panels:
        for panel, (quantity, label) in zip(panels[0], words.items(), strict=True):
            for row in _records(data[data.quantity == quantity]):
                height = encoders.index(row["encoder"]) + shift[row["steps"]]
                whole = row["seeds"] == data.seeds.max()
                filled = not row["low"] <= 0 <= row["high"] if zero else whole
                _mark(panel, height, row, place=all_steps.index(row["steps"]), filled=filled)
            if zero:
                panel.axvline(0, color="black", linewidth=1)
            panel.set(xlabel=label, ylim=(len(encoders) - 0.5, -0.5))
            panel.set_yticks(range(len(encoders)), encoders if panel is panels[0, 0] else [])
        for place, steps in enumerate(all_steps):
            panels[0, 0].plot([], [], MARKERS[place], color=COLOURS[place], label=f"T = {steps}")
        panels[0, 0].figure.legend(loc="outside upper right", ncols=len(all_steps))
    return panels[0, 0].figure


def _records(data: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in data.to_dict("records")]


def _mark(panel: Any, height: float, row: Mapping[str, Any], *, place: int, filled: bool) -> None:
    """A mean with its interval."""
    colour = COLOURS[place]
    panel.plot([row["low"], row["high"]], [height, height], color=colour, linewidth=1.5)
    face = colour if filled else "white"
    panel.plot(
        row["mean"], height, MARKERS[place], color=colour, markerfacecolor=face, markersize=4.5
    )


def _bias(whole: pd.DataFrame) -> str:
    """Which encoders' bits about the image are no pure measurement."""
    found = whole[whole.quantity == "image_information_shuffled"]
    means = _means(found[found.value != 0], 1)
    words = [f"{m['encoder']} {m['mean']:+.2f} at T = {m['steps']}" for m in _records(means)]
    return f"Bits of a code with noise hold a bias: {', '.join(words)}." if words else ""
