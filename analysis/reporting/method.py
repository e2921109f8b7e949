"""The paragraph "how energy was computed", from what a report really used."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from analysis.energy.charges import is_event_stem, work_left_out
from analysis.reporting.bibliography import SOFTWARE, cited_by_convention, cited_by_prices
from analysis.reporting.report import Report
from analysis.reporting.report_tables import (
    constants_sentence,
    inputs_sentence,
    rates_sentence,
)
from analysis.reporting.text import joules, si


@dataclass(frozen=True)
class Style:
    """How a kind of document writes what is no plain text.

    Attributes:
        cite: Names sources, given their keys.
        math: Writes a formula, given as plain text and as LaTeX.
    """

    cite: Callable[[tuple[str, ...]], str]
    math: Callable[[str, str], str]


# What each value of each field of a convention means for a paper; empty where it goes without
# saying. A test holds this list against the fields.
PHRASES: dict[tuple[str, str], str] = {
    ("stem", "every-step"): "The stem, which reads the image, is charged at every step.",
    ("stem", "once"): "The stem reads the same image at every step and is charged once.",
    ("stem", "free"): "The stem is left out.",
    ("stem_as", "mac"): "",
    ("stem_as", "rate-ac"): "It costs accumulates at the non-zero share of the image.",
    ("event_stem", "as-other-sites"): "",
    ("event_stem", "rate-mac"): "A stem that reads events costs the non-zero share of its input "
    "times its dense multiply-accumulates over all steps.",
    ("event_stem", "as-image"): "A stem that reads events costs what one does that reads an image.",
    ("gate", "every-step"): "The layers of the gate are charged at every step.",
    ("gate", "once"): "The layers of the gate whose input is the same at every step are charged "
    "once.",
    ("gate", "free"): "The layers of the gate are left out.",
    ("gate_as", "other-sites"): "",
    ("gate_as", "dense-mac"): "They cost their dense multiply-accumulates.",
    ("readout", "every-step"): "",
    ("readout", "free"): "The readout is left out.",
    ("spike", "at-rate-0"): "A layer that reads spikes costs nothing, as if nothing spiked.",
    ("spike", "at-rate-1"): "A layer that reads spikes costs its dense multiply-accumulates as "
    "accumulates, as if everything spiked.",
    ("pairs", "as-other-sites"): "",
    ("pairs", "min-rate"): "A product of two activations that are spikes both costs the smaller "
    "of their rates times its dense multiply-accumulates, as accumulates.",
    ("spike", "events"): "A layer that reads spikes costs one accumulate for every pair of a "
    "non-zero input and a weight that meet inside its output, so products with zero padding cost "
    "nothing.",
    ("spike", "rate-x-dense"): "A layer that reads spikes costs the rate of its input times its "
    "dense multiply-accumulates over all steps, as accumulates.",
    ("real", "dense-mac"): "A layer that reads real values costs its dense multiply-accumulates, "
    "products with zero padding included.",
    ("real", "nonzero-mac"): "A layer that reads real values costs one multiply-accumulate for "
    "every pair of a non-zero input and a weight.",
    ("real", "rate-ac"): "A layer behind the stem that reads real values is booked as if they "
    "were spikes, as accumulates at the non-zero share of its input.",
    ("real", "full-mac"): "A layer behind the stem that reads real values costs its dense "
    "multiply-accumulates if none of them is zero, else accumulates at the non-zero share of its "
    "input.",
    ("real", "event-ac"): "A layer behind the stem that reads real values costs one accumulate "
    "for every pair of a non-zero input and a weight.",
    ("rate_at", "input"): "",
    ("rate_at", "upstream-neuron"): "Rates are those of the nearest neuron layer in front of it.",
    ("graded", "as-real"): "",
    ("graded", "repeat-ac"): "Small integer multiples k of one value cost k accumulates.",
    ("silent", "as-spike"): "",
    ("silent", "as-real"): "A layer whose input was always zero costs as if it read real values.",
    ("norm", "folded"): "Normalisation is folded into the weights.",
    ("norm", "counted"): "Normalisation costs one multiply-accumulate per element.",
    ("elementwise", "excluded"): "",
    ("elementwise", "gate-product"): "Multiplying by the gate costs one multiply-accumulate per "
    "multiplication.",
    ("elementwise", "biases"): "Adding a bias costs one accumulate.",
    ("elementwise", "included"): "Element-wise work and neuron updates are priced as well.",
}


_NAMES = {"ac": "AC", "mac": "MAC", "neuron": "update"}


def paragraph(report: Report, style: Style) -> str:
    """How energy was computed, ready for a paper.

    Args:
        report: What was computed.
        style: Of the document it is for.
    """
    return " ".join(sentence for sentence in _sentences(report, style) if sentence)


def _in_brackets(keys: tuple[str, ...]) -> str:
    return f" [{', '.join(keys)}]" if keys else ""


PLAIN = Style(cite=_in_brackets, math=lambda plain, _latex: plain)


def _sentences(report: Report, style: Style) -> Iterator[str]:
    run, facts, rule = report.run, report.run.provenance, report.convention
    data = facts.get("data", f"{run.samples} samples")
    precision = f", {facts['precision']}" if "precision" in facts else ""
    if run.stated_rates:
        yield (
            f"Operations follow from the architecture (T = {run.steps}) and rates that are stated, "
            f"not measured: {rates_sentence(run)}. Nothing ran on data; with "
            f"gac-energy{style.cite((SOFTWARE,))}."
        )
    else:
        yield (
            f"Operations were counted exactly while the network ran on {data} (T = {run.steps}"
            f"{precision}), with gac-energy{style.cite((SOFTWARE,))}."
        )
    yield f"The energy per sample is {_equation(report, style)}."
    known = cited_by_convention(rule.name)
    if run.inputs and not run.stated_rates:
        yield f"Input: {inputs_sentence(run)}."
    yield f"Operations are booked under the convention {rule.name}{style.cite(known)}."
    unused = _unused(report)
    for (field, value), phrase in PHRASES.items():
        if getattr(rule, field) == value and field not in unused:
            yield phrase
    yield _left_out(report)
    if run.constants:
        yield f"{constants_sentence(run)}."
    if report.energy.unpriced:
        yield "Operations without a price make this a lower bound."
    yield _result(report)


def _unused(report: Report) -> set[str]:
    """The fields of the convention that say nothing about this network."""
    run, rule = report.run, report.convention
    stems = [is_event_stem(s, rule) for s in run.sites if s.role == "stem"]
    there = {
        "stem": not all(stems) or (any(stems) and rule.event_stem == "as-image"),
        "event_stem": any(stems),
        "gate": any(s.role == "gate" for s in run.sites),
    }
    there["gate_as"] = there["gate"] and rule.gate != "free"
    there["stem_as"] = there["stem"] and rule.stem != "free"
    there["readout"] = any(s.role == "readout" for s in run.sites)
    there["pairs"] = rule.spike == "rate-x-dense" and any(s.other_operand for s in run.sites)
    return {field for field, is_there in there.items() if not is_there}


def _equation(report: Report, style: Style) -> str:
    updates = report.energy.total.neuron_updates  # else their price plays no part
    operations = {
        _NAMES[name]: price
        for name, price in report.technology.operations.items()
        if name != "neuron" or updates
    }
    formula = style.math(
        "E = " + " + ".join(f"E_{name} x {name}s" for name in operations),
        "E = " + " + ".join(rf"E_\mathrm{{{n}}} N_\mathrm{{{n}}}" for n in operations),
    )
    prices = [
        style.math(f"E_{name}", rf"E_\mathrm{{{name}}}") + f" = {price.pj:g} pJ"
        for name, price in operations.items()
    ]
    sources = style.cite(cited_by_prices(report))
    return f"{formula}, with {' and '.join(prices)} ({report.technology.description}{sources})"


def _left_out(report: Report) -> str:
    sizes = work_left_out(report.run, report.convention)
    parts = [
        f"{name} ({si(size / report.run.samples)} elements)" for name, size in sizes.items() if size
    ]
    if report.energy.left_out_macs:
        parts.insert(0, f"weight layers of {si(report.energy.left_out_macs)} dense MACs")
    return (
        "Not in the figure, per sample: "
        + ", ".join([*parts, "memory traffic", "wires", "control"])
    ) + "."


def _result(report: Report) -> str:
    totals = report.totals
    bound = "at least " if report.energy.unpriced else ""
    updates = report.energy.total.neuron_updates / report.run.samples
    of_which = f" ({si(updates, digits=4)} of them neuron updates)" if updates else ""
    return (
        f"This gives {si(totals.acs, digits=4)} accumulates and {si(totals.macs, digits=4)} "
        f"multiply-accumulates{of_which}, {bound}{joules(totals.energy_pj, 4)} per sample."
    )
