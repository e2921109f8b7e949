"""Encoders over training seeds as drawn: means, intervals, and what they cannot show."""

from __future__ import annotations

import pandas as pd
import pytest

from analysis import drawings
from analysis.errors import InputError

# Value of each of three seeds; direct coding is the reference.
VALUES = {
    ("direct", "accuracy"): [0.90, 0.91, 0.92],
    ("gac", "accuracy"): [0.88, 0.89, 0.90],  # 2 points less with every seed
    ("poisson", "accuracy"): [0.89, 0.91, 0.93],  # 1 less, the same, 1 more
    ("direct", "image_information"): [1.0, 1.1, 1.2],
    ("gac", "image_information"): [1.0, 1.0, 1.0],
    ("poisson", "image_information"): [0.5, 0.5, 0.5],
    ("direct", "information_per_spike"): [2.0, 2.0, 2.0],
    ("gac", "information_per_spike"): [3.0],
    ("poisson", "information_per_spike"): [1.0, 1.0, 1.0],
    ("direct", "dynamic_duration"): [1.0, 1.0, 1.0],
    ("gac", "dynamic_duration"): [1.5, 1.4, 1.6],
    ("poisson", "dynamic_duration"): [1.0, 1.0, 1.0],
    ("direct", "image_information_shuffled"): [0.0, 0.0, 0.0],
    ("poisson", "image_information_shuffled"): [0.1, 0.2, 0.3],
    ("gac", "accuracy_then_frozen"): [0.8, 0.8, 0.8],
    ("gac", "accuracy_then_permuted"): [0.8, 0.8, 0.8],
    ("gac", "accuracy_then_off"): [0.1, 0.2, 0.3],
}
BY_STEP = {
    ("direct", "information_up_to", 1): [0.4, 0.5, 0.6],
    ("direct", "information_up_to", 2): [1.0, 1.0, 1.0],
    ("direct", "accuracy_up_to", 1): [0.5, 0.6, 0.7],
    ("direct", "accuracy_up_to", 2): [0.9, 0.9, 0.9],
}


@pytest.fixture(scope="module")
def frame():
    rows = [
        (encoder, 2, seed, quantity, None, value)
        for (encoder, quantity), values in VALUES.items()
        for seed, value in enumerate(values)
    ] + [
        (encoder, 2, seed, quantity, step, value)
        for (encoder, quantity, step), values in BY_STEP.items()
        for seed, value in enumerate(values)
    ]
    columns = ["encoder", "steps", "seed", "quantity", "step", "value"]
    return pd.DataFrame(rows, columns=columns).astype({"step": "Int64"})


def row(data, encoder, quantity):
    (found,) = data[(data.encoder == encoder) & (data.quantity == quantity)].to_dict("records")
    return found


def test_a_mean_stands_with_the_t_interval_of_its_seeds(frame):
    found = row(drawings.encoders_compared(frame).data, "direct", "accuracy")
    # 91 +- 4.303 (t of 2 degrees) * 1 / sqrt(3)
    assert found["mean"] == pytest.approx(91)
    assert found["high"] - 91 == pytest.approx(4.303 / 3**0.5, abs=1e-3)
    assert found["seeds"] == 3


def test_a_value_that_not_every_seed_has_says_how_many_have_it(frame):
    drawing = drawings.encoders_compared(frame)
    assert row(drawing.data, "gac", "information_per_spike")["seeds"] == 1
    assert "Hollow where not every seed has a value" in drawing.caption


def test_the_bias_of_a_code_with_noise_is_named(frame):
    caption = drawings.encoders_compared(frame).caption
    assert "hold a bias: poisson +0.20 at T = 2." in caption
    assert caption.startswith("9 trained networks: ")


def test_differences_to_direct_coding_are_taken_seed_by_seed(frame):
    data = drawings.beside_direct(frame).data
    gac, poisson = (row(data, encoder, "accuracy") for encoder in ("gac", "poisson"))
    assert [gac[end] for end in ("low", "mean", "high")] == pytest.approx([-2, -2, -2])
    assert poisson["mean"] == pytest.approx(0)
    assert poisson["low"] < 0 < poisson["high"]
    assert "direct" not in set(data.encoder)


def test_a_difference_whose_interval_holds_0_is_hollow(frame):
    panel = drawings.beside_direct(frame).figure.axes[0]
    faces = [line.get_markerfacecolor() for line in panel.lines if line.get_marker() == "o"]
    assert faces[:2] == ["#0072b2", "white"]  # of GAC, of Poisson


def test_what_is_known_by_step_has_one_row_per_step(frame):
    data = drawings.information_by_step(frame, steps=2, encoders=("direct",)).data
    bits = data[data.quantity == "information_up_to"]
    assert bits.step.tolist() == [1, 2]
    assert bits["mean"].tolist() == pytest.approx([0.5, 1.0])
    assert data[data.quantity == "accuracy_up_to"]["mean"].tolist() == pytest.approx([60, 90])


def test_a_changed_gate_stands_beside_the_trained_one(frame):
    drawing = drawings.gate_changed(frame)
    assert row(drawing.data, "gac", "accuracy_then_off")["mean"] == pytest.approx(20)
    labels = [label.get_text() for label in drawing.figure.axes[0].get_yticklabels()]
    assert labels == ["as trained", "frozen over time", "steps permuted", "off"]


def test_what_was_not_measured_is_one_clear_line(frame):
    with pytest.raises(InputError, match="no accuracy among"):
        drawings.encoders_compared(frame[frame.quantity != "accuracy"])
    with pytest.raises(InputError, match="no network with direct coding"):
        drawings.beside_direct(frame[frame.encoder != "direct"])


def test_a_quantity_that_no_network_has_takes_no_panel(frame):
    drawing = drawings.encoders_compared(frame[frame.quantity != "dynamic_duration"])
    assert len(drawing.figure.axes) == 3
