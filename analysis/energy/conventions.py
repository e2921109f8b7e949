"""Conventions: how counted operations become accumulates and multiply-accumulates.

Counts are exact; a convention is an opinion about them. Each is a frozen record whose fields
can be changed one by one, and every output prints the one it used. `charges` applies them.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Annotated, Literal, get_args, get_type_hints

from analysis.errors import InputError

ChargedSteps = Literal["every-step", "once", "free"]


@dataclass(frozen=True, kw_only=True)
class Convention:
    """How operations are booked.

    The note on each deciding field is its documentation: `meaning` returns it, command lines
    show it. A comparison of two conventions goes through the fields in this order.

    Attributes:
        name: Of the preset it started from.
        source: Where this way of counting stands.
    """

    name: str
    source: str
    stem: Annotated[
        ChargedSteps,
        "steps that a stem is charged that reads an image; once only where its input was equal, "
        "bit for bit, at all steps; free leaves it out and lists it",
    ] = "every-step"
    stem_as: Annotated[
        Literal["mac", "rate-ac"],
        "what such a stem costs at each of these steps: MACs, or accumulates at the non-zero "
        "share of the image",
    ] = "mac"
    event_stem: Annotated[
        Literal["as-other-sites", "rate-mac", "as-image"],
        "cost of a stem that reads events: that of any site with such an input, MACs at their "
        "non-zero share, or that of a stem that reads an image",
    ] = "as-other-sites"
    gate: Annotated[ChargedSteps, "the same for the sites of a gate"] = "every-step"
    gate_as: Annotated[
        Literal["other-sites", "dense-mac"],
        "what the sites of a gate cost: like any other site with such an input, or dense MACs",
    ] = "other-sites"
    readout: Annotated[
        Literal["every-step", "free"],
        "the readout: charged like any other site, or left out and listed",
    ] = "every-step"
    spike: Annotated[
        Literal["events", "rate-x-dense", "at-rate-0", "at-rate-1"],
        "accumulates of a site that reads spikes, ternary ones too: pairs of non-zero input and "
        "weight, exact at borders; the rate of its input times its dense MACs; or the bounds, as "
        "if nothing or everything spiked",
    ] = "events"
    pairs: Annotated[
        Literal["as-other-sites", "min-rate"],
        "a product of two activations that are spikes both: like any other site, or the smaller "
        "of their two rates times its dense MACs",
    ] = "as-other-sites"
    real: Annotated[
        Literal["dense-mac", "nonzero-mac", "rate-ac", "full-mac", "event-ac"],
        "cost of a site that reads real values: dense MACs, MACs with non-zero inputs only, or, "
        "as if the values were spikes, accumulates at the rate of its input, the same unless "
        "nothing in it is zero, or an accumulate for each non-zero input and weight (the last "
        "three never for a stem that reads an image, nor in a network where nothing spikes)",
    ] = "dense-mac"
    rate_at: Annotated[
        Literal["input", "upstream-neuron"],
        "where such a rate is taken: non-zero share of the site's own input, or spikes per neuron "
        "and step of the nearest neuron layer in front of it (where there is none, its input)",
    ] = "input"
    graded: Annotated[
        Literal["as-real", "repeat-ac"],
        "cost of a site that reads small multiples k of one value: like real values, or abs(k) "
        "accumulates per event (needs a run that counts levels)",
    ] = "as-real"
    silent: Annotated[
        Literal["as-spike", "as-real"],
        "a site whose input was always zero costs nothing, or what it would if it were real",
    ] = "as-spike"
    norm: Annotated[
        Literal["folded", "counted"],
        "batch norm and its like: folded into the weights, or one MAC per element",
    ] = "folded"
    elementwise: Annotated[
        Literal["excluded", "gate-product", "biases", "included"],
        "work no synapse does (neuron updates, biases, additions, products, pooling, "
        "activations): left out, only the multiplications by a gate, only the biases, or all of "
        "it, at every step",
    ] = "excluded"

    def __post_init__(self) -> None:
        for name, allowed in rules().items():
            value = getattr(self, name)
            if value not in allowed:
                raise InputError(
                    f"unknown value {value!r} for {name} of a convention; "
                    f"allowed: {', '.join(allowed)}"
                )

    def describe(self) -> str:
        """All fields in one line."""
        settings = ", ".join(f"{name} {getattr(self, name)}" for name in rules())
        return f"{self.name} ({settings})"


@cache
def _notes() -> dict[str, tuple[object, str]]:
    """Type and documentation of the deciding fields, in their order."""
    hints = get_type_hints(Convention, include_extras=True)
    names = [field.name for field in fields(Convention) if field.name not in ("name", "source")]
    return {name: (get_args(hints[name])[0], get_args(hints[name])[1]) for name in names}


@cache
def rules() -> dict[str, tuple[str, ...]]:
    """The fields that decide, each with its allowed values, in a fixed order."""
    return {name: get_args(kind) for name, (kind, _) in _notes().items()}


def meaning(name: str) -> str:
    """What a field decides, and its values.

    Examples:
        >>> meaning("gate")
        'the same for the sites of a gate: every-step, once or free'
    """
    *others, last = rules()[name]
    return f"{_notes()[name][1]}: {', '.join(others)} or {last}"


_OPERAND = Convention(
    name="operand",
    source="this project: what the values of the operand need, events at the input too",
)
_EQ17 = Convention(
    name="eq17",
    source="Yao et al., Attention SNN, TPAMI 2023, eq. 17 and Table S1: it knows no gate; the "
    "first layer costs MACs at the rate Phi of its input, 1 for an image and the ratio of non-zero "
    "pixels for event frames",
    event_stem="rate-mac",
    gate="free",
    spike="rate-x-dense",
    real="rate-ac",
)
PRESETS: dict[str, Convention] = {
    preset.name: preset
    for preset in (
        _OPERAND,
        replace(
            _OPERAND,
            name="operand-sparse",
            source="this project: as operand, hardware that skips every zero",
            real="nonzero-mac",
        ),
        replace(
            _OPERAND,
            name="operand-once",
            source="this project: as operand, what is equal at all steps computed once",
            stem="once",
            gate="once",
        ),
        _EQ17,
        replace(
            _EQ17,
            name="eq17-upstream",
            source="Yao et al., Attention SNN, TPAMI 2023, eq. 17 with its rate Phi as the text "
            "around it defines it: spikes per neuron and step of the layer in front, also where "
            "membranes or pooled spikes are read; it knows no gate",
            rate_at="upstream-neuron",
        ),
        replace(
            _EQ17,
            name="eq17+dE",
            source="Yao et al., Attention SNN, TPAMI 2023, eqs. 17-19: weights of the attention "
            "and their products as MACs, as printed (their Table 5 charges a shared perceptron "
            "once per step and no product; here everything that ran)",
            gate="every-step",
            gate_as="dense-mac",
            elementwise="gate-product",
        ),
        replace(
            _EQ17,
            name="sew-table",
            source="what the rows of SEW-ResNet in the Spikformer paper (arXiv 2209.15425) "
            "charge: first convolution once; they know no gate, and no row is of events (here as "
            "eq17)",
            stem="once",
        ),
        replace(
            _EQ17,
            name="all-ac",
            source="every weight operation after the stem an accumulate at its input's rate, "
            "those of the gate too; the stem left out, unless it reads events, which are spikes",
            stem="free",
            event_stem="as-other-sites",
            gate="every-step",
        ),
        replace(
            _EQ17,
            name="folk",
            source="rate x FLOPs x accumulate after the first layer, MACs in it whatever it "
            "reads; quoted as the usual estimate by Bhattacharjee et al., arXiv 2309.03388 "
            "(second-hand)",
            event_stem="as-image",
            gate="every-step",
        ),
    )
}


# As single papers count, by the names of their networks; shown where they are asked for.
PAPERS: dict[str, Convention] = {
    preset.name: preset
    for preset in (
        replace(
            _EQ17,
            name="spikformer",
            source="Spikformer (arXiv 2209.15425), its table of ImageNet: the first convolution "
            "as MACs at all T steps, all else an accumulate of 0.9 pJ at the rate of its input",
        ),
        replace(
            _EQ17,
            name="spikingformer",
            source="Spikingformer, README and energy script of its repository: attention costs "
            "the smaller rate of keys and values plus that of the queries; a layer whose input "
            "is nowhere zero costs MACs; biases are added, batch norm is left out",
            pairs="min-rate",
            real="full-mac",
            elementwise="biases",
        ),
        replace(
            _EQ17,
            name="qkformer",
            source="QKFormer and Max-Former, appendices: E_AC times the sum of the operations "
            "behind the first convolution, at the rate of the input, plus E_MAC times the first; "
            "whether it is charged at every step is not said: here it is (see qkformer-once)",
        ),
        replace(
            _EQ17,
            name="qkformer-once",
            source="as qkformer, with the other reading of what it does not say: the first "
            "convolution once",
            stem="once",
        ),
        replace(
            _OPERAND,
            name="spikingresformer",
            source="SpikingResformer, main.py of its repository: 0.9 pJ for each synaptic "
            "operation, exact at borders, values summed; prologue.0 and classifier skipped, no "
            "MAC at all",
            stem="free",
            event_stem="as-image",
            readout="free",
            real="event-ac",
            graded="repeat-ac",
        ),
        replace(
            _OPERAND,
            name="ems-yolo",
            source="EMS-YOLO, T (rate x E_AC x OP_AC + E_MAC x OP_MAC), and issue 12 of its "
            "repository",
            spike="rate-x-dense",
        ),
        replace(
            _EQ17,
            name="spikeyolo",
            source="SpikeYOLO, its author in issue 12 of EMS-YOLO's repository: everything is an "
            "accumulate, rate x FLOPs x 0.9 pJ over the test set",
            stem_as="rate-ac",
            event_stem="as-other-sites",
        ),
        replace(
            _OPERAND,
            name="chen2023-low",
            source="Chen et al. 2023 (arXiv 2301.11929), as restated in issue 348 of SpikingJelly: "
            "the lower bound E_MAC x O_MAC, nothing spikes",
            spike="at-rate-0",
        ),
        replace(
            _OPERAND,
            name="chen2023-high",
            source="Chen et al. 2023 (arXiv 2301.11929), as restated in issue 348 of SpikingJelly: "
            "the upper bound E_AC x O_AC + E_MAC x O_MAC, everything spikes",
            spike="at-rate-1",
        ),
    )
}


def convention(name: str, **changes: str) -> Convention:
    """A preset, some of its fields changed; its name then says which and finds it again.

    Raises:
        InputError: If the name, a field or a value is unknown.

    Examples:
        >>> convention("operand", stem="once").name
        'operand, stem once'
        >>> convention("operand, stem once") == convention("operand", stem="once")
        True
    """
    name, *told = name.split(", ")
    changes = {key: value for key, _, value in (each.partition(" ") for each in told)} | changes
    known = PRESETS | PAPERS
    if name not in known:
        raise InputError(f"unknown convention {name!r}; known: {', '.join(known)}")
    unknown = sorted(set(changes) - set(rules()))
    if unknown:
        raise InputError(
            f"unknown field of a convention: {', '.join(unknown)}; known: {', '.join(rules())}"
        )
    preset = known[name]
    changed = [f"{k} {v}" for k, v in changes.items() if getattr(preset, k) != v]
    return replace(preset, name=", ".join([name, *changed]), **changes)  # type: ignore[arg-type]
