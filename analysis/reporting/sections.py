"""A report in sections: sentences, figures, tables; the same for every kind of page.

A section that has nothing to say about a run is left out. New kinds of results become pages by a
function more in `SECTIONS`, or are handed over ready made, as `Section`s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from analysis.errors import InputError
from analysis.reporting import figures
from analysis.reporting.coding_tables import (
    coding_notes,
    coding_sentence,
    periods_table,
    quantities_table,
    steps_table,
)
from analysis.reporting.detail_tables import (
    curve_table,
    extremes_table,
    groups_table,
    has_curve,
    issues_table,
    provenance_table,
    single_neurons_table,
)
from analysis.reporting.figures import Figure
from analysis.reporting.modules import Module, module_tree
from analysis.reporting.report import Report
from analysis.reporting.report_tables import (
    constants_sentence,
    conventions_table,
    inputs_table,
    left_out_table,
    neurons_table,
    rates_sentence,
    sites_table,
    totals_table,
)
from analysis.reporting.tables import Table


@dataclass(frozen=True, kw_only=True)
class Section:
    """Part of a page.

    Attributes:
        name: For anchors.
        title: Its heading.
        short: The same for a narrow list of contents.
        lead: What a reader should take from it, in one or two sentences.
        figures, tables: In their order; tables that a figure shows belong to the figure.
        tree: Modules, for pages that fold.
        notes: Sentences at the end.
        cites: Keys of the sources it stands on, see `bibliography`.
    """

    name: str
    title: str
    short: str
    lead: str
    figures: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = ()
    tree: Module | None = None
    notes: tuple[str, ...] = ()
    cites: tuple[str, ...] = ()


def sections(report: Report, more: Sequence[Section] = ()) -> Iterator[Section]:
    """All sections of a report; those handed over stand before the ones on how it was made."""
    yield from _built(SECTIONS, report)
    yield from more
    yield from _built(LAST_SECTIONS, report)


def _built(builds: Sequence[Build], report: Report) -> Iterator[Section]:
    return (section for build in builds if (section := build(report)) is not None)


def _totals(report: Report) -> Section:
    return Section(
        name="totals",
        title="Totals",
        short="Totals",
        lead="At the stated rates, per sample."
        if report.run.stated_rates
        else "Means per sample with their 95 % intervals over samples.",
        tables=(totals_table(report),),
    )


def _conventions(report: Report) -> Section:
    return Section(
        name="conventions",
        title="Conventions side by side",
        short="Conventions",
        lead="One run, one set of exact counts, booked in the ways the literature books them. "
        "Two networks compare only under one of them; an energy that does not say which it is "
        "under compares with none.",
        figures=(figures.conventions_figure(report),),
        tables=(conventions_table(report),),
    )


def _layers(report: Report) -> Section:
    return Section(
        name="layers",
        title="Where the energy goes",
        short="Layers",
        lead=figures.dearest_sentence(report),
        figures=(figures.layers_figure(report),),
        tables=(*([inputs_table(report)] if report.run.inputs else []), sites_table(report)),
        tree=module_tree(report) if report.run.sites else None,
    )


def _rates(report: Report) -> Section | None:
    if not report.run.neurons or report.run.stated_rates:  # rates that were said draw nothing
        return None
    by_step = any(neuron.rate_by_step is not None for neuron in report.run.neurons)
    found: list[Figure] = [figures.rates_figure(report)] if by_step else []
    tables: list[Table] = [] if by_step else [neurons_table(report)]
    if all(neuron.detail is not None for neuron in report.run.neurons):
        found.append(figures.rate_histogram(report))
        tables.append(single_neurons_table(report))
    return Section(
        name="rates",
        title="Firing rates",
        short="Rates",
        lead=figures.rates_sentence(report),
        figures=tuple(found),
        tables=tuple(tables),
    )


def _samples(report: Report) -> Section | None:
    if not report.run.per_sample:
        return None
    section = Section(name="samples", title="From sample to sample", short="Samples", lead="")
    try:
        return replace(
            section,
            lead=figures.samples_sentence(report),
            figures=(figures.samples_figure(report),),
            tables=(*groups_table(report), extremes_table(report)),
        )
    except InputError as error:
        return replace(section, lead=f"Not shown: {error}.")


def _curve(report: Report) -> Section | None:
    if not has_curve(report.run):
        return None
    try:
        figure = figures.curve_figure(report)
    except InputError:
        return None  # counts that this needs are not known by step
    return Section(
        name="steps",
        title="Accuracy beside energy, step by step",
        short="Steps",
        lead="The same network of all its steps, read out early: what each further step buys.",
        figures=(figure,),
        tables=(curve_table(report),),
    )


def coding_section(report: Report) -> Section | None:
    """What the encoder's spikes say, if that was analysed."""
    if report.coding is None:
        return None
    return Section(
        name="coding",
        title="What the code tells the network (our reconstruction)",
        short="Code",
        lead=coding_sentence(report.coding),
        tables=(
            quantities_table(report.coding),
            steps_table(report.coding),
            periods_table(report.coding),
        ),
        notes=coding_notes(report.coding),
    )


def _left_out(report: Report) -> Section:
    constants = constants_sentence(report.run)
    return Section(
        name="left-out",
        title="Not in the total",
        short="Not in the total",
        lead="Work that happens and that this convention does not price, with its size. Memory "
        "traffic often costs more than arithmetic; no figure on this page contains it unless "
        "it says so.",
        tables=(left_out_table(report),),
        notes=(f"{constants}.",) if constants else (),
    )


def _issues(report: Report) -> Section:
    table = issues_table(report)
    lead = (
        "Read these before trusting a number."
        if table.rows
        else "Every weight operation that ran was counted, every weight layer ran, and there are "
        "no warnings."
    )
    return Section(
        name="uncounted",
        title="Uncounted operations and warnings",
        short="Uncounted",
        lead=lead,
        tables=(table,) if table.rows else (),
        notes=tuple(report.run.provenance.get("notes", ())),
    )


def _provenance(report: Report) -> Section:
    flipped = report.run.flipped
    other = "" if flipped is None else f"{flipped} samples have other counts in float64. "
    if report.run.stated_rates:
        return Section(
            name="provenance",
            title="How this estimate was made",
            short="Provenance",
            lead="An estimate: operations of the architecture, at rates that were stated; nothing "
            f"was measured. {rates_sentence(report.run).capitalize()}.",
            tables=(provenance_table(report),),
        )
    return Section(
        name="provenance",
        title="How this run was made",
        short="Provenance",
        lead="Counts are exact for this run: these samples, this preprocessing, this precision. "
        f"{other}Intervals are over samples and say nothing about other training seeds.",
        tables=(provenance_table(report),),
    )


Build = Callable[[Report], Section | None]
SECTIONS: tuple[Build, ...] = (
    _totals, _conventions, _layers, _rates, _samples, _curve, coding_section,
)  # fmt: skip
LAST_SECTIONS: tuple[Build, ...] = (_left_out, _issues, _provenance)
