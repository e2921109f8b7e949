"""Event networks from the command line: trained, analysed and evaluated, on the real formats."""

import json
import sys

import pytest
import torch

import gac
import gac.event_camera
from analysis.cli import analyze, evaluate, train
from gac.checkpoint import FORMAT, shipped_checkpoint
from gac.metadata import EventFrames
from gac.recipes import RECIPES
from tests.gac import event_files as written

TINY = [
    "--network", "widths=[8,8,8]", "--network", "stem_width=8", "--epochs", "1",
    "--batch-size", "4", "--rates-on", "4", "--threads", "1",
]  # fmt: skip
FOUR = [(0, 1, 2, 1), (5, 33, 0, 0), (5, 0, 33, 1), (10, 1, 2, 1)]  # time, x, y, polarity
OWN = """
import torch
from torch import nn

class Spikes(nn.Module):
    def forward(self, x):
        return (x >= 1).float()

def build():
    return nn.Sequential(nn.Flatten(2), nn.Linear({inputs}, 6), Spikes(), nn.Linear(6, {classes}))
"""


@pytest.fixture
def commands(entry_point, monkeypatch, tmp_path):
    """gac-train, gac-analyze and gac-eval in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    mains = {"gac-train": train.main, "gac-analyze": analyze.main, "gac-eval": evaluate.main}
    programs = {name: entry_point(name, main) for name, main in mains.items()}

    def call(program, *arguments, status=0):
        done = programs[program](*arguments)
        assert done.returncode == status, done.stderr
        return done.stderr if status else done.stdout

    return call


@pytest.fixture
def own(monkeypatch, tmp_path):
    """Writes a module with a network of one's own."""

    def write(**sizes):
        (tmp_path / "eventnet.py").write_text(OWN.format(**sizes))

    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    yield write
    sys.modules.pop("eventnet", None)


def write_data(name, root):
    if name == "nmnist":
        written.write_nmnist(root, FOUR)
    elif name == "cifar10dvs":
        written.write_cifar10dvs(root, FOUR)
    else:
        packet = written.aedat3(written.packet(FOUR))
        written.write_gestures(root, packet, [(k, 0, 10) for k in range(1, 12)])


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nmnist", "10 train and 10 test recordings, 34 x 34 pixels"),
        ("dvs128gesture", "11 train and 11 test recordings, 64 x 64 pixels"),
        ("cifar10dvs", "90 train and 10 test recordings, 64 x 64 pixels"),
    ],
)
def test_a_recipe_trains_on_recordings_and_its_network_is_analysed(commands, tmp_path, name, said):
    write_data(name, tmp_path)
    small = [*TINY, "--network", "blocks=[1,1,1]", "--steps", 2, "--data-root", tmp_path]
    assert said in commands("gac-train", "--recipe", name, *small, "--batch-size", 10)
    checkpoint = tmp_path / "runs" / name / "last.pth"
    how = gac.load(checkpoint).metadata.preprocessing
    assert how.events == EventFrames(steps=2, polarities=2, values="binary")
    out = commands("gac-analyze", checkpoint, "--data-root", tmp_path)
    assert f"{name} test, {said.split()[3]} of {said.split()[3]} samples, T = 2" in out
    assert f"{name} test" in commands("gac-eval", checkpoint, "--data-root", tmp_path)


def test_a_network_of_event_digits_is_analysed_and_evaluated_without_any_option(
    commands, monkeypatch, tmp_path
):
    monkeypatch.setattr(gac.event_camera, "SUBFRAMES", 6)  # a coarser camera, which is faster
    commands("gac-train", "--recipe", "event-digits", *TINY, "--steps", 2, "--batch-size", 128)
    checkpoint = tmp_path / "runs/event-digits/best.pth"
    loaded = gac.load(checkpoint)
    assert (loaded.config.encoder, loaded.config.in_channels) == ("direct", 2)
    assert loaded.metadata.data.name == "event-digits"
    out = commands("gac-analyze", checkpoint, "--output", tmp_path / "out")
    assert "event-digits test, 360 of 360 samples, T = 2" in out
    found = json.loads((tmp_path / "out/report.json").read_text())["run"]
    (stem,) = (site for site in found["sites"] if site["key"]["name"] == "encoder.stem.conv")
    assert (stem["operand"], stem["elements"]) == ("spike", 360 * 2 * 2 * 16 * 16)
    assert 0 < stem["nonzeros"] < stem["elements"]
    assert found["provenance"]["preprocessing"]["events"]["values"] == "binary"
    correct = found["correct_by_step"][-1]
    assert f"{correct} of 360" in commands("gac-eval", checkpoint)


def test_counts_and_one_polarity_are_kept_in_the_checkpoint(commands, tmp_path):
    write_data("nmnist", tmp_path)
    commands(
        "gac-train", "--recipe", "nmnist", *TINY, "--data-root", tmp_path, "--steps", 2,
        "--event-values", "counts", "--network", "in_channels=1", "--network", "image_size=17",
    )  # fmt: skip
    checkpoint = tmp_path / "runs/nmnist/last.pth"
    how = gac.load(checkpoint).metadata.preprocessing
    assert how.events == EventFrames(steps=2, polarities=1, values="counts")
    assert (how.image_size, how.mean, how.std) == (17, (0.0,), (1.0,))
    assert "nmnist test, 10 images" in commands("gac-eval", checkpoint, "--data-root", tmp_path)


@pytest.mark.parametrize("encoder", ["direct", "gac"])
def test_clips_go_through_the_direct_encoder_and_through_the_gate(encoder):
    torch.manual_seed(0)
    network = gac.build("msresnet8-events", encoder=encoder)
    clips = (torch.rand(3, 4, 2, 16, 16) < 0.2).float()
    with torch.no_grad():
        for _ in range(20):  # statistics of the norms: without, hardly a neuron would fire
            network(clips)
        network.eval()
        both, alone = network(clips), network(clips[:1])
    assert both.shape == (3, 4, 10)
    assert torch.allclose(both[:1], alone, atol=1e-5)
    assert not torch.allclose(both[0], both[1])


class TestDamagedRecordings:
    """One line and status 2, never a traceback."""

    @pytest.fixture
    def damaged(self, commands, tmp_path):
        """A root whose third digit is cut off, and a checkpoint trained before that."""
        write_data("nmnist", tmp_path)
        commands("gac-train", "--recipe", "nmnist", *TINY, "--data-root", tmp_path, "--steps", 2)
        for split in ("Train", "Test"):
            (tmp_path / f"nmnist/{split}/2/00000.bin").write_bytes(written.nmnist(FOUR)[:-1])
        return tmp_path / "runs/nmnist/last.pth"

    def test_by_every_command(self, commands, damaged, tmp_path):
        root = ["--data-root", tmp_path]
        for program, arguments in {
            "gac-train": ["--recipe", "nmnist", *TINY, "--steps", 2, "--output", tmp_path / "new"],
            "gac-analyze": [damaged],
            "gac-eval": [damaged],
        }.items():
            said = commands(program, *arguments, *root, status=2)
            assert said.startswith(f"{program}: error: {tmp_path}/nmnist/T")
            assert "/2/00000.bin ends inside event 3" in said
            assert said.count("\n") == 1

    def test_also_by_a_process_that_only_reads(self, commands, damaged, tmp_path):
        said = commands(
            "gac-eval", damaged, "--data-root", tmp_path, "--workers", 1, status=2
        )  # fmt: skip
        assert said.startswith(f"gac-eval: error: {tmp_path}/nmnist/Test/2/00000.bin ends inside")
        assert "Traceback" not in said


class TestOwnNetworks:
    """Data by name for a network of one's own."""

    def test_frames_have_the_steps_asked_for(self, commands, own, tmp_path):
        write_data("nmnist", tmp_path)
        own(inputs=2 * 34 * 34, classes=10)
        out = commands(
            "gac-analyze", "--model", "eventnet:build", "--data", "nmnist", "--steps", 5,
            "--neurons", "Spikes", "--data-root", tmp_path, "--output", tmp_path / "out",
        )  # fmt: skip
        assert "nmnist test, 10 of 10 samples, T = 5" in out
        found = json.loads((tmp_path / "out/report.json").read_text())["run"]
        assert found["provenance"]["preprocessing"]["events"]["steps"] == 5
        (first, _) = found["sites"]
        # Every recording has 4 events; the two at 5 us fall into the third slice of 2 us. Frames
        # hold marks, and no pixel has two events of one slice: 4 marks in each of 10 recordings.
        assert first["nonzeros"] == 40

    def test_spoken_digits_are_a_row_of_units(self, commands, own, tmp_path):
        pytest.importorskip("h5py")
        written.write_shd(tmp_path, [([0.25, 1.5], [0, 699]), ([0.5], [7])], [19, 3])
        own(inputs=700, classes=20)
        out = commands(
            "gac-analyze", "--model", "eventnet:build", "--data", "shd", "--steps", 4,
            "--neurons", "Spikes", "--data-root", tmp_path,
        )  # fmt: skip
        assert "shd test, 2 of 2 samples, T = 4" in out

    def test_pictures_come_by_name_too(self, commands, own, tmp_path):
        (tmp_path / "eventnet.py").write_text(
            "from torch import nn\n"
            "def build():\n    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 256, 10))\n"
        )
        out = commands(
            "gac-analyze", "--model", "eventnet:build", "--data", "digits", "--samples", 7,
            "--steps", 1,
        )  # fmt: skip
        assert "digits test, 7 of 360 samples" in out

    def test_an_unknown_name_is_answered_with_the_known_ones(self, commands, own):
        own(inputs=2, classes=2)
        said = commands(
            "gac-analyze", "--model", "eventnet:build", "--data", "mnist", status=2
        )  # fmt: skip
        assert "unknown data set 'mnist'; known: digits, " in said


class TestRefused:
    """What does not fit is told before anything is trained."""

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--data", "shd"], "no recipe to train on 'shd'"),
            (["--recipe", "nmnist", "--data", "shd"], "for networks of your own, gac-analyze --mo"),
            (["--recipe", "event-digits", "--model", "msresnet8"], "the network reads 3"),
            (["--recipe", "event-digits", "--event-values", "sums"], "'binary', 'counts'"),
            (["--event-values", "counts"], "digits has pictures, no events"),
            (["--recipe", "event-digits", "--network", "image_size=32"], "can be at most 16"),
        ],
    )
    def test_in_one_line(self, commands, arguments, message):
        said = commands("gac-train", *arguments, "--epochs", 1, "--steps", 2, status=2)
        assert message in said
        assert said.count("\n") == 1


class TestOlderCheckpoints:
    """Files that know nothing of events."""

    def test_the_shipped_network_was_made_for_pictures(self):
        assert gac.load(shipped_checkpoint()).metadata.preprocessing.events is None

    def test_a_preprocessing_without_the_field_is_one_of_pictures(self, tmp_path):
        content = torch.load(shipped_checkpoint(), weights_only=True)
        assert content["format"] == FORMAT
        content["metadata"]["preprocessing"].pop("events", None)
        torch.save(content, tmp_path / "old.pth")
        loaded = gac.load(tmp_path / "old.pth")
        assert loaded.metadata == gac.load(shipped_checkpoint()).metadata


def test_recipes_of_sets_that_are_not_here_say_so():
    for name in ("nmnist", "dvs128gesture", "cifar10dvs"):
        assert RECIPES[name].source == "chosen for this package, not run: no data here"
