"""Compiled loops over the cells (date x asset) of a field that lie asset by asset.

Imported only where they are used, as numba is. The same operations in the same order as numpy's,
the same bits.
"""

from __future__ import annotations

import numpy as np

from runner.numerics.compiled.compiling import compiled, series_of

DATES = 64  # of a tile of cells, which stays in the cache while it is turned
ASSETS = 512


def sums_over_assets(cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums (T,) over assets of what is known of cells (T, N), and how many (T,) those are.

    One asset is added after the other.
    """
    series = series_of(cells)
    total = np.zeros(series.shape[1])
    count = np.zeros(series.shape[1], dtype=np.intp)
    _add_up(series, total, count)
    return total, count


def turned(by_asset: np.ndarray, starts: np.ndarray, column: np.ndarray, into: np.ndarray) -> None:
    """Write numbers of cells (N, T) into an array (n,), by date, then asset.

    Args:
        starts: (T + 1,) position in it of the first of each date, and n.
        column: (n,) positions of the assets, which increase within a date.
    """
    _turn(by_asset, starts, column, into)


@compiled
def _add_up(series: np.ndarray, total: np.ndarray, count: np.ndarray) -> None:
    N, T = series.shape
    for i in range(N):
        values = series[i]
        for t in range(T):
            known = values[t] == values[t]
            value = values[t] if known else 0.0
            total[t] = total[t] + value if i else value
            count[t] += known


@compiled
def _turn(by_asset: np.ndarray, starts: np.ndarray, column: np.ndarray, into: np.ndarray) -> None:
    N, T = by_asset.shape
    place = np.empty(DATES, dtype=np.int64)  # of the next number of each date of a tile
    for first in range(0, T, DATES):
        dates = min(DATES, T - first)
        for d in range(dates):
            place[d] = starts[first + d]
        for asset in range(0, N, ASSETS):
            for d in range(dates):
                t = first + d
                k = place[d]
                while k < starts[t + 1] and column[k] < asset + ASSETS:
                    into[k] = by_asset[column[k], t]
                    k += 1
                place[d] = k


@compiled
def written(
    position: np.ndarray,
    values: np.ndarray,
    starts: np.ndarray,
    column: np.ndarray,
    assets: int,
    into: np.ndarray,
) -> None:
    """Write numbers that some cells have into an array (n,), by date, then asset; NaN elsewhere.

    Args:
        position: (m,) positions of these cells among all (T, assets), increasing.
        values: (m,) numbers.
        starts, column: as of `turned`.
    """
    place = 0
    known = len(position)
    for t in range(len(starts) - 1):
        first_of_date = t * assets
        for k in range(starts[t], starts[t + 1]):
            cell = first_of_date + column[k]
            while place < known and position[place] < cell:
                place += 1
            has_number = place < known and position[place] == cell
            into[k] = values[place] if has_number else np.nan
