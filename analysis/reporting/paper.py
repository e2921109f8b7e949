"""The GAC paper beside what comes out here: printed, ours, and why the two differ.

Printed values are those of `printed`. Ours are counted from reports: on architectures at stated
rates (`analysis.estimate`), and on trained networks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from analysis.energy.energy import Energy
from analysis.energy.estimate import Solved, at_rates, parse_energy, solve_rate
from analysis.reporting.compare import PARAMETERS
from analysis.reporting.markdown import markdown_table
from analysis.reporting.printed import Printed, printed_numbers
from analysis.reporting.report import Report
from analysis.reporting.tables import As, Cell, Column, Row, Table
from analysis.reporting.text import joules

NOT_RUN = "not run here"
_RATE = Fraction(1, 5)


def paper_table(
    architectures: Sequence[Report], trained: Sequence[Report] = (), rate: Fraction = _RATE
) -> Table:
    """Every printed number beside ours, with the reason of each difference.

    Args:
        architectures: On the networks of the paper, with their names as ``architecture`` in the
            provenance; a printed number whose network is not among them was not run.
        trained: On networks of this project, which the paper does not have.
        rate: At which energies are stated.
    """
    ours = _Ours(architectures, rate)
    rows = [
        (p.quantity, p.network, p.data, p.steps, str(p), *ours.beside(p), p.source)
        for p in printed_numbers()
    ]
    return Table(
        name="paper",
        title="Paper and ours",
        columns=(
            Column(name="quantity", heading="quantity"),
            Column(name="network", heading="network"),
            Column(name="data", heading="data"),
            Column(name="steps", heading="T"),
            Column(name="paper", heading="paper"),
            Column(name="ours", heading="ours", kind="ratio"),
            Column(name="reason", heading="why they differ"),
            Column(name="source", heading="source", roomy=True),
        ),
        rows=(*rows, *(row for report in trained for row in _own_rows(report))),
        sentence="Parameters and operations are counted from the architecture; energies in the "
        f"column ours are at a stated rate of {float(rate):g} of every input, from the convention "
        "that says least to the one that says most. No convention is known to be the paper's.",
    )


def paper_energies_table(architectures: Sequence[Report], rate: Fraction = _RATE) -> Table:
    """Every energy the paper prints under every convention: at a stated rate, and the rate needed.

    Args:
        architectures: As for `paper_table`; those without a published energy have no rows.
        rate: The stated one.
    """
    own = architectures[0].convention.name if architectures else "operand"
    return Table(
        name="paper-energies",
        title="Published energies under every convention",
        columns=(
            Column(name="network", heading="network"),
            Column(name="steps", heading="T", kind="integer"),
            Column(name="published_pj", heading="published", kind="joules"),
            Column(name="convention", heading="convention"),
            Column(name="stated_pj", heading=f"at a rate of {float(rate):g}", kind="joules"),
            Column(name="rate", heading="rate needed", kind="rate"),
            Column(name="own_pj", heading=f"{own} at that rate", kind="joules"),
            Column(name="reason", heading="why there is none"),
        ),
        rows=tuple(row for report in architectures for row in _energy_rows(report, rate)),
        sentence="Rate: non-zero share of the input of every layer behind the stem. That a rate "
        "is possible does not show that an energy was counted so.",
    )


def paper_markdown(
    architectures: Sequence[Report], trained: Sequence[Report] = (), rate: Fraction = _RATE
) -> str:
    """Both tables with their sentences, as Markdown."""
    tables = (
        paper_table(architectures, trained, rate),
        paper_energies_table(architectures, rate),
    )
    blocks = [f"**{t.title}**\n\n{markdown_table(t)}\n\n{t.sentence}" for t in tables]
    return "\n\n".join(blocks) + "\n"


@dataclass(frozen=True)
class _Ours:
    """What stands beside printed numbers: a cell and a reason."""

    architectures: Sequence[Report]
    rate: Fraction

    def beside(self, printed: Printed) -> tuple[Cell, str]:
        match printed.quantity:
            case "parameters":
                return self._parameters(printed)
            case "energy":
                return self._energy(printed)
            case "top-1":
                return NOT_RUN, f"{_no_images(printed)}; gac-train has a recipe for it"
            case "gain in top-1":
                return NOT_RUN, _unnamed_base(printed)
            case _:
                return "not determined", _unnamed_pair(printed)

    def _found(self, printed: Printed, classes: str) -> Report | None:
        for report in self.architectures:
            if _is_of(report, printed) and classes in ("", _classes(report)):
                return report
        return None

    def _parameters(self, printed: Printed) -> tuple[Cell, str]:
        report = self._found(printed, printed.classes)
        if report is None:
            return NOT_RUN, "the network was not built"
        count = int(report.run.provenance[PARAMETERS])
        if _rounds_to(count, printed.printed):
            return As(count, "integer"), "they don't: the printed digits are ours, rounded"
        other = self._found(printed, "10")
        if other is not None and _rounds_to(other.run.provenance[PARAMETERS], printed.printed):
            more = count - int(other.run.provenance[PARAMETERS])
            words = f"one number is printed for 10 and {printed.classes} classes; it is that of 10"
            return As(count, "integer"), f"{words}, {more:,} fewer"
        return As(count, "integer"), "not known"

    def _energy(self, printed: Printed) -> tuple[Cell, str]:
        report = self._found(printed, printed.classes)
        if report is None:
            return NOT_RUN, "the network was not built"
        stated = sorted(pj for _, pj in _stated(report, self.rate))
        solved = [s for s in _solved(report, printed) if s.rate is not None]
        rates = ", ".join(f"{s.rate:.4f} under {s.convention}" for s in solved)
        needs = f"it needs a rate of {rates}" if rates else "no rate gives it under any convention"
        reason = f"how it was counted is not known; {needs}"
        return f"{joules(stated[0], 4)} to {joules(stated[-1], 4)}", reason


def _is_of(report: Report, printed: Printed) -> bool:
    """Whether a report is on the architecture of a printed number, at its steps."""
    known = (report.run.provenance.get("architecture"), str(report.run.steps))
    return known == (printed.architecture, printed.steps)


def _classes(report: Report) -> str:
    """What the layer that reads out tells apart."""
    shapes = [site.shape for site in report.run.sites if site.role == "readout"]
    return str(shapes[-1].channels_out) if shapes and shapes[-1] else ""


def _rounds_to(count: int, millions: str) -> bool:
    digits = len(millions.partition(".")[2])
    return f"{count / 1e6:.{digits}f}" == millions


def _no_images(printed: Printed) -> str:
    return f"the images of {printed.data} were not at hand"


def _unnamed_base(printed: Printed) -> str:
    """What a gain leads to from the best row it can belong to."""
    best = max(
        float(p.printed)
        for p in printed_numbers()
        if p.quantity == "top-1" and p.data == printed.data
    )
    base = best - float(printed.printed)
    return (
        f"{_no_images(printed)}; against which row it was measured is not known (from "
        f"{best:g} % it leads to {base:.2f} %)"
    )


def _unnamed_pair(printed: Printed) -> str:
    """The energies that would have to stand beside the published ones, in both readings."""
    share = float(printed.printed) / 100
    energies = [float(p.printed) for p in printed_numbers() if p.quantity == "energy"]
    to, by = (", ".join(f"{e / s:.2f}" for e in energies) for s in (share, 1 - share))
    return (
        f"which two rows it compares is not known; beside the published energies it would take "
        f"{to} mJ if it means to {printed.printed} %, {by} mJ if it means by as much"
    )


def _stated(report: Report, rate: Fraction) -> Iterator[tuple[str, float]]:
    """Every convention with its energy at a rate, picojoules."""
    run = at_rates(report.run, rate)
    for rule, energy in Report(run, report.convention, report.technology).side_by_side():
        if isinstance(energy, Energy):
            yield rule.name, energy.energy_pj.value


def _solved(report: Report, printed: Printed) -> Iterator[Solved]:
    energy = parse_energy(str(printed))
    for rule, _ in report.side_by_side():
        yield solve_rate(report.run, energy, rule, report.technology)


def _energy_rows(report: Report, rate: Fraction) -> Iterator[Row]:
    stated = dict(_stated(report, rate))
    for p in printed_numbers():
        if p.quantity == "energy" and _is_of(report, p):
            published = float(parse_energy(str(p)))
            for s in _solved(report, p):
                found = ("none", None) if s.rate is None else (s.rate, _own_pj(report, s.rate))
                named = (p.network, report.run.steps, published, s.convention)
                yield (*named, stated.get(s.convention), *found, s.reason)


def _own_pj(report: Report, rate: float) -> float:
    run = at_rates(report.run, Fraction(rate))
    return Report(run, report.convention, report.technology).energy.energy_pj.value


def _own_rows(report: Report) -> Iterator[Row]:
    """A network of this project: its accuracy and energy, and nothing beside them."""
    facts, totals = report.run.provenance, report.totals
    named = (str(facts.get("model", "")), str(facts.get("data", "")), str(report.run.steps))
    reason = f"not in the paper: a network of this project, {report.run.samples} samples"
    source = str(facts.get("command", "this project"))
    if "accuracy" in totals:
        accuracy = As(float(totals.accuracy), "percent")
        yield ("top-1", *named, "none", accuracy, reason, source)
    energy = As(float(totals.energy_pj), "joules")
    words = f"{reason}; {report.convention.name}, {report.technology.name}"
    yield ("energy", *named, "none", energy, words, source)
