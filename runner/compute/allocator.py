"""Memory that arrays give back: kept for those that come next, or given to the system.

The C library of Linux is asked; elsewhere nothing is done.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress

# of mallopt(3)
TRIM_THRESHOLD = -1
MMAP_MAX = -4
ARENA_MAX = -8
NEVER = -1


def keep_memory() -> None:
    """Let large arrays take memory that earlier ones gave back, until `trim` is called.

    By itself the C library takes each large array fresh from the system, which clears every page
    of it: half of the time of a block of dates. For processes of our own, as all in them is meant.
    """
    with suppress(AttributeError, OSError):
        library = ctypes.CDLL(None)
        library.mallopt(MMAP_MAX, 0)
        library.mallopt(TRIM_THRESHOLD, NEVER)
        library.mallopt(ARENA_MAX, 1)  # what one thread gives back, another may take


def trim() -> None:
    """Give back to the system what is kept of arrays that are gone."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
