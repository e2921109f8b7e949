"""Which build of torch `make` installs; prints what to ask pip for, nothing for pip's own choice.

Torch comes with CUDA (about 6 GB) unless an index offers builds for CPUs alone, whose versions end
in ``+cpu``. pip is asked as it is configured (PIP_INDEX_URL, PIP_EXTRA_INDEX_URL). torchvision has
to be of the same build, so a torch without its torchvision is not taken.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys

PAIR = ("torch", "torchvision")


def cpu_versions(listed: str) -> list[str]:
    r"""The versions that end in +cpu in what `pip index versions` prints, newest first.

    Example:
        >>> cpu_versions("torch (2.9.1)\nAvailable versions: 2.9.1, 2.9.0+cpu, 2.9.0, 2.8.0+cpu")
        ['2.9.0+cpu', '2.8.0+cpu']
    """
    available = listed.partition("Available versions:")[2].partition("\n")[0]
    return re.findall(r"[\d.]+\+cpu\b", available)


def pip(*arguments: str) -> subprocess.CompletedProcess[str]:
    """What pip of this Python says."""
    command = [sys.executable, "-m", "pip", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - pip


def pair() -> list[str]:
    """The newest torch and torchvision for CPUs alone that fit together, as pip wants them."""
    offered = [cpu_versions(pip("index", "versions", name).stdout) for name in PAIR]
    if not all(offered):
        return []
    wanted = [f"{name}=={versions[0]}" for name, versions in zip(PAIR, offered, strict=True)]
    fits = pip("install", "--dry-run", "--quiet", "--ignore-installed", *wanted).returncode == 0
    return wanted if fits else []


def main() -> None:
    """Prints the requirements, and on stderr what they are."""
    if shutil.which("nvidia-smi"):
        said, wanted = "the usual build, with CUDA (about 6 GB): there is a GPU", []
    elif wanted := pair():
        said = f"{' and '.join(wanted)}, for CPUs alone: no GPU is seen"
    else:
        said = (
            "the usual build, with CUDA (about 6 GB): no GPU is seen, but pip's index offers no "
            "torch and torchvision that end in +cpu and fit together; README says how to get them"
        )
    sys.stderr.write(f"torch: {said}\n")
    sys.stdout.write(" ".join(wanted))


if __name__ == "__main__":
    main()
