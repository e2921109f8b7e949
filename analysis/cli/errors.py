"""How every command line of this package ends.

0 means fine, 2 bad input (one line on stderr, no traceback), 70 an error in the user's model or
loader or in this package (one line that says in whose, and where the traceback is), 130 stopped by
Ctrl-C (one line), 141 a reader of the output that went away, as ``| head`` does; a command adds a
status of its own with ``raise typer.Exit(status)``. Nothing but a broken budget ends with 1.
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
DEFECT = 70  # what sysexits.h calls an internal software error
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
    except (SystemExit, Exception) as error:  # noqa: BLE001 - nobody else would tell it
        _end_unexpected(error, program)
    if result == INTERRUPTED:  # typer's answer to Ctrl-C
        _end(INTERRUPTED, f"{program}: stopped")
    sys.exit(result or 0)  # a raised `typer.Exit` comes back as its status, a normal end as None


def _end_unexpected(error: SystemExit | Exception, program: str) -> NoReturn:
    from analysis.cli.whose import origin, told

    if origin(error).ours:
        if isinstance(error, SystemExit):  # rich's and typer's answer to a closed pipe
            sys.exit(NO_READER if error.code == 1 else error.code)
        if isinstance(error, OSError):  # a full disk behind the output, say: no defect
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 - or Python tries it again
            _end(BAD_INPUT, f"{program}: error: {error}")
    _end(DEFECT, f"{program}: error: {told(error, program)}")


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
