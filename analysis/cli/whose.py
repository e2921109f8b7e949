"""In whose code an exception came up: the user's model or loader, or this package.

The answer is read off the traceback. Its innermost frame that is neither of a library nor of
Python decides; where that frame is a place at which this package calls what it was given, what
was called decides, wherever it is installed.
"""

from __future__ import annotations

import sys
import sysconfig
import tempfile
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, TracebackType

import analysis
import gac
from analysis.cli.provenance import made_by

_PACKAGES = tuple(str(Path(str(p.__file__)).parent) + "/" for p in (analysis, gac))
_LIBRARIES = tuple({f"{sysconfig.get_path(name)}/" for name in ("stdlib", "purelib", "platlib")})
_LONGEST = 300

# Functions of this package that call what it was given, by file and name; in words, whose that is.
# An operation of torch (None) is called by whatever called the dispatch.
_CALLS_OTHERS: dict[tuple[str, str], str | None] = {
    ("counting/run.py", "_pass_as_is"): "the model",
    ("counting/run.py", "_counted"): "the loader of batches",
    ("cli/custom.py", "own_model"): "what --model names",
    ("cli/custom.py", "_batches"): "what --data names",
    ("cli/custom.py", "found"): "a module of yours",
    ("counting/watch.py", "__torch_dispatch__"): None,
    ("counting/operations.py", "run_parts"): None,
    ("counting/passes.py", "__torch_dispatch__"): None,
}


@dataclass(frozen=True)
class Frame:
    """One frame of a traceback: the file, its line, the function."""

    file: str
    line: int
    function: str

    @property
    def is_ours(self) -> bool:
        """Whether it is of this package."""
        return self.file.startswith(_PACKAGES)

    @property
    def is_a_librarys(self) -> bool:
        """Whether it is of Python or of something installed, this package aside."""
        own = self.file.startswith("<frozen") or self.file.startswith(_LIBRARIES)
        return own and not self.is_ours

    @property
    def call(self) -> tuple[str, str]:
        """How `_CALLS_OTHERS` names it."""
        return "/".join(Path(self.file).parts[-2:]), self.function

    def __str__(self) -> str:
        """Where it is, for a reader of the message."""
        parts = Path(self.file).parts
        return f"{'/'.join(parts[-2:])}, line {self.line}, in {self.function}"


@dataclass(frozen=True)
class Origin:
    """Whose code raised an exception, in words, and where; ``ours``: this package's own."""

    words: str
    where: Frame | None
    ours: bool


def origin(error: BaseException) -> Origin:
    """In whose code an exception came up."""
    return _of(list(_frames(error.__traceback__)))


def _of(frames: list[Frame]) -> Origin:
    """The same, given the frames from outside to inside."""
    own = [place for place, frame in enumerate(frames) if not frame.is_a_librarys]
    if not own:
        return Origin("gac-energy itself", frames[-1] if frames else None, ours=True)
    outside, frame, inside = frames[: own[-1]], frames[own[-1]], frames[own[-1] + 1 :]
    if not frame.is_ours:
        return Origin(_called(outside), frame, ours=False)
    if frame.call not in _CALLS_OTHERS:
        return Origin("gac-energy itself", frame, ours=True)
    words = _CALLS_OTHERS[frame.call]
    if words is None:
        return _of(outside)
    layers = [f for f in inside if "/torch/nn/" in f.file]
    chosen = [f for f in inside if "/torch/" not in f.file] or layers or inside or [frame]
    return Origin(words, chosen[-1], ours=False)


def _called(outer: list[Frame]) -> str:
    """What this package called of the user's, given the frames around."""
    names = (_CALLS_OTHERS.get(frame.call) for frame in reversed(outer) if frame.is_ours)
    return next((words for words in names if words is not None), "your code")


def _frames(part: TracebackType | None) -> Iterator[Frame]:
    while part is not None:
        code: CodeType = part.tb_frame.f_code
        yield Frame(code.co_filename, part.tb_lineno, code.co_name)
        part = part.tb_next


def told(error: BaseException, program: str) -> str:
    """One line on an exception that nobody expected, and its traceback written to a file."""
    came_from = origin(error)
    message = " ".join(str(error).split())
    what = f"{type(error).__name__}: {message}" if message else type(error).__name__
    what = what if len(what) <= _LONGEST else f"{what[:_LONGEST]}..."
    where = "" if came_from.where is None else f" ({came_from.where})"
    report = "please report it with its traceback" if came_from.ours else "traceback"
    return f"in {came_from.words}{where}: {what}; {report}: {_written(error, program)}"


def _written(error: BaseException, program: str) -> str:
    """The file in the temporary folder that holds the traceback, or why there is none."""
    facts = "".join(f"{name}: {value}\n" for name, value in made_by(program).items())
    text = "".join(traceback.format_exception(error))
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix=f"{program}-", suffix=".txt", delete=False, encoding="utf-8"
        ) as file:
            file.write(f"{facts}\n{text}")
    except OSError as problem:
        sys.stderr.write(text)
        return f"above; it can't be written to a file: {problem.strerror}"
    return file.name
