"""Memory that arrays give back: kept for those that come next, or given to the system.

The C library of Linux is asked; elsewhere nothing is done.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress

# Of mallopt(3): no array by itself, nothing given back, what one thread gives back for the others.
MMAP_MAX, TRIM_THRESHOLD, ARENA_MAX = -4, -1, -8
NEVER = -1
# The same for processes that are started with these in their environment.
KEEPING = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(2**60),
    "MALLOC_ARENA_MAX": "1",
}
# How libraries take memory that are imported with these in the environment.
OF_LIBRARIES = {
    # pyarrow: its own allocators keep what a table took after it is gone
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    # numpy: pages of 2 MB are asked of the host where it takes free memory back, as that of many a
    # virtual machine does, for five times the time of small ones
    "NUMPY_MADVISE_HUGEPAGE": "0",
}


def keep_memory() -> None:
    """Let large arrays take memory that earlier ones gave back, until `trim` is called.

    By itself the C library takes each large array fresh from the system, which clears every page of
    it: a tenth of the CPU time of a daily run. For processes of our own, as all in them is
    meant; before their first thread, which would get a share of the memory to itself.
    """
    with suppress(AttributeError, OSError):
        library = ctypes.CDLL(None)
        library.mallopt(MMAP_MAX, 0)
        library.mallopt(TRIM_THRESHOLD, NEVER)
        library.mallopt(ARENA_MAX, 1)


def trim() -> None:
    """Give back to the system what is kept of arrays that are gone."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
