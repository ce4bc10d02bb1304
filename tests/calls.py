"""Calls for executors to run: a worker imports this module, so it has none of pytest."""

from __future__ import annotations

import os
import resource
import signal
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np


def moments(seed: int) -> np.ndarray:
    """Moments of seeded rows, whose last bits would show another number of threads of BLAS."""
    rows = np.random.default_rng(seed).standard_normal((20_000, 40))
    return rows.T @ rows


class Deadly(NamedTuple):
    """A call that kills its worker while there are lives left in its file."""

    lives: str
    value: int


def deadly(call: Deadly) -> int:
    lives = Path(call.lives)
    left = lives.stat().st_size
    if left:
        os.truncate(lives, left - 1)
        os.kill(os.getpid(), signal.SIGKILL)
    return call.value


def fails(value: int) -> int:
    if value == 1:
        raise LookupError("its own")
    return value


def marks(path: str) -> str:
    """Leave a file when it begins, and take a while."""
    Path(path).touch()
    time.sleep(0.3)
    return path


def pid(_: int) -> int:
    return os.getpid()


def environment(name: str) -> str | None:
    return os.environ.get(name)


def fresh_pages(size: int) -> int:
    """How many pages of memory an array of so many bytes took fresh from the system."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(size, dtype=np.int8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
