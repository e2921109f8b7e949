"""Events of a camera or an artificial ear: what one recording is, and frames made of it.

Data sets of events are usually read with a library that is GPL-3.0-only, which an MIT package
can't require; `gac.event_files` has readers of our own instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gac.errors import InputError
from gac.metadata import Preprocessing

Integers = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Events:
    """One recording: every array ``(N,)`` int64, in order of time.

    Attributes:
        times: Microseconds.
        x, y: Column and row of the pixel, both from 0; row 0 is at the top.
        polarities: 1 where it became brighter (ON), 0 where darker (OFF).
        sensor: Height and width, pixels.
        period: Start and end of the recording, microseconds; every event lies within.
    """

    times: Integers
    x: Integers
    y: Integers
    polarities: Integers
    sensor: tuple[int, int]
    period: tuple[int, int]

    def __len__(self) -> int:
        return len(self.times)


def recording(
    file: Path | str,
    times: Integers,
    x: Integers,
    y: Integers,
    polarities: Integers,
    *,
    sensor: tuple[int, int],
    period: tuple[int, int] | None = None,
) -> Events:
    """Events that were read from a file, checked.

    Args:
        file: Where they come from, for the message.
        times: As in `Events`, with all below.
        x: Column.
        y: Row.
        polarities: 0 or 1.
        sensor: Height and width.
        period: Without, from the first event to the last.

    Raises:
        InputError: If there are none, one lies outside the sensor, or time goes backwards.
    """
    if not len(times):
        raise InputError(f"{file} has no event; a recording needs at least one")
    height, width = sensor
    outside = np.flatnonzero((x < 0) | (x >= width) | (y < 0) | (y >= height))
    if len(outside):
        first = outside[0]
        raise InputError(
            f"{file}: event {first} is at x {x[first]}, y {y[first]}; the sensor has x 0 to "
            f"{width - 1} and y 0 to {height - 1}: is it a file of another sensor?"
        )
    backwards = np.flatnonzero(np.diff(times) < 0)
    if len(backwards):
        first = backwards[0] + 1
        raise InputError(
            f"{file}: event {first} is at {times[first]} us, the one before it at "
            f"{times[first - 1]} us; times may not go backwards: the file is damaged"
        )
    return Events(
        times=times,
        x=x,
        y=y,
        polarities=polarities,
        sensor=sensor,
        period=period or (int(times[0]), int(times[-1])),
    )


def frame_shape(sensor: tuple[int, int], image_size: int) -> tuple[int, int]:
    """Height and width of frames whose longer side is ``image_size``.

    Raises:
        InputError: If that is more than the sensor has: events can be put together, not apart.

    Example:
        >>> frame_shape((128, 128), 64), frame_shape((1, 700), 140)
        ((64, 64), (1, 140))
    """
    longest = max(sensor)
    if image_size > longest:
        raise InputError(
            f"event frames of {image_size} pixels from a sensor of {sensor[0]} x {sensor[1]}: "
            f"image_size can be at most {longest}"
        )
    height, width = (max(1, side * image_size // longest) for side in sensor)
    return height, width


def frames(events: Events, how: Preprocessing) -> NDArray[np.float32]:
    """One frame per step: events counted, or marked, in equal slices of the recording's period.

    Pixels of the sensor are put together where frames are smaller: column x of a sensor of width
    W becomes column ``x * width // W``.

    Args:
        events: One recording.
        how: With its ``events``; mean and deviation have no effect here.

    Returns:
        ``(T, P, height, width)``: channel 0 has the OFF events and 1 the ON events, or one
        channel has both.

    Raises:
        InputError: If the frames would be larger than the sensor, or ``how`` is of pictures.

    Example:
        Four events on two pixels; the last lies at the end of the period.

        >>> found = recording(
        ...     "by hand",
        ...     times=np.array([0, 4, 5, 10]),
        ...     x=np.array([0, 0, 1, 1]),
        ...     y=np.zeros(4, int),
        ...     polarities=np.array([1, 1, 0, 1]),
        ...     sensor=(1, 2),
        ... )
        >>> from gac.metadata import EventFrames
        >>> counted = EventFrames(steps=2, polarities=2, values="counts")
        >>> how = Preprocessing(image_size=2, mean=(0, 0), std=(1, 1), events=counted)
        >>> frames(found, how).tolist()
        [[[[0.0, 0.0]], [[2.0, 0.0]]], [[[0.0, 1.0]], [[0.0, 1.0]]]]
    """
    made = how.events
    if made is None:
        raise InputError("events need a preprocessing that says how they become frames")
    height, width = frame_shape(events.sensor, how.image_size)
    start, end = events.period
    # Slice k begins at start + k (end - start) / T: exact in Python's integers, rounded up.
    begins = [start - (-k * (end - start) // made.steps) for k in range(1, made.steps)]
    step = np.searchsorted(np.array(begins, np.int64), events.times, side="right")
    channel = events.polarities if made.polarities == 2 else 0
    row = events.y * height // events.sensor[0]
    column = events.x * width // events.sensor[1]
    shape = (made.steps, made.polarities, height, width)
    place = ((step * made.polarities + channel) * height + row) * width + column
    counts = np.bincount(place, minlength=int(np.prod(shape))).reshape(shape)
    return (counts > 0 if made.values == "binary" else counts).astype(np.float32)
