"""How every command line of this package ends.

0 means fine, 2 bad input (one line on stderr, no traceback), 130 stopped by Ctrl-C (one line), 141
a reader of the output that went away, as ``| head`` does; a command adds a status of its own with
``raise typer.Exit(status)``. Any other exception is a defect of the package and keeps its
traceback.
"""

from __future__ import annotations

import io
import os
import sys
from typing import NoReturn

import typer

from analysis.errors import InputError as AnalysisInputError
from gac.errors import InputError as ModelInputError

BAD_INPUT = 2
INTERRUPTED = 130
NO_READER = 141  # what a shell reports for SIGPIPE


def run(app: typer.Typer, program: str) -> NoReturn:
    """Runs an app on the arguments of this process and ends the process.

    Args:
        app: The command; what it returns is ignored.
        program: The name it is called by, printed in front of a message.
    """
    _write_anywhere()
    try:
        # Not standalone: typer would print usage errors over several lines, in a box.
        result = app(prog_name=program, standalone_mode=False)
        sys.stdout.flush()
    except typer.TyperException as error:
        _end(BAD_INPUT, f"{program}: error: {error.format_message()}")
    except (ModelInputError, AnalysisInputError) as error:
        _end(BAD_INPUT, f"{program}: error: {error}")
    except SystemExit as error:  # rich's and typer's answer to a closed pipe, with a status of ours
        sys.exit(NO_READER if error.code == 1 else error.code)
    except OSError as error:  # a full disk behind the output, say: no defect of the package
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 - or Python tries it again at exit
        _end(BAD_INPUT, f"{program}: error: {error}")
    if result == INTERRUPTED:  # typer's answer to Ctrl-C
        _end(INTERRUPTED, f"{program}: stopped")
    sys.exit(result or 0)  # a raised `typer.Exit` comes back as its status, a normal end as None


def _write_anywhere() -> None:
    """Output that is closed is no output; a character that its encoding lacks becomes a `?`."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115, PTH123 - until the process ends
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _end(status: int, message: str) -> NoReturn:
    sys.stderr.write(" ".join(message.split()) + "\n")
    sys.exit(status)
