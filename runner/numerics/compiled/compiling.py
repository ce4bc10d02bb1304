"""Loops over series that numba compiles. Imported only where one is used, as numba is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np


def compiled(function: Callable[..., Any]) -> Any:
    """A function compiled at its first call, and kept on disk where there is a place for it."""
    settings: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
    try:
        return numba.njit(cache=True, **settings)(function)
    except RuntimeError:  # no folder that can be written
        return numba.njit(**settings)(function)


def series_of(cells: np.ndarray) -> np.ndarray:
    """The columns of cells (T, c) as series (c, T), each together in memory: a view where so."""
    return np.ascontiguousarray(cells.T)
