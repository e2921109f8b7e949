"""The one exception whose message is written for the person at the keyboard."""

from collections.abc import Iterator
from contextlib import contextmanager


class InputError(ValueError):
    """Something the caller gave cannot be used; the message is one line that says why.

    It names what was wrong, what came and what is allowed. Command lines print it and exit
    with status 2; everything else that is raised is a defect of this package.
    """

    def __init__(self, message: str) -> None:
        # torch raises an exception of a loader's worker again with that one's traceback as message.
        if "Original Traceback" in message:
            message = message.rpartition("gac.errors.InputError: ")[2].strip()
        super().__init__(message)


@contextmanager
def from_extra(extra: str) -> Iterator[None]:
    """What is imported inside comes with an extra of this package; it may not be installed.

    Raises:
        InputError: If it isn't; with the command that installs it.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = str(error.name).partition(".")[0]
        raise InputError(
            f"this needs {package}, which is not installed: pip install 'gac-energy[{extra}]'"
        ) from error
