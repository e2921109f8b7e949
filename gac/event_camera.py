"""A simulated event camera in front of moving pictures: events where there are no recordings.

A pixel of such a camera looks at the logarithm of its brightness and fires when that has changed
by a threshold since its last event, ON for brighter and OFF for darker (Lichtsteiner et al., IEEE
JSSC 2008). Here the brightness is known at the beginning of every sub-frame and taken to be linear
in its logarithm between two; an event has the time at which that line crosses the threshold. There
is no noise, no refractory time and no spread of thresholds, as a real sensor has.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from gac.events import Events, recording

Floats = NDArray[np.float64]

SENSOR = (16, 16)
DURATION_US = 300_000
SUBFRAMES = 60  # a third of them per movement, each under a fifth of a pixel
THRESHOLD = 0.3  # of the natural logarithm of brightness
DARK = 0.1  # added to brightness in [0, 1]: what the sensor sees in the dark
ENLARGED = 1.5  # pixels of the sensor per pixel of a picture
# Three straight movements of equal duration and back, as N-MNIST's camera made (Orchard et al.
# 2015); the distances, in pixels of the sensor, are our own. (column, row) from the middle.
CORNERS = ((-1.5, -1.0), (0.0, 2.0), (1.5, -1.0), (-1.5, -1.0))
_ROUNDING = 1e-6  # of a threshold: a change is reached in spite of rounding


def watched(pictures: Floats) -> list[Events]:
    """What the camera sees while pictures move along a triangle in front of it.

    Args:
        pictures: ``(N, h, w)``, brightness in [0, 1]; around them it is dark.

    Returns:
        One recording per picture, of 0.3 s.

    Raises:
        InputError: If a picture causes no event: it is all dark.
    """
    before = _log_brightness(pictures, 0.0)
    reference = before.copy()
    found: list[NDArray[np.int64]] = []
    for subframe in range(1, SUBFRAMES + 1):
        now = _log_brightness(pictures, subframe / SUBFRAMES)
        found.append(_crossings(before, now, reference, subframe - 1))
        before = now
    sample, times, row, column, polarity = np.concatenate(found, axis=1)
    order = np.lexsort((column, row, times, sample))  # by sample, then time, then place
    ends = np.searchsorted(sample[order], np.arange(len(pictures) + 1))
    parts = [order[first:last] for first, last in pairwise(ends)]
    return [
        recording(
            f"simulated recording {number}", times[part], column[part], row[part], polarity[part],
            sensor=SENSOR, period=(0, DURATION_US),
        )
        for number, part in enumerate(parts)
    ]  # fmt: skip


def _crossings(
    before: Floats, now: Floats, reference: Floats, subframe: int
) -> NDArray[np.int64]:  # fmt: skip
    """Events of one sub-frame: rows of sample, time, row, column, polarity; moves the reference."""
    change = now - reference
    thresholds = np.floor(np.abs(change) / THRESHOLD + _ROUNDING)
    signs = np.sign(change)
    found = []
    for crossing in range(1, int(thresholds.max(initial=0)) + 1):
        fired = np.nonzero(thresholds >= crossing)
        level = reference[fired] + signs[fired] * crossing * THRESHOLD
        share = (level - before[fired]) / (now[fired] - before[fired])
        passed = (subframe + np.clip(share, 0, 1)) * DURATION_US / SUBFRAMES
        on = (signs[fired] > 0).astype(np.int64)
        found.append(np.stack([fired[0], np.rint(passed).astype(np.int64), *fired[1:], on]))
    reference += signs * thresholds * THRESHOLD
    return np.concatenate(found, axis=1) if found else np.empty((5, 0), np.int64)


def _log_brightness(pictures: Floats, moment: float) -> Floats:
    """What the sensor's pixels see at a moment from 0 to 1: ``(N, height, width)``."""
    stretch = min(int(moment * 3), 2)
    share = moment * 3 - stretch
    column, row = (
        (1 - share) * start + share * end
        for start, end in zip(CORNERS[stretch], CORNERS[stretch + 1], strict=True)
    )
    down = _interpolation(SENSOR[0], pictures.shape[1], row)
    across = _interpolation(SENSOR[1], pictures.shape[2], column)
    # No matrix product: its last bits may depend on the number of threads.
    rows = np.einsum("ih,nhw->niw", down, pictures)
    light: Floats = np.einsum("niw,jw->nij", rows, across)
    return np.log(light + DARK)


def _interpolation(pixels: int, stored: int, shift: float) -> Floats:
    """Weights of a picture's pixels at each of the sensor's along one axis, linear between them."""
    middle = (pixels - 1) / 2 + shift
    places = (np.arange(pixels) - middle) / ENLARGED + (stored - 1) / 2
    return np.maximum(0, 1 - np.abs(places[:, None] - np.arange(stored)))
