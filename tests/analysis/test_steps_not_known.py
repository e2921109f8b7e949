"""Layers whose steps are not known are left out of what goes by step, and named; constants too."""

from __future__ import annotations

import io
from dataclasses import replace

import pandas as pd
import pytest
from rich.console import Console

import analysis
from analysis import drawings
from analysis.energy.conventions import convention
from analysis.energy.early import up_to
from analysis.energy.technology import technology
from analysis.records import (
    Constant,
    ElementwiseRecord,
    Moments,
    NeuronRecord,
    Run,
    SampleCount,
    SiteKey,
    SiteRecord,
)
from analysis.reporting.axes import Axis
from analysis.reporting.by import breakdown_table
from analysis.reporting.figures import rates_figure
from analysis.reporting.html.page import html_page
from analysis.reporting.latex import latex
from analysis.reporting.markdown import markdown
from analysis.reporting.report import Report
from analysis.reporting.report_tables import neurons_table, sites_table
from analysis.reporting.summary import print_report

# 2 samples, 3 steps. The stem ran once for all steps: 12 dense MACs; the layer at each of them.
LAYER = SiteRecord(
    key=SiteKey(name="layer"),
    role="spiking",
    op="linear",
    operand="spike",
    origin="spikes",
    static=False,
    executions=3,
    dense_macs=60,
    inside_macs=60,
    synops=18,
    nonzeros=9,
    elements=30,
    synops_by_step=(6, 4, 8),
    nonzeros_by_step=(3, 2, 4),
)
STEM = replace(
    LAYER,
    key=SiteKey(name="stem"),
    role="stem",
    operand="real",
    origin="image",
    executions=1,
    stands_for=3,
    dense_macs=12,
    inside_macs=12,
    synops=10,
    nonzeros=5,
    elements=6,
    synops_by_step=None,
    nonzeros_by_step=None,
)
TOKENS = replace(
    LAYER, key=SiteKey(name="tokens"), executions=1.75, synops_by_step=None, nonzeros_by_step=None
)
FIRST = NeuronRecord(
    site="first",
    call=0,
    neurons=5,
    spikes=9,
    outputs=30,
    spikes_by_step=(3, 2, 4),
    outputs_by_step=(10, 10, 10),
)
LAST = NeuronRecord(site="last", call=0, neurons=4, spikes=6, outputs=14)
KNOWN = Run(
    samples=2,
    steps=3,
    sites=(STEM, LAYER),
    neurons=(FIRST,),
    elementwise=(
        ElementwiseRecord(site="stem", work="normalisation", elements=8, stands_for=3),
        ElementwiseRecord(site="layer", work="addition", elements=9),
    ),
    moments=Moments(
        columns=("synops stem 0 0",),
        mean=(5.0,),
        scatter=((2.0,),),
    ),
    correct=1,
    correct_by_step=(0, 1, 1),
    labels=(0, 1),
    predicted=((1, 0, 0), (0, 0, 0)),
    per_sample=(
        SampleCount(kind="site", key=STEM.key, counts=((4,), (6,))),
        SampleCount(kind="site", key=LAYER.key, counts=((3, 2, 4), (3, 2, 4))),
        SampleCount(kind="input", key=STEM.key, counts=((2,), (3,))),
        SampleCount(kind="input", key=LAYER.key, counts=((1, 1, 2), (2, 1, 2))),
        SampleCount(kind="neuron", key=FIRST.key, counts=((1, 1, 2), (2, 1, 2))),
    ),
)
PARTLY = replace(KNOWN, sites=(STEM, LAYER, TOKENS), neurons=(FIRST, LAST), per_sample=())
CONSTANTS = tuple(Constant(key=SiteKey(name=f"norm{n}"), macs=1500) for n in range(4))
ONE_LINE = (
    "Constants: 6 k MACs per forward pass, in 4 weight operations no sample has a part in "
    "(foldable, not in the total): norm0, norm1, norm2 and 1 more"
)


def report_of(run):
    return Report(run, convention("operand"), technology("45nm-fp32"))


def printed(report, axis=Axis.layer):
    console = Console(width=200, file=io.StringIO())
    print_report(report, console, axis=axis)
    return console.file.getvalue()


def test_the_rates_of_a_layer_are_over_the_outputs_that_ran():
    frame = report_of(PARTLY).neurons.set_index("site").firing_rate
    assert frame.to_dict() == {"first": 9 / 30, "last": 6 / 14}
    assert report_of(PARTLY).totals.firing_rate == 15 / 44


def test_a_neuron_layer_without_steps_has_dashes_and_is_named():
    table = neurons_table(report_of(PARTLY))
    assert table.rows == (
        ("first", 5, 0.3, 0.3, 0.2, 0.4),
        ("last", 4, 6 / 14, "-", "-", "-"),
    )
    assert table.sentence == "By step: not known for last."
    assert neurons_table(report_of(KNOWN)).sentence == ""


def test_the_drawing_of_rates_leaves_out_what_it_does_not_know():
    figure = rates_figure(report_of(PARTLY))
    assert ">first<" in figure.drawing.wide
    assert ">last<" not in figure.drawing.wide
    assert figure.sentence.endswith("0.400. By step: not known for last.")


def test_steps_add_up_what_is_known_and_name_the_rest():
    table = breakdown_table(report_of(PARTLY), Axis.step)
    # per sample; the stem's 10 synops at each step
    assert table.rows == (
        ("t=1", 1.5, 0.3, 8.0),
        ("t=2", 1.0, 0.2, 7.0),
        ("t=3", 2.0, 0.4, 9.0),
    )
    assert table.sentence.endswith("By step: not known for tokens, last.")


def test_where_no_step_is_known_there_are_no_figures_of_steps():
    run = replace(PARTLY, sites=(TOKENS,), neurons=(LAST,))
    table = breakdown_table(report_of(run), Axis.step)
    assert table.rows == tuple((f"t={step}", None, None, None) for step in (1, 2, 3))
    assert "By step: not known for tokens, last." in printed(report_of(run), Axis.step)
    page = html_page(report_of(run))
    assert "rates-by-step" not in page
    assert "By step: not known for last." in page
    assert report_of(run).steps.empty


def test_frames_of_steps_have_no_rows_of_what_is_not_known():
    frame = report_of(PARTLY).steps
    assert frame[frame.kind == "site"].groupby("site").total_synops.sum().to_dict() == {
        "stem": 30, "layer": 18,
    }  # fmt: skip
    assert set(frame[frame.kind == "neuron"].site) == {"first"}


def test_samples_show_the_stem_at_every_step():
    frame = report_of(KNOWN).samples
    stem = frame[(frame.kind == "site") & (frame.site == "stem")]
    assert stem["count"].tolist() == [4, 4, 4, 6, 6, 6]
    assert stem.step.tolist() == [1, 2, 3, 1, 2, 3]


def test_the_energy_of_a_sample_has_the_stem_at_every_step():
    report = replace(report_of(KNOWN), convention=convention("operand-sparse"))
    # 3 x 4 and 3 x 6 MACs at 4.6 pJ, 9 accumulates each at 0.9 pJ
    expected = [12 * 4.6 + 9 * 0.9, 18 * 4.6 + 9 * 0.9]
    assert report.sample_energy().energy_pj.tolist() == pytest.approx(expected)
    assert report.totals.macs == 15
    # 4 and 6 synops: mean 5, deviation sqrt(2), of two samples; at 3 steps
    assert report.totals.macs_high - 15 == pytest.approx(1.959964 * 3)


def test_a_run_stopped_early_has_its_first_steps():
    run = up_to(KNOWN, 2)
    stem, layer = run.sites
    assert stem == replace(STEM, stands_for=2)
    assert (layer.executions, layer.dense_macs, layer.synops) == (2, 40, 10)
    assert (run.neurons[0].spikes, run.neurons[0].outputs) == (5, 20)
    assert [work.at_every_step.elements for work in run.elementwise] == [16, 6]
    assert report_of(run).totals.energy_pj == pytest.approx((24 * 4.6 + 10 * 0.9) / 2)


@pytest.mark.parametrize(
    ("run", "names"),
    [
        (PARTLY, "tokens, last"),
        (replace(KNOWN, neurons=(LAST,)), "last"),
        (replace(KNOWN, sites=(replace(LAYER, nonzeros_by_step=None),)), "layer"),
        (replace(KNOWN, sites=(replace(LAYER, executions=2),)), "layer"),  # at which of them?
    ],
)
def test_a_run_is_not_stopped_early_where_steps_are_not_known(run, names):
    with pytest.raises(analysis.InputError, match=f"^by step: not known for {names}$"):
        up_to(run, 2)
    assert up_to(run, 3) is run


def test_outputs_go_without_the_curve_where_steps_are_not_known():
    assert "Read out after each step" in printed(report_of(KNOWN))
    assert "Read out after each step" not in printed(report_of(PARTLY))
    assert "step by step" not in html_page(report_of(PARTLY))


def test_tables_say_how_often_a_site_ran():
    rows = sites_table(report_of(PARTLY)).rows
    assert [row[4] for row in rows] == ["1 of 3", "3 of 3", "1.75 of 3"]
    dense = [row[6] for row in rows]
    assert dense == [3 * 12 / 2, 60 / 2, 60 / 2]


def test_maps_of_rates_have_a_dash_where_steps_are_not_known():
    networks = {"here": {0: report_of(PARTLY)}, "there": {0: report_of(KNOWN)}}
    drawing = drawings.step_rates(networks)
    assert set(drawing.data.layer) == {"first"}
    texts = [text.get_text() for text in drawing.figure.axes[0].texts]
    assert texts == [".30", ".20", ".40", "-", "-", "-"]
    nowhere = drawings.step_rates({"here": {0: report_of(replace(KNOWN, neurons=(LAST,)))}})
    assert nowhere.data.empty


def test_constants_are_one_line_everywhere_and_in_no_total():
    plain, constant = report_of(KNOWN), report_of(replace(KNOWN, constants=CONSTANTS))
    assert ONE_LINE in printed(constant)
    for document in (html_page, markdown, latex):
        assert ONE_LINE in document(constant).replace("\\_", "_")
        assert "Constants:" not in document(plain)
    assert "Constants:" not in printed(plain)
    pd.testing.assert_series_equal(plain.totals, constant.totals)


def test_a_run_without_known_steps_survives_the_round_trip(tmp_path):
    report = report_of(replace(PARTLY, constants=CONSTANTS))
    report.to_json(tmp_path / "report.json")
    assert analysis.read_report(tmp_path / "report.json") == report
