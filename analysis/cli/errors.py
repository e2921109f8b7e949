"""How every command line of this package ends.

0 means fine, 2 bad input (one line on stderr, no traceback), 130 stopped by Ctrl-C (one line);
a command adds a status of its own with ``raise typer.Exit(status)``. Any other exception is a
defect of the package and keeps its traceback.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn

import typer

from analysis.errors import InputError as AnalysisInputError
from gac.errors import InputError as ModelInputError

BAD_INPUT = 2
INTERRUPTED = 130


def run(app: typer.Typer, program: str) -> NoReturn:
    """Runs an app on the arguments of this process and ends the process.

    Args:
        app: The command; what it returns is ignored.
        program: The name it is called by, printed in front of a message.
    """
    try:
        # Not standalone: typer would print usage errors over several lines, in a box.
        result = app(prog_name=program, standalone_mode=False)
        sys.stdout.flush()
    except typer.TyperException as error:
        _end(BAD_INPUT, f"{program}: error: {error.format_message()}")
    except (ModelInputError, AnalysisInputError) as error:
        _end(BAD_INPUT, f"{program}: error: {error}")
    except OSError as error:  # a full disk behind the output, say: no defect of the package
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 - or Python tries it again at exit
        _end(BAD_INPUT, f"{program}: error: {error}")
    if result == INTERRUPTED:  # typer's answer to Ctrl-C
        _end(INTERRUPTED, f"{program}: stopped")
    sys.exit(result or 0)  # a raised `typer.Exit` comes back as its status, a normal end as None


def _end(status: int, message: str) -> NoReturn:
    sys.stderr.write(" ".join(message.split()) + "\n")
    sys.exit(status)
