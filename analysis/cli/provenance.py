"""What made a run: versions, commit, command line."""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from gac import __version__


def package_commit() -> str | None:
    """The commit of the checkout this package runs from, ``-dirty`` with changes to the code.

    None where the package is installed without its history, or git is not there.
    """
    git, here = shutil.which("git"), Path(__file__)
    if git is None:
        return None

    def ask(*arguments: str) -> str | None:
        # no lock on the index: one that is killed with this process would leave it locked
        command = [git, "--no-optional-locks", "-C", str(here.parent), *arguments]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - fixed arguments
        return answer.stdout.strip() if answer.returncode == 0 else None

    if ask("ls-files", "--error-unmatch", here.name) is None:
        return None  # somebody else's repository around an installed copy
    commit = ask("rev-parse", "HEAD")
    code = ("--", ":/analysis", ":/gac", ":/pyproject.toml")  # results that grow are no change
    changed = commit and ask("status", "--porcelain", "--untracked-files=no", *code)
    return f"{commit}-dirty" if changed else commit


def command_line(program: str) -> str:
    """The command as it was typed, without the folders of this machine."""
    arguments = [Path(a).name if os.path.isabs(a) else a for a in sys.argv[1:]]  # noqa: PTH117
    return f"{program} {shlex.join(arguments)}".strip()


def made_by(program: str) -> dict[str, str | None]:
    """Everything that can be said of how a run was made, without the run itself."""
    return {
        "command": command_line(program),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "gac-energy": __version__,
        "commit": package_commit(),
        "python": platform.python_version(),
        "torch": version("torch"),
        "numpy": version("numpy"),
    }
