"""Reports of schema 1 give the figures that stood in them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

import analysis
from analysis.records import moment_column
from analysis.reporting.old_layout import upgraded

STORED = sorted(Path(__file__).parents[2].glob("reports/*/*-seed*.json"))


def test_all_stored_reports_are_here():
    assert len(STORED) == 22


@pytest.mark.parametrize("path", STORED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_stored_report_has_the_totals_it_was_written_with(path):
    # the file holds them as worked out when counts were multiplied by the steps
    table, report = json.loads(path.read_text()), analysis.read_report(path)
    assert table["schema"] == 1
    for name, value in table["totals"].items():
        expected = math.nan if value is None else value
        assert report.totals[name] == pytest.approx(expected, rel=1e-12, nan_ok=True), name
    for entry in table["conventions"]:
        energy = report.under(entry["convention"]).energy
        found = (energy.acs.value, energy.macs.value, energy.energy_pj.value, energy.left_out_macs)
        names = ("acs", "macs", "energy_pj", "left_out_macs")
        assert found == pytest.approx([entry[name] for name in names], rel=1e-12)


@pytest.fixture(scope="module")
def stored():
    return analysis.read_report(next(p for p in STORED if p.stem == "gac-seed0"))


def test_a_stored_report_says_what_ran(stored):
    sites = {site.key.name: site for site in stored.run.sites}
    stem, spatial = sites["encoder.stem.conv"], sites["encoder.gate.spatial.conv1"]
    temporal = sites["encoder.gate.temporal.squeeze"]
    assert (stem.executions, stem.stands_for, stem.mixes_steps) == (1, 4, False)
    assert stem.dense_macs == 360 * 3 * 9 * 16 * 16 * 16  # pictures x weights x pixels
    assert (spatial.stands_for, spatial.synops_by_step) == (4, None)
    assert (temporal.stands_for, temporal.mixes_steps) == (1, True)
    neuron = stored.run.neurons[0]
    assert neuron.outputs == sum(neuron.outputs_by_step) == neuron.neurons * 360 * 4


# Worked out before the counts were changed, from the file as it was, picojoules per sample.
MEMORY = {
    "Lemaire, linear memory": (1034724967.2683811, 549458739.8200191),
    "Lemaire, packed memory": (303936704.9047223, 147289501.0),
    "Lemaire, interpolated memory": (965741666.5080068, 563897320.2561325),
    "bytes moved, reuse none": (1661071265.8333335, 1114547700.0),
    "bytes moved, reuse step": (85356206.25, 19894100.0),
    "bytes moved, reuse inference": (38707406.25, 19894100.0),
    "bit-matched, 3 bits": (696565099.9100474, 545696845.5014399),
}


def test_memory_of_a_stored_report_costs_what_it_did(stored):
    found = stored.memory.set_index("model")
    assert list(found.index) == list(MEMORY)
    for name, (energy_pj, counterpart_pj) in MEMORY.items():
        assert found.energy_pj[name] == pytest.approx(energy_pj, rel=1e-12)
        assert found.counterpart_pj[name] == pytest.approx(counterpart_pj, rel=1e-12)


def test_the_counterpart_of_a_stored_report_is_what_it_was(stored):
    assert stored.counterpart(0.4).macs.tolist() == pytest.approx(
        [9884688.0, 11121920.0, 6717388.8, 11121920.0], rel=1e-12
    )


KEY = {"name": "conv", "index": 0, "call": 0}
# 2 samples, 2 steps: what ran once has 6 and 4 synops, 3 and 2 inputs that are not zero
OLD = {
    "schema": 1,
    "run": {
        "samples": 2,
        "steps": 2,
        "sites": [
            {
                "key": KEY,
                "op": "conv2d",
                "operand": "graded",
                "origin": "image",
                "static": True,
                "executed_steps": 1,
                "repeats": 2,
                "dense_macs": 40,
                "inside_macs": 36,
                "synops": 20,
                "nonzeros": 10,
                "elements": 16,
                "synops_by_step": [10, 10],
                "nonzeros_by_step": [5, 5],
                "one_sided_synops": None,
                "levels": {"0.0": 6, "1.0": 10},
                "level_synops": {"1.0": 20},
                "layout_guessed": False,
            }
        ],
        "neurons": [{"site": "lif", "call": 0, "neurons": 3, "spikes_by_step": [2, 5]}],
        "elementwise": [],
        "moments": {
            "columns": ["synops conv 0 0", "nonzeros conv 0 0", "spikes lif 0"],
            "mean": [10.0, 5.0, 3.5],
            "scatter": [[8.0, 4.0, 2.0], [4.0, 2.0, 1.0], [2.0, 1.0, 0.5]],
        },
        "per_sample": [
            {"kind": "site", "key": KEY, "counts": [[6, 6], [4, 4]]},
            {"kind": "input", "key": KEY, "counts": [[3, 3], [2, 2]]},
            {"kind": "neuron", "key": KEY | {"name": "lif"}, "counts": [[1, 2], [1, 3]]},
        ],
    },
}


def test_counts_of_what_ran_once_are_divided_by_the_steps():
    (site,) = upgraded(OLD)["run"]["sites"]
    assert site == {
        "key": KEY,
        "op": "conv2d",
        "operand": "graded",
        "origin": "image",
        "static": True,
        "executions": 1,
        "stands_for": 2,
        "mixes_steps": False,
        "dense_macs": 20,
        "inside_macs": 18,
        "synops": 10,
        "nonzeros": 5,
        "elements": 8,
        "synops_by_step": None,
        "nonzeros_by_step": None,
        "one_sided_synops": None,
        "levels": {"0.0": 3, "1.0": 5},
        "level_synops": {"1.0": 10},
    }


def test_neurons_get_their_outputs():
    (neuron,) = upgraded(OLD)["run"]["neurons"]
    assert (neuron["spikes"], neuron["outputs"], neuron["outputs_by_step"]) == (7, 12, [6, 6])


def test_moments_become_those_of_what_ran():
    moments = upgraded(OLD)["run"]["moments"]
    assert moments["mean"] == [5.0, 2.5, 3.5]
    assert moments["scatter"] == [[2.0, 1.0, 1.0], [1.0, 0.5, 0.5], [1.0, 0.5, 0.5]]
    assert moments["columns"][0] == moment_column("synops", "conv", 0, 0)


def test_samples_get_one_count_for_all_steps():
    counts = [entry["counts"] for entry in upgraded(OLD)["run"]["per_sample"]]
    assert counts == [[[6], [4]], [[3], [2]], [[1, 2], [1, 3]]]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [("synops", 21, "a count of 21 in 2 equal steps"), ("repeats", 0, "division by zero")],
)
def test_a_count_that_steps_cannot_share_is_refused(name, value, message, tmp_path):
    odd = json.loads(json.dumps(OLD))
    odd["run"]["sites"][0][name] = value
    (tmp_path / "report.json").write_text(json.dumps(odd))
    with pytest.raises(analysis.InputError, match=message):
        analysis.read_report(tmp_path / "report.json")


def test_an_old_report_is_written_in_the_new_layout_and_stays_the_same(stored, tmp_path):
    stored.to_json(tmp_path / "report.json")
    assert json.loads((tmp_path / "report.json").read_text())["schema"] == 2
    assert analysis.read_report(tmp_path / "report.json") == stored
