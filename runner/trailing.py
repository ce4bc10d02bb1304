"""Sums over the last rows of each asset, and what else is made from the past of an asset alone.

A window is added up from sums of 1, 2, 4, 8, ... rows, which windows share: about 2 log2(n) additions a cell and no
subtraction, so that the rounding of one spike does not stay in the windows after it. A sum is the same to the last
bit whatever rows come before or after its window.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

CELLS = 16384  # at a time, which with what is made of them stay in the cache


def by_asset(work: Callable[[np.ndarray], np.ndarray], values: Any) -> Any:
    """A frame (T, N) or series (T,) like `values`, of what `work` gives for some assets (T, c) at a time.

    That is their last rows (T', c); those before are NaN. `work` must not write to what it is given.
    """
    cells = np.asfortranarray(values.to_numpy(dtype=float))
    columns = cells if cells.ndim == 2 else cells[:, None]
    T, N = columns.shape
    found = np.empty((N, T)).T
    step = max(CELLS // max(T, 1), 1)
    with np.errstate(all="ignore"):
        for first in range(0, N, step):
            own = slice(first, first + step)
            made = work(columns[:, own])
            found[: T - len(made), own] = np.nan
            found[T - len(made) :, own] = made
    if isinstance(values, pd.DataFrame):
        return pd.DataFrame(found, values.index, values.columns, copy=False)
    return pd.Series(found[:, 0], values.index, name=values.name, copy=False)


def sums(cells: np.ndarray, window: int) -> np.ndarray:
    """Sums (T - window + 1, c) of `window` rows of the cells (T, c), the first over rows 0 to window - 1.

    NaN where one of them is missing or infinite.
    """
    if len(cells) < window:
        return cells[:0]
    known = np.isfinite(cells)
    part = cells if known.all() else np.where(known, cells, np.nan)
    total, rows, width = part[:0], 0, 1  # the first `rows` rows of each window; every `width` rows
    while rows < window:
        if window & width:
            total = total[: len(part) - rows] + part[rows:] if rows else part
            rows += width
        if rows < window:
            part = part[:-width] + part[width:]
            width *= 2
    return total


def rolling_sum(values: Any, window: int) -> Any:
    """Sums of a frame or series over the `window` rows that end at t; NaN where a value is missing or infinite."""
    return by_asset(lambda cells: sums(cells, window), values)
