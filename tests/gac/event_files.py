"""Writers of the published event formats, independent of the readers: small files for the tests."""

from __future__ import annotations

import struct
from pathlib import Path

AEDAT2_HEADER = (
    b"#!AER-DAT2.0\r\n# This is a raw AE data file - do not edit\r\n"
    b"# Data format is int32 address, int32 timestamp (8 bytes total), repeated for each event\r\n"
)
AEDAT3_HEADER = (
    b"#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 0: DVS128\r\n"
    b"#Start-Time: 2016-03-14 14:57:11 (TZ+0100)\r\n#!END-HEADER\r\n"
)
CLASSES = [
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
]  # fmt: skip


def nmnist(events):
    """(time, x, y, polarity) as 40 bits each, most significant byte first."""
    words = (x << 32 | y << 24 | p << 23 | t for t, x, y, p in events)
    return b"".join(word.to_bytes(5, "big") for word in words)


def aedat2(events):
    """(time, column, row, polarity): the camera's axes count from the far end, OFF is 1."""
    pairs = (
        struct.pack(">II", (127 - column) << 8 | (127 - row) << 1 | (1 - p), t)
        for t, column, row, p in events
    )
    return AEDAT2_HEADER + b"".join(pairs)


def packet(events, overflow=0, kind=1, size=8):
    """Polarity events (time, x, y, polarity[, valid]) in one packet of AEDAT 3.1."""
    body = b"".join(
        struct.pack("<Ii", x << 17 | y << 2 | p << 1 | (valid[0] if valid else 1), t)
        for t, x, y, p, *valid in events
    )
    number = len(events)
    return struct.pack("<hhiiiiii", kind, 0, size, 4, overflow, number, number, number) + body


def aedat3(*packets):
    return AEDAT3_HEADER + b"".join(packets)


def write_nmnist(root, events, per_digit=1):
    for split in ("Train", "Test"):
        for digit in range(10):
            folder = Path(root) / "nmnist" / split / str(digit)
            folder.mkdir(parents=True)
            for k in range(per_digit):
                (folder / f"{k:05}.bin").write_bytes(nmnist(events))


def write_cifar10dvs(root, events, per_class=10):
    for name in CLASSES:
        folder = Path(root) / "cifar10dvs" / name
        folder.mkdir(parents=True)
        for k in range(per_class):
            (folder / f"cifar10_{name}_{k}.aedat").write_bytes(aedat2(events))


def write_gestures(root, recording, pieces):
    """One recording for training and one for testing, with the same (class, start, end)."""
    folder = Path(root) / "dvs128gesture"
    folder.mkdir(parents=True)
    rows = "".join(f"{gesture},{start},{end}\n" for gesture, start, end in pieces)
    for split, user in (("train", "user01_led"), ("test", "user24_led")):
        (folder / f"trials_to_{split}.txt").write_text(f"{user}.aedat\n\n")
        (folder / f"{user}.aedat").write_bytes(recording)
        (folder / f"{user}_labels.csv").write_text(f"class,startTime_usec,endTime_usec\n{rows}")


def write_shd(root, utterances, labels):
    """(times in seconds, units) per utterance, as float16 and int64 of any length."""
    import h5py
    import numpy as np

    folder = Path(root) / "shd"
    folder.mkdir(parents=True)
    for split in ("train", "test"):
        with h5py.File(folder / f"shd_{split}.h5", "w") as file:
            for name, kind, place in (("times", np.float16, 0), ("units", np.int64, 1)):
                rows = file.create_dataset(
                    f"spikes/{name}", (len(utterances),), h5py.vlen_dtype(kind)
                )
                for k, utterance in enumerate(utterances):
                    rows[k] = np.array(utterance[place], kind)
            file["labels"] = np.array(labels)
