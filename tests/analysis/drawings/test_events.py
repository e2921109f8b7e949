"""Frames of events: every pixel with an event is a mark."""

from __future__ import annotations

import pytest
import torch

from analysis.drawings import event_frames
from analysis.errors import InputError


def test_a_recording_has_a_panel_per_step_and_a_mark_per_pixel_and_polarity():
    clip = torch.zeros(3, 2, 4, 5)
    clip[0, 0, 1, 2] = 1  # darker
    clip[0, 1, 1, 2] = 4  # and brighter, in the same frame
    clip[2, 1] = 1
    drawing = event_frames(clip, "by hand")
    assert drawing.data.to_dict("list") == {
        "step": [1, 1, 2, 2, 3, 3],
        "polarity": ["OFF", "ON"] * 3,
        "pixels": [1, 1, 0, 0, 0, 20],
    }
    panels = drawing.figure.axes
    assert [panel.get_xlabel() for panel in panels] == ["t = 1", "t = 2", "t = 3"]
    off, on = panels[0].collections
    assert off.get_offsets().tolist() == on.get_offsets().tolist() == [[2, 1]]


@pytest.mark.parametrize("shape", [(3, 4, 5), (3, 1, 4, 5), (2, 3, 2, 4, 5)])
def test_what_is_no_clip_of_two_polarities_is_refused(shape):
    with pytest.raises(InputError, match="expected event frames"):
        event_frames(torch.zeros(shape), "by hand")
