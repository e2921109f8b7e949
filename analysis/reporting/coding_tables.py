"""What an encoder's spikes say, as tables of a report. Our reconstruction, and said so."""

from __future__ import annotations

from analysis.code_records import Coding, CodingValue
from analysis.reporting.tables import As, Column, Row, Table

OURS = (
    "The observer-model analysis is our reconstruction; the theorem text of the GAC paper is not "
    "known."
)
# Quantity -> in words.
_WORDS = {
    "firing_rate": "firing rate",
    "train_entropy": "entropy of the trains of all neurons",
    "alphabet_use": "entropy, of what constant currents could say",
    "neuron_entropy": "entropy of a neuron's trains over the images",
    "image_information": "a train about the image",
    "image_information_shuffled": "a train about the image, shuffled: bias",
    "class_information": "a train about the class",
    "class_information_shuffled": "a train about the class, shuffled: bias",
    "information_per_step": "a train about the image, per step",
    "information_per_spike": "a train about the image, per spike",
    "information_per_pj": "all trains about the image, per picojoule of the encoder",
    "steps_for_95_percent": "steps for 95 % of the information",
    "steps_within_half_point": "steps to half a point below the full read-out",
    "network_steps_within_half_point": "steps to half a point below the full network",
    "dynamic_duration": "T_E: last step with something new, per neuron",
    "layer_duration": "T_E of the whole layer: T for about anything",
    "distinct_states": "different states of the layer",
    "neighbour_correlation": "correlation of neighbouring steps",
    "gate_rank": "rank of the gate's log-odds over time",
    "gate_closed": "gate closed: lets no steady input through",
    "gated_off_spikes": "spikes that meet a closed gate",
    "gate_variation": "deviation of the gate over time",
    "gate_spread": "deviation of the gate over everything",
}
_BY_STEP = {
    "information_up_to": "bits about the image",
    "readout_accuracy": "linear read-out",
    "network_accuracy": "the network",
}
_PERIODS = "period_"
_WHOLE = (
    "steps_for_95_percent", "steps_within_half_point", "network_steps_within_half_point",
    "gate_rank",
)  # fmt: skip


def quantities_table(coding: Coding) -> Table:
    """One row per quantity of whole trains."""
    known = [found for found in coding.measured if found.quantity in _WORDS]
    return Table(
        name="coding",
        title=f"Code of the {coding.encoder} encoder: {_trains(coding)}",
        columns=(
            Column(name="quantity", heading="quantity"),
            Column(name="value", heading="value", kind="rate"),
            Column(name="low", heading="low", kind="rate", roomy=True),
            Column(name="high", heading="high", kind="rate", roomy=True),
            Column(name="unit", heading="unit"),
        ),
        rows=tuple(_row(found) for found in known),
        sentence="Intervals are 95 % over samples; beside a shuffled value, the 97.5 % quantile of "
        "the shuffles. Bits are of a single neuron's train, mean over neurons; entropies are "
        "Miller-Madow corrected, that of noise extrapolated over the draws."
        + (f" Picojoules of the encoder: {coding.priced}." if coding.priced else ""),
    )


def steps_table(coding: Coding) -> Table:
    """One row per step: what an observer of the steps so far knows."""
    by_step = {
        (found.quantity, found.step): found.value
        for found in coding.measured
        if found.quantity in _BY_STEP
    }
    known = [name for name in _BY_STEP if (name, 1) in by_step]
    return Table(
        name="coding-steps",
        title="What is known after each step",
        columns=(
            Column(name="step", heading="step", kind="integer"),
            *(
                Column(
                    name=name,
                    heading=_BY_STEP[name],
                    kind="rate" if name == "information_up_to" else "percent",
                )
                for name in known
            ),
        ),
        rows=tuple(
            (step, *(by_step[name, step] for name in known)) for step in range(1, coding.steps + 1)
        ),
        sentence="The read-out is a ridge regression on all spikes so far, asked about samples it "
        "has not seen: a lower bound of what the code holds. The network's mean logits are cut off "
        "after the step; it also reads what passes the neuron by, along the shortcut.",
    )


def periods_table(coding: Coding) -> Table:
    """Shares of trains with each period."""
    rows = [
        (found.quantity.removeprefix(_PERIODS), found.value)
        for found in coding.measured
        if found.quantity.startswith(_PERIODS)
    ]
    return Table(
        name="coding-periods",
        title="Periods of the trains",
        columns=(
            Column(name="period", heading="period"),
            Column(name="share", heading="share", kind="share"),
        ),
        rows=tuple(rows),
        sentence="A neuron under constant current fires at n, 2n, ... or never; every other train "
        "is aperiodic.",
    )


def coding_sentence(coding: Coding) -> str:
    """What to take from it."""
    found = {v.quantity: v.value for v in coding.measured if v.step is None}
    bits = found["image_information"]
    text = (
        f"A train of the first neuron behind the encoder says {bits:.3f} bits about the image, of "
        f"{found['train_entropy']:.3f} bits of entropy over all neurons; its last new step is "
        f"{found['dynamic_duration']:.2f} of {coding.steps} on average."
    )
    if "gated_off_spikes" in found:
        text += (
            f" {100 * found['gated_off_spikes']:.0f} % of the encoder's spikes meet a closed gate; "
            f"over time the gate deviates by {found['gate_variation']:.3f}, over everything by "
            f"{found['gate_spread']:.3f}."
        )
    return f"{text} {OURS}"


def _trains(coding: Coding) -> str:
    neurons = f"{coding.neurons:,} of {coding.layer:,} neurons"
    draws = f", {coding.draws} draws each" if coding.draws > 1 else ""
    return f"{coding.samples:,} samples{draws}, {neurons}, T = {coding.steps}"


def coding_notes(coding: Coding) -> tuple[str, ...]:
    """What could not be measured."""
    if any(found.quantity == "class_information" for found in coding.measured):
        return ()
    return (
        "Nothing is said of classes: the data has no labels, or less than five samples of a class.",
    )


def _row(found: CodingValue) -> Row:
    if found.quantity in _WHOLE:
        return (_WORDS[found.quantity], As(found.value, "integer"), None, None, found.unit)
    if found.unit == "bits/pJ":  # far below what four decimals show
        numbers = (found.value, found.low, found.high)
        cells = tuple(None if value is None else As(value, "count") for value in numbers)
        return (_WORDS[found.quantity], *cells, found.unit)
    return (_WORDS[found.quantity], found.value, found.low, found.high, found.unit)
