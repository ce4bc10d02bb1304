"""The rows that count on each date of a calendar, of rows in any order."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

NONE = -1  # no row


class Ordered(NamedTuple):
    """Rows by asset, then by what counts.

    Attributes:
        rows: positions (n,) in the table, by asset, then date, then stamp of publication: of the
            rows of an asset that are known, the last in this order counts.
        again: mask (n,), along `rows`, of those with the asset, date and stamp of the one before.
    """

    rows: np.ndarray
    again: np.ndarray


def ordered(asset: np.ndarray, date: np.ndarray, published: np.ndarray) -> Ordered:
    """The rows (n,) in the order in which they count: later dates first displace earlier ones."""
    rows = np.lexsort((published, date, asset))
    again = np.zeros(len(rows), dtype=bool)
    if len(rows) > 1:
        later = rows[1:]
        earlier = rows[:-1]
        same_asset = asset[later] == asset[earlier]
        same_date = date[later] == date[earlier]
        same_publication = published[later] == published[earlier]
        again[1:] = same_asset & same_date & same_publication
    return Ordered(rows, again)


def counting(
    rows: np.ndarray, asset: np.ndarray, at: np.ndarray, shape: tuple[int, int], as_of: bool
) -> np.ndarray:
    """Row of the table (N, T) that counts for each asset on each date, `NONE` where none does.

    Args:
        rows: positions (m,) in the table in the order of `ordered`.
        asset: line (n,) of each row of the table.
        at: column (n,) of each row of the table: the date from which on it is known.
        shape: assets, dates.
        as_of: whether a row counts on later dates too, until one that comes after it in the order
            is known. A row never counts on a date before its own.
    """
    N, T = shape
    last = np.full((N, T), NONE, dtype=np.intp)
    cell = asset[rows] * T + at[rows]
    np.maximum.at(last.reshape(-1), cell, np.arange(len(rows)))
    if as_of:
        np.maximum.accumulate(last, axis=1, out=last)
    return np.append(rows, NONE)[last]


def values_at(rows: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The values (n,) of the table at these rows (N, T), NaN at `NONE`."""
    return np.append(values, np.nan)[rows]
