"""Our checkpoint format: what goes in comes out, and an old file survives a failed write."""

import resource
import stat
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import gac
from gac.checkpoint import FORMAT, save_checkpoint, shipped_checkpoint
from gac.data import load_data
from gac.errors import InputError
from gac.inference import evaluate
from gac.keeping import LAST_NOTE
from gac.metadata import Metadata, Preprocessing
from gac.plain import from_plain, to_plain
from gac.training import fresh_model


@pytest.fixture
def file(tmp_path, tiny_model, metadata):
    path = tmp_path / "network.pth"
    save_checkpoint(path, tiny_model, metadata)
    return path


def test_a_checkpoint_comes_back_as_it_was_saved(file, tiny_model, metadata):
    checkpoint = gac.load(file)
    assert checkpoint.config == tiny_model.config
    assert checkpoint.metadata == metadata
    assert not checkpoint.model.training
    saved = tiny_model.state_dict()
    loaded = checkpoint.model.state_dict()
    assert list(saved) == list(loaded)
    assert all(torch.equal(saved[name], loaded[name]) for name in saved)


def test_a_loaded_network_can_be_trained_on(file):
    model = gac.load(file).model.train()
    model(torch.randn(2, 3, 8, 8)).sum().backward()
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_the_steps_of_our_own_files_are_known(file):
    assert gac.load(file, steps=2).config.steps == 2
    with pytest.raises(InputError, match="the network has 2 steps, asked for 4"):
        gac.load(file, steps=4)


def test_sixteen_bit_weights_are_widened_and_said(tmp_path, tiny_model, metadata):
    save_checkpoint(tmp_path / "half.pth", tiny_model.half(), metadata)
    checkpoint = gac.load(tmp_path / "half.pth")
    assert checkpoint.model.head.weight.dtype == torch.float32
    assert checkpoint.metadata.notes == ("a note", "weights stored as float16, widened")


def _damaged(file, change):
    content = torch.load(file)
    change(content)
    torch.save(content, file)
    return file


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(schema=7), "unknown schema version 7; this version reads 1"),
        (lambda c: c.pop("schema"), "unknown schema version None"),
        (lambda c: c.pop("config"), "parts missing or of a wrong type: config"),
        (lambda c: c.update(metadata=[]), "parts missing or of a wrong type: metadata"),
        (lambda c: c["config"].pop("steps"), "MSResNetConfig: steps: Field required"),
        (lambda c: c["config"].pop("image_size"), "MSResNetConfig: missing image_size$"),
        (lambda c: c["config"].update(steps=True), "steps: Input should be a valid integer"),
        (lambda c: c["config"].update(steps=torch.ones(1)), "MSResNetConfig: no plain values: "),
        (lambda c: c["config"].update(blocks=[10**9]), "1000000000 blocks claimed"),
        (lambda c: c["config"].update(widths=[10**9]), "no network can have these sizes"),
        (lambda c: c["config"].update(widths=[10**30]), "no network can have these sizes"),
        (lambda c: c["config"].update(widths=[10**4]), "wrongly shaped: stages.0.0.conv1.weight"),
        (lambda c: c["state"].pop("head.bias"), "missing: head.bias"),
        (lambda c: c.update(schema=torch.zeros(2)), "unknown schema version tensor"),
        (lambda c: c["state"].update({"a\nb\x1b[2J": torch.zeros(1)}), r"unexpected: a b\?\[2J$"),
        (lambda c: c["state"].update({"x" * 10**6: torch.zeros(1)}), r"unexpected: x+\.\.\.$"),
        (lambda c: c["state"].update(more=torch.zeros(1)), "unexpected: more"),
        (lambda c: c["state"]["head.bias"].fill_(float("nan")), "NaN or infinite values in head"),
        (lambda c: c["metadata"].pop("notes"), "Metadata: missing notes$"),
        (lambda c: c["metadata"].update(notes=3), "Metadata: notes: Input should be"),
        (lambda c: c["metadata"].update(notes=[3]), "Metadata: notes: 0: Input should be"),
        (lambda c: c["metadata"].update(mood="good"), "Metadata: mood: Unexpected"),
        (lambda c: c["metadata"]["preprocessing"].pop("resize"), "missing preprocessing.resize$"),
        (lambda c: c["metadata"]["metrics"].update(epoch="3"), "metrics: epoch: Input should be"),
        (lambda c: c["metadata"]["provenance"].update(seed="x"), "provenance: seed: Input should"),
        (lambda c: c["metadata"]["preprocessing"].update(std=[0, 1, 1]), "std positive"),
        (lambda c: c["metadata"]["preprocessing"].update(mean=["a", 1, 1]), "mean: 0: Input"),
        (lambda c: c["metadata"]["preprocessing"].update(std=[float("nan"), 1, 1]), "be numbers"),
    ],
)
def test_a_damaged_checkpoint_is_refused_in_one_line(file, change, message):
    with pytest.raises(InputError, match=message) as caught:
        gac.load(_damaged(file, change))
    assert str(caught.value).startswith(f"{file}: ")
    assert "\n" not in str(caught.value)


def test_a_new_file_replaces_the_old_one_and_leaves_nothing_else(file, tiny_model, metadata):
    save_checkpoint(file, tiny_model, replace(metadata, notes=("newer",)))
    assert gac.load(file).metadata.notes == ("newer",)
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    assert file.stat().st_mode & stat.S_IRUSR


def test_a_full_disk_leaves_the_old_file_and_no_other(file, tiny_model, metadata):
    before = file.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))  # a write beyond it fails
    try:
        with pytest.raises(InputError, match=r"cannot write .*network\.pth: File too large"):
            save_checkpoint(file, tiny_model, metadata)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir()] == [file.name]


@pytest.mark.parametrize("name", ["absent/network.pth", "network.pth/inside.pth", "."])
def test_an_impossible_place_is_refused_in_one_line(file, tiny_model, metadata, name):
    with pytest.raises(InputError, match="cannot write "):
        save_checkpoint(file.parent / name, tiny_model, metadata)


def test_an_interrupted_write_leaves_no_temporary_file(file, tiny_model, metadata, monkeypatch):
    def interrupt(_descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(file, tiny_model, metadata)
    assert [path.name for path in file.parent.iterdir()] == [file.name]


@pytest.mark.parametrize("wrapper", [None, "state_dict", "model"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_released_files_load_without_any_option(tmp_path, tiny_model, wrapper, prefix):
    state = {prefix + key: value for key, value in gac.export_official(tiny_model).items()}
    torch.save(state if wrapper is None else {wrapper: state, "epoch": 3}, tmp_path / "r.pth")
    checkpoint = gac.load(tmp_path / "r.pth")
    assert torch.equal(checkpoint.model.head.weight, tiny_model.head.weight)
    assert checkpoint.metadata.data is None
    assert checkpoint.metadata.provenance is None
    assert checkpoint.metadata.preprocessing.mean == (0.4914, 0.4822, 0.4465)  # CIFAR-10's
    assert "its preprocessing is unknown; the usual one of cifar10 is assumed" in (
        checkpoint.metadata.notes
    )


@pytest.mark.parametrize(
    ("name", "changes", "expected"),
    [
        ("msresnet8", {"classes": 100}, "cifar100"),
        ("msresnet18", {"widths": (8,), "blocks": (1,), "strides": (2,)}, "imagenet"),
    ],
)
def test_the_preprocessing_assumed_follows_family_and_classes(tmp_path, name, changes, expected):
    torch.save(gac.export_official(gac.build(name, **changes)), tmp_path / "r.pth")
    assert f"usual one of {expected}" in gac.load(tmp_path / "r.pth").metadata.notes[1]


def test_a_released_file_without_encoder_asks_for_the_steps(tmp_path, tiny_config):
    model = fresh_model(replace(tiny_config, encoder="direct"), seed=0)
    torch.save(gac.export_official(model), tmp_path / "r.pth")
    assert gac.load(tmp_path / "r.pth", steps=5).config.steps == 5
    with pytest.raises(InputError, match=r"r\.pth: without the gac encoder .* --steps"):
        gac.load(tmp_path / "r.pth")


@pytest.mark.parametrize(
    "values",
    [
        {"image_size": 0, "mean": (0.0,), "std": (1.0,)},
        {"image_size": 8, "mean": (0.0,), "std": (1.0, 1.0)},
        {"image_size": 8, "mean": (), "std": ()},
        {"image_size": 8, "mean": (0.0,), "std": (0.0,)},
        {"image_size": 8, "resize": 7, "mean": (0.0,), "std": (1.0,)},
    ],
)
def test_contradictory_preprocessing_is_refused(values):
    with pytest.raises(InputError):
        Preprocessing(**values)


def test_metadata_without_data_and_provenance_survives_its_dictionary(preprocessing):
    metadata = Metadata(preprocessing=preprocessing, metrics={})
    assert from_plain(Metadata, to_plain(metadata)) == metadata


class TestShippedCheckpoint:
    """The trained network inside the package."""

    def test_it_is_small_and_of_our_own_format(self):
        assert shipped_checkpoint().stat().st_size <= 1.5e6
        assert torch.load(shipped_checkpoint())["format"] == FORMAT

    def test_it_says_how_it_was_made_and_chosen(self):
        metadata = gac.load(shipped_checkpoint()).metadata
        assert metadata.provenance.command.startswith("gac-train --recipe digits ")
        assert metadata.data.name == "digits"
        assert metadata.notes == (LAST_NOTE,)
        arguments = metadata.provenance.command.split()
        assert not any(Path(argument).is_absolute() for argument in arguments)

    def test_it_classifies_as_many_test_digits_as_it_claims(self):
        checkpoint = gac.load(shipped_checkpoint())
        digits = load_data("digits", preprocessing=checkpoint.metadata.preprocessing)
        found = evaluate(checkpoint.model, torch.utils.data.DataLoader(digits, batch_size=120))
        assert found.samples == 360
        assert found.accuracy >= 0.985
        # One spike can flip with the order of float32 sums on another machine.
        assert abs(found.correct - checkpoint.metadata.metrics["test_correct"]) <= 2
