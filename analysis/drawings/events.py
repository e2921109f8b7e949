"""Event data: what a camera saw at each step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from analysis.coding.trains import as_array
from analysis.drawings.drawing import COLOURS, Drawing, drawn
from analysis.errors import InputError

_ON, _OFF = COLOURS[1], COLOURS[0]


def event_frames(clip: Any, title: str, name: str = "event-frames") -> Drawing:
    """The frames of one recording: brighter and darker pixels at each step.

    Args:
        clip: Events ``(T, 2, H, W)``, those of darker pixels first; 0 where there was none.
        title: Of the first frame.
        name: Of the drawing.

    Raises:
        InputError: If it has another shape.
    """
    frames = as_array(clip)
    if frames.ndim != 4 or frames.shape[1] != 2:
        raise InputError(f"expected event frames (T, 2, H, W), got {tuple(frames.shape)}")
    steps, _, height, width = frames.shape
    rows = []
    with drawn(1, steps, size=(1.5 * steps, 1.5 * height / width + 0.6)) as panels:
        for step, panel in enumerate(panels[0]):
            panel.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5), aspect="equal")
            panel.set(title=title if step == 0 else "", xticks=[], yticks=[])
            panel.set_xlabel(f"t = {step + 1}")
            panel.grid(visible=False)
            for polarity, (colour, marker) in enumerate(((_OFF, "s"), (_ON, "s"))):
                at = np.argwhere(frames[step, polarity] != 0)
                size = (72 * 1.1 / width) ** 2 * (0.25 if polarity else 0.75)
                panel.scatter(at[:, 1], at[:, 0], s=size, c=colour, marker=marker, lw=0)
                rows.append({"step": step + 1, "polarity": ("OFF", "ON")[polarity],
                             "pixels": len(at)})  # fmt: skip
    return Drawing(
        name=name,
        figure=panels[0, 0].figure,
        caption="Events of one recording, binned into one frame per step: blue where a pixel "
        "became darker, orange where it became brighter, a small square on a large one where both.",
        data=pd.DataFrame(rows),
    )
