"""Drawings of ablations of the gate: differences within a seed, and what can be told of them."""

from __future__ import annotations

import pandas as pd
import pytest

from analysis import drawings
from analysis.drawings.seeds import clearness
from analysis.errors import InputError
from analysis.reporting.encoder_tables import RUN_COLUMNS

ACCURACIES = {
    "direct": [0.9, 0.8],
    "gac": [0.5, 0.4],
    "gac, spatial only": [0.9, 0.2],
    "gac, kernel 2": [0.5, 0.5],
    "poisson": [0.7, 0.7],
}


def measured(**quantities):
    """Runs at T = 2; quantity -> encoder -> one value per seed."""
    rows = [
        (encoder, 2, seed, quantity, None, value)
        for quantity, by_encoder in quantities.items()
        for encoder, values in by_encoder.items()
        for seed, value in enumerate(values)
    ]
    return pd.DataFrame(rows, columns=list(RUN_COLUMNS)).astype({"step": "Int64"})


def rows_of(panel):
    return [label.get_text() for label in panel.get_yticklabels()]


def test_accuracies_are_in_per_cent_and_other_encoders_are_left_out():
    drawing = drawings.ablation_accuracies(measured(accuracy=ACCURACIES))
    found = drawing.data.set_index("variant")
    assert found.loc["gac, spatial only", "mean"] == pytest.approx(55)
    assert "poisson" not in found.index
    (panel,) = drawing.figure.axes
    assert rows_of(panel) == ["direct", "gac", "gac, spatial only", "gac, kernel 2"]
    assert (panel.get_title("left"), panel.get_xlabel()) == ("T = 2", "accuracy, %")


def test_differences_are_paired_by_seed_and_sorted():
    drawing = drawings.ablation_differences(measured(accuracy=ACCURACIES))
    found = drawing.data.set_index("variant")
    assert list(found.index) == ["direct", "gac, spatial only", "gac, kernel 2"]
    assert found["mean"].tolist() == pytest.approx([40, 10, 5])
    # Both seeds gain 40 points: no spread at all
    assert found.loc["direct", "low"] == pytest.approx(40)
    assert found["sign"].tolist() == ["clear", "not clear", "not clear"]
    assert rows_of(drawing.figure.axes[0]) == list(found.index)
    assert "Bonferroni" in drawing.caption


def test_a_gate_changed_after_training_is_compared_with_the_same_network():
    changed = {
        "accuracy_then_off": {"gac": [0.2, 0.1]},
        "accuracy_then_frozen": {"gac": [0.5, 0.4]},
    }
    drawing = drawings.ablation_differences(measured(accuracy=ACCURACIES, **changed))
    found = drawing.data.set_index("variant")["mean"]
    assert found["trained whole, then off"] == pytest.approx(-30)
    assert found["trained whole, then frozen"] == 0


def test_seeds_that_only_one_of_them_has_are_left_out():
    accuracies = {"gac": [0.5, 0.4, 0.3], "gac, frozen": [0.6]}
    found = drawings.ablation_differences(measured(accuracy=accuracies)).data.iloc[0]
    assert (found["mean"], found.seeds) == (pytest.approx(10), 1)
    assert found["sign"] == "not clear"  # of one seed there is no interval


def test_more_comparisons_ask_for_more():
    # Mean 1.0, standard error 0.1: t of 2 degrees is 4.30 for one interval, 19.96 for 20 at once
    values = [1.0, 1.0 + 0.1 * 3**0.5, 1.0 - 0.1 * 3**0.5]
    assert clearness(values) == "clear"
    assert clearness(values, comparisons=20) == "clear alone"


def test_costs_are_means_with_the_share_of_the_gate():
    frame = measured(
        accuracy={"gac": [0.5, 0.7], "direct": [0.9, 0.9]},
        energy_pj={"gac": [3000.0, 5000.0], "direct": [1000.0, 1000.0]},
        energy_once_pj={"gac": [2000.0, 2000.0], "direct": [500.0, 500.0]},
        gate_energy_pj={"gac": [2000.0, 2000.0], "direct": [0.0, 0.0]},
    )
    drawing = drawings.ablation_costs(frame)
    found = drawing.data.set_index("variant")
    assert found.loc["gac", ["energy_pj", "gate_share"]].tolist() == [4000, 0.5]
    assert found.loc["direct", "gate_share"] == 0
    (panel,) = drawing.figure.axes
    assert panel.get_xlabel() == "energy per image, nJ"
    assert "50 %" in [text.get_text() for text in panel.texts]
    every, once = panel.get_lines()[:2]
    assert list(every.get_xdata()) == [4, 1]
    assert list(once.get_xdata()) == [2, 0.5]


def test_every_network_is_a_mark_beside_the_rate_behind_its_encoder():
    rates = {"gac": [0.0, 0.1], "direct": [0.2, 0.3]}
    frame = measured(accuracy={"gac": [0.5, 0.7], "direct": [0.9, 0.9]}, code_firing_rate=rates)
    drawing = drawings.ablation_firing(frame)
    found = drawing.data.set_index(["variant", "seed"])
    assert found.loc[("gac", 1)].tolist() == [2, 0.7, 0.1]
    assert len(found) == 4
    assert "spikes / neuron / step" in drawing.figure.axes[0].get_xlabel()


def test_without_the_whole_gate_there_is_nothing_to_compare_with():
    with pytest.raises(InputError, match="no network with the whole gate"):
        drawings.ablation_differences(measured(accuracy={"gac, frozen": [0.5]}))
