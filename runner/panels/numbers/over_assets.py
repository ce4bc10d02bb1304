"""Sums and values of each asset over rows that are read some dates at a time.

They are added in the order of the rows, so that the bits are those of all rows at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from runner.numerics.variation import FirstValues, few_values_of
from runner.panels.numbers.ragged import Ragged

Stretches = Iterable[tuple[int, Ragged]]


def sums_of_assets(stretches: Stretches, assets: int) -> tuple[np.ndarray, np.ndarray]:
    """(N,) usable cells of each asset, and the sum of what is scored in them."""
    count = np.zeros(assets, dtype=np.intp)
    total = np.zeros(assets)
    for _, part in stretches:
        scored = part.y if part.raw is None else part.raw
        asset = part.listings.column[part.valid]
        count += np.bincount(asset, minlength=assets)
        np.add.at(total, asset, scored[part.valid])
    return count, total


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


def few_values_in(
    stretches: Callable[[], Iterator[tuple[int, Ragged]]], assets: int
) -> dict[int, int]:
    """Assets whose target has few distinct values, and how many these are."""
    early = FirstValues(assets)
    for _, part in stretches():
        early.add(part.y[part.valid], part.listings.column[part.valid])
    candidate = np.zeros(assets, dtype=bool)
    candidate[early.few()] = True
    if not candidate.any():
        return {}
    values = []
    columns = []
    for _, part in stretches():
        chosen = part.valid & candidate[part.listings.column]
        values.append(part.y[chosen])
        columns.append(part.listings.column[chosen])
    column = np.concatenate(columns)
    order = np.argsort(column, kind="stable")
    return few_values_of(np.concatenate(values)[order], column[order], assets)
