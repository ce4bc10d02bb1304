"""How sums of single rows are merged into sums of windows: by doubling.

Sums of 1, 2, 4, 8, ... rows are made from each other, and those of the binary digits of the window
are collected, the lowest first: about 2 log2(window) merges.
"""

from __future__ import annotations

from functools import cache

import numpy as np

DOUBLE, START, COLLECT = range(3)


@cache
def merges_of(window: int) -> np.ndarray:
    """The merges (M, 3) in order: what is done, and how many rows the left and right are about.

    DOUBLE merges the sums that double with themselves, START collects them as they are, COLLECT
    merges what is collected with them.
    """
    merges = []
    width = 1  # rows of the sums that double
    rows = 0  # rows of what is collected
    while rows < window:
        if window & width:
            merges.append((COLLECT if rows else START, rows, width))
            rows += width
        if rows < window:
            merges.append((DOUBLE, width, width))
            width *= 2
    return np.array(merges)
