"""Readers of the files that event data sets are published in: bytes to checked `Events`.

N-MNIST's 40-bit events (Orchard et al. 2015), AEDAT 2.0 as jAER wrote it (CIFAR10-DVS), AEDAT 3.1
as cAER wrote it (DVS128 Gesture), and the HDF5 files of the Heidelberg data sets (SHD).
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gac.errors import InputError, from_extra
from gac.events import Events, recording

NMNIST_SENSOR = (34, 34)
DVS128_SENSOR = (128, 128)
SHD_SENSOR = (1, 700)
SHD_CLASSES = 20
_LONGEST_S = 3600
_NMNIST_EVENT = 5  # bytes
_OVERFLOW_ROW = 240  # y of a marker that is no event: from here on time is 2**13 us later
_OVERFLOW_US = 2**13
_AEDAT2_EVENT = 8  # bytes: address, time
_SYNC_BIT = 15  # of a DVS128 address: a signal on the camera's input, no pixel
_PACKET = struct.Struct("<hhiiiiii")
_POLARITY_PACKET = 1


def read_nmnist(file: Path) -> Events:
    """A recording of N-MNIST.

    An event has 40 bits: x 8, y 8, polarity 1, time 23 in microseconds, most significant first.

    Raises:
        InputError: If the file can't be read or is damaged.
    """
    data = _content(file)
    _check_whole(file, len(data), _NMNIST_EVENT)
    rows = np.frombuffer(data, np.uint8).reshape(-1, _NMNIST_EVENT).astype(np.int64)
    x, y, high, middle, low = rows.T
    markers = y == _OVERFLOW_ROW
    times = ((high & 127) << 16 | middle << 8 | low) + np.cumsum(markers) * _OVERFLOW_US
    kept = ~markers
    return recording(
        file, times[kept], x[kept], y[kept], high[kept] >> 7, sensor=NMNIST_SENSOR
    )  # fmt: skip


def read_aedat2(file: Path) -> Events:
    """A recording of a DVS128 in AEDAT 2.0: pairs of big-endian address and time.

    Bit 0 of an address is 1 for OFF, bits 1 to 7 and 8 to 14 count the pixels of the two axes
    from the far end. Here bits 8 to 14 give the column and bits 1 to 7 the row, as other readers
    of CIFAR10-DVS have it; there is no recording here to see that pictures stand upright.

    Raises:
        InputError: If the file can't be read, is of another version or damaged.
    """
    data = _content(file)
    body = data[_header_end(file, data, b"#!AER-DAT2.0") :]
    _check_whole(file, len(body), _AEDAT2_EVENT)
    pairs = np.frombuffer(body, ">i4").reshape(-1, 2).astype(np.int64)
    address, times = pairs[pairs[:, 0] >> _SYNC_BIT != 1].T
    far = np.flatnonzero(address >> _SYNC_BIT)
    if len(far):
        raise InputError(
            f"{file}: event {far[0]} has address {address[far[0]]}; a sensor of 128 x 128 has 0 "
            f"to {2**_SYNC_BIT - 1}: is it a file of another sensor?"
        )
    column, row = 127 - (address >> 8), 127 - (address >> 1 & 127)
    return recording(file, times, column, row, 1 - (address & 1), sensor=DVS128_SENSOR)


def read_aedat3(file: Path, start: int, end: int) -> Events:
    """A piece of a recording of a DVS128 in AEDAT 3.1.

    Packets of 28 bytes of header and their events follow each other; only those of the piece are
    looked into. An event that is marked as invalid is left out.

    Args:
        file: The recording.
        start: Of the piece, microseconds.
        end: Of the piece, included.

    Raises:
        InputError: If the file can't be read, is of another version or damaged.
    """
    data = _content(file)
    place = _header_end(file, data, b"#!AER-DAT3.1")
    parts: list[NDArray[np.int64]] = []
    while place < len(data):
        events, place = _packet(file, data, place)
        if len(events) and events[0, 1] <= end and events[-1, 1] >= start:
            parts.append(events[(events[:, 1] >= start) & (events[:, 1] <= end)])
    found = np.concatenate(parts) if parts else np.empty((0, 2), np.int64)
    address, times = found[(found[:, 0] & 1) == 1].T
    where = f"{file}, {start} to {end} us"
    return recording(
        where, times, address >> 17, address >> 2 & 0x7FFF, address >> 1 & 1,
        sensor=DVS128_SENSOR, period=(start, end),
    )  # fmt: skip


def _packet(file: Path, data: bytes, place: int) -> tuple[NDArray[np.int64], int]:
    """The address and time of the events of one packet ``(N, 2)``, and where the next begins."""
    body = place + _PACKET.size
    if body > len(data):
        raise InputError(
            f"{file} ends inside the header of a packet, at byte {place}: it is not complete"
        )
    kind, _, size, _, overflow, capacity, number, _ = _PACKET.unpack_from(data, place)
    sound = 0 <= number <= capacity and size > 0 and overflow >= 0
    if not sound or (kind == _POLARITY_PACKET and size != _AEDAT2_EVENT):
        raise InputError(
            f"{file}: the packet at byte {place} claims {number} of {capacity} events of {size} "
            "bytes; polarity events have 8: the file is damaged"
        )
    after = body + capacity * size
    if after > len(data):
        raise InputError(
            f"{file} ends inside the packet at byte {place}: {len(data) - body} bytes of "
            f"{after - body} are there"
        )
    if kind != _POLARITY_PACKET:
        return np.empty((0, 2), np.int64), after
    events = np.frombuffer(data, "<u4", 2 * number, body).reshape(-1, 2).astype(np.int64)
    events[:, 1] |= overflow << 31
    return events, after


def read_shd(file: Path, sample: int) -> Events:
    """One utterance of the Spiking Heidelberg Digits.

    Times are seconds; the period begins at 0 and ends with the last spike. A unit has no
    polarity: every spike counts as ON.

    Raises:
        InputError: If h5py is not installed, the file can't be read or is damaged.
    """
    seconds = _array(file, "spikes/times", sample)
    units = _array(file, "spikes/units", sample)
    where = f"{file}, sample {sample}"
    if seconds.shape != units.shape or seconds.ndim != 1:
        raise InputError(
            f"{where} has {seconds.shape} times and {units.shape} units; one of each per spike"
        )
    if not (np.isfinite(seconds) & (seconds >= 0) & (seconds < _LONGEST_S)).all():
        raise InputError(f"{where}: times have to be seconds from 0 to {_LONGEST_S}")
    times = np.rint(seconds.astype(np.float64) * 1e6).astype(np.int64)
    row, polarities = np.zeros_like(times), np.ones_like(times)
    period = (0, int(times[-1])) if len(times) else None
    return recording(
        where, times, units.astype(np.int64), row, polarities, sensor=SHD_SENSOR, period=period
    )


def shd_labels(file: Path) -> list[int]:
    """The label of every utterance of an SHD file.

    Raises:
        InputError: As `read_shd`, or if there is none, or one is out of the 20 classes.
    """
    labels = _array(file, "labels", ...)
    if not labels.size or labels.ndim != 1 or not np.isin(labels, range(SHD_CLASSES)).all():
        raise InputError(
            f"{file}: labels have to be a row of numbers from 0 to {SHD_CLASSES - 1}, got "
            f"{labels.shape} from {labels.min(initial=0)} to {labels.max(initial=0)}"
        )
    return [int(label) for label in labels]


def _array(file: Path, name: str, where: Any) -> NDArray[Any]:
    """Numbers of an HDF5 file; opened anew every time, since processes can't share one."""
    with from_extra("events"):
        import h5py
    try:
        with h5py.File(file) as opened:
            found: NDArray[Any] = np.asarray(opened[name][where])
    except Exception as error:  # a damaged file can raise anything
        raise InputError(
            f"cannot read {name} in {file}: {error}; an SHD file is HDF5 with spikes/times, "
            "spikes/units and labels"
        ) from error
    if found.dtype.kind not in "iuf":
        raise InputError(f"{file}: {name} has to be numbers, got {found.dtype}")
    return found


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror}") from error


def _check_whole(file: Path, size: int, event: int) -> None:
    if size % event:
        raise InputError(
            f"{file} ends inside event {size // event}: {size} bytes of events are no multiple "
            f"of {event}; it is not complete"
        )


def _header_end(file: Path, data: bytes, version: bytes) -> int:
    """Where the lines that begin with # end; the first says the version."""
    if not data.startswith(version):
        raise InputError(
            f"{file} begins with {data[: len(version)]!r}, not with {version.decode()}"
        )
    place = 0
    while data[place : place + 1] == b"#":
        line_end = data.find(b"\n", place) + 1
        if not line_end:
            raise InputError(f"{file} ends inside its header, at byte {place}; it is not complete")
        if data[place:line_end].rstrip() == b"#!END-HEADER":  # of 3.1; after 2.0's come events
            return line_end
        place = line_end
    return place
