"""The one exception whose message is written for the person at the keyboard."""


class InputError(ValueError):
    """Something the caller gave cannot be used; the message is one line that says why.

    It names what was wrong, what came and what is allowed. Command lines print it and exit
    with status 2; everything else that is raised is a defect of this package.
    """
