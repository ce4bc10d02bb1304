"""Means of each asset over rows that are read some dates at a time.

They are added in the order of the rows, so that the bits are those of all rows at once.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from runner.panels.numbers.ragged import Ragged

Stretches = Iterable[tuple[int, Ragged]]


def means_of_assets(stretches: Stretches, of_all: np.ndarray, assets: int) -> np.ndarray:
    """Means (1, N, K + 1) of features and target of each asset; `of_all` where it has no cell."""
    count = np.zeros(assets, dtype=np.intp)
    total = np.zeros((of_all.shape[2], assets))
    for _, part in stretches:
        used = np.flatnonzero(part.valid)
        asset = part.listings.column[used]
        count += np.bincount(asset, minlength=assets)
        for sums, values in zip(total, (*part.X.T, part.y), strict=True):
            np.add.at(sums, asset, values[used])
    of_assets = total.T / np.maximum(count, 1)[:, None]
    return np.where(count[:, None] > 0, of_assets, of_all)
