"""Periods, alphabets, entropies and durations as drawn, worked out by hand."""

from __future__ import annotations

from math import log2

import numpy as np
import pytest
import torch

from analysis import drawings
from analysis.errors import InputError


def test_the_staircase_holds_the_period_of_each_current():
    found = drawings.period_staircase(most=1.5).data
    # 1.5 is above both thresholds; 0.3 below both limits, 0.5 and 0.375.
    assert found.iloc[0].tolist() == [0.3, np.inf, np.inf]
    assert found.iloc[-1].tolist() == [1.5, 1, 1]


def test_the_alphabet_is_beside_all_trains():
    found = drawings.alphabet(6).data.set_index("steps")
    assert found.loc[6].to_dict() == {"all": 64, "soft_reset": 13, "hard_reset": 7}
    assert found.loc[1].to_dict() == {"all": 2, "soft_reset": 2, "hard_reset": 2}


def test_the_alphabet_stands_on_a_logarithmic_axis_with_its_words():
    panel = drawings.alphabet(6).figure.axes[0]
    assert panel.get_yscale() == "log"
    assert panel.get_xlabel() == "steps T"
    assert panel.get_ylabel() == "different trains"


def test_closed_forms_of_the_entropy_are_those_of_200_000_draws():
    found = drawings.entropy_by_steps({}, most=8).data.pivot_table(
        index="steps", columns="code", values="bits"
    )
    simulated = {
        "normal currents, CIFAR neuron": [1.06, 1.34, 1.42, 1.44],
        "normal currents, ImageNet neuron": [1.09, 1.17, 1.17, 1.18],
    }
    for code, bits in simulated.items():
        assert found.loc[[2, 4, 6, 8], code].tolist() == pytest.approx(bits, abs=0.01)


def test_measured_trains_stand_beside_the_closed_forms():
    # At step 1 nothing fires, at step 2 half of the 2,000 trains do: 0 bits, then 1.
    trains = torch.zeros(20, 2, 100)
    trains[:, 1, :50] = 1
    found = drawings.entropy_by_steps({"toy": trains}).data
    toy = found[found.code == "toy"]
    assert toy.steps.tolist() == [1, 2]
    assert toy.bits.tolist() == pytest.approx([0, 1], abs=1e-3)
    assert toy.low.notna().all()


def test_entropy_by_threshold_of_measured_currents_is_that_of_their_trains():
    # Currents 0 and 2: at a threshold of 1 one is silent and one always fires, at 2.5 both are
    # periodic or silent: 2 of decay 0.5 first exceeds 2.5 at step 2 (2 + 1 = 3).
    found = drawings.entropy_by_threshold({"toy": [0.0, 2.0]}, steps=2).data
    toy = found[found.code == "toy"].set_index("threshold").bits
    assert toy.loc[1.0] == pytest.approx(1)
    assert toy.loc[2.5] == pytest.approx(1)


def test_entropy_by_threshold_marks_the_two_released_neurons():
    drawing = drawings.entropy_by_threshold({}, steps=2)
    released = drawing.data[drawing.data.code.str.endswith("neuron")]
    assert released[["threshold", "decay"]].values.tolist() == [[1.0, 0.5], [0.5, 0.25]]
    assert released.bits.tolist() == pytest.approx([1.0556, 1.0957], abs=1e-4)
    assert [t.get_text() for t in drawing.figure.axes[0].texts][:2] == [
        "CIFAR neuron",
        "ImageNet neuron",
    ]


def test_no_entropy_is_above_that_of_the_alphabet():
    assert drawings.entropy_by_threshold({}, steps=3).data.bits.max() < log2(4)


def test_durations_are_spread_over_the_neurons_and_fall_with_the_tolerance():
    # Graded: one neuron sends 0.5 then 0.75, one the same twice; spikes: both always fire.
    graded = np.array([[[0.5, 1.0], [0.75, 1.0]]])
    drawing = drawings.durations({"spikes": np.ones((1, 2, 2)), "graded": graded})
    shares = drawing.data.dropna(subset="share")
    assert shares[["code", "duration", "share"]].values.tolist() == [
        ["spikes", 1.0, 1.0],
        ["spikes", 2.0, 0.0],
        ["graded", 1.0, 0.5],
        ["graded", 2.0, 0.5],
    ]
    means = drawing.data[drawing.data.code == "graded"].dropna(subset="mean_duration")
    assert (means.mean_duration[means.tolerance < 0.25] == 1.5).all()
    assert (means.mean_duration[means.tolerance > 0.25] == 1.0).all()


def test_durations_of_a_single_step_are_one_clear_line():
    with pytest.raises(InputError, match="needs at least 2 steps"):
        drawings.durations({"toy": np.ones((1, 1, 2))})
