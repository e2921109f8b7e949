"""Files from an unknown hand: each refused in one clear line, none executed or trusted."""

import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

import gac
from gac.errors import InputError

MARKER = "executed"


class Code:
    """A pickle that makes a file when it is loaded without care."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return (Path.touch, (Path(self.folder) / MARKER,))


class Claims:
    """An array of numpy that says it has 10 GB."""

    def __reduce__(self):
        return (np.ones(1).__reduce__()[0], (np.ndarray, (10**10,), b"b"))


class Number:
    """A number of numpy of the type that holds objects."""

    def __reduce__(self):
        return (np.float64(1).__reduce__()[0], (np.dtype("O"), b"12345678"))


def _saved(content):
    def write(path):
        torch.save(content(path) if callable(content) else content, path)

    return write


def _bytes(content):
    return lambda path: path.write_bytes(content)


def _cut(path):
    torch.save({"weights": torch.zeros(1000)}, path)
    path.write_bytes(path.read_bytes()[:-700])


def _spliced(path):
    """Whole zip directory, but the bytes of an entry are gone from the middle."""
    torch.save({"weights": torch.zeros(1000)}, path)
    content = path.read_bytes()
    path.write_bytes(content[:1000] + content[2000:])


def _rewritten(path, change):
    """A torch file with another pickle inside."""
    torch.save({"w": torch.arange(4.0)}, path)
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, change(content) if name.endswith("/data.pkl") else content)


def _storage_of_ten_gigabytes(path):
    """The pickle says 2.5e9 floats, the storage has 4."""
    size = b"\x8a\x05" + (2_500_000_000).to_bytes(5, "little")  # LONG1, where BININT1 4 stood
    _rewritten(path, lambda content: content.replace(b"K\x04", size))


def _directory_of_ten_gigabytes(path):
    """The zip directory says three entries of 4 GB."""
    torch.save({"w": torch.arange(4.0)}, path)
    content, at = bytearray(path.read_bytes()), 0
    for _ in range(3):
        at = content.index(b"PK\x01\x02", at + 1)
        content[at + 20 : at + 28] = struct.pack("<II", 0xFFFFFFF0, 0xFFFFFFF0)
    path.write_bytes(content)


def _packed(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("network/data.pkl", b"\0" * 10**7)


def _other_zip(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("letter.txt", "hello")


def _torch_network(path):
    from torchvision.models import resnet18

    torch.save(resnet18().state_dict(), path)


FILES = {
    "missing": (lambda path: None, "does not exist"),
    "directory": (Path.mkdir, "is a directory"),
    "empty": (_bytes(b""), "is empty"),
    "text": (_bytes(b"epoch,accuracy\n1,0.5\n"), "is not a torch checkpoint"),
    "zip head only": (_bytes(b"PK\x03\x04 and then nothing"), "damaged or cut short"),
    "cut": (_cut, "damaged or cut short"),
    "spliced": (_spliced, "damaged|claims .* refused"),
    "other zip": (_other_zip, "not one that torch saved"),
    "bare pickle": (lambda path: path.write_bytes(pickle.dumps({"a": 1})), "bare pickle"),
    "legacy": (
        lambda path: torch.save({"a": 1}, path, _use_new_zipfile_serialization=False),
        "bare pickle, as torch wrote before version 1.6: refused unread",
    ),
    "pickle with code": (
        lambda path: path.write_bytes(pickle.dumps(Code(path.parent))),
        "bare pickle",
    ),
    "torch file with code": (_saved(lambda path: Code(path.parent)), "could be code; nothing"),
    "code among weights": (
        _saved(lambda path: {"state_dict": {"conv1_s.w": Code(path.parent)}}),
        "could be code; nothing",
    ),
    "whole module": (_saved(lambda path: torch.nn.Linear(2, 2)), "could be code; nothing"),
    "cut pickle": (lambda path: _rewritten(path, lambda content: content[:20]), "damaged"),
    "list": (_saved([1, 2, 3]), "holds a list, not a checkpoint"),
    "tensor": (_saved(torch.zeros(3)), "holds a Tensor, not a checkpoint"),
    "number": (_saved(3), "holds a int, not a checkpoint"),
    "another network": (
        _torch_network,
        "not a GAC MS-ResNet.* its keys are conv1.weight, bn1.weight.*--model package.module:fun",
    ),
    "weights under no known key": (
        _saved({"weights": {"fc": torch.zeros(1)}, "epoch": 3}),
        "holds no weights .* its keys are weights, epoch",
    ),
    "array that claims 10 GB": (
        _saved(lambda path: {"a": Claims(), "state_dict": {"w": torch.zeros(1)}}),
        "damaged.* begin empty",
    ),
    "array of objects": (
        _saved({"a": np.array([print], dtype=object)}),
        "could be code; nothing",
    ),
    "number of objects": (
        _saved({"a": Number()}),
        "could be code; nothing .*ObjectDType",
    ),
    "empty dict": (_saved({}), "holds no weights .* its keys are none"),
    "strange keys": (_saved({("a", 1): torch.zeros(1)}), "not a GAC MS-ResNet"),
    "storage of 10 GB": (_storage_of_ten_gigabytes, "damaged|not a GAC"),
    "directory of 10 GB": (_directory_of_ten_gigabytes, "claims 12,884,9.* refused"),
    "packed": (_packed, "claims 10,000,000 bytes of content or packs it"),
    "tensor of 10 GB": (
        _saved({"conv1_s.w": torch.zeros(1).expand(2_500_000_000)}),
        "not plain tensors in memory under a name: conv1_s.w",
    ),
}


@pytest.mark.parametrize("kind", list(FILES))
def test_it_is_refused_in_one_line_that_names_the_file(tmp_path, kind):
    write, message = FILES[kind]
    path = tmp_path / "network.pth"
    write(path)
    with pytest.raises(InputError, match=message) as caught:
        gac.load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500
    assert not (tmp_path / MARKER).exists()


def test_the_code_would_have_run_elsewhere(tmp_path):
    pickle.loads(pickle.dumps(Code(tmp_path)))  # noqa: S301 - shows that the trap is real
    assert (tmp_path / MARKER).exists()


def test_a_file_without_read_permission_says_so(tmp_path, monkeypatch):
    def refuse(*_arguments, **_keywords):
        raise PermissionError(13, "Permission denied")

    path = tmp_path / "network.pth"
    path.write_bytes(b"PK")
    monkeypatch.setattr(Path, "open", refuse)  # root may read anything, whatever the mode
    with pytest.raises(InputError, match=r"cannot read .*network\.pth: Permission denied"):
        gac.load(path)


def test_a_device_is_no_checkpoint():
    with pytest.raises(InputError, match=r"/dev/null is not a regular file"):
        gac.load("/dev/null")
