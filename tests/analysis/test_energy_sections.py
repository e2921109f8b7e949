"""Memory, counterparts, differences, published energies, as frames and as tables."""

from __future__ import annotations

import io
from fractions import Fraction

import pytest
import torch
from rich.console import Console

import analysis
import gac
from analysis.energy.bookings import bookings
from analysis.energy.conventions import PRESETS, convention
from analysis.energy.layers import Range
from analysis.energy.lemaire import lemaire
from analysis.energy.models import memory_models
from analysis.energy.technology import technology
from analysis.reporting.bibliography import cited_by_convention
from analysis.reporting.compare import published_table
from analysis.reporting.energy_sections import energy_sections, published_energies
from analysis.reporting.memory_tables import lemaire_table, memory_notes
from analysis.reporting.method import PLAIN, paragraph
from analysis.reporting.summary import print_section
from analysis.reporting.tables import AtLeast
from analysis.reporting.wanted import Wanted

EVERYTHING = Wanted(memory=True, zeros=0.5, versus=convention("folk"))


@pytest.fixture(scope="module")
def report():
    torch.manual_seed(0)
    model = gac.build("msresnet8", steps=2)
    return analysis.analyze(model, [torch.randn(3, 3, 8, 8)])


def test_every_model_stands_beside_its_counterpart(report):
    frame = report.memory.set_index("model")
    assert list(frame.index) == [
        "Lemaire, linear memory",
        "Lemaire, packed memory",
        "Lemaire, interpolated memory",
        "bytes moved, reuse none",
        "bytes moved, reuse step",
        "bytes moved, reuse inference",
        "bit-matched, 2 bits",
    ]
    assert (frame.energy_pj_low <= frame.energy_pj).all()
    assert (frame.energy_pj <= frame.energy_pj_high).all()
    assert frame.leaves_out.str.len().min() > 0
    linear = frame.loc["Lemaire, linear memory"]
    assert linear.energy_pj == pytest.approx(lemaire(report.run).total_pj)
    assert linear.ratio == pytest.approx(linear.energy_pj / linear.counterpart_pj)
    assert frame.ratio_low["bit-matched, 2 bits"] < frame.ratio_high["bit-matched, 2 bits"]


def test_layers_after_lemaire_add_up(report):
    table = lemaire_table(report.run)
    place = [column.name for column in table.columns].index("total_pj")
    assert sum(row[place] for row in table.rows) == pytest.approx(lemaire(report.run).total_pj)
    assert sum(row[-1] for row in table.rows) == pytest.approx(1)


def test_a_network_without_spikes_has_no_bit_matched_row_and_says_so():
    plain = analysis.analyze(torch.nn.Linear(4, 2), [torch.randn(1, 4)], steps=1)
    assert not any("bit-matched" in model.name for model in memory_models(plain.run))
    assert "No layer of this network works on spikes." in memory_notes(plain.run)


def test_a_range_that_is_known_is_one_value():
    assert Range.of(2.0) == Range(low=2.0, nominal=2.0, high=2.0)


def test_counterparts_are_priced_by_the_technology_and_skip_zeros(report):
    frame = report.counterpart(0.25).set_index("network")
    own, dense, sparse = frame.iloc[0], frame.loc["ReLU, dense"], frame.iloc[2]
    assert own.energy_pj == pytest.approx(report.totals.energy_pj)
    assert dense.energy_pj == pytest.approx(4.6 * dense.macs)
    image = sum(s.dense_macs for s in report.run.sites if s.origin == "image") / 3  # ran once
    assert sparse.macs == pytest.approx(image + 0.75 * (dense.macs - image))
    assert dense.ratio == pytest.approx(own.energy_pj / dense.energy_pj)
    assert frame.ratio.isna().iloc[-1]  # other widths, other prices: no ratio


def test_counterparts_without_a_price_have_no_ratio(report):
    frame = report.under("operand", "loihi").counterpart().set_index("network")
    assert frame.energy_pj.isna()["ReLU, dense"]
    assert frame.ratio.isna().all()


def test_the_sections_say_what_was_asked_for_and_nothing_else(report):
    assert not list(energy_sections(report, Wanted()))
    names = [section.name for section in energy_sections(report, EVERYTHING)]
    assert names == ["difference", "memory", "counterpart"]


@pytest.mark.parametrize("width", [80, 120])
def test_sections_fit_the_terminal_and_never_say_wins(report, width):
    console = Console(width=width, file=io.StringIO())
    for section in energy_sections(report, EVERYTHING):
        print_section(section, console)
    text = console.file.getvalue()
    assert max(map(len, text.splitlines())) <= width
    words = " ".join(text.split())
    assert "in counted operations under operand, 45nm-fp32" in words
    assert "not function-matched" in words
    assert "spikes per synapse and inference" in words
    assert not {"win", "wins", "beats"} & set(words.lower().split())


def test_the_difference_ends_where_the_other_convention_is(report):
    (section,) = energy_sections(report, Wanted(versus=convention("folk")))
    *_, last = section.tables[0].rows
    rows = section.tables[0].rows
    assert last[-1] == pytest.approx(report.under("folk").totals.energy_pj)
    assert sum(row[-1] for row in rows[:-1]) == pytest.approx(last[-1])


def test_a_published_energy_follows_the_architecture_of_the_run():
    assert [float(pj) for pj, _ in published_energies("msresnet18", 4)] == [1.49e9]
    assert not list(published_energies("msresnet18", 5))
    assert not list(published_energies("msresnet8", 4))


def test_every_booking_of_an_energy_gives_it_back_or_says_how_near_it_comes(report):
    prices, energy = technology("45nm-fp32"), Fraction(3 * 10**6)
    found = list(bookings(report.run, energy, prices))
    assert len(found) == 3 * 4 + 3 * 3  # a gate of ACs goes with other real values as ACs only
    for booking in found:
        solved = booking.solved
        assert (solved.nearest_pj == float(energy)) == (solved.rate is not None)
    rates = {(b.stem, b.gate, b.real): b.solved.rate for b in found}
    assert rates["free", "ACs", "ACs"] < rates["free", "left out", "ACs"]


def test_a_network_without_a_gate_has_no_choice_there():
    torch.manual_seed(0)
    model = gac.build("msresnet8", steps=2, encoder="direct")
    run = analysis.analyze(model, [torch.randn(1, 3, 8, 8)]).run
    found = list(bookings(run, Fraction(10**6), technology("45nm-fp32")))
    assert {booking.gate for booking in found} == {"left out"}


def test_the_list_of_published_energies_is_complete():
    table = published_table()
    assert len(table.rows) == len(analysis.published())
    assert not any(isinstance(cell, AtLeast) for row in table.rows for cell in row)
    presets = analysis.published().set_index("row").preset
    assert set(presets["SEW-ResNet-34"]) == {"sew-table", "all-ac"}
    assert presets["Spikingformer-8-512"] == "eq17"


def test_every_convention_of_a_paper_is_cited():
    for rule in PRESETS.values():
        printed = "arXiv" in rule.source or "TPAMI" in rule.source
        assert bool(cited_by_convention(rule.name)) == printed


def test_the_paragraph_speaks_of_neuron_updates_only_where_they_are_priced(report):
    excluded = paragraph(report.under("operand", "loihi"), PLAIN)
    assert "update x" not in excluded
    rule = convention("operand", elementwise="included")
    included = paragraph(report.under(rule, "loihi"), PLAIN)
    assert "E_update x updates" in included
    assert "of them neuron updates" in included
