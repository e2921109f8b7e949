"""What a report says of the checkout that made it."""

import os
import subprocess

import pytest

from analysis.cli import provenance


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A repository with one committed file, from which the package seems to run."""
    for name in ("analysis/provenance.py", "reports/runs.csv"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("first")
    file = tmp_path / "analysis" / "provenance.py"
    author = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    for command in (("init", "-q"), ("add", "."), (*author, "commit", "-qm", "first")):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)  # noqa: S607
    monkeypatch.setattr(provenance, "__file__", str(file))
    return file


def test_a_commit_is_named_and_local_changes_mark_it(checkout):
    clean = provenance.package_commit()
    assert len(clean) == 40
    (checkout.parent / "untracked").write_text("")
    assert provenance.package_commit() == clean
    (checkout.parents[1] / "reports" / "runs.csv").write_text("results that grow are no change")
    assert provenance.package_commit() == clean
    checkout.write_text("other")
    assert provenance.package_commit() == f"{clean}-dirty"


def test_the_index_of_the_checkout_is_not_written(checkout):
    os.utime(checkout, (0, 0))  # git would note the new time in its index, under a lock
    index = checkout.parents[1] / ".git" / "index"
    before = index.read_bytes()
    assert provenance.package_commit().isalnum()
    assert index.read_bytes() == before


def test_outside_of_a_checkout_there_is_no_commit(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "provenance.py"))
    assert provenance.package_commit() is None
