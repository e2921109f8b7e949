"""Writes what the programs really print into the pages, and takes the pictures of the report.

Run by `make refresh-docs` after a change of the output; the tests compare.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import typer

ROOT = Path(__file__).parent.parent
WIDTH = "120"
CHROMIUM = "/usr/bin/chromium"
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
MODULES = {
    "gac-analyze": "analysis.cli.analyze",
    "gac-train": "analysis.cli.train",
    "gac-eval": "analysis.cli.evaluate",
    "paper": "analysis.cli.paper",
}
MARKDOWN = {"paper", "options"}  # what is part of the page as it is, not a listing
# page, marker, a program where it is not gac-analyze, and its arguments
BLOCKS = (
    ("README.md", "demo", ()),
    ("docs/reference/command-line.md", "help", ("--help",)),
    ("docs/concepts/published-numbers.md", "msresnet18",
     ("--arch", "msresnet18", "--rates", "0.2")),
    ("docs/reference/command-line.md", "train help", ("gac-train", "--help")),
    ("docs/reference/command-line.md", "eval help", ("gac-eval", "--help")),
    ("docs/reference/options.md", "gac-analyze options", ("options", "gac-analyze")),
    ("docs/reference/options.md", "gac-train options", ("options", "gac-train")),
    ("docs/reference/options.md", "gac-eval options", ("options", "gac-eval")),
    ("reports/README.md", "paper", ("paper",)),
)  # fmt: skip


def printed(*arguments: str) -> str:
    """What a program prints; without arguments, `gac-analyze` for the shipped network."""
    if arguments[:1] == ("options",):
        return "\n".join(options(arguments[1])).strip()
    program, *rest = arguments if arguments[:1] and arguments[0] in MODULES else (
        "gac-analyze", *arguments,
    )  # fmt: skip
    command = [sys.executable, "-m", MODULES[program], *rest]
    done = subprocess.run(  # noqa: S603 - our own program, no input from outside
        command, capture_output=True, text=True, check=True, env=os.environ | {"COLUMNS": WIDTH}
    )
    text = done.stdout.replace(f"python -m {MODULES[program]}", program)
    return "\n".join(line.rstrip() for line in text.splitlines())


def options(program: str) -> Iterator[str]:
    """Every option of a command with an address of its own: what it takes and what it does."""
    app = import_module(MODULES[program]).app
    for option in typer.main.get_command(app).params:
        name = max(option.opts, key=len)
        if name.startswith("--"):
            takes = f" {option.metavar}" if option.metavar else ""
            anchor = f"{program}-{name.removeprefix('--')}"
            yield f"#### `{name}{takes}` {{ #{anchor} }}"
            yield f"\n{' '.join((option.help or '').split())}\n"


def parts(page: str, marker: str) -> tuple[str, str, str]:
    """A page before, between and behind the two markers of a block."""
    text = (ROOT / page).read_text(encoding="utf-8")
    head, rest = text.split(f"<!-- {marker} begins -->\n")
    body, tail = rest.split(f"<!-- {marker} ends -->")
    return head, body, tail


def write_blocks() -> None:
    """Writes every block anew."""
    for page, marker, arguments in BLOCKS:
        head, _, tail = parts(page, marker)
        body = printed(*arguments)
        if MARKDOWN.isdisjoint(arguments):
            body = f"```text\n{body}\n```"
        text = f"{head}<!-- {marker} begins -->\n{body}\n<!-- {marker} ends -->{tail}"
        (ROOT / page).write_text(text, encoding="utf-8")


def take_pictures() -> None:
    """The first screen of the report of the shipped network, light and dark."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as play:
        printed("--output", folder)
        browser = play.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        for scheme, name in (("light", "report.png"), ("dark", "report-dark.png")):
            page = browser.new_page(viewport={"width": 1120, "height": 1060}, color_scheme=scheme)
            page.goto((Path(folder) / "report.html").as_uri())
            page.add_style_tag(content="#totals { display: none }")
            page.screenshot(path=ROOT / "docs/images" / name)
        browser.close()


if __name__ == "__main__":
    write_blocks()
    take_pictures()
