"""The report: a run, priced, as pandas frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from analysis.code_records import Coding
from analysis.energy.conventions import PRESETS, Convention, convention
from analysis.energy.energy import Energy, interval
from analysis.energy.layers import is_spiking
from analysis.energy.synapses import spikes_per_synapse
from analysis.energy.technology import Technology, technology
from analysis.errors import InputError
from analysis.estimates import Estimate, proportion
from analysis.records import Run, SampleCount, SiteKey, SiteRecord, moment_column
from analysis.reporting import breakdown, by_sample, by_step, counterpart_table, memory_tables

if TYPE_CHECKING:
    import pandas as pd

SITE_COLUMNS = (
    "site", "index", "call", "aliases", "role", "op", "operand", "origin", "in_rate",
    "executed_steps", "repeats", "dense_macs", "inside_macs", "synops", "acs", "macs", "energy_pj",
)  # fmt: skip


@dataclass(frozen=True)
class Report:
    """Counts of one run, priced under one convention and technology.

    Frames hold values per sample unless they say otherwise. `under` prices the same counts
    differently, without the model.

    Attributes:
        run: The exact counts.
        convention: How operations are booked.
        technology: What they cost.
        coding: What the encoder's spikes say, if that was analysed.
    """

    run: Run
    convention: Convention
    technology: Technology
    coding: Coding | None = None

    @cached_property
    def energy(self) -> Energy:
        """The bookings behind the numbers."""
        return Energy(self.run, self.convention, self.technology)

    def under(self, rule: str | Convention, prices: str | Technology | None = None) -> Report:
        """The same run under another convention, and technology if one is given.

        Raises:
            InputError: If a name is unknown.
        """
        return replace(
            self,
            convention=_rule(rule),
            technology=technology(prices) if isinstance(prices, str) else prices or self.technology,
        )

    @cached_property
    def sites(self) -> pd.DataFrame:
        """One row per weight operation in the order they ran; counts and energy per sample.

        ``executed_steps`` says how often it ran, ``repeats`` how many steps each execution stands
        for; counts are those of all these steps.
        """
        import pandas as pd

        rows = [self._site_row(site) for site in self.run.sites]
        return pd.DataFrame(rows, columns=list(SITE_COLUMNS))

    def _site_row(self, site: SiteRecord) -> dict[str, Any]:
        samples, booked = self.run.samples, self.energy.charges[site.key]
        times = site.stands_for
        return {
            "site": site.key.name,
            "index": site.key.index,
            "call": site.key.call,
            "aliases": ", ".join(site.aliases),
            "role": site.role,
            "op": site.op,
            "operand": site.operand,
            "origin": site.origin,
            "in_rate": site.in_rate,
            "executed_steps": site.executions,
            "repeats": times,
            "dense_macs": times * site.dense_macs / samples,
            "inside_macs": times * site.inside_macs / samples,
            "synops": times * site.synops / samples,
            "acs": float(booked.acs / samples),
            "macs": float(booked.macs / samples),
            "energy_pj": self.energy.site_pj(site.key),
        }

    @cached_property
    def inputs(self) -> pd.DataFrame:
        """One row per input of the model: what it was taken for, and who or what says so."""
        import pandas as pd

        rows = [
            (i.name, i.kind, i.said_by, i.values, i.unit, i.rate)  # noqa: PD011 - no frame
            for i in self.run.inputs
        ]
        columns = ["input", "kind", "said_by", "values", "unit", "nonzero_share"]
        return pd.DataFrame(rows, columns=columns)

    @cached_property
    def neurons(self) -> pd.DataFrame:
        """One row per spiking neuron layer and call."""
        import pandas as pd

        rows = [(n.site, n.call, n.neurons, n.firing_rate) for n in self.run.neurons]
        return pd.DataFrame(rows, columns=["site", "call", "neurons", "firing_rate"])

    @cached_property
    def steps(self) -> pd.DataFrame:
        """Exact synops and spikes at each step, 1 to T, summed over samples; long form.

        A site that stands for all steps has its counts at each of them. Sites that mix all steps
        at once have no rows, nor has anything whose steps are not known.
        """
        import pandas as pd

        rows = [
            ("site", s.key.name, s.key.index, s.key.call, step, count, None)
            for s in self.run.at_every_step.sites
            for step, count in enumerate(s.synops_by_step or (), start=1)
        ] + [
            ("neuron", n.site, 0, n.call, step, None, count)
            for n in self.run.neurons
            for step, count in enumerate(n.spikes_by_step or (), start=1)
        ]
        counts = ["total_synops", "total_spikes"]
        columns = ["kind", "site", "index", "call", "step", *counts]
        return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(counts, "Int64"))

    @cached_property
    def samples(self) -> pd.DataFrame:
        """Exact counts of every sample; long form.

        Samples go by their place in the data, if it is known. Kinds: synops of a ``site``, its
        non-zero ``input``, spikes of a ``neuron`` layer. A site that stands for all steps has its
        counts at each of them. Steps go from 1 to T; where they are not known, all counts are
        those of step 1.

        Raises:
            InputError: If the run did not keep them.
        """
        import pandas as pd

        if not self.run.per_sample:
            raise InputError("this run kept no counts per sample; analyse with per_sample=True")
        places = self.run.sample_index or range(self.run.samples)
        rows = [
            (sample, c.kind, c.key.name, c.key.index, c.key.call, step, count)
            for c in self.run.per_sample
            for sample, counts in zip(places, c.counts, strict=True)
            for step, count in enumerate(counts * self._times(c), start=1)
        ]
        columns = ["sample", "kind", "site", "index", "call", "step", "count"]
        return pd.DataFrame(rows, columns=columns)

    def _times(self, entry: SampleCount) -> int:
        """Steps that a count of a sample stands for."""
        return 1 if entry.kind == "neuron" else self._stands_for.get(entry.key, 1)

    @cached_property
    def _stands_for(self) -> dict[SiteKey, int]:
        return {site.key: site.stands_for for site in self.run.sites}

    @cached_property
    def totals(self) -> pd.Series[float]:
        """Per sample: ACs, MACs, energy, rates; with ``_low`` and ``_high`` of the 95 % interval.

        The interval is over samples; it says nothing about other training seeds. Where prices are
        ranges, ``energy_pj_cheapest`` and ``energy_pj_dearest`` are the energies at their ends.
        """
        import pandas as pd

        values = {}
        for name, estimate in self._estimates().items():
            values[name] = estimate.value
            values[f"{name}_low"], values[f"{name}_high"] = estimate.low, estimate.high
        ends = self.energy.price_range
        if ends is not None:
            values["energy_pj_cheapest"], values["energy_pj_dearest"] = ends.low, ends.high
        values["samples"], values["steps"] = self.run.samples, self.run.steps
        return pd.Series(values, dtype=float)

    def _estimates(self) -> dict[str, Estimate]:
        run = self.run
        found = {
            "acs": self.energy.acs,
            "macs": self.energy.macs,
            "energy_pj": self.energy.energy_pj,
            "firing_rate": self._firing_rate(),
            "spikes_per_synapse": self._spikes_per_synapse(),
        }
        if run.correct is not None:
            found["accuracy"] = proportion(run.correct, run.samples)
        return found

    def _firing_rate(self) -> Estimate:
        each = self.run.samples / (self.run.neuron_updates or 1)
        columns = [moment_column("spikes", n.site, n.call) for n in self.run.neurons]
        return interval(self.run, self.run.firing_rate, dict.fromkeys(columns, each))

    def _spikes_per_synapse(self) -> Estimate:
        """Spikes that each synapse of the spiking sites carries per inference."""
        found = spikes_per_synapse(self.run)
        if found is None:
            return Estimate(float("nan"))
        weights = {
            moment_column("synops", s.key.name, s.key.index, s.key.call): s.stands_for
            / found.synapses
            for s in self.run.sites
            if is_spiking(s)
        }
        return interval(self.run, found.value, weights)

    def by_role(self) -> pd.DataFrame:
        """What each part of the network costs under every convention, per sample; long form.

        Columns: convention, part, acs, macs, energy_pj, left_out_macs. Parts are the roles of
        the sites, the gate's split into temporal and spatial; the gate's product; other work.
        Conventions that can't be applied to the run have no rows.
        """
        return breakdown.by_role_frame(self.side_by_side())

    def difference(self, one: str | Convention, other: str | Convention) -> pd.DataFrame:
        """What moves the number from one convention to another, per sample.

        One row per field that differs, in the order of the fields: field, before, after, acs,
        macs, energy_pj. The rows add up to the difference; each depends on the order.

        Raises:
            InputError: If a name is unknown or a convention can't be applied to the run.
        """
        return breakdown.difference_frame(self, _rule(one), _rule(other))

    def sample_energy(self) -> pd.DataFrame:
        """Energy of every sample, in the order of the samples.

        Columns: sample, energy_pj; with labels also label, predicted, correct.

        Raises:
            InputError: If the run kept no counts per sample, or the convention charges a site
                by the levels of its input, which are not kept per sample.
        """
        return by_sample.sample_energy_frame(self.energy)

    def sample_groups(self, by: Literal["label", "predicted", "correct"]) -> pd.DataFrame:
        """Energy of the samples of each class, or of those answered right and wrong.

        Columns: the group, samples, energy_pj (mean) with the 95 % interval over its samples, the
        smallest and the largest.

        Raises:
            InputError: As `sample_energy`, or if the run had no labels.
        """
        return by_sample.groups_frame(self.sample_energy(), by)

    @cached_property
    def memory(self) -> pd.DataFrame:
        """Energy per sample under every model that prices memory; one row per model.

        Columns: model; energy_pj, counterpart_pj (the network without spikes in the same model)
        and ratio, each with ``_low`` and ``_high`` where constants are ranges; counterpart,
        source, leaves_out. Neither convention nor technology of this report plays a part.
        """
        return memory_tables.memory_frame(self.run)

    def counterpart(self, zeros: float = 0.0) -> pd.DataFrame:
        """The network beside the same shape without spikes, per sample; one row per network.

        Columns: network, steps, acs, macs, energy_pj, ratio (of this network to it).

        Args:
            zeros: Share of activations that a ReLU network skips, given and not measured; 0:
                the dense one only.

        Raises:
            InputError: If the share is none.
        """
        return counterpart_table.counterpart_frame(self.energy, zeros)

    @cached_property
    def curve(self) -> pd.DataFrame:
        """Accuracy beside energy if the network is read out after each step: one row per step.

        Columns: step (1 to T), accuracy with its 95 % interval (NaN without labels), acs, macs,
        energy_pj, per sample. It is one network of T steps, stopped early; see `early.up_to`.

        Raises:
            InputError: If the convention charges a site by the levels of its input, or something
                ran whose steps are not known.
        """
        return by_step.curve_frame(self.energy)

    def side_by_side(self) -> Iterator[tuple[Convention, Energy | InputError]]:
        """The run under this report's convention and every preset; why not, where it can't be."""
        others = [rule for rule in PRESETS.values() if rule.name != self.convention.name]
        for rule in (self.convention, *others):
            energy = Energy(self.run, rule, self.technology)
            try:
                _ = energy.charges
            except InputError as error:
                yield rule, error
            else:
                yield rule, energy

    def __str__(self) -> str:
        """The summary that is read in ten seconds."""
        from analysis.reporting.summary import summary

        return summary(self)

    def __repr__(self) -> str:
        """One line; the fields hold thousands of numbers."""
        run, facts = self.run, self.run.provenance
        name = facts.get("name") or facts.get("model", "unnamed model")
        priced = f"{self.convention.name}, {self.technology.name}"
        return f"<Report on {name}: {run.samples} samples, T = {run.steps}, {priced}>"

    def _repr_html_(self) -> str:
        """The big numbers and the layers, in a notebook."""
        from analysis.reporting.html.notebook import report_fragment

        return report_fragment(self)

    def save(self, folder: str | Path) -> list[Path]:
        """Writes everything that `gac-analyze --output` writes; the files.

        Raises:
            InputError: If one can't be written; an old one then stays as it was.
        """
        from analysis.reporting.energy_sections import energy_sections
        from analysis.reporting.folder import write_report
        from analysis.reporting.wanted import Wanted

        return write_report(self, Path(folder), [*energy_sections(self, Wanted().for_pages())])

    def to_html(self, path: str | Path) -> None:
        """Writes one self-contained page."""
        from analysis.reporting.html.page import write_html

        write_html(self, Path(path))

    def to_markdown(self, path: str | Path) -> None:
        """Writes the tables and sentences of the page as Markdown."""
        from analysis.reporting.markdown import write_markdown

        write_markdown(self, Path(path))

    def to_latex(self, path: str | Path) -> None:
        r"""Writes tables and the paragraph on the energy, for ``\input``; needs booktabs."""
        from analysis.reporting.latex import write_latex

        write_latex(self, Path(path))

    def to_csv(self, folder: str | Path) -> list[Path]:
        """Writes the frames to a folder, as CSV with data, convention and prices; the files."""
        from analysis.reporting.folder import write_frames

        return write_frames(self, Path(folder))

    def to_json(self, path: str | Path) -> None:
        """Writes everything to one file; `analysis.read_report` gives back an equal report."""
        from analysis.reporting.writers import write_json

        write_json(self, Path(path))


def _rule(rule: str | Convention) -> Convention:
    return convention(rule) if isinstance(rule, str) else rule
