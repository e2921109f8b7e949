"""How a command of its own process treats memory. No torch here."""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # names of glibc's malloc.h
_MOST_TRIM, _MOST_MMAP = 2**31 - 1, 2**25  # the largest values it takes


def keep_freed_memory() -> None:
    """Lets this process keep memory it has freed, for the next tensor of that size.

    By default glibc returns large freed pieces to the system, so that every pass through a network
    pays for their pages again: a tenth of the time of a training on a CPU. Does nothing where
    there is no glibc.
    """
    try:
        option = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    option(_MMAP_THRESHOLD, _MOST_MMAP)
    option(_TRIM_THRESHOLD, _MOST_TRIM)
