"""Every recipe runs end to end on a small set in the real format of its data."""

import pickle
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch.utils.data import TensorDataset

import gac
from analysis.cli.train import PROGRAM, main
from gac.pictures import Samples
from gac.recipes import TrainConfig
from gac.registry import architecture
from gac.training import Trainer, fresh_model

SMALL = [
    "--network", "widths=[8,8,8]", "--network", "blocks=[1,1,1]", "--network", "strides=[2,2,2]",
    "--network", "stem_width=4", "--steps", "2", "--epochs", "1", "--batch-size", "4",
    "--rates-on", "4", "--threads", "1",
]  # fmt: skip


@pytest.fixture
def train(monkeypatch, capsys, tmp_path):
    """Runs gac-train in an empty folder, which has to end well: what it printed."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", [PROGRAM, *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        assert (ended.value.code, captured.err) == (0, "")
        return captured.out

    return call


def _cifar_batch(path, key, count, classes):
    generator = np.random.default_rng(0)
    pixels = generator.integers(256, size=(count, 3072), dtype=np.uint8)
    labels = generator.integers(classes, size=count).tolist()
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(pickle.dumps({"data": pixels, key: labels, "batch_label": "part"}))


@pytest.fixture
def data_root(tmp_path):
    """CIFAR-10, CIFAR-100 and ImageNet, a few pictures each, in one folder."""
    for name in (*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"):
        _cifar_batch(tmp_path / "cifar-10-batches-py" / name, "labels", 2, 10)
    for name in ("train", "test"):
        _cifar_batch(tmp_path / "cifar-100-python" / name, "fine_labels", 9, 100)
    generator = np.random.default_rng(1)
    for split, count in (("train", 5), ("val", 3)):
        for wnid in ("n01440764", "n01443537"):
            folder = tmp_path / "imagenet" / split / wnid
            folder.mkdir(parents=True)
            for k in range(count):
                pixels = generator.integers(256, size=(40, 52, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{wnid}_{k}.JPEG")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "sizes", "extra"),
    [
        ("cifar10", "10 train and 2 test", []),
        ("cifar100", "9 train and 9 test", ["--as-released", "--cutmix", "1"]),
        ("cifar100", "9 train and 9 test", ["--loss", "tet", "--autoaugment", "cifar10"]),
        ("cifar10", "10 train and 2 test", ["--precision", "bf16", "--accumulate", "2"]),
        # torch 2.15 crashes on backward passes of fewer than 8 channels, channels last.
        ("cifar10", "10 train and 2 test",
         ["--channels-last", "--workers", "1", "--network", "stem_width=8"]),
        ("imagenet-r18", "10 train and 6 test", ["--network", "image_size=32"]),
        ("imagenet-r34", "10 train and 6 test", ["--network", "image_size=32"]),
    ],
)  # fmt: skip
def test_a_recipe_trains_on_a_small_archive(train, data_root, name, sizes, extra):
    out = train("--recipe", name, "--data-root", str(data_root), *SMALL, *extra)
    assert f"{sizes} images, 32 x 32 pixels" in out
    folder = data_root / "runs" / name
    log = pd.read_csv(folder / "log.csv")
    assert log.loss.between(0.1, 50).all()
    checkpoint = gac.load(folder / "last.pth")
    assert checkpoint.metadata.preprocessing.mean[0] > 0.4
    with torch.no_grad():
        assert checkpoint.model(torch.randn(1, 3, 32, 32)).isfinite().all()


def test_event_clips_go_through_the_direct_encoder():
    shape = {"steps": 3, "in_channels": 2, "image_size": 8, "stem_width": 4, "encoder": "direct"}
    network = architecture("msresnet8", widths=(8,), blocks=(1,), strides=(1,), **shape)
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(24) % 2
    rates = 0.1 + 0.5 * labels[:, None, None, None, None]
    events = (torch.rand(24, 3, 2, 8, 8, generator=generator) < rates).float()
    samples = Samples(TensorDataset(events, labels))
    settings = TrainConfig(epochs=12, batch_size=8, lr=0.05, cutmix=0.2)
    records = list(Trainer(fresh_model(network, 0), samples, samples, settings).epochs())
    assert records[-1].loss < records[0].loss
    assert records[-1].test_accuracy > 0.9
