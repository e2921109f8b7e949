"""Training goes on exactly after interruptions, kills, damaged files and full disks."""

import os
import random
import re
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.utils.data import TensorDataset

import gac
from gac.errors import InputError
from gac.pictures import Samples
from gac.recipes import TrainConfig
from gac.snapshots import Snapshots, SnapshotWarning
from gac.training import Trainer, fresh_model

SETTINGS = TrainConfig(epochs=3, batch_size=8, shift=1, flip=True, cutmix=0.5, seed=3)
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(gac.__file__).parents[1])}
COMMAND = [sys.executable, "-m", "analysis.cli.train"]
SHORT = [
    "--steps", "2", "--epochs", "2", "--batch-size", "128", "--save-every", "3", "--threads", "1",
    "--rates-on", "8",
]  # fmt: skip


@pytest.fixture
def samples(preprocessing):
    generator = torch.Generator().manual_seed(0)
    pictures = torch.rand(36, 3, 8, 8, generator=generator)
    return Samples(TensorDataset(pictures, torch.arange(36) % 2), preprocessing)


@pytest.fixture
def trainer(tiny_config, samples, tmp_path):
    """A trainer that saves in one folder, made anew at every call."""

    def make(settings=SETTINGS, **more):
        model = fresh_model(tiny_config, settings.seed)
        snapshots = Snapshots(tmp_path / "snapshots")
        return Trainer(model, samples, samples, settings, snapshots=snapshots, **more)

    return make


def _interrupted_after(trainer, updates, **more):
    made = trainer(**more)
    made._on_update = lambda update: made.stop() if made.updates == updates else None
    list(made.epochs())
    return made


def _same(one, other):
    a, b = one.model.state_dict(), other.model.state_dict()
    return all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("updates", [1, 3, 4, 5, 11])
def test_an_interrupted_run_ends_with_the_weights_of_one_that_never_stopped(
    trainer, tiny_config, samples, updates
):
    whole = Trainer(fresh_model(tiny_config, 3), samples, samples, SETTINGS)
    records = list(whole.epochs())
    _interrupted_after(trainer, updates)
    resumed = trainer(workers=1)
    assert resumed.resume()
    assert resumed.updates == updates
    rest = list(resumed.epochs())
    assert _same(resumed, whole)
    assert resumed.finished
    assert [*resumed.position.records] == records
    assert rest == records[-len(rest) :]
    again = trainer()
    assert again.resume()
    assert again.finished
    assert list(again.epochs()) == []


def test_momentum_and_scaler_come_back_too(trainer):
    _interrupted_after(trainer, 2)
    resumed = trainer()
    assert not resumed._updater.optimiser.state_dict()["state"]
    resumed.resume()
    assert len(resumed._updater.optimiser.state_dict()["state"]) == len(
        list(resumed.model.parameters())
    )


def test_a_stop_during_the_evaluation_loses_no_update(trainer, tiny_config, samples):
    stopped = trainer(observe=lambda model: {})
    stopped._interrupt = lambda count: (_ for _ in ()).throw(InterruptedError)
    assert list(stopped.epochs()) == []
    resumed = trainer()
    resumed.resume()
    assert resumed.updates == 4
    list(resumed.epochs())
    whole = Trainer(fresh_model(tiny_config, 3), samples, samples, SETTINGS)
    list(whole.epochs())
    assert _same(resumed, whole)


def test_other_settings_are_refused_with_all_that_differ(trainer):
    _interrupted_after(trainer, 2)
    other = trainer(replace(SETTINGS, lr=0.2, flip=False), facts={"data": {"name": "mnist"}})
    with pytest.raises(InputError) as caught:
        other.resume()
    message = str(caught.value)
    assert "training.lr 0.1 there, 0.2 here" in message
    assert "training.flip True there, False here" in message
    assert "data None there, {'name': 'mnist'} here" in message
    assert "seed" not in message


def test_the_last_snapshots_are_kept_and_no_more(trainer, tmp_path):
    list(trainer(save_every=1).epochs())
    names = [path.name for path in Snapshots(tmp_path / "snapshots").files()]
    assert names == ["update-000000011.pt", "update-000000012.pt"]


@pytest.mark.parametrize("damage", ["cut", "empty", "flipped byte", "another file", "code"])
def test_a_damaged_snapshot_falls_back_to_the_one_before(trainer, tmp_path, damage):
    _interrupted_after(trainer, 3, save_every=1)
    newest = Snapshots(tmp_path / "snapshots").files()[-1]
    content = newest.read_bytes()
    middle = len(content) // 2
    newest.write_bytes(
        {
            "cut": content[:middle],
            "empty": b"",
            "flipped byte": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
            "another file": b"something else",
            "code": b"\x80\x04cos\nsystem\n.",
        }[damage]
    )
    resumed = trainer()
    with pytest.warns(SnapshotWarning, match=r"update-000000003\.pt .*; taking the one before"):
        assert resumed.resume()
    assert resumed.updates == 2


def test_only_damaged_snapshots_are_an_error_not_a_new_start(trainer, tmp_path):
    _interrupted_after(trainer, 3, save_every=1)
    for path in Snapshots(tmp_path / "snapshots").files():
        path.write_bytes(b"")
    with pytest.warns(SnapshotWarning), pytest.raises(InputError, match="all 2 snapshots in"):
        trainer().resume()


def test_a_loss_that_is_not_finite_leaves_the_good_snapshot_untouched(trainer, tmp_path):
    _interrupted_after(trainer, 2)
    (good,) = Snapshots(tmp_path / "snapshots").files()
    before = good.read_bytes()
    resumed = trainer()
    resumed.resume()
    with torch.no_grad():
        resumed.model.head.weight.fill_(float("nan"))
    with pytest.raises(InputError, match="the loss became nan in epoch 1, batch 3"):
        list(resumed.epochs())
    assert good.read_bytes() == before
    assert Snapshots(tmp_path / "snapshots").files() == [good]


def test_weights_that_are_not_finite_are_never_saved(trainer, tmp_path):
    spoilt = trainer(save_every=1)
    spoilt._on_update = lambda update: spoilt.model.head.weight.data.fill_(float("inf"))
    with pytest.raises(InputError, match=r"weights became infinite or NaN .* first head\.weight"):
        list(spoilt.epochs())
    assert not Snapshots(tmp_path / "snapshots").files()


def test_a_full_disk_is_a_clear_line_and_the_old_snapshot_stays(trainer, tmp_path):
    _interrupted_after(trainer, 2)
    snapshots = Snapshots(tmp_path / "snapshots")
    (good,) = snapshots.files()
    before = good.read_bytes()
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    resumed = trainer()
    resumed.resume()
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, unlimited[1]))  # writing more fails
    try:
        with pytest.raises(
            InputError, match=r"cannot write .*update-000000004\.pt: File too large"
        ):
            list(resumed.epochs())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    assert [path.read_bytes() for path in snapshots.folder.iterdir()] == [before]


def test_at_least_one_snapshot_is_kept(tmp_path):
    with pytest.raises(InputError, match="at least 1 snapshot has to be kept, asked for 0"):
        Snapshots(tmp_path, keep=0)


def _weights(folder):
    return gac.load(folder / "last.pth").model.state_dict()


def _wait_for_snapshot(folder, process):
    while not list(folder.glob("snapshots/update-*.pt")) and process.poll() is None:
        time.sleep(0.05)


# A run of 320 updates of a few milliseconds, saved after every second one.
SCRIPT = """
import sys
from dataclasses import replace
from pathlib import Path
import torch
from torch.utils.data import TensorDataset
from gac.metadata import Metadata, Preprocessing
from gac.pictures import Samples
from gac.recipes import TrainConfig
from gac.registry import architecture
from gac.snapshots import Snapshots
from gac.keeping import keep
from gac.training import Trainer, fresh_model

torch.set_num_threads(1)
folder = Path(sys.argv[1])
shape = {"steps": 2, "stem_width": 4, "widths": (8,), "blocks": (1,), "strides": (1,)}
network = architecture("msresnet8", image_size=8, **shape)
pictures = torch.rand(80, 3, 8, 8, generator=torch.Generator().manual_seed(0))
how = Preprocessing(image_size=8, mean=(0.5,) * 3, std=(0.25,) * 3)
samples = Samples(TensorDataset(pictures, torch.arange(80) % 2), how)
settings = TrainConfig(epochs=32, batch_size=8, shift=1, flip=True, cutmix=0.5, seed=3)
model = fresh_model(network, 3)
trainer = Trainer(
    model, samples, samples, settings, snapshots=Snapshots(folder / "snapshots"), save_every=2
)
trainer.resume()
print(trainer.updates, flush=True)
earlier = trainer.position.records
metadata = Metadata(preprocessing=how, metrics={})
for _ in keep(trainer.epochs(), model, metadata, folder, earlier):
    pass
"""


@pytest.mark.slow
def test_ten_kills_at_random_moments_change_no_bit_of_the_weights(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for folder in (whole, killed):
        folder.mkdir()
    command = [sys.executable, "-c", SCRIPT]
    subprocess.run([*command, whole], check=True, capture_output=True, env=ENVIRONMENT)
    draw = random.Random(7)  # noqa: S311 - not a secret
    starts = []
    for _ in range(10):
        with subprocess.Popen(
            [*command, killed], stdout=subprocess.PIPE, env=ENVIRONMENT
        ) as process:
            starts.append(int(process.stdout.readline()))
            time.sleep(draw.uniform(0, 0.4))
            process.kill()
        assert process.returncode == -signal.SIGKILL, "done before it could be killed"
    done = subprocess.run([*command, killed], check=True, capture_output=True, env=ENVIRONMENT)
    assert starts == sorted(starts)
    assert len(set(starts)) > 5, "kills at different places"
    assert int(done.stdout) > 0
    expected, found = _weights(whole), _weights(killed)
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    final = Snapshots(whole / "snapshots").files()[-1]
    states = [
        torch.load(path, weights_only=True)["optimiser"]["state"]
        for path in (final, killed / "snapshots" / final.name)
    ]
    assert all(
        torch.equal(momentum["momentum_buffer"], states[1][number]["momentum_buffer"])
        for number, momentum in states[0].items()
    )


@pytest.mark.slow
def test_a_killed_command_goes_on_to_the_same_weights_and_the_same_log(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    subprocess.run(
        [*COMMAND, *SHORT, "--output", whole], check=True, capture_output=True, env=ENVIRONMENT
    )
    command = [*COMMAND, *SHORT, "--output", killed, "--resume"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=ENVIRONMENT) as process:
        _wait_for_snapshot(killed, process)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    done = subprocess.run(command, check=True, capture_output=True, env=ENVIRONMENT, text=True)
    assert "goes on in epoch 1, after update " in done.stdout
    expected, found = _weights(whole), _weights(killed)
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert (whole / "log.csv").read_text() == (killed / "log.csv").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_says_how_to_go_on_and_exits_with_0(tmp_path, sign):
    command = [*COMMAND, *SHORT, "--epochs", "50", "--output", tmp_path]
    piped = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": ENVIRONMENT}
    with subprocess.Popen(command, **piped) as process:
        _wait_for_snapshot(tmp_path, process)
        process.send_signal(sign)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    last = out.splitlines()[-1]
    assert re.match(
        r"Stopped in epoch 1, after update \d+; everything is saved\. Go on with:", last
    )
    assert last.endswith(f"--output {tmp_path} --resume")
    number = int(re.search(r"after update (\d+)", last)[1])
    assert Snapshots(tmp_path / "snapshots").files()[-1].name == f"update-{number:09d}.pt"
