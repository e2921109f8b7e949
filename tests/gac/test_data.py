"""Every data set read from its real format, prepared as the recipe says, or refused."""

import pickle
import struct
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from gac.data import DATASETS, data_source, load_data, usual_preprocessing
from gac.errors import InputError
from gac.metadata import Preprocessing
from gac.pictures import prepare

PLAIN = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}


def _python2_pickle(pixels, labels_key, labels):
    """A batch as the published files have it: written by Python 2, whose text is bytes."""

    def text(value):
        return b"U" + bytes([len(value)]) + value.encode()

    rows = struct.pack("<H", len(pixels))
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR"
        + (b"(K\x01(M" + rows + b"M\x00\x0ct")
        + b"cnumpy\ndtype\n(U\x02u1K\x00K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xff"
        + (b"K\x00tb\x89T" + struct.pack("<i", pixels.size) + pixels.tobytes() + b"tb")
    )
    numbers = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    return b"\x80\x02}(" + text("data") + array + text(labels_key) + numbers + b"u."


def _python3_pickle(pixels, labels_key, labels):
    return pickle.dumps({"data": pixels, labels_key: labels, "batch_label": "one of many"})


def _write_cifar(path, labels_key, labels, pickled=_python2_pickle):
    """A batch file: row-major planes of red, green, blue."""
    rows = np.arange(len(labels) * 3072, dtype=np.uint32).reshape(len(labels), 3072) % 251
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(pickled(rows.astype(np.uint8), labels_key, labels))


@pytest.fixture(params=[_python2_pickle, _python3_pickle])
def cifar10(tmp_path, request):
    folder = tmp_path / "cifar-10-batches-py"
    for k in range(1, 6):
        _write_cifar(folder / f"data_batch_{k}", "labels", [k, 9], request.param)
    _write_cifar(folder / "test_batch", "labels", [3, 0, 7], request.param)
    return tmp_path


@pytest.fixture
def imagenet(tmp_path):
    for split in ("train", "val"):
        for wnid, red in (("n01440764", 255), ("n01443537", 0)):
            folder = tmp_path / "imagenet" / split / wnid
            folder.mkdir(parents=True)
            Image.new("RGB", (40, 30), (red, 0, 0)).save(folder / f"{wnid}_1.JPEG")
    return tmp_path


class TestDigits:
    """The real images that need no download."""

    def test_the_split_is_a_stratified_fifth(self):
        how = usual_preprocessing("digits", 8)
        train, test = (load_data("digits", split=s, preprocessing=how) for s in ("train", "test"))
        assert (len(train), len(test)) == (1437, 360)
        labels = [label for _, label in test]
        assert min(labels.count(digit) for digit in range(10)) >= 34

    def test_no_image_is_in_both_parts_beyond_the_copies_in_the_data(self):
        how = usual_preprocessing("digits", 8)
        parts = [
            {
                tuple(image[0].flatten().tolist())
                for image, _ in load_data("digits", split=s, preprocessing=how)
            }
            for s in ("train", "test")
        ]
        assert not parts[0] & parts[1]

    def test_the_split_never_changes(self):
        test = load_data("digits", preprocessing=usual_preprocessing("digits", 8))
        assert [test[k][1] for k in range(12)] == [7, 6, 3, 7, 7, 3, 2, 8, 9, 3, 2, 6]

    def test_mean_and_deviation_are_those_of_the_training_pixels(self):
        train = load_data("digits", split="train", preprocessing=usual_preprocessing("digits", 8))
        pixels = torch.stack([image for image, _ in train])
        assert float(pixels.mean()) == pytest.approx(0, abs=2e-3)
        assert float(pixels.std()) == pytest.approx(1, abs=2e-3)

    def test_images_are_resized_to_three_equal_channels(self):
        image, label = load_data("digits", preprocessing=usual_preprocessing("digits", 16))[0]
        assert image.shape == (3, 16, 16)
        assert image.dtype == torch.float32
        assert isinstance(label, int)
        assert torch.equal(image[0], image[1])
        assert torch.equal(image[0], image[2])


class TestCifar:
    """The published format, any pictures in it."""

    def test_all_batches_are_read_in_order(self, cifar10):
        how = Preprocessing(image_size=32, **PLAIN)
        train = load_data("cifar10", split="train", preprocessing=how, root=cifar10)
        assert [label for _, label in train] == [1, 9, 2, 9, 3, 9, 4, 9, 5, 9]

    def test_pixels_keep_their_place_and_are_normalised(self, cifar10):
        how = Preprocessing(image_size=32, mean=(0.0, 0.5, 0.0), std=(1.0, 0.5, 1.0))
        test = load_data("cifar10", preprocessing=how, root=str(cifar10))
        image, label = test[1]
        assert (len(test), label, image.shape) == (3, 0, (3, 32, 32))
        # Second row of the file, green plane, row 2, column 5.
        byte = (3072 + 1024 + 2 * 32 + 5) % 251
        assert float(image[1, 2, 5]) == pytest.approx((byte / 255 - 0.5) / 0.5)

    def test_cifar100_uses_the_fine_labels(self, tmp_path):
        _write_cifar(tmp_path / "cifar-100-python" / "test", "fine_labels", [99, 3])
        test = load_data(
            "cifar100", preprocessing=usual_preprocessing("cifar100", 32), root=tmp_path
        )
        assert [label for _, label in test] == [99, 3]
        assert test.labelled
        assert not test.random

    def test_a_half_extracted_set_names_what_is_missing_and_where(self, cifar10):
        (cifar10 / "cifar-10-batches-py" / "data_batch_4").unlink()
        with pytest.raises(InputError, match=r"cifar-10-batches-py; missing: data_batch_4$"):
            load_data(
                "cifar10",
                split="train",
                preprocessing=usual_preprocessing("cifar10", 32),
                root=cifar10,
            )

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", r"cannot read test_batch in .*cifar-10-batches-py: EOFError"),
            (b"not a pickle", "cifar10 is damaged: cannot read test_batch"),
            (_python2_pickle(np.zeros((9, 3072), np.uint8), "labels", [])[:-900], "is damaged"),
            (pickle.dumps([1, 2]), "is damaged"),
            (pickle.dumps({"data": np.zeros((1, 3072), np.uint8)}), "KeyError"),
            (pickle.dumps({"data": np.zeros((1, 30), np.uint8), "labels": [1]}), "ValueError"),
            (pickle.dumps({"data": np.zeros((2, 3072), np.uint8), "labels": [1]}), "N x 3072"),
            (pickle.dumps({"data": np.zeros((1, 3072)), "labels": [1]}), "got float64"),
            (pickle.dumps({"data": np.zeros((1, 3072), np.uint8), "labels": [10]}), "below 10"),
            (pickle.dumps({"data": np.zeros((1, 3072), np.uint8), "labels": ["a"]}), "below 10"),
            (pickle.dumps({"data": np.zeros((0, 3072), np.uint8), "labels": []}), "below 10"),
        ],
    )
    def test_a_damaged_file_is_refused_in_one_line(self, cifar10, content, message):
        (cifar10 / "cifar-10-batches-py" / "test_batch").write_bytes(content)
        with pytest.raises(InputError, match=message) as caught:
            load_data("cifar10", preprocessing=usual_preprocessing("cifar10", 32), root=cifar10)
        assert "\n" not in str(caught.value)


class TestImageNet:
    """One folder per class."""

    def test_pictures_are_resized_cut_and_normalised(self, imagenet):
        how = Preprocessing(image_size=16, resize=20, **PLAIN)
        val = load_data("imagenet", preprocessing=how, root=imagenet)
        (red, first), (black, second) = val[0], val[1]
        assert (len(val), first, second) == (2, 0, 1)
        assert red.shape == (3, 16, 16)
        assert red[0].min() > 0.98
        assert black.max() < 0.02

    def test_labels_of_a_part_of_the_classes_are_not_to_be_trusted(self, imagenet):
        val = load_data(
            "imagenet", preprocessing=usual_preprocessing("imagenet", 32), root=imagenet
        )
        assert not val.labelled

    @pytest.mark.parametrize("content", [b"", b"no picture", None])
    def test_a_damaged_picture_is_named_in_one_line(self, imagenet, content):
        path = imagenet / "imagenet/val/n01440764/n01440764_1.JPEG"
        path.write_bytes(path.read_bytes()[:-300] if content is None else content)
        val = load_data(
            "imagenet", preprocessing=usual_preprocessing("imagenet", 32), root=imagenet
        )
        with pytest.raises(InputError, match=r"cannot read .*n01440764_1\.JPEG: ") as caught:
            _ = val[0]
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("leave", ["nothing", "folder", "empty class"])
    def test_an_incomplete_set_says_what_was_expected_where(self, tmp_path, leave):
        val = tmp_path / "imagenet" / "val"
        if leave != "nothing":
            val.mkdir(parents=True)
        if leave == "empty class":
            (val / "n01440764").mkdir()
        with pytest.raises(
            InputError, match=r"expected class folders .*imagenet/val/nXX"
        ) as caught:
            load_data("imagenet", preprocessing=usual_preprocessing("imagenet", 32), root=tmp_path)
        assert "\n" not in str(caught.value)


class TestRandom:
    """Noise that says it is noise."""

    def test_noise_is_seeded_normal_and_marked(self):
        how = usual_preprocessing("random", 8)
        first, again, other = (
            load_data("random", preprocessing=how, seed=seed) for seed in (1, 1, 2)
        )
        assert first.random
        assert not first.labelled
        assert torch.equal(first[0][0], again[0][0])
        assert not torch.equal(first[0][0], other[0][0])
        pixels = torch.stack([image for image, _ in first])
        assert float(pixels.mean()) == pytest.approx(0, abs=0.02)
        assert float(pixels.std()) == pytest.approx(1, abs=0.02)


def test_prepare_cuts_the_centre_after_the_resize():
    picture = torch.zeros(1, 4, 8)
    picture[..., 3:5] = 1  # a bar of two columns in the middle
    image = prepare(picture, Preprocessing(image_size=2, resize=4, **PLAIN))
    assert image.tolist() == [[[1, 1], [1, 1]]] * 3


def test_prepare_interpolates_between_pixel_centres():
    picture = torch.tensor([[[0.0, 1.0]]])
    image = prepare(picture.repeat(1, 2, 1), Preprocessing(image_size=4, **PLAIN))
    assert image[0, 0].tolist() == [0, 0.25, 0.75, 1]


def test_unknown_names_are_answered_with_the_known_ones():
    how = usual_preprocessing("random", 8)
    with pytest.raises(
        InputError, match="unknown data set 'mnist'; known: digits, mnist5k, cifar10"
    ):
        load_data("mnist", preprocessing=how)
    with pytest.raises(InputError, match="unknown split 'val'; known: train, test"):
        load_data("random", split="val", preprocessing=how)


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "imagenet"])
def test_data_outside_the_package_needs_a_root(name, tmp_path):
    how = data_source(name).preprocessing
    with pytest.raises(InputError, match="--data-root"):
        load_data(name, preprocessing=how)
    with pytest.raises(InputError, match="is not there"):
        load_data(name, preprocessing=how, root=tmp_path)


def test_every_source_says_what_it_is():
    assert all(source.description and source.split for source in DATASETS.values())


def test_names_settings_and_the_package_need_no_torch():
    code = (
        "import sys, gac, gac.data, gac.recipes, gac.registry, gac.metadata\n"
        "assert gac.data.DATASETS and gac.recipes.RECIPES and gac.ARCHITECTURES\n"
        "heavy = {'torch', 'torchvision', 'sklearn', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
