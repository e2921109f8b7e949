"""Settings of all tests."""

import os
from typing import NamedTuple

import pytest

# Networks this small gain nothing from a second thread, and wait for it where a machine is busy.
# Read by torch when it is imported, here and in the commands that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")


class Ended(NamedTuple):
    """How a command ended, and what it said."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def entry_point(monkeypatch, capsys):
    """Makes a command of its name and its entry point, run in this process."""

    def made(program, main):
        def call(*arguments):
            monkeypatch.setattr("sys.argv", [program, *map(str, arguments)])
            with pytest.raises(SystemExit) as ended:
                main()
            return Ended(ended.value.code, *capsys.readouterr())

        return call

    return made
