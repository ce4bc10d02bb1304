"""The cells (date x asset) that a long table has rows for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from runner.compute.lazily import Lazily
from runner.data.columns.order import in_order
from runner.errors import DataError

NUMBERS = 1 << 16  # that are digested, looked up or counted at a time
STRETCH = 1 << 18  # of a stretch of dates: with what is made of them they stay in the cache
EVERY = slice(None)
SPARSE = 64  # cells for each that is looked up, above which a search is sooner than a table


@dataclass(frozen=True, eq=False)
class Listings:
    """The cells (date x asset) that a long table has rows for, in order of date, then asset.

    Attributes:
        dates: (T,) rows of the market.
        assets: (N,) names.
        row: (n,) positions of the dates of the cells.
        column: (n,) positions of their assets.
    """

    dates: pd.DatetimeIndex
    assets: pd.Index
    row: np.ndarray
    column: np.ndarray

    @Lazily
    def position(self) -> np.ndarray:
        """Positions (n,) of the cells in a frame (T, N), row by row; increasing."""
        position = self.row.astype(np.int64)
        position *= len(self.assets)
        position += self.column
        return position

    @Lazily
    def position_by_asset(self) -> np.ndarray:
        """Positions (n,) of the cells in an array (N, T), asset by asset."""
        first = self.column.astype(np.int64) * len(self.dates)
        return first + self.row

    @Lazily
    def digest(self) -> bytes:
        """Digest of the cells, by the names of the assets and the positions of the dates."""
        digest = new_digest(names_of(self.assets))
        digest.update(self.position.data)
        return digest.digest()

    @Lazily
    def by_asset(self) -> np.ndarray:
        """Positions (n,) of the cells by asset, then date."""
        return in_order(self.column, len(self.assets)).astype(np.int32)

    @Lazily
    def starts(self) -> np.ndarray:
        """(T + 1,) position of the first cell of each date, and the number of cells."""
        dates = np.arange(len(self.dates) + 1, dtype=self.row.dtype)  # another type: rows copied
        return np.searchsorted(self.row, dates)

    @Lazily
    def bounds(self) -> list[tuple[int, int]]:
        """First and last row (exclusive) of stretches of dates with about as many cells each."""
        return bounds_of(self.starts, STRETCH)

    def rows_of_assets(self, own: slice = EVERY) -> np.ndarray:
        """How many of the listings at these positions each asset (N,) has."""
        start, stop, _ = own.indices(len(self.column))
        rows = np.zeros(len(self.assets), dtype=np.intp)
        for first in range(start, stop, NUMBERS):
            some = self.column[first : min(first + NUMBERS, stop)]
            rows += np.bincount(some, minlength=len(rows))
        return rows

    @Lazily
    def starts_of_assets(self) -> np.ndarray:
        """(N + 1,) place in `by_asset` of the first cell of each asset, and the number of cells."""
        return np.append(0, np.cumsum(self.rows_of_assets()))

    def spread(self, values: np.ndarray, absent: Any) -> np.ndarray:
        """The values (n,) in their cells (T, N), `absent` in all others."""
        dates = len(self.dates)
        cells = np.full((len(self.assets), dates), absent)
        place = self.column.astype(np.int64) * dates
        place += self.row
        cells.ravel()[place] = values  # by one position, sooner than by two
        return cells.T

    def places(self, position: np.ndarray) -> np.ndarray:
        """Places (m,) in the listings of the cells at these positions, -1 where not listed.

        Soonest where the positions increase.
        """
        found = np.empty(len(position), dtype=np.intp)
        for first in range(0, len(position), NUMBERS):
            some = slice(first, first + NUMBERS)
            found[some] = self._places_of_some(position[some])
        return found

    def _places_of_some(self, position: np.ndarray) -> np.ndarray:
        first = int(position.min())
        last = int(position.max())
        start, stop = np.searchsorted(self.position, [first, last + 1]).tolist()
        between = self.position[start:stop]
        cells = last + 1 - first
        if cells <= SPARSE * len(position):
            table = np.full(cells, -1, dtype=np.int32)
            table[between - first] = np.arange(start, stop)
            return table[position - first]
        place = np.searchsorted(between, position)
        nearest = np.append(between, -1)[place]
        return np.where(nearest == position, start + place, -1)

    def at(self, rows: np.ndarray) -> Part:
        """Those on the dates at these positions, which increase."""
        if len(rows) and (np.diff(rows) == 1).all():
            return self.adjacent(int(rows[0]), int(rows[-1]) + 1)
        new_row = np.full(len(self.dates), -1, dtype=np.int32)
        new_row[rows] = np.arange(len(rows))
        row = new_row[self.row]
        kept = np.flatnonzero(row >= 0)
        listings = Listings(self.dates[rows], self.assets, row[kept], self.column[kept])
        return Part(listings, kept)

    def between(self, first: int, last: int) -> slice:
        """Positions of the listings on the dates from one row to another (exclusive)."""
        edges = np.array([first, last], dtype=self.row.dtype)  # of another type, rows are copied
        start, stop = np.searchsorted(self.row, edges).tolist()
        return slice(start, stop)

    def adjacent(self, first: int, last: int) -> Part:
        """Those on the dates from one row to another (exclusive)."""
        kept = self.between(first, last)
        row = self.row[kept] - np.int32(first)
        listings = Listings(self.dates[first:last], self.assets, row, self.column[kept])
        return Part(listings, kept)

    def of(self, assets: np.ndarray) -> Part:
        """Those of the assets at these positions, each once, in this order."""
        new_column = np.full(len(self.assets), -1, dtype=np.int32)
        new_column[assets] = np.arange(len(assets))
        increase = (np.diff(assets) > 0).all()  # the cells of a date stay in order of assets
        if len(assets) < len(self.assets) and (np.diff(assets) == 1).all():
            first, last = self.starts_of_assets[[assets[0], assets[-1] + 1]]
            kept = np.sort(self.by_asset[first:last])
        else:
            is_wanted = new_column >= 0
            is_kept = np.empty(len(self.column), dtype=bool)
            for first in range(0, len(is_kept), NUMBERS):
                some = slice(first, first + NUMBERS)
                is_kept[some] = is_wanted[self.column[some]]
            if increase and is_kept.all():
                column = new_column[self.column]
                listings = Listings(self.dates, self.assets[assets], self.row, column)
                return Part(listings, slice(0, len(column)))
            kept = np.flatnonzero(is_kept)
        if not increase:
            order = np.lexsort((new_column[self.column[kept]], self.row[kept]))
            kept = kept[order]
        column = new_column.take(self.column[kept])
        listings = Listings(self.dates, self.assets[assets], self.row[kept], column)
        return Part(listings, kept)


@dataclass(frozen=True, eq=False)
class Part:
    """Some of the listings of a table, and their positions (m,) among all of them."""

    listings: Listings
    kept: np.ndarray | slice


def refuse_unlisted(
    unlisted: np.ndarray, total: int, dates: pd.DatetimeIndex, assets: pd.Index
) -> None:
    """Say which of so many cells to be set, by their positions, have no row in the table.

    Raises:
        DataError: always.
    """
    row, column = divmod(int(unlisted[0]), len(assets))
    asset = assets[column]
    date = dates[row]
    raise DataError(
        f"{len(unlisted):,} of {total:,} values to be set are of cells without a row in "
        f"the table (first: {asset!r} on {date:%Y-%m-%d}); allowed: cells that have one"
    )


def bounds_of(pointer: np.ndarray, size: int) -> list[tuple[int, int]]:
    """First and last row (exclusive) of stretches of dates, of about so many cells each.

    Args:
        pointer: (T + 1,) position of the first cell of each date.
    """
    number = pointer[:-1] // size
    starts = np.flatnonzero(np.diff(number, prepend=-1))
    return list(pairwise([*starts.tolist(), len(number)]))


def names_of(columns: pd.Index) -> list[str]:
    """The names of assets, or of other columns, as texts."""
    return [str(column) for column in columns.to_numpy(dtype=object)]


def new_digest(assets: Sequence[str]) -> blake2b:
    """A digest of cells of these assets, to which their positions are added."""
    return blake2b(repr(assets).encode(), digest_size=16)


def digest_of_numbers(parts: Iterable[np.ndarray]) -> bytes:
    """Digest of the numbers that are there; the bits of -0.0 and 0.0 count the same."""
    digest = blake2b(digest_size=16)
    for part in parts:
        missing = np.isnan(part)
        known = part[~missing] if missing.any() else part
        for start in range(0, len(known), NUMBERS):
            numbers = known[start : start + NUMBERS] + 0.0
            digest.update(numbers.data)
    return digest.digest()


def changes_by_date(pointer: np.ndarray, columns: np.ndarray, prices: np.ndarray) -> np.ndarray:
    """Changes (n,) of prices from each date to the next; NaN on the first.

    Args:
        pointer: (D + 1,) position of the first price of each date.
        columns: (n,) positions of their assets.
    """
    changes = np.full(len(prices), np.nan)
    latest = np.full(int(columns.max(initial=-1)) + 1, np.nan)  # price of each on the date before
    prices = np.where(prices > 0.0, prices, np.nan)
    for start, stop, end in zip(pointer, pointer[1:], pointer[2:], strict=False):
        before = columns[start:stop]
        now = columns[stop:end]
        latest[before] = prices[start:stop]
        changes[stop:end] = prices[stop:end] / latest[now] - 1.0
        latest[before] = np.nan
    return changes
