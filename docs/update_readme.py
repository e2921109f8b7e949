"""Writes the real output of `make demo` into README.md, between its two markers."""

import os
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"
BEGIN, END = "<!-- demo begins -->\n", "<!-- demo ends -->"
WIDTH = "120"


def demo_output() -> str:
    """What `gac-analyze` prints for the shipped network."""
    program = Path(sys.executable).with_name("gac-analyze")
    done = subprocess.run(  # noqa: S603 - our own program, no input from outside
        [program], capture_output=True, text=True, check=True, env=os.environ | {"COLUMNS": WIDTH}
    )
    return "\n".join(line.rstrip() for line in done.stdout.splitlines())


def parts() -> tuple[str, str, str]:
    """README.md before, between and behind the markers."""
    head, rest = README.read_text(encoding="utf-8").split(BEGIN)
    body, tail = rest.split(END)
    return head, body, tail


if __name__ == "__main__":
    head, _, tail = parts()
    README.write_text(f"{head}{BEGIN}```text\n{demo_output()}\n```\n{END}{tail}", encoding="utf-8")
