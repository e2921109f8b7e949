"""Published energies against the operations that stand beside them."""

from __future__ import annotations

import pytest

import analysis
from analysis.energy.published import matches_print, published_rows, recomputed_mj
from analysis.energy.technology import technology_names

ROWS = published_rows()
STATED = [row for row in ROWS if recomputed_mj(row) is not None]
# The rows whose own operations do not give their energy.
OFF = {"Spiking ResNet-50": "71.004", "ANN Transformer-8-512": "38.318"}


def _name(row):
    return f"{row['source'][:20]} {row['row']}"


@pytest.mark.parametrize("row", [r for r in STATED if r["row"] not in OFF], ids=_name)
def test_stated_operations_give_the_printed_energy_to_its_last_digit(row):
    assert matches_print(row)
    assert float(recomputed_mj(row)) == pytest.approx(float(row["printed_mj"]), rel=2e-3)


@pytest.mark.parametrize(("name", "found"), OFF.items())
def test_two_rows_do_not_match_their_own_operations(name, found):
    row = next(r for r in ROWS if r["row"] == name)
    assert not matches_print(row)
    assert f"{float(recomputed_mj(row)):.3f}" == found
    assert found in row["remark"]


def test_every_row_that_can_be_recomputed_says_how_it_went():
    assert len(STATED) == 24
    for row in ROWS:
        told = {"yes": True, "no": False, "": None}[row["matches"]]
        assert matches_print(row) == told


def test_the_same_operations_cost_13_times_more_in_later_versions_of_one_paper():
    frame = analysis.published().set_index(["source", "row"]).printed_mj
    first = frame["Spikformer (arXiv 2209.15425), first version"]
    later = frame["Spikformer (arXiv 2209.15425), table of results"]
    assert later["SEW-ResNet-34"] / first["SEW-ResNet-34"] == pytest.approx(13.5, abs=0.1)
    assert later["Spikformer-8-384"] / first["Spikformer-8-384"] == pytest.approx(14.7, abs=0.1)


def test_the_frame_has_source_and_convention_for_every_row():
    frame = analysis.published()
    assert len(frame) == len(ROWS)
    assert (frame.source.str.len() > 0).all()
    assert (frame.convention.str.len() > 0).all()
    assert (frame.printed_mj > 0).all()
    assert set(frame.technology) - {""} <= set(technology_names())
    gac = frame[frame.architecture.isin(["msresnet18", "msresnet34"])]
    assert gac.printed_mj.tolist() == [1.49, 2.34, 2.20, 3.38]


def test_the_table_has_no_ragged_rows():
    assert all(None not in row and None not in row.values() for row in ROWS)
