"""How every command line of this package ends.

0 means fine, 2 bad input (one line on stderr, no traceback), 130 stopped by Ctrl-C; a command
adds a status of its own with ``raise typer.Exit(status)``. Any other exception is a defect of
the package and keeps its traceback.
"""

from __future__ import annotations

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
        program: The name it is called by, printed in front of an error.
    """
    try:
        # Not standalone: typer would print usage errors over several lines, in a box.
        result = app(prog_name=program, standalone_mode=False)
    except typer.TyperException as error:
        _fail(program, error.format_message())
    except (ModelInputError, AnalysisInputError) as error:
        _fail(program, str(error))
    # A raised `typer.Exit` comes back as its status, Ctrl-C as 130; a normal end as None.
    sys.exit(result or 0)


def _fail(program: str, message: str) -> NoReturn:
    one_line = " ".join(message.split())
    sys.stderr.write(f"{program}: error: {one_line}\n")
    sys.exit(BAD_INPUT)
