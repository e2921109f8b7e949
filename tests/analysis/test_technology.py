from __future__ import annotations

import pytest
import torch

import analysis
from analysis.energy.technology import parse_technology, technology, technology_names


class Fire(torch.nn.Module):
    def forward(self, x):
        return (x > 0).to(x.dtype)


GOOD = """
name = "mine"
description = "made up for this test"
[operations.ac]
pj = 1
source = "nowhere"
status = "seen"
"""


def test_the_usual_price_list_is_that_of_horowitz():
    prices = technology("45nm-fp32")
    assert (prices.pj("mac"), prices.pj("ac")) == (4.6, 0.9)
    assert all("Horowitz" in price.source for price in prices.operations.values())


@pytest.mark.parametrize("name", technology_names())
def test_every_list_that_comes_with_the_package_is_valid(name):
    assert technology(name).name == name


@pytest.mark.parametrize(
    ("name", "mac", "ac"),
    [("45nm-fp16", 1.5, 0.4), ("45nm-int8", 0.23, 0.03), ("loihi", None, 23.6)],
)
def test_lists_hold_the_figures_of_their_sources(name, mac, ac):
    assert (technology(name).pj("mac"), technology(name).pj("ac")) == (mac, ac)


def test_a_figure_from_before_silicon_is_labelled_so():
    assert "pre-silicon" in technology("loihi").sources()
    assert "second-hand" in technology("loihi").sources()


def test_a_range_has_two_ends_and_a_single_figure_is_both():
    odin = technology("odin")
    assert odin.describe() == "odin (AC 12.7 pJ (8.43 to 12.7))"
    assert (odin.at("low").pj("ac"), odin.at("high").pj("ac")) == (8.43, 12.7)
    assert technology("45nm-fp32").at("low").pj("mac") == 4.6


def test_a_figure_that_all_others_contradict_is_not_used():
    assert technology("spinnaker").pj("ac") == 13300  # pJ; one table has 45


def test_a_file_of_the_users_own_is_read(tmp_path):
    (tmp_path / "mine.toml").write_text(GOOD)
    prices = technology(str(tmp_path / "mine.toml"))
    assert (prices.pj("ac"), prices.pj("mac")) == (1.0, None)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.toml", None, "can't be read: No such file"),
        ("bytes.toml", b"\xff\xfe", "not TOML: no UTF-8 text"),
        ("prices.txt", b"", "unknown technology .*; known: .*, or a .toml file"),
        (".", None, "unknown technology"),
    ],
)
def test_a_file_that_is_none_gets_one_line(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(analysis.InputError, match=message) as caught:
        technology(str(tmp_path / name))
    assert "\n" not in str(caught.value)


def test_a_mark_that_editors_put_in_front_does_no_harm(tmp_path):
    (tmp_path / "mine.toml").write_text(GOOD, encoding="utf-8-sig")
    assert technology(str(tmp_path / "mine.toml")).name == "mine"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name = ", "not TOML"),
        ('{"name": "mine"}', "not TOML"),
        (GOOD.replace("pj = 1", 'pj = "1"'), r"ac.pj: expected a number of picojoules .* got '1'"),
        (GOOD.replace("pj = 1", "pj = -1"), "from 0 to 1e[+]12, got -1"),
        (GOOD.replace("pj = 1", "pj = nan"), "got nan"),
        (GOOD.replace("pj = 1", "pj = inf"), "got inf"),
        (GOOD.replace("pj = 1", f"pj = 1{'0' * 400}"), r"got 1000*\.\.\."),
        (GOOD.replace("pj = 1", "pj = true"), "got True"),
        (
            GOOD.replace("pj = 1\n", ""),
            r"operations.ac: missing key 'pj'; allowed: pj, source, status, low \(optional\), ",
        ),
        (GOOD.replace("pj =", "nj ="), "unknown key 'nj'; allowed: pj, source, status"),
        (
            GOOD.replace("[operations.ac]", "[operations]\nmac = 4.6\n[operations.ac]"),
            "operations.mac: expected a table with pj, .* got 4.6",
        ),
        (GOOD + "low = 2", "expected low <= pj <= high, got 2.0, 1.0, None"),
        (GOOD + "high = inf", "operations.ac.high: expected a number of picojoules .* got inf"),
        (GOOD.replace('"seen"', '"recalled"'), "expected seen or second-hand, got 'recalled'"),
        (GOOD.replace('"nowhere"', '""'), "operations.ac.source: expected a text of one line"),
        (GOOD.replace('"mine"', "7"), "mine.toml: name: expected a text of one line, got 7"),
        (GOOD.replace('"mine"', r'"two\nlines"'), "name: expected a text of one line"),
        (GOOD.replace('"mine"', r'"\u001b[31m"'), "name: expected a text of one line"),
        (GOOD.replace("operations.ac", "operations.spike"), "unknown key 'spike'; allowed: ac"),
        (GOOD + "[extra]", "unknown key 'extra'; allowed: name, description, operations"),
        ("", "missing key 'name', 'description', 'operations'"),
        ('name = "x"\ndescription = "y"\noperations = 3', "operations: expected a table with ac"),
        ('name = "x"\ndescription = "y"\n[operations]', "expected a price for at least one of ac"),
    ],
)
def test_a_broken_file_gets_one_line_that_names_file_and_key(text, message):
    with pytest.raises(analysis.InputError, match=message) as caught:
        parse_technology(text, "mine.toml")
    assert str(caught.value).startswith("technology mine.toml")
    assert "\n" not in str(caught.value)


def test_an_operation_without_a_price_makes_the_total_a_lower_bound():
    prices = parse_technology(GOOD, "mine")
    layer = torch.nn.Linear(2, 2)
    report = analysis.analyze(layer, [torch.tensor([[0.3, 0.7]])], steps=1, technology=prices)
    assert report.energy.unpriced == ("mac",)


def test_unpriced_parts_are_not_shown_as_free():
    import io

    import torch
    from rich.console import Console

    from analysis.reporting.report_tables import parts_table
    from analysis.reporting.terminal import print_table

    layer = torch.nn.Linear(2, 2, bias=False)
    report = analysis.analyze(layer, [torch.tensor([[0.3, 0.7]])], steps=1, technology="loihi")
    console = Console(width=120, file=io.StringIO())
    print_table(parts_table(report), console)
    assert "unpriced" in console.file.getvalue()


def test_prices_that_are_ranges_give_a_range():
    layer = torch.nn.Linear(2, 5, bias=False)
    spikes = torch.tensor([[1.0, 0.0], [1.0, 1.0]])  # 5 and 10 accumulates
    report = analysis.analyze(
        torch.nn.Sequential(Fire(), layer), [spikes - 0.5], steps=1, technology="odin"
    )
    totals = report.totals
    assert totals.energy_pj == pytest.approx(7.5 * 12.7)
    assert totals.energy_pj_cheapest == pytest.approx(7.5 * 8.43)
    assert totals.energy_pj_dearest == pytest.approx(7.5 * 12.7)
    assert "energy_pj_cheapest" not in report.under("operand", "45nm-fp32").totals


def test_neuron_updates_cost_what_the_list_says_or_a_mac():
    spikes = torch.tensor([[0.5, -0.5], [0.5, 0.5]])
    report = analysis.analyze(
        torch.nn.Sequential(Fire(), torch.nn.Linear(2, 5, bias=False)), [spikes], steps=1,
        neurons=["0"],
    )  # fmt: skip
    included = analysis.convention("operand", elementwise="included")
    with_own = report.under(included, "loihi")
    assert report.under(included, "45nm-fp32").totals.energy_pj == pytest.approx(
        7.5 * 0.9 + 2 * 4.6
    )
    assert with_own.totals.energy_pj == pytest.approx(7.5 * 23.6 + 2 * 81)
    assert with_own.totals.energy_pj_cheapest == pytest.approx(7.5 * 23.6 + 2 * 52)
    assert with_own.totals.energy_pj_dearest == pytest.approx(7.5 * 27.1 + 2 * 81)
    assert not with_own.energy.unpriced
    without = report.under(included, "tianjic")
    assert without.energy.unpriced == ("mac",)
    assert without.totals.energy_pj == pytest.approx(7.5 * 1.54)
