"""Trained networks that differ in their encoder: tables over the seeds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.errors import InputError
from analysis.estimates import Estimate, mean_of_few
from analysis.reporting.coding_tables import OURS
from analysis.reporting.text import joules

if TYPE_CHECKING:
    import pandas as pd

RUN_COLUMNS = ("encoder", "steps", "seed", "quantity", "step", "value")
_PERCENT = "percent"
# Quantity -> (heading, how it is shown).
_TABLES: dict[str, dict[str, tuple[str, str]]] = {
    "Network": {
        "accuracy": ("accuracy %", _PERCENT),
        "firing_rate": ("firing rate", ".3f"),
        "energy_pj": ("energy", "joules"),
        "encoder_energy_pj": ("of it encoder", "joules"),
        "gate_energy_pj": ("of it gate", "joules"),
        "energy_once_pj": ("static parts once", "joules"),
        "network_steps_within_half_point": ("steps to within 0.5 point", ".1f"),
    },
    "Code: spike trains of the first neuron behind the encoder": {
        "code_firing_rate": ("firing rate", ".3f"),
        "train_entropy": ("entropy, bits/train", ".3f"),
        "image_information": ("about the image, bits/train", ".3f"),
        "image_information_shuffled": ("of it bias", ".3f"),
        "class_information": ("about the class, bits/train", ".3f"),
        "class_information_shuffled": ("of it bias", ".3f"),
        "information_per_step": ("bits/step", ".3f"),
        "information_per_spike": ("bits/spike", ".2f"),
        "information_per_pj": ("bits/pJ", ".2e"),
        "readout": ("linear read-out %", _PERCENT),
    },
    "Time": {
        "dynamic_duration": ("T_E per neuron, steps", ".2f"),
        "layer_duration": ("T_E of the layer, steps", ".2f"),
        "distinct_states": ("distinct states", ".2f"),
        "steps_for_95_percent": ("steps to 95 % of the information", ".1f"),
        "neighbour_correlation": ("correlation of neighbouring steps", ".2f"),
        "period_silent": ("silent trains %", _PERCENT),
        "period_aperiodic": ("trains no constant current makes %", _PERCENT),
    },
    "Gate": {
        "gate_rank": ("rank of log-odds", ".1f"),
        "gate_closed": ("closed %", _PERCENT),
        "gated_off_spikes": ("spikes at a closed gate %", _PERCENT),
        "gate_variation": ("deviation over time", ".3f"),
        "gate_spread": ("deviation over all", ".3f"),
    },
}
_AFTERWARDS = {
    "accuracy": "as trained",
    "accuracy_then_frozen": "gate frozen over time",
    "accuracy_then_permuted": "steps of the gate permuted",
    "accuracy_then_off": "gate off",
}


def frame_of(path: Path | None) -> pd.DataFrame:
    """The measured numbers in a file; an empty frame without one.

    Raises:
        InputError: If it is not such a file.
    """
    import pandas as pd

    types: dict[str, Any] = {"steps": "int64", "seed": "int64", "step": "Int64", "value": "float64"}
    if path is None:
        return pd.DataFrame(columns=list(RUN_COLUMNS)).astype(types)
    try:
        frame = pd.read_csv(path, dtype={"encoder": "str", "quantity": "str", **types})
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is damaged: {str(error).splitlines()[0]}") from error
    if tuple(frame.columns) != RUN_COLUMNS:
        raise InputError(f"{path}: expected the columns {', '.join(RUN_COLUMNS)}")
    return frame


def over_seeds(frame: pd.DataFrame) -> dict[tuple[int, str, str], Estimate]:
    """(steps, encoder, quantity) -> mean over the seeds with its 95 % interval (Student's t).

    Quantities of a single step are left out, but for the read-out of all of them.
    """
    last = frame[(frame.quantity == "readout_accuracy") & (frame.step == frame.steps)]
    whole = [frame[frame.step.isna()], last.assign(quantity="readout")]
    found: dict[tuple[int, str, str], Estimate] = {}
    for part in whole:
        for key, group in part.groupby(["steps", "encoder", "quantity"]):
            steps, encoder, quantity = map(str, key)
            found[int(steps), encoder, quantity] = mean_of_few(group.value.tolist())
    return found


def tables(frame: pd.DataFrame, made: Sequence[Mapping[str, Any]], epochs: int) -> str:
    """All tables as one Markdown document, with what made them."""
    return "\n\n".join(_blocks(frame, made, epochs)) + "\n"


def _blocks(frame: pd.DataFrame, made: Sequence[Mapping[str, Any]], epochs: int) -> Iterator[str]:
    yield "# Encoders compared on trained networks"
    for facts in made:
        yield f"    {facts['command']}\n    commit {facts['commit']}, torch {facts['torch']}"
    seeds = frame.groupby(["encoder", "steps"]).seed.nunique()
    yield (
        f"{frame.groupby(['encoder', 'steps', 'seed']).ngroups} networks, epochs: {epochs}, "
        f"seeds of each: {seeds.min()} to {seeds.max()}. In brackets the 95 % interval of the mean "
        f"over the seeds (Student's t). {OURS}"
    )
    found = over_seeds(frame)
    order = list(dict.fromkeys(frame.encoder))
    for steps in sorted(frame.steps.unique()):
        yield f"## T = {steps}"
        for title, columns in _TABLES.items():
            table = _table(found, int(steps), order, columns)
            if table:
                yield f"### {title}\n\n{table}"
        yield f"### Beside direct coding, same seeds\n\n{_differences(frame, int(steps))}"
        if (steps, "gac", "accuracy_then_frozen") in found:
            yield f"### The trained GAC network, its gate changed\n\n{_changed(found, int(steps))}"


def _table(
    found: Mapping[tuple[int, str, str], Estimate],
    steps: int,
    order: Sequence[str],
    columns: Mapping[str, tuple[str, str]],
) -> str:
    known = [q for q in columns if any((steps, encoder, q) in found for encoder in order)]
    rows = [
        [encoder, *(_cell(found.get((steps, encoder, q)), columns[q][1]) for q in known)]
        for encoder in order
        if any((steps, encoder, q) in found for q in known)
    ]
    return _markdown(["encoder", *(columns[q][0] for q in known)], rows) if rows else ""


def _differences(frame: pd.DataFrame, steps: int) -> str:
    """Accuracy of each encoder less that of direct coding with the same seed, in points."""
    accuracy = frame[(frame.quantity == "accuracy") & (frame.steps == steps)]
    wide = accuracy.pivot_table(index="seed", columns="encoder", values="value", sort=False)
    if "direct" not in wide:
        return "No network with direct coding yet."
    rows = []
    for encoder in wide.columns.drop("direct"):
        points = (100 * (wide[encoder] - wide["direct"])).dropna().tolist()
        found = mean_of_few(points)
        rows.append([encoder, _cell(found, "+.2f"), _verdict(found)])
    return _markdown(["encoder", "accuracy, points", "beside direct coding"], rows)


def _verdict(found: Estimate) -> str:
    if found.low > 0:
        return "better"
    if found.high < 0:
        return "worse"
    return "no difference that these seeds could show"


def _changed(found: Mapping[tuple[int, str, str], Estimate], steps: int) -> str:
    rows = [
        [words, _cell(found[steps, "gac", quantity], _PERCENT)]
        for quantity, words in _AFTERWARDS.items()
    ]
    return _markdown(["gate", "accuracy %"], rows)


def _cell(found: Estimate | None, how: str) -> str:
    if found is None:
        return "-"

    def shown(value: float) -> str:
        if how == "joules":
            return joules(value)
        return f"{100 * value:.2f}" if how == _PERCENT else format(value, how)

    text = shown(found.value)
    ends = (shown(found.low), shown(found.high))
    known = not isnan(found.low) and ends != (text, text)
    return f"{text} [{ends[0]}, {ends[1]}]" if known else text


def _markdown(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    sides = [":--", *["--:"] * (len(headings) - 1)]
    return "\n".join(f"| {' | '.join(line)} |" for line in (headings, sides, *rows))
