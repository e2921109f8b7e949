from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

import analysis
from analysis.energy.charges import charge, part_of, work_charges, work_left_out
from analysis.energy.conventions import PAPERS, PRESETS, convention, meaning, rules
from analysis.energy.difference import difference
from analysis.energy.energy import Energy
from analysis.energy.technology import technology
from analysis.records import (
    ElementwiseRecord,
    Moments,
    NeuronRecord,
    Run,
    SiteKey,
    SiteRecord,
)

# 2 samples, 4 steps: 1,000 dense MACs, 900 inside; 30 of 100 inputs not zero, 250 synops
SITE = SiteRecord(
    key=SiteKey(name="layer"),
    role="spiking",
    op="conv2d",
    operand="spike",
    origin="spikes",
    static=False,
    executions=4,
    dense_macs=1000,
    inside_macs=900,
    synops=250,
    nonzeros=30,
    elements=100,
    synops_by_step=(100, 50, 50, 50),
)
REAL = replace(SITE, operand="real", origin="current", role="shortcut")
# one step of it, in 2 samples: a fourth of the counts, which stands for all 4 steps
STEM = replace(
    REAL,
    role="stem",
    origin="image",
    executions=1,
    stands_for=4,
    dense_macs=250,
    inside_macs=225,
    synops=50,
    nonzeros=9,
    elements=30,
    synops_by_step=None,
)
GATE = replace(STEM, role="gate", origin="current")
# frames of events at every step, read by a stem: 30 of 100 are not zero
EVENTS = replace(SITE, role="stem", origin="events")
COUNTS = replace(EVENTS, operand="graded", level_synops={"1.0": 200, "2.0": 50})
NEURONS = NeuronRecord(site="neuron", call=0, neurons=5, spikes=10, outputs=5 * 4 * 2)


def booked(site, name, **changes):
    found = charge(site, convention(name, **changes), run_of(site, neurons=(NEURONS,)))
    return found.acs, found.macs, found.left_out_macs


def run_of(*sites, steps=4, neurons=(), elementwise=()):
    return Run(
        samples=2,
        steps=steps,
        sites=sites,
        neurons=neurons,
        elementwise=elementwise,
        moments=Moments(columns=(), mean=(), scatter=()),
    )


@pytest.mark.parametrize(
    ("site", "preset", "expected"),
    [
        (SITE, "operand", (250, 0, 0)),
        (SITE, "eq17", (300, 0, 0)),  # 1,000 at a rate of 0.3
        (REAL, "operand", (0, 1000, 0)),
        (REAL, "operand-sparse", (0, 250, 0)),
        (REAL, "eq17", (300, 0, 0)),
        (STEM, "operand", (0, 1000, 0)),
        (STEM, "operand-sparse", (0, 200, 0)),  # 50, at each of 4 steps
        (STEM, "operand-once", (0, 250, 0)),  # a fourth of 1,000
        (STEM, "eq17", (0, 1000, 0)),
        (GATE, "operand", (0, 1000, 0)),
        (GATE, "operand-once", (0, 250, 0)),
        (GATE, "eq17", (0, 0, 1000)),
        (GATE, "eq17+dE", (0, 1000, 0)),
        (GATE, "all-ac", (300, 0, 0)),
        (GATE, "folk", (300, 0, 0)),
        (STEM, "all-ac", (0, 0, 1000)),
        (STEM, "sew-table", (0, 250, 0)),
        (STEM, "folk", (0, 1000, 0)),
        (SITE, "folk", (300, 0, 0)),
        (EVENTS, "operand", (250, 0, 0)),
        (EVENTS, "operand-sparse", (250, 0, 0)),
        (EVENTS, "operand-once", (250, 0, 0)),
        (EVENTS, "eq17", (0, 300, 0)),  # E_MAC x T x FL x Phi, Phi the share of non-zero pixels
        (EVENTS, "eq17-upstream", (0, 300, 0)),
        (EVENTS, "eq17+dE", (0, 300, 0)),
        (EVENTS, "sew-table", (0, 300, 0)),
        (EVENTS, "all-ac", (300, 0, 0)),
        (EVENTS, "folk", (0, 1000, 0)),
        (COUNTS, "operand", (0, 1000, 0)),  # as any graded input
        (COUNTS, "operand-sparse", (0, 250, 0)),
        (COUNTS, "operand-once", (0, 1000, 0)),
        (COUNTS, "eq17", (0, 300, 0)),
        (COUNTS, "all-ac", (300, 0, 0)),
        (COUNTS, "folk", (0, 1000, 0)),
        (replace(EVENTS, role="spiking"), "eq17", (300, 0, 0)),  # no stem: like any site
        (replace(EVENTS, role="spiking"), "folk", (300, 0, 0)),
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


def test_a_graded_input_can_cost_as_many_accumulates_as_it_has_units():
    # 200 synops of one unit and 50 of two, wherever those inputs lie
    site = replace(SITE, operand="graded", level_synops={"0.25": 200, "0.5": 50})
    assert booked(site, "operand", graded="repeat-ac") == (300, 0, 0)


def test_the_unit_of_graded_values_need_not_be_one_of_them():
    site = replace(SITE, operand="graded", synops=2, level_synops={"0.4": 1, "-0.6": 1})
    assert booked(site, "operand", graded="repeat-ac") == (5, 0, 0)


@pytest.mark.parametrize(("unit", "expected"), [(1.0, 15 + 30), (3.0, 5 + 10), (None, 5 + 10)])
def test_repeated_accumulates_count_from_one_spike_where_its_value_is_known(unit, expected):
    # one input of 3 and one of 6, each meets 5 weights
    levels = {"3.0": 5, "6.0": 5}
    site = replace(SITE, operand="graded", unit=unit, synops=10, level_synops=levels)
    assert booked(site, "operand", graded="repeat-ac") == (expected, 0, 0)


def test_levels_that_are_no_multiples_of_a_spike_are_refused():
    site = replace(SITE, operand="graded", unit=2.0, level_synops={"3.0": 250})
    with pytest.raises(analysis.InputError, match="the levels of layer are no multiples"):
        booked(site, "operand", graded="repeat-ac")


def test_repeated_accumulates_of_what_ran_once_are_taken_at_every_step():
    levels = {"1.0": 40, "2.0": 10}
    site = replace(STEM, role="spiking", origin="events", operand="graded", level_synops=levels)
    assert booked(site, "operand", graded="repeat-ac") == (4 * 60, 0, 0)


def test_counts_of_events_cost_as_many_accumulates_where_graded_inputs_repeat():
    assert booked(COUNTS, "operand", graded="repeat-ac") == (300, 0, 0)


@pytest.mark.parametrize("operand", ["spike", "ternary", "graded"])
@pytest.mark.parametrize("name", ["operand", "eq17", "all-ac", "folk"])
def test_a_picture_of_few_values_that_is_called_an_image_costs_what_images_cost(name, operand):
    black_and_white = replace(STEM, operand=operand, level_synops={"1.0": 50})
    assert booked(black_and_white, name, graded="repeat-ac") == booked(STEM, name)


@pytest.mark.parametrize("name", PRESETS)
def test_where_nothing_spikes_there_are_no_rates(name):
    relu = replace(REAL, role="other", nonzeros=50, synops=450)
    found = charge(relu, convention(name), run_of(relu))
    assert found.acs == 0
    assert found.macs == (450 if name == "operand-sparse" else 1000)


@pytest.mark.parametrize("stem", ["every-step", "once", "free"])
@pytest.mark.parametrize("operand", ["spike", "ternary"])
@pytest.mark.parametrize("origin", ["events", "current"])  # from outside, or made by the model
def test_steps_charged_to_a_stem_are_about_images(origin, operand, stem):
    events = replace(SITE, role="stem", origin=origin, operand=operand)
    assert booked(events, "operand", stem=stem) == booked(SITE, "operand") == (250, 0, 0)
    assert booked(events, "eq17", stem=stem) == (0, 300, 0)


def test_repeated_accumulates_are_refused_without_levels():
    with pytest.raises(analysis.InputError, match="the run kept none; analyse with levels=True"):
        booked(replace(SITE, operand="graded"), "operand", graded="repeat-ac")


def test_a_rate_can_be_that_of_the_neurons_in_front():
    # 10 spikes of 5 neurons, 4 steps, 2 samples: a rate of 0.25, not the 0.3 of the input
    site = replace(SITE, upstream=(SiteKey(name="neuron"),))
    run = run_of(site, neurons=(NEURONS,))
    found = charge(site, convention("eq17-upstream"), run)
    assert (found.acs, found.macs, found.own_rate) == (250, 0, False)
    assert charge(site, convention("eq17"), run).acs == 300
    real = replace(REAL, upstream=site.upstream)  # a membrane: not zero anywhere
    assert charge(real, convention("eq17-upstream"), run).acs == 250


def test_of_two_layers_in_front_the_rate_is_that_of_all_their_neurons():
    # another one with 15 neurons that never fire: 10 / (20 * 8)
    silent = replace(NEURONS, call=1, neurons=15, outputs=120, spikes=0)
    site = replace(SITE, upstream=(SiteKey(name="neuron"), SiteKey(name="neuron", call=1)))
    run = run_of(site, neurons=(NEURONS, silent))
    assert charge(site, convention("eq17-upstream"), run).acs == Fraction(1000, 16)


def test_without_neurons_in_front_the_rate_is_that_of_the_input_and_says_so():
    run = run_of(SITE, neurons=(NEURONS,))
    found = charge(SITE, convention("eq17-upstream"), run)
    assert (found.acs, found.own_rate) == (300, True)
    assert Energy(run, convention("eq17-upstream"), technology("45nm-fp32")).own_rates == ("layer",)
    assert Energy(run, convention("eq17"), technology("45nm-fp32")).own_rates == ()


def _work(site, kind, elements):
    return ElementwiseRecord(site=site, work=kind, elements=elements)


INNER = replace(GATE, key=SiteKey(name="encoder.gate.conv"))
RUN = run_of(
    SITE,
    replace(STEM, key=SiteKey(name="stem")),
    INNER,
    replace(REAL, key=SiteKey(name="real")),
    neurons=(NEURONS,),
    elementwise=(
        _work("encoder", "product", 7),
        _work("encoder.gate", "product", 6),
        _work("layer", "product", 5),
        _work("layer", "addition", 4),
        _work("norm", "normalisation", 3),
    ),
)


@pytest.mark.parametrize(
    ("changes", "charged"),
    [
        ({}, {}),
        ({"norm": "counted"}, {"normalisation": (0, 3)}),
        ({"elementwise": "gate-product"}, {"gate product": (0, 13)}),
        (
            {"elementwise": "included"},
            {
                "neuron updates": (0, 40),  # 5 neurons, 4 steps, 2 samples
                "gate product": (0, 13),
                "product": (0, 5),
                "addition": (4, 0),
            },
        ),
    ],
)
def test_work_that_no_synapse_does_is_charged_where_asked_for(changes, charged):
    rule = convention("operand", **changes)
    found = work_charges(RUN, rule)
    assert {name: (c.acs, c.macs) for name, c in found.items()} == charged
    left_out = work_left_out(RUN, rule)
    assert not set(left_out) & set(charged)
    sizes = {"neuron updates", "gate product", "product", "addition", "normalisation"}
    assert set(left_out) | set(charged) == sizes


def test_work_that_stands_for_all_steps_is_charged_at_each_of_them():
    once = replace(_work("layer", "addition", 4), stands_for=4)
    run = replace(RUN, elementwise=(once, _work("layer", "addition", 1)))
    found = work_charges(run, convention("operand", elementwise="included"))
    assert found["addition"].acs == 4 * 4 + 1
    assert work_left_out(run, convention("operand"))["addition"] == 17


def test_neuron_updates_are_those_that_ran():
    # a loop that ended early for one sample: 4 and 3 steps of 5 neurons
    run = replace(RUN, neurons=(replace(NEURONS, outputs=35),))
    assert (
        work_charges(run, convention("operand", elementwise="included"))["neuron updates"].macs
        == 35
    )


def test_charged_work_is_part_of_the_energy():
    prices = technology("45nm-fp32")
    without = Energy(RUN, convention("operand"), prices)
    counted = Energy(RUN, convention("operand", norm="counted"), prices)
    assert counted.energy_pj.value - without.energy_pj.value == pytest.approx(3 * 4.6 / 2)


SETTINGS = st.fixed_dictionaries({name: st.sampled_from(v) for name, v in rules().items()})


@given(st.sampled_from(list(PRESETS)), st.sampled_from(list(PRESETS)), SETTINGS)
def test_the_shares_of_a_difference_add_up_to_the_last_fraction(one, other, changes):
    levels = {"1.0": 175, "2.0": 75}
    graded = replace(SITE, operand="graded", level_synops=levels, key=SiteKey(name="graded"))
    silent = replace(SITE, operand="silent", nonzeros=0, key=SiteKey(name="silent"))
    run = replace(RUN, sites=(*RUN.sites, graded, silent))
    a, b, prices = convention(one), convention(other, **changes), technology("45nm-fp32")
    shares = difference(run, a, b, prices)
    before, after = Energy(run, a, prices), Energy(run, b, prices)
    whole = after.exact_pj(after.total) - before.exact_pj(before.total)
    assert sum(share.energy_pj for share in shares) == whole
    assert sum(share.acs for share in shares) == (after.total.acs - before.total.acs) / 2
    order = list(rules())
    assert [s.field for s in shares] == sorted((s.field for s in shares), key=order.index)


def test_the_difference_of_two_conventions_by_hand():
    # from operand to eq17, per sample (two of them): no stem reads events, the gate goes (1,000
    # MACs), the spiking
    # site takes 300 instead of 250 ACs, the real one 300 ACs instead of 1,000 MACs
    prices = technology("45nm-fp32")
    shares = difference(RUN, convention("operand"), convention("eq17"), prices)
    assert [(s.field, s.acs, s.macs) for s in shares] == [
        ("event_stem", 0, 0),
        ("gate", 0, -500),
        ("spike", 25, 0),
        ("real", 150, -500),
    ]
    assert shares[1].energy_pj == Fraction("-2300")


@pytest.mark.parametrize("name", rules())
def test_every_field_says_what_it_means_and_allows(name):
    assert all(value in meaning(name) for value in rules()[name])


def test_a_rate_stays_an_exact_fraction():
    site = replace(SITE, nonzeros=1, elements=3)
    assert booked(site, "eq17")[0] == Fraction(1000, 3)


REPEATED = replace(REAL, role="stem", origin="image", static=True)  # at every step, bit for bit


def test_once_is_a_share_of_what_ran_at_every_step():
    assert booked(REPEATED, "operand-once") == booked(STEM, "operand-once") == (0, 250, 0)
    early = replace(REPEATED, executions=2.5, dense_macs=625)  # one sample stopped after step 1
    assert booked(early, "operand-once") == (0, 250, 0)


def test_once_is_refused_where_the_input_changed():
    with pytest.raises(analysis.InputError, match="charges layer once, but its input was not"):
        booked(replace(REPEATED, static=False), "operand-once")


def test_what_ran_once_is_charged_as_it_ran():
    # behind a mean over time, say: it stands for no step but its own
    single = replace(REPEATED, static=False, executions=1)
    assert booked(single, "operand-once") == booked(single, "operand") == (0, 1000, 0)


def test_a_gate_that_mixes_all_steps_already_runs_once():
    mixing = replace(GATE, mixes_steps=True, executions=1, stands_for=1)
    assert booked(mixing, "operand-once") == booked(mixing, "operand") == (0, 250, 0)
    several = replace(mixing, executions=4)
    assert booked(several, "operand-once") == booked(several, "operand") == (0, 250, 0)


def test_a_gate_is_told_apart_by_whether_it_mixes_steps():
    assert part_of(replace(GATE, mixes_steps=True)) == "temporal gate"
    assert part_of(GATE) == part_of(replace(GATE, stands_for=1)) == "spatial gate"
    assert part_of(replace(SITE, mixes_steps=True)) == "spiking"


def test_the_interval_of_what_stands_for_several_steps_is_as_wide_as_at_all_of_them():
    # 30 and 20 synops of the two samples, in what ran and at every step
    column = "synops layer 0 0"
    ran = Moments(columns=(column,), mean=(25.0,), scatter=((50.0,),))
    all_steps = Moments(columns=(column,), mean=(100.0,), scatter=((16 * 50.0,),))
    rule, prices = convention("operand-sparse"), technology("45nm-fp32")
    once = Energy(replace(run_of(STEM), moments=ran), rule, prices)
    often = replace(run_of(STEM.at_every_step), moments=all_steps)
    assert once.macs == Energy(often, rule, prices).macs
    # mean of two samples: 1.96 x 4 x 10 / 2 to each side
    assert once.macs.high - once.macs.value == pytest.approx(1.959964 * 20)


OPERANDS = st.sampled_from(["silent", "spike", "ternary", "graded", "real"])
ROLES = st.sampled_from(["stem", "gate", "spiking", "shortcut", "readout", "other"])


@st.composite
def runs(draw):
    """A static site of any kind, with counts that fit each other, behind a neuron layer or none."""
    steps = draw(st.integers(1, 8))
    operand, nonzeros = draw(OPERANDS), draw(st.integers(0, 30))
    synops = 0 if operand == "silent" else draw(st.integers(nonzeros, 225))
    site = replace(
        STEM,
        operand=operand,
        origin=draw(st.sampled_from(["image", "current", "spikes"])),
        role=draw(ROLES),
        stands_for=draw(st.sampled_from([1, steps])),
        executions=draw(st.sampled_from([1, steps])),
        static=True,
        synops=synops,
        nonzeros=0 if operand == "silent" else nonzeros,
        upstream=draw(st.sampled_from([(), (SiteKey(name="neuron"),)])),
        level_synops={"1.0": synops} if synops else {"1.0": 1},
    )
    outputs = 5 * 2 * steps
    neuron = replace(NEURONS, spikes=draw(st.integers(0, outputs)), outputs=outputs)
    return run_of(site, steps=steps, neurons=(neuron,), elementwise=RUN.elementwise)


@given(runs(), SETTINGS, st.sampled_from(["45nm-fp32", "45nm-fp16", "45nm-int8"]))
def test_looser_settings_never_cost_less(run, changes, prices):
    def energy(**more):
        found = Energy(run, convention("operand", **{**changes, **more}), technology(prices))
        return found.exact_pj(found.total)

    assert energy(real="nonzero-mac") <= energy(real="dense-mac")
    assert energy(norm="folded") <= energy(norm="counted")
    assert energy(elementwise="excluded") <= energy(elementwise="gate-product")
    assert energy(elementwise="gate-product") <= energy(elementwise="included")
    for role in ("stem", "gate"):
        costs = [energy(**{role: choice}) for choice in ("free", "once", "every-step")]
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


# As single papers count: sites as above, 2 samples, 4 steps -------------------------------------

READOUT = replace(REAL, role="readout", origin="pooled-spikes", operand="graded",
                  level_synops={"1.0": 200, "2.0": 50})  # fmt: skip
FULL = replace(REAL, nonzeros=100, synops=900)  # a membrane: nowhere zero
BOTH = replace(SITE, op="matmul", other_operand="spike", other_nonzeros=10, other_elements=50)
ONE = replace(SITE, op="matmul", other_operand="real", other_nonzeros=50, other_elements=50)


@pytest.mark.parametrize(
    ("site", "preset", "expected"),
    [
        (STEM, "spikformer", (0, 1000, 0)),
        (SITE, "spikformer", (300, 0, 0)),
        (READOUT, "spikformer", (300, 0, 0)),
        (BOTH, "spikformer", (300, 0, 0)),
        (STEM, "spikingformer", (0, 1000, 0)),
        (BOTH, "spikingformer", (200, 0, 0)),  # min(0.3, 0.2)
        (ONE, "spikingformer", (300, 0, 0)),  # the rate of the queries
        (FULL, "spikingformer", (0, 1000, 0)),
        (REAL, "spikingformer", (300, 0, 0)),
        (STEM, "qkformer", (0, 1000, 0)),
        (STEM, "qkformer-once", (0, 250, 0)),
        (SITE, "qkformer", (300, 0, 0)),
        (STEM, "spikingresformer", (0, 0, 1000)),
        (READOUT, "spikingresformer", (0, 0, 1000)),
        (SITE, "spikingresformer", (250, 0, 0)),
        (REAL, "spikingresformer", (250, 0, 0)),
        (replace(READOUT, role="other"), "spikingresformer", (300, 0, 0)),  # values summed
        (EVENTS, "spikingresformer", (0, 0, 1000)),
        (SITE, "ems-yolo", (300, 0, 0)),
        (REAL, "ems-yolo", (0, 1000, 0)),
        (STEM, "ems-yolo", (0, 1000, 0)),
        (STEM, "spikeyolo", (300, 0, 0)),  # 9 of 30 pixels
        (REAL, "spikeyolo", (300, 0, 0)),
        (SITE, "chen2023-low", (0, 0, 0)),
        (SITE, "chen2023-high", (1000, 0, 0)),
        (REAL, "chen2023-low", (0, 1000, 0)),
        (STEM, "chen2023-high", (0, 1000, 0)),
    ],
)
def test_papers_book_as_they_say(site, preset, expected):
    assert booked(site, preset) == expected


def test_a_sew_resnet_lies_between_the_bounds_that_chen_states():
    # as restated: 0.51 G ACs, 2.75 G MACs, 13.11 mJ in [12.65, 16.40]
    low, high = 4.6 * 2.75, 16.40
    spiking = (high - low) / 0.9  # dense accumulates that the upper bound implies
    assert round(low, 2) == 12.65
    assert low < 0.9 * 0.51 + 4.6 * 2.75 < high
    assert spiking > 0.51


def test_biases_may_be_all_of_the_work_that_is_charged():
    work = (_work("layer", "bias", 7), _work("layer", "addition", 5))
    run = run_of(SITE, neurons=(NEURONS,), elementwise=work)
    assert {n: c.acs for n, c in work_charges(run, convention("spikingformer")).items()} == {
        "bias": 7
    }


def test_papers_stand_beside_the_presets_and_need_to_be_asked_for():
    assert not set(PRESETS) & set(PAPERS)
    assert all(convention(name) == rule for name, rule in PAPERS.items())
    assert all(rule.source for rule in PAPERS.values())
