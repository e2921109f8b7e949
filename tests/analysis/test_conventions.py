from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

import analysis
from analysis.energy.conventions import PRESETS, charge, convention
from analysis.records import SiteKey, SiteRecord

# 2 samples, 4 steps: 1,000 dense MACs, 900 inside; 30 of 100 inputs not zero, 250 synops
SITE = SiteRecord(
    key=SiteKey(name="layer"),
    role="spiking",
    op="conv2d",
    operand="spike",
    origin="spikes",
    static=False,
    executed_steps=4,
    repeats=1,
    dense_macs=1000,
    inside_macs=900,
    synops=250,
    nonzeros=30,
    elements=100,
    synops_by_step=(100, 50, 50, 50),
)
REAL = replace(SITE, operand="real", origin="current", role="shortcut")
STEM = replace(REAL, role="stem", origin="image", static=True, executed_steps=1, repeats=4)
GATE = replace(STEM, role="gate", origin="current")


def booked(site, name, **changes):
    found = charge(site, convention(name, **changes), steps=4)
    return found.acs, found.macs, found.left_out_macs


@pytest.mark.parametrize(
    ("site", "preset", "expected"),
    [
        (SITE, "operand", (250, 0, 0)),
        (SITE, "eq17", (300, 0, 0)),  # 1,000 at a rate of 0.3
        (REAL, "operand", (0, 1000, 0)),
        (REAL, "operand-sparse", (0, 250, 0)),
        (REAL, "eq17", (300, 0, 0)),
        (STEM, "operand", (0, 1000, 0)),
        (STEM, "operand-once", (0, 250, 0)),  # a fourth of 1,000
        (STEM, "eq17", (0, 1000, 0)),
        (GATE, "operand", (0, 1000, 0)),
        (GATE, "operand-once", (0, 250, 0)),
        (GATE, "eq17", (0, 0, 1000)),
        (replace(SITE, operand="ternary"), "operand", (250, 0, 0)),
        (replace(SITE, operand="graded"), "operand", (0, 1000, 0)),
        (replace(SITE, operand="silent", synops=0, nonzeros=0), "operand", (0, 0, 0)),
    ],
)
def test_presets_book_as_documented(site, preset, expected):
    assert booked(site, preset) == expected


def test_a_silent_site_can_be_booked_as_if_it_were_real():
    silent = replace(SITE, operand="silent", synops=0, nonzeros=0)
    assert booked(silent, "operand", silent="as-real") == (0, 1000, 0)


def test_a_rate_stays_an_exact_fraction():
    site = replace(SITE, nonzeros=1, elements=3)
    assert booked(site, "eq17")[0] == Fraction(1000, 3)


def test_once_is_refused_where_the_input_changed():
    with pytest.raises(analysis.InputError, match="charges layer once, but its input was not"):
        booked(replace(STEM, static=False), "operand-once")


def test_a_gate_that_mixes_all_steps_already_runs_once():
    mixing = replace(GATE, static=False, synops_by_step=None)
    assert booked(mixing, "operand-once") == booked(mixing, "operand")


@given(
    operand=st.sampled_from(["silent", "spike", "ternary", "graded", "real"]),
    role=st.sampled_from(["stem", "gate", "spiking", "shortcut", "readout", "other"]),
    synops=st.integers(0, 900),
    steps=st.integers(1, 8),
)
def test_looser_settings_never_cost_less(operand, role, synops, steps):
    site = replace(STEM, operand=operand, role=role, synops=synops)
    rules = PRESETS["operand"]

    def macs(**changes):
        return charge(site, replace(rules, **changes), steps).macs

    assert macs(real="nonzero-mac") <= macs(real="dense-mac")
    for role_name in ("stem", "gate"):
        costs = [macs(**{role_name: choice}) for choice in ("free", "once", "every-step")]
        assert costs == sorted(costs)


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("eq99", {}, "unknown convention 'eq99'; known: operand, operand-sparse"),
        ("operand", {"stem": "twice"}, "'twice' for stem .* allowed: every-step, once, free"),
        ("operand", {"colour": "red"}, "unknown field of a convention: colour; known: stem"),
    ],
)
def test_unknown_names_are_told_with_the_known_ones(name, changes, message):
    with pytest.raises(analysis.InputError, match=message):
        convention(name, **changes)
