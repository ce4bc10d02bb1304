"""Large arrays that lie in a file, so that what is not being read need not be in memory.

The file has no name: it goes with the process, however that ends. The system writes what it has no
room for and reads it again when it is asked for.
"""

from __future__ import annotations

import mmap
import os
from math import prod
from tempfile import TemporaryFile
from typing import IO, Any

import numpy as np

LARGE = 2**26  # bytes of an array from which on it lies in a file
RESERVE = getattr(os, "posix_fallocate", None)  # not on every system


def reserve(file: IO[bytes], size: int) -> None:
    """Take all the room of a new file now, which costs less than to let it grow.

    A full disk is known here, and not when a number is written.

    Raises:
        OSError: there is no room.
    """
    if size and RESERVE is not None:
        RESERVE(file.fileno(), 0, size)


def large_array(shape: tuple[int, ...]) -> np.ndarray:
    """An array of numbers that are not set; a large one in a file where the disk has room."""
    size = prod(shape) * np.dtype(float).itemsize
    if size < LARGE or RESERVE is None:
        return np.empty(shape)
    try:
        with TemporaryFile() as file:
            reserve(file, size)
            pages = mmap.mmap(file.fileno(), size)
    except OSError:
        return np.empty(shape)
    return np.frombuffer(pages).reshape(shape)


def large_copy(array: np.ndarray) -> np.ndarray:
    """A copy, row by row; a large one in a file."""
    copy = large_array(array.shape)
    copy[:] = array
    return copy


def let_go(array: np.ndarray) -> None:
    """Give the memory of an array in a file back until it is read again; others stay."""
    base: Any = array
    while isinstance(base, np.ndarray):
        base = base.base
    pages = base.obj if isinstance(base, memoryview) else base
    if isinstance(pages, mmap.mmap):
        pages.madvise(mmap.MADV_DONTNEED)
