"""Event data sets: real formats read, frames made of events, damaged files refused in one line."""

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gac.augment import Augmented, mixed
from gac.data import DATASETS, data_source, load_data, preprocessing_for
from gac.errors import InputError
from gac.event_camera import DARK, SENSOR, THRESHOLD, watched
from gac.event_files import read_aedat2, read_aedat3, read_nmnist, read_shd
from gac.events import frames, recording
from gac.metadata import EventFrames, Preprocessing
from gac.order import Draw
from gac.pictures import Samples
from gac.recipes import TrainConfig
from gac.registry import architecture
from tests.gac import event_files as written

FOUR = [(0, 1, 2, 1), (5, 33, 0, 0), (5, 0, 33, 1), (10, 1, 2, 1)]  # time, x, y, polarity


def how(size, steps=2, polarities=2, values="counts"):
    return Preprocessing(
        image_size=size,
        mean=(0.0,) * polarities,
        std=(1.0,) * polarities,
        events=EventFrames(steps=steps, polarities=polarities, values=values),
    )


def rows(events):
    found = (events.times, events.x, events.y, events.polarities)
    return list(zip(*(values.tolist() for values in found), strict=True))


def made(events, sensor, period=None):
    times, x, y, polarities = np.array(events, np.int64).T
    return recording("by hand", times, x, y, polarities, sensor=sensor, period=period)


@pytest.fixture
def stored(tmp_path):
    """Writes bytes to a file."""

    def write(content):
        path = tmp_path / "recording"
        path.write_bytes(content)
        return path

    return write


class TestNmnist:
    """40 bits per event."""

    def test_the_bits_of_an_event_are_x_y_polarity_and_time(self, stored):
        # 0x03 = 3, 0x07 = 7, then polarity 1 and 0x012345 = 74,565 us.
        found = read_nmnist(stored(bytes([0x03, 0x07, 0x81, 0x23, 0x45])))
        assert rows(found) == [(74_565, 3, 7, 1)]
        assert (found.sensor, found.period) == ((34, 34), (74_565, 74_565))

    def test_a_marker_moves_all_later_times_and_is_no_event(self, stored):
        marked = [(8_000, 1, 1, 0), (0, 0, 240, 0), (100, 2, 2, 1), (0, 0, 240, 0), (0, 3, 3, 1)]
        found = read_nmnist(stored(written.nmnist(marked)))
        assert rows(found) == [(8_000, 1, 1, 0), (8_292, 2, 2, 1), (16_384, 3, 3, 1)]

    def test_folders_are_the_labels(self, tmp_path):
        written.write_nmnist(tmp_path, FOUR, per_digit=2)
        test = load_data("nmnist", preprocessing=how(34), root=tmp_path)
        assert [label for _, label in test] == [digit for digit in range(10) for _ in range(2)]
        clip, _ = test[0]
        assert (clip.shape, clip.dtype) == ((2, 2, 34, 34), torch.float32)
        # 0 to 10 us in two slices: 5 and 10 are in the second; channel 0 is OFF, row before column.
        assert clip.nonzero().tolist() == [[0, 1, 2, 1], [1, 0, 0, 33], [1, 1, 2, 1], [1, 1, 33, 0]]


class TestAedat2:
    """Pairs of big-endian address and time behind a header of lines."""

    def test_the_bits_of_an_address_are_polarity_and_two_axes_from_the_far_end(self, stored):
        # 0b0_0000101_0000011_1: bits 8 to 14 are 5, bits 1 to 7 are 3, bit 0 is OFF.
        body = bytes([0, 0, 0b101, 0b111, 0, 1, 0, 2])
        found = read_aedat2(stored(b"#!AER-DAT2.0\r\n# made by hand\r\n" + body))
        assert rows(found) == [(65_538, 122, 124, 0)]

    def test_signals_on_the_input_of_the_camera_are_no_events(self, stored):
        signal = bytes([0, 0, 0x80, 0, 0, 0, 0, 9])
        found = read_aedat2(stored(written.aedat2(FOUR) + signal))
        assert rows(found) == FOUR

    def test_a_tenth_of_every_class_is_for_testing(self, tmp_path):
        written.write_cifar10dvs(tmp_path, FOUR)
        parts = [
            load_data("cifar10dvs", split=split, preprocessing=how(64), root=tmp_path)
            for split in ("train", "test")
        ]
        assert [len(part) for part in parts] == [90, 10]
        assert sorted(label for _, label in parts[1]) == list(range(10))
        again = load_data("cifar10dvs", preprocessing=how(64), root=tmp_path)
        assert [label for _, label in again] == [label for _, label in parts[1]]
        assert parts[0][0][0].shape == (2, 2, 64, 64)

    def test_the_split_of_the_whole_set_has_9000_and_1000(self, tmp_path):
        written.write_cifar10dvs(tmp_path, FOUR, per_class=1)
        for name in written.CLASSES:  # 1,000 names for one file
            (folder,) = tmp_path.glob(f"cifar10dvs/{name}")
            for k in range(1, 1000):
                (folder / f"cifar10_{name}_{k}.aedat").hardlink_to(
                    folder / f"cifar10_{name}_0.aedat"
                )
        sizes = {}
        for split in ("train", "test"):
            found = load_data("cifar10dvs", split=split, preprocessing=how(64), root=tmp_path)
            sizes[split] = len(found)
        assert sizes == {"train": 9_000, "test": 1_000}


class TestAedat3:
    """Packets of events, labelled piece by piece."""

    def test_the_bits_of_a_polarity_event_are_valid_polarity_y_and_x(self, stored):
        # 5 << 17 | 3 << 2 | 1 << 1 | 1, little-endian, then 258 us.
        event = bytes([0x0F, 0x00, 0x0A, 0x00, 0x02, 0x01, 0x00, 0x00])
        content = written.aedat3(written.packet([(0, 0, 0, 0)])[:28] + event)
        assert rows(read_aedat3(stored(content), 0, 1000)) == [(258, 5, 3, 1)]

    def test_a_packet_says_how_often_the_clock_went_over_its_31_bits(self, stored):
        content = written.aedat3(
            written.packet([(2**31 - 1, 1, 1, 0)]), written.packet([(0, 2, 2, 1)], overflow=1)
        )
        found = read_aedat3(stored(content), 0, 2**32)
        assert rows(found) == [(2**31 - 1, 1, 1, 0), (2**31, 2, 2, 1)]

    def test_other_packets_and_events_marked_invalid_are_left_out(self, stored):
        content = written.aedat3(
            written.packet([(1, 0, 0, 0)], kind=0),
            written.packet([(2, 1, 1, 1), (3, 2, 2, 1, 0), (4, 3, 3, 0)]),
        )
        assert rows(read_aedat3(stored(content), 0, 9)) == [(2, 1, 1, 1), (4, 3, 3, 0)]

    def test_a_sample_is_what_lies_between_start_and_end_of_its_piece(self, tmp_path):
        first = [(100, 1, 1, 1), (200, 2, 2, 0), (300, 3, 3, 1)]
        second = [(400, 4, 4, 1), (500, 5, 5, 0)]
        content = written.aedat3(written.packet(first), written.packet(second))
        written.write_gestures(tmp_path, content, [(11, 200, 400), (1, 401, 600)])
        test = load_data("dvs128gesture", preprocessing=how(128), root=tmp_path)
        assert [test[k][1] for k in range(len(test))] == [10, 0]
        # 200 to 400 us in two slices: 200 | 300 and 400. 401 to 600: 500 is before the middle.
        assert test[0][0].nonzero().tolist() == [[0, 0, 2, 2], [1, 1, 3, 3], [1, 1, 4, 4]]
        assert test[1][0].nonzero().tolist() == [[0, 0, 5, 5]]


class TestShd:
    """Spikes of an artificial ear in HDF5."""

    def test_seconds_become_microseconds_and_units_columns(self, tmp_path):
        pytest.importorskip("h5py")
        # 0.25 and 1.5 s are exact in float16.
        written.write_shd(tmp_path, [([0.25, 1.5], [0, 699]), ([0.5], [7])], [19, 3])
        events = read_shd(tmp_path / "shd" / "shd_test.h5", 0)
        assert rows(events) == [(250_000, 0, 0, 1), (1_500_000, 699, 0, 1)]
        assert (events.sensor, events.period) == ((1, 700), (0, 1_500_000))
        test = load_data("shd", preprocessing=how(700, polarities=1), root=tmp_path)
        assert [label for _, label in test] == [19, 3]
        assert test[0][0].shape == (2, 1, 1, 700)
        pooled = load_data("shd", preprocessing=how(140, polarities=1), root=tmp_path)
        assert pooled[0][0].nonzero().tolist() == [[0, 0, 0, 0], [1, 0, 0, 139]]

    def test_residual_networks_are_refused_with_what_to_do(self):
        network = architecture("msresnet8-events", in_channels=1)
        with pytest.raises(InputError, match="gac-analyze --model MODULE:FACTORY --data shd"):
            preprocessing_for("shd", network)

    def test_without_h5py_it_says_what_to_install(self, tmp_path, monkeypatch):
        pytest.importorskip("h5py")
        written.write_shd(tmp_path, [([0.5], [7])], [3])
        monkeypatch.setitem(sys.modules, "h5py", None)
        with pytest.raises(InputError, match=r"pip install 'gac-energy\[events\]'"):
            load_data("shd", preprocessing=how(700, polarities=1), root=tmp_path)


class TestFrames:
    """From events to what a network reads."""

    def test_slices_of_time_are_equal_and_the_end_belongs_to_the_last(self):
        # 0 to 10 us in four slices of 2.5 us: 2 | 3, 4 | 5 to 7 | 8 to 10.
        events = made([(t, 0, 0, 1) for t in range(11)], (1, 1))
        assert frames(events, how(1, steps=4)).squeeze()[:, 1].tolist() == [3, 2, 3, 3]

    def test_slices_are_of_the_period_and_not_of_the_events(self):
        events = made([(90, 0, 0, 1), (100, 0, 0, 1)], (1, 1), period=(0, 200))
        assert frames(events, how(1)).squeeze()[:, 1].tolist() == [1, 1]

    def test_events_at_one_moment_are_in_the_last_slice(self):
        events = made([(7, 0, 0, 1), (7, 0, 0, 0)], (1, 1))
        assert frames(events, how(1, steps=3)).squeeze().tolist() == [[0, 0], [0, 0], [1, 1]]

    def test_smaller_frames_put_events_of_neighbours_together(self):
        events = made([(0, 0, 0, 1), (0, 1, 1, 1), (0, 2, 0, 1), (0, 3, 3, 0)], (4, 4))
        assert frames(events, how(2, steps=1)).tolist() == [[[[0, 0], [0, 1]], [[2, 1], [0, 0]]]]

    def test_binary_frames_say_whether_there_was_an_event(self):
        events = made([(0, 0, 0, 1), (0, 0, 0, 1), (0, 1, 0, 0)], (2, 2))
        found = frames(events, how(2, steps=1, values="binary"))
        assert found.tolist() == [[[[0, 1], [0, 0]], [[1, 0], [0, 0]]]]

    def test_one_polarity_has_the_events_of_both(self):
        events = made([(0, 0, 0, 1), (0, 0, 0, 0)], (1, 1))
        assert frames(events, how(1, steps=1, polarities=1)).tolist() == [[[[2]]]]

    def test_frames_larger_than_the_sensor_are_refused(self, tmp_path):
        written.write_nmnist(tmp_path, FOUR)
        with pytest.raises(InputError, match="image_size can be at most 34"):
            load_data("nmnist", preprocessing=how(35), root=tmp_path)

    def test_a_preprocessing_of_pictures_is_refused(self):
        pictures = Preprocessing(image_size=16, mean=(0.0, 0.0), std=(1.0, 1.0))
        with pytest.raises(InputError, match="how events become frames"):
            load_data("event-digits", preprocessing=pictures)

    def test_a_network_sets_steps_size_and_polarities(self):
        network = architecture("msresnet8-events", steps=7, in_channels=1, image_size=12)
        found = preprocessing_for("event-digits", network, "counts")
        assert found == how(12, steps=7, polarities=1)

    def test_a_network_for_pictures_is_refused(self):
        with pytest.raises(InputError, match="2 channels, OFF and ON events, or 1 with both"):
            preprocessing_for("event-digits", architecture("msresnet8"))
        with pytest.raises(InputError, match="digits has pictures, no events"):
            preprocessing_for("digits", architecture("msresnet8"), "counts")

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"steps": 0}, "at least 1 step"),
            ({"polarities": 3}, "1 or 2 polarities"),
            ({"values": "sums"}, "known: binary, counts"),
            ({"polarities": 1}, "one mean per polarity"),
        ],
    )
    def test_frames_that_contradict_themselves_are_refused(self, changes, message):
        with pytest.raises(InputError, match=message):
            replace(how(8), events=replace(how(8).events, **changes))


def recordings(width, height, latest):
    """Lists of events in order of time."""
    event = st.tuples(
        st.integers(0, latest), st.integers(0, width - 1), st.integers(0, height - 1),
        st.integers(0, 1),
    )  # fmt: skip
    return st.lists(event, min_size=1, max_size=60).map(lambda found: sorted(found))


@settings(max_examples=60, deadline=None)
@given(small=recordings(34, 34, 2**23 - 1), large=recordings(128, 128, 2**31 - 1), data=st.data())
def test_what_is_written_is_read_back_and_frames_lose_nothing(tmp_path_factory, small, large, data):
    path = tmp_path_factory.mktemp("events") / "recording"
    cut = data.draw(st.integers(0, len(large)))
    packets = [written.packet(part) for part in (large[:cut], large[cut:])]
    formats = [
        (small, written.nmnist(small), read_nmnist),
        (large, written.aedat2(large), read_aedat2),
        (large, written.aedat3(*packets), lambda file: read_aedat3(file, 0, 2**31)),
    ]
    for events, content, read in formats:
        path.write_bytes(content)
        found = read(path)
        assert rows(found) == events
        size, steps = data.draw(st.integers(1, 34)), data.draw(st.integers(1, 9))
        counts = frames(found, how(size, steps))
        assert counts.sum() == len(events)
        assert counts[:, 1].sum() == sum(polarity for *_, polarity in events)
        marks = frames(found, how(size, steps, values="binary"))
        assert np.array_equal(marks, counts > 0)
        assert np.array_equal(frames(found, how(size, steps, 1))[:, 0], counts.sum(1))


def broken_nmnist():
    yield b"", "has no event"
    yield written.nmnist([(0, 0, 240, 0)]), "has no event"
    yield written.nmnist(FOUR)[:-2], "ends inside event 3: 18 bytes of events are no multiple of 5"
    yield written.nmnist([(0, 34, 0, 0)]), "event 0 is at x 34, y 0; the sensor has x 0 to 33"
    yield written.nmnist([(0, 0, 0, 0), (0, 0, 34, 0)]), "event 1 is at x 0, y 34"
    yield written.nmnist([(9, 0, 0, 0), (8, 0, 0, 0)]), "event 1 is at 8 us, the one before it at 9"


def broken_aedat2():
    header = written.AEDAT2_HEADER
    yield b"", "begins with b'', not with #!AER-DAT2.0"
    yield written.aedat3(), "begins with b'#!AER-DAT3.1', not with #!AER-DAT2.0"
    yield header, "has no event"
    yield header[:-2], "ends inside its header"
    yield written.aedat2(FOUR)[:-3], "ends inside event 3: 29 bytes"
    yield header + bytes([0, 1, 0, 0, 0, 0, 0, 0]), "address 65536; a sensor of 128 x 128 has 0"
    yield header + bytes([255] * 8), "event 0 has address -1"
    yield written.aedat2(FOUR[::-1]), "times may not go backwards"


def broken_aedat3():
    good = written.packet([(t + 100, x, y, p) for t, x, y, p in FOUR])
    yield b"", "begins with b'', not with #!AER-DAT3.1"
    yield written.aedat2(FOUR), "begins with b'#!AER-DAT2.0'"
    yield written.AEDAT3_HEADER[:-9], "ends inside its header"
    yield written.aedat3(), "has no event"
    yield written.aedat3(good)[:-1], r"ends inside the packet at byte \d+: 31 bytes of 32"
    yield written.aedat3(good, good[:20]), "ends inside the header of a packet"
    yield written.aedat3(written.packet([(100, 128, 0, 0)])), "event 0 is at x 128, y 0"
    yield written.aedat3(written.packet([(100, 0, 200, 0)])), "event 0 is at x 0, y 200"
    yield written.aedat3(written.packet([(101, 0, 0, 0), (100, 0, 0, 0)])), "not go backwards"
    yield written.aedat3(good, written.packet([(100, 0, 0, 0)])), "not go backwards"
    yield written.aedat3(written.packet([(100, 0, 0, 0)], size=4)), "1 of 1 events of 4 bytes"
    yield written.aedat3(written.packet([], size=-1)), "0 of 0 events of -1 bytes"
    yield written.aedat3(written.packet([(99, 0, 0, 0), (111, 0, 0, 0)])), "100 to 110 us has no ev"


@pytest.mark.parametrize(
    ("read", "content", "message"),
    [(read_nmnist, *case) for case in broken_nmnist()]
    + [(read_aedat2, *case) for case in broken_aedat2()]
    + [(lambda file: read_aedat3(file, 100, 110), *case) for case in broken_aedat3()],
)
def test_a_damaged_recording_is_named_in_one_line(stored, read, content, message):
    with pytest.raises(InputError, match=message) as caught:
        read(stored(content))
    assert "recording" in str(caught.value)
    assert "\n" not in str(caught.value)


class TestIncomplete:
    """Sets of which something is missing or not what it should be."""

    def test_every_missing_class_is_named(self, tmp_path):
        written.write_nmnist(tmp_path, FOUR)
        (tmp_path / "nmnist/Test/7/00000.bin").unlink()
        with pytest.raises(InputError, match=r"Test/CLASS/\*\.bin for .*; missing: 7$"):
            load_data("nmnist", preprocessing=how(34), root=tmp_path)

    def test_too_few_recordings_of_a_class_can_not_be_split(self, tmp_path):
        written.write_cifar10dvs(tmp_path, FOUR)
        (tmp_path / "cifar10dvs/frog/cifar10_frog_3.aedat").unlink()
        with pytest.raises(InputError, match="at least 10 recordings; fewer: frog"):
            load_data("cifar10dvs", preprocessing=how(64), root=tmp_path)

    @pytest.mark.parametrize("name", ["trials_to_test.txt", "user24_led.aedat"])
    def test_a_missing_file_of_the_gestures_is_named(self, tmp_path, name):
        written.write_gestures(tmp_path, written.aedat3(), [(1, 0, 1)])
        (tmp_path / "dvs128gesture" / name).unlink()
        with pytest.raises(InputError, match=f"not complete.*{name}"):
            load_data("dvs128gesture", preprocessing=how(64), root=tmp_path)

    @pytest.mark.parametrize("row", ["12,0,1", "0,0,1", "1,5,4", "1,2", "a,b,c", "1,2,3,4", ""])
    def test_a_label_that_can_not_be_is_named_with_its_line(self, tmp_path, row):
        written.write_gestures(tmp_path, written.aedat3(), [])
        table = tmp_path / "dvs128gesture/user24_led_labels.csv"
        table.write_text(f"class,startTime_usec,endTime_usec\n1,0,1\n{row}\n")
        with pytest.raises(InputError, match=r"_labels\.csv, line 3: expected a class from 1"):
            load_data("dvs128gesture", preprocessing=how(64), root=tmp_path)

    def test_a_list_without_any_piece_is_refused(self, tmp_path):
        written.write_gestures(tmp_path, written.aedat3(), [])
        with pytest.raises(InputError, match="names no recording with a labelled piece"):
            load_data("dvs128gesture", preprocessing=how(64), root=tmp_path)

    @pytest.mark.parametrize(
        ("utterance", "message"),
        [
            (([0.5, 0.25], [1, 2]), "sample 0: event 1 is at 250000 us, the one before it at 5"),
            (([0.5], [700]), "sample 0: event 0 is at x 700, y 0; the sensor has x 0 to 699"),
            (([0.5], [-1]), "event 0 is at x -1"),
            (([], []), "sample 0 has no event"),
            (([0.5, 0.5], [1]), r"has \(2,\) times and \(1,\) units"),
            (([float("nan")], [1]), "seconds from 0 to 3600"),
            (([-0.5], [1]), "seconds from 0 to 3600"),
        ],
    )
    def test_a_damaged_utterance_is_named_in_one_line(self, tmp_path, utterance, message):
        pytest.importorskip("h5py")
        written.write_shd(tmp_path, [utterance], [0])
        test = load_data("shd", preprocessing=how(700, polarities=1), root=tmp_path)
        with pytest.raises(InputError, match=message) as caught:
            _ = test[0]
        assert "\n" not in str(caught.value)

    def test_labels_out_of_the_classes_are_refused(self, tmp_path):
        pytest.importorskip("h5py")
        written.write_shd(tmp_path, [([0.5], [1])], [20])
        with pytest.raises(InputError, match="labels have to be a row of numbers from 0 to 19"):
            load_data("shd", preprocessing=how(700, polarities=1), root=tmp_path)

    @pytest.mark.parametrize("content", [b"", b"no HDF5", "half", "other"])
    def test_a_file_that_is_no_shd_is_named_in_one_line(self, tmp_path, content):
        h5py = pytest.importorskip("h5py")
        written.write_shd(tmp_path, [([0.5], [1])], [2])
        path = tmp_path / "shd/shd_test.h5"
        if content == "other":
            with h5py.File(path, "w") as file:
                file["labels"] = np.array([b"two"])
        else:
            path.write_bytes(path.read_bytes()[:1000] if content == "half" else content)
        with pytest.raises(InputError, match=r"shd_test\.h5") as caught:
            load_data("shd", preprocessing=how(700, polarities=1), root=tmp_path)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("name", ["nmnist", "dvs128gesture", "cifar10dvs", "shd"])
    def test_recorded_data_need_a_root(self, name, tmp_path):
        usual = data_source(name).preprocessing
        with pytest.raises(InputError, match="--data-root"):
            load_data(name, preprocessing=usual)
        with pytest.raises(InputError, match="is not there"):
            load_data(name, preprocessing=usual, root=tmp_path)


class TestSimulatedCamera:
    """Events of pictures that move."""

    def test_a_pixel_fires_once_per_threshold_of_its_logarithm(self):
        """A bright square moves down by two of its edges: pixels turn fully bright."""
        picture = np.ones((1, 8, 8))
        (events,) = watched(picture)
        # Darkness to full brightness is log(1.1 / 0.1) = 2.398: at most 7 thresholds of 0.3.
        most = int(np.log((1 + DARK) / DARK) / THRESHOLD)
        assert most == 7
        first = events.times <= 100_000  # the first of three movements
        ons = np.zeros(SENSOR, int)
        np.add.at(ons, (events.y[first], events.x[first]), events.polarities[first])
        assert ons.max() == most

    def test_the_path_is_closed_so_what_became_brighter_became_darker_again(self):
        """To one threshold, the difference between a pixel's last event and its brightness."""
        generator = np.random.default_rng(0)
        for events in watched(generator.random((3, 8, 8))):
            balance = np.zeros(SENSOR, int)
            np.add.at(balance, (events.y, events.x), 2 * events.polarities - 1)
            assert np.abs(balance).max() <= 1

    def test_what_moves_right_and_down_brightens_on_that_side_first(self):
        picture = np.zeros((1, 8, 8))
        picture[0, 3:5, 3:5] = 1
        (events,) = watched(picture)
        first = events.times <= 100_000
        on, off = ((events.polarities == sign) & first for sign in (1, 0))
        assert events.y[on].mean() > events.y[off].mean() + 1
        assert events.x[on].mean() > events.x[off].mean() + 1

    def test_a_dark_picture_causes_no_event_and_is_refused(self):
        with pytest.raises(InputError, match="simulated recording 0 has no event"):
            watched(np.zeros((1, 8, 8)))

    def test_a_recording_depends_on_its_own_picture_alone(self):
        pictures = np.random.default_rng(1).random((4, 8, 8))
        together = [rows(events) for events in watched(pictures)]
        assert [rows(watched(pictures[k : k + 1])[0]) for k in range(4)] == together

    def test_the_split_is_that_of_digits(self):
        usual = data_source("event-digits").preprocessing
        test = load_data("event-digits", preprocessing=usual)
        assert [test.stored(k)[1] for k in range(12)] == [7, 6, 3, 7, 7, 3, 2, 8, 9, 3, 2, 6]
        assert len(test) == 360
        clip, _ = test[0]
        assert clip.shape == (4, 2, 16, 16)
        assert set(clip.unique().tolist()) == {0.0, 1.0}
        assert all(test.stored(k)[0].period == (0, 300_000) for k in range(360))


class TestAugmentations:
    """What changes a clip changes all of its frames alike."""

    def changed(self, **changes):
        """A recording with the same events in all of 3 slices, changed in 20 epochs."""
        generator = np.random.default_rng(3)
        once = [(0, *generator.integers(0, 16, 2), generator.integers(0, 2)) for _ in range(40)]
        events = [(t, *event[1:]) for t in (0, 50, 100) for event in once]
        samples = Samples([(made(events, (16, 16)), 1)], how(16, steps=3, values="binary"))
        augmented = Augmented(samples, TrainConfig(**changes))
        return samples[0][0], [augmented[Draw(epoch=k, sample=0)][0] for k in range(20)]

    @pytest.mark.parametrize("changes", [{"shift": 3}, {"flip": True}, {"shift": 2, "flip": True}])
    def test_frames_that_are_equal_stay_equal(self, changes):
        before, after = self.changed(**changes)
        assert all(torch.equal(before[0], frame) for frame in before)
        assert all(torch.equal(clip[0], frame) for clip in after for frame in clip)
        assert any(not torch.equal(clip, before) for clip in after)
        assert all(set(clip.unique().tolist()) <= {0.0, 1.0} for clip in after)

    def test_a_flip_mirrors_columns_and_keeps_polarities(self):
        before, after = self.changed(flip=True)
        assert all(torch.equal(c, before) or torch.equal(c, before.flip(-1)) for c in after)

    def test_cutmix_takes_one_rectangle_of_all_frames(self):
        clips = torch.stack([torch.zeros(3, 2, 8, 8), torch.ones(3, 2, 8, 8)])
        found, targets = mixed(clips, torch.tensor([0, 1]), 2, TrainConfig(cutmix=1.0), (1, 0))
        assert (found[:, :1, :1] == found).all()
        assert 0 < float(targets[0, 0]) < 1

    @pytest.mark.parametrize("changes", [{"random_resize": True}, {"autoaugment": "cifar10"}])
    def test_what_would_interpolate_or_recolour_is_refused(self, changes):
        with pytest.raises(InputError, match="event frames take shift, flip and cutmix"):
            self.changed(**changes)


def test_the_simulated_set_says_so_wherever_it_is_described():
    source = DATASETS["event-digits"]
    assert "simulated" in source.description
    assert "nobody recorded" in source.description
