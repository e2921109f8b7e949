"""The table "paper, ours, why they differ"."""

from __future__ import annotations

import pytest

import analysis
import gac
from analysis.energy.conventions import PRESETS
from analysis.reporting.paper import paper_energies_table, paper_markdown, paper_table
from analysis.reporting.printed import printed_numbers
from analysis.reporting.tables import As
from tests.analysis.reports import shipped_report

SMALL = {"architecture": "msresnet18-cifar"}


@pytest.fixture(scope="module")
def networks():
    """The networks of the paper, with few pixels where only parameters are asked for."""
    cifar = [
        analysis.estimate(
            gac.build("msresnet18-cifar", classes=classes, image_size=8), (3, 8, 8),
            provenance=SMALL,
        )
        for classes in (10, 100)
    ]  # fmt: skip
    large = gac.build("msresnet18")
    facts = {"architecture": "msresnet18"}
    return [*cifar, analysis.estimate(large, (3, 224, 224), provenance=facts)]


@pytest.fixture(scope="module")
def rows(networks):
    table = paper_table(networks)
    names = [column.name for column in table.columns]
    return [dict(zip(names, row, strict=True)) for row in table.rows]


def _row(rows, quantity, data, steps, network="GAC-MS-ResNet-18"):
    wanted = (quantity, network, data, steps)
    found = [r for r in rows if (r["quantity"], r["network"], r["data"], r["steps"]) == wanted]
    assert len(found) == 1
    return found[0]


def test_parameters_are_counted_and_rounded_like_the_printed_ones(rows):
    row = _row(rows, "parameters", "CIFAR-10", "6")
    assert (row["paper"], row["ours"]) == ("12.63 M", As(12_633_198, "integer"))
    assert row["reason"] == "they don't: the printed digits are ours, rounded"


def test_a_count_printed_for_two_numbers_of_classes_is_told(rows):
    row = _row(rows, "parameters", "CIFAR-100", "6")
    assert row["ours"] == As(12_679_368, "integer")
    assert row["reason"].endswith("it is that of 10, 46,170 fewer")  # 90 classes x (512 + 1)


def test_accuracies_without_data_are_not_run(rows):
    for data, steps, printed in (("CIFAR-100", "6", "80.45 %"), ("ImageNet", "4", "64.05 %")):
        row = _row(rows, "top-1", data, steps)
        assert (row["paper"], row["ours"]) == (printed, "not run here")


def test_an_energy_is_what_conventions_say_at_a_rate_and_what_rates_it_needs(rows):
    row = _row(rows, "energy", "ImageNet", "4")
    assert (row["paper"], row["ours"]) == ("1.49 mJ", "1.773 mJ to 34.14 mJ")
    assert "not known" in row["reason"]
    assert "0.1540 under sew-table, 0.1234 under all-ac" in row["reason"]


def test_a_network_that_is_not_there_was_not_run(rows):
    for quantity in ("parameters", "energy"):
        row = _row(rows, quantity, "ImageNet", "6", "GAC-MS-ResNet-34")
        assert row["ours"] == "not run here"


def test_nobody_says_which_pair_gives_the_share_of_the_abstract(rows):
    (row,) = [r for r in rows if r["quantity"] == "energy beside previous work"]
    assert (row["paper"], row["ours"]) == ("66.9 %", "not determined")
    assert "2.23, 3.50, 3.29, 5.05 mJ" in row["reason"]  # 1.49 / 0.669, ...
    assert "4.50, 7.07, 6.65, 10.21 mJ" in row["reason"]  # 1.49 / 0.331, ...


def test_a_gain_is_counted_back_from_the_best_row(rows):
    gains = {r["data"]: r for r in rows if r["quantity"] == "gain in top-1"}
    assert "from 80.45 % it leads to 77.35 %" in gains["CIFAR-100"]["reason"]
    assert "from 70.42 % it leads to 69.35 %" in gains["ImageNet"]["reason"]
    assert {r["ours"] for r in gains.values()} == {"not run here"}


def test_every_row_has_a_reason_and_a_source(rows):
    assert len(rows) == len(list(printed_numbers()))
    assert all(row["reason"] and row["source"] for row in rows)


def test_networks_of_this_project_have_nothing_beside_them():
    table = paper_table([], [shipped_report()])
    accuracy, energy = table.rows[-2:]
    assert [row[4] for row in (accuracy, energy)] == ["none", "none"]
    assert isinstance(energy[5], As)
    assert energy[6] == (
        "not in the paper: a network of this project, 12 samples; operand, 45nm-fp32"
    )


def test_every_convention_says_its_rate_or_why_there_is_none(networks):
    table = paper_energies_table(networks)
    assert [row[3] for row in table.rows] == list(PRESETS)
    by_rule = {row[3]: row for row in table.rows}
    assert by_rule["all-ac"][5] == pytest.approx(0.1234, abs=5e-5)
    assert by_rule["operand"][5:] == ("none", None, "33 mJ without a single spike")
    # what operand charges at the rate that all-ac would need
    assert by_rule["all-ac"][6] == pytest.approx(33.71e9, rel=1e-3)


def test_markdown_has_both_tables(networks):
    text = paper_markdown(networks)
    assert "**Paper and ours**" in text
    assert "**Published energies under every convention**" in text
    assert "12,633,198" in text
