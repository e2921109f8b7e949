"""Cubes, rasters and gates: what stands in their numbers, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from analysis import drawings
from analysis.errors import InputError

# Two channels of 1 x 2 neurons over two steps: channel 0 fires at both steps in its first neuron
# and at step 2 in its second one, channel 1 only at step 2 in its second one.
SPIKES = np.array([[[[[1, 0]], [[0, 0]]], [[[1, 1]], [[0, 1]]]]])
GATE = np.array([[[[[0.2, 0.9]], [[0.5, 0.5]]], [[[0.4, 0.8]], [[0.5, 0.1]]]]])


def test_a_cube_lists_every_spike_of_its_channel_with_its_gate():
    found = drawings.code_cubes(np.ones((1, 2)), SPIKES, GATE, channel=0, name="toy").data
    assert found.to_dict("list") == {
        "step": [1, 2, 2],
        "row": [0, 0, 0],
        "column": [0, 0, 1],
        "gate": [0.2, 0.4, 0.8],
    }


def test_a_cube_has_a_card_per_step_in_three_rows_and_says_what_they_are():
    drawing = drawings.code_cubes(np.ones((1, 2)), SPIKES, GATE, channel=1, name="toy")
    panel, bar = drawing.figure.axes
    assert len(panel.images) == 1 + 3 * 2
    graded = panel.images[-1].get_array()
    assert graded.tolist() == [[0, 0.1]]
    assert bar.get_ylabel() == "value at one step"
    assert drawing.name == "code-cubes-toy"
    assert "Channel 1 of the encoder over 2 steps" in drawing.caption


def test_cubes_are_drawn_of_tensors_too(tmp_path):
    picture = torch.rand(2, 2, 3)
    spikes, gate = torch.ones(1, 3, 1, 2, 2), torch.full((1, 3, 1, 2, 2), 0.5)
    drawing = drawings.code_cubes(picture, spikes, gate, channel=0, name="toy").save(tmp_path)
    assert len(drawing.data) == 3 * 4


@pytest.mark.parametrize(
    ("spikes", "gate", "channel", "words"),
    [
        (SPIKES, GATE[:, :1], 0, "expected spikes and gate"),
        (SPIKES, GATE, 2, "no channel 2 of 2"),
        (2 * SPIKES, GATE, 0, "spike trains hold 0 and 1 only"),
    ],
)
def test_a_cube_of_something_else_is_one_clear_line(spikes, gate, channel, words):
    with pytest.raises(InputError, match=words):
        drawings.code_cubes(np.ones((1, 2)), spikes, gate, channel=channel, name="toy")


def test_a_raster_holds_equally_many_neurons_of_every_train_that_fires():
    # 5 neurons of period 1, 2 of period 2, 1 silent one.
    spikes = np.zeros((1, 2, 8), int)
    spikes[0, :, :5] = 1
    spikes[0, 1, 5:7] = 1
    drawing = drawings.code_raster(
        spikes, 0.5 * np.ones_like(spikes, float), spikes, each=3, name="toy"
    )
    neurons = drawing.data.drop_duplicates("neuron")
    assert neurons.period.tolist() == [1, 1, 1, 2, 2]
    assert drawing.data.spike.sum() == 3 * 2 + 2
    assert "The same 5 neurons in all panels, up to 3 of every train" in drawing.caption


def test_a_raster_keeps_what_is_behind_at_its_neuron_and_step():
    behind = np.zeros_like(SPIKES)
    behind[0, 1, 0, 0, 0] = 1
    found = drawings.code_raster(SPIKES, GATE, behind, name="toy").data
    passed = found[found.behind == 1]
    assert passed[["period", "step", "spike", "gate"]].values.tolist() == [[1, 2, 1, 0.4]]


def test_a_raster_of_silence_or_of_other_shapes_is_one_clear_line():
    with pytest.raises(InputError, match="no neuron fires"):
        drawings.code_raster(0 * SPIKES, GATE, SPIKES, name="toy")
    with pytest.raises(InputError, match="expected the shape of the spikes"):
        drawings.code_raster(SPIKES, GATE[:, :, :1], SPIKES, name="toy")


def test_the_course_of_a_gate_is_its_mean_and_its_deciles():
    # 11 neurons whose log-odds are -5, ..., 5 at step 1 and the opposite at step 2.
    odds = np.outer([1.0, -1.0], np.arange(-5.0, 6.0))[None]
    found = drawings.gate_over_time(odds, neurons=1, name="toy").data
    course = found[found.kind == "gate"].pivot_table(index="what", columns="step", values="value")
    sigmoid = 1 / (1 + np.exp(4))
    assert course.loc["mean"].tolist() == pytest.approx([0.5, 0.5])
    assert course.loc["decile 1"].tolist() == pytest.approx([sigmoid, sigmoid])
    assert course.loc["decile 9"].tolist() == pytest.approx([1 - sigmoid, 1 - sigmoid])
    assert [what for what in course.index if what.startswith("neuron")] == ["neuron 5"]


def test_log_odds_that_are_a_number_per_step_times_a_map_have_one_singular_value():
    odds = np.einsum("bt,bn->btn", [[1.0, 2.0, 3.0]] * 2, [[1.0, -2.0, 4.0, 0.5]] * 2)
    drawing = drawings.gate_over_time(odds, name="toy")
    sizes = drawing.data[drawing.data.kind != "gate"]
    assert sizes.what.tolist() == ["1", "2", "3"] * 2
    assert sizes.value.tolist() == pytest.approx([1, 0, 0] * 2, abs=1e-12)
    assert "the rank is 1, a number per step times a map." in drawing.caption


def test_log_odds_of_rank_2_are_not_called_rank_1():
    drawing = drawings.gate_over_time(np.eye(2)[None], name="toy")
    assert "the rank is 2." in drawing.caption


def test_a_mask_has_the_mean_and_deviation_of_every_place():
    drawing = drawings.gate_mask(SPIKES, GATE, channels=(0, 1), name="toy")
    first = drawing.data.iloc[0]
    assert first.to_dict() == pytest.approx(
        {
            "channel": 0, "row": 0, "column": 0,
            "spikes_per_step": 1.0, "gate_mean": 0.3, "gate_deviation": 0.1,
        }
    )  # fmt: skip
    # Means 0.3, 0.85, 0.5, 0.3; deviations 0.1, 0.05, 0, 0.2: their sum is 0.35.
    assert f"{np.std([0.3, 0.85, 0.5, 0.3]):.3f} from place to place" in drawing.caption
    assert f"{0.35 / 4:.3f} from step to step" in drawing.caption


def test_the_share_of_spikes_at_a_closed_gate_is_named_in_the_legend():
    # The four spikes meet 0.2, 0.4, 0.8 and 0.1: three of them at or below 0.5.
    drawing = drawings.gate_shares({"toy": (GATE, SPIKES)})
    legend = drawing.figure.axes[0].get_legend().get_texts()[0].get_text()
    assert legend == "toy: 75 % of the spikes at a closed gate"
    assert drawing.data.share.sum() == pytest.approx(1)
    assert "At or below 0.5" in drawing.caption


def test_the_limit_of_a_closed_gate_is_that_of_the_neuron():
    drawing = drawings.gate_shares({"toy": (GATE, SPIKES)}, threshold=0.5, decay=0.25)
    legend = drawing.figure.axes[0].get_legend().get_texts()[0].get_text()
    assert legend == "toy: 50 % of the spikes at a closed gate"  # 0.1 and 0.2 of limit 0.375
    assert "At or below 0.375" in drawing.caption


def test_a_gate_without_spikes_is_one_clear_line():
    with pytest.raises(InputError, match="no spikes"):
        drawings.gate_shares({"toy": (GATE, 0 * SPIKES)})
