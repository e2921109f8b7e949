"""Several reports in one table, and one against another."""

from __future__ import annotations

from dataclasses import replace
from statistics import stdev

import pytest
import torch

import analysis
from analysis.reporting.against import beyond_chance, energy_changes, energy_table, rate_changes
from analysis.reporting.compare import (
    comparison_energies_table,
    comparison_table,
    methods,
    published_table,
)
from analysis.reporting.tables import Spread
from tests.analysis.reports import shipped_report


def rows(table):
    names = [column.name for column in table.columns]
    return [dict(zip(names, row, strict=True)) for row in table.rows]


def told(report, **facts):
    provenance = {**report.run.provenance, **facts}
    return replace(report, run=replace(report.run, provenance=provenance))


SETTINGS = {"network": {"steps": 4}, "training": '{"epochs": 2}'}


@pytest.fixture(scope="module")
def runs():
    return [
        shipped_report(seed, training_seed=seed, settings=SETTINGS, checkpoint=f"seed{seed}.pth")
        for seed in range(3)
    ]


def test_runs_of_one_method_are_one_row_with_its_deviation(runs):
    (row,) = rows(comparison_table(methods(runs)))
    acs = [run.totals.acs for run in runs]
    assert (row["method"], row["runs"], row["steps"], row["parameters"]) == ("small", 3, 4, 312362)
    assert row["acs"] == Spread(pytest.approx(sum(acs) / 3), pytest.approx(stdev(acs)))
    correct = [run.run.correct / 12 for run in runs]
    assert row["accuracy"].deviation == pytest.approx(stdev(correct))


def test_other_methods_and_other_steps_are_rows_of_their_own(runs):
    found = rows(comparison_table(methods([runs[0], told(runs[1], method="other")])))
    assert [row["method"] for row in found] == ["small", "other"]
    assert found[0]["energy_pj"] == runs[0].totals.energy_pj  # a single run has no deviation


@pytest.mark.parametrize(
    "fact",
    [{"settings": {"network": {"steps": 4, "widths": [8]}}}, {"parameters": 1}, {"data": "other"},
     {"training_seed": None}, {"training_seed": 0}, {"name": "ours"}],
    ids=str,
)  # fmt: skip
def test_what_is_not_known_to_be_another_seed_of_the_same_is_a_row_of_its_own(runs, fact):
    assert len(rows(comparison_table(methods([runs[0], told(runs[1], **fact)])))) == 2


def test_two_networks_of_one_function_are_rows_named_by_their_files(runs):
    made = {"training_seed": None, "settings": None, "method": "mynet:build"}
    pair = [
        told(run, **made, checkpoint=file)
        for run, file in zip(runs[:2], ("dense.pth", "pruned.pth"), strict=True)
    ]
    names = [row["method"] for row in rows(comparison_table(methods(pair)))]
    assert names == ["dense.pth: mynet:build", "pruned.pth: mynet:build"]
    named = [told(run, name=name) for run, name in zip(pair, ("dense", "pruned"), strict=True)]
    assert [row["method"] for row in rows(comparison_table(methods(named)))] == ["dense", "pruned"]


def test_reports_from_python_are_never_merged():
    layer, x = torch.nn.Linear(3, 2), [torch.rand(4, 3)]
    pair = [analysis.analyze(layer, x, steps=1, name=name) for name in ("ours", "ours")]
    assert [row["method"] for row in rows(comparison_table(methods(pair)))] == [
        "report 1: ours", "report 2: ours",
    ]  # fmt: skip


def test_energies_stand_under_every_convention(runs):
    (row,) = rows(comparison_energies_table(methods(runs[:1])))
    for rule, energy in runs[0].side_by_side():
        assert row[rule.name] == energy.energy_pj.value


def test_published_rows_keep_their_printed_numbers():
    found = {(row["row"], row["steps"]): row for row in rows(published_table())}
    row = found["GAC-MS-ResNet-18", 4]
    assert row["energy_pj"] == pytest.approx(1.49e9)
    assert row["convention"] == "not known"
    assert row["parameters"] == pytest.approx(11.82e6)


def test_a_report_against_itself_did_not_move(runs):
    changes = energy_changes(runs[0], runs[0])
    assert {change.delta for change in changes} == {0.0}
    assert beyond_chance(changes) == set()


def linear_report(share, samples=400, seed=0):
    """A layer of 10 inputs, each of which spikes with some probability, and 1 output."""
    generator = torch.Generator().manual_seed(seed)
    spikes = (torch.rand(samples, 10, generator=generator) < share).float()
    layer = torch.nn.Linear(10, 1, bias=False)
    return analysis.analyze(layer, [spikes], steps=1)


def test_more_spikes_than_chance_would_bring_are_told_from_fewer():
    (same,) = energy_changes(linear_report(0.3, seed=1), linear_report(0.3, seed=2))
    (more,) = energy_changes(linear_report(0.4, seed=1), linear_report(0.3, seed=2))
    # 10 inputs at 0.9 pJ: the standard error of a difference is 0.9 * sqrt(2 * 10 * 0.21 / 400) pJ
    assert abs(same.delta) < 2 * 0.0922
    assert beyond_chance([same]) == set()
    assert more.delta == pytest.approx(0.9, abs=3 * 0.096)
    assert beyond_chance([more]) == {more.name}


def test_the_largest_change_comes_first_and_they_add_up(runs):
    changes = energy_changes(runs[0], runs[1])
    sizes = [abs(change.delta) for change in changes]
    assert sizes == sorted(sizes, reverse=True)
    total = runs[0].totals.energy_pj - runs[1].totals.energy_pj
    assert sum(change.delta for change in changes) == pytest.approx(total)


def test_the_older_run_is_priced_like_the_new_one(runs):
    changes = energy_changes(runs[0].under("eq17"), runs[0])
    assert {change.delta for change in changes} == {0.0}


def test_a_layer_that_is_gone_counts_with_all_it_cost(runs):
    sites = runs[0].run.sites
    fewer = replace(runs[0], run=replace(runs[0].run, sites=sites[:-1]))
    gone = next(c for c in energy_changes(fewer, runs[0]) if c.after is None)
    assert gone.name == "head"
    assert gone.delta == -runs[0].energy.site_pj(sites[-1].key)
    last = next(row for row in energy_table(fewer, runs[0]).rows if row[0] == "head")
    assert last[2] == "absent"


def test_rates_change_with_their_layers(runs):
    names = {change.name for change in rate_changes(runs[0], runs[1])}
    assert names == set(runs[0].neurons.site)
