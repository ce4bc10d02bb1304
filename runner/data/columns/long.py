"""Fields as one number per row of a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from runner.compute.lazily import Lazily
from runner.data.columns.column import Cells, Counts, Parts, Stretch
from runner.data.columns.listings import (
    EVERY,
    NUMBERS,
    Listings,
    Part,
    digest_of_numbers,
    refuse_unlisted,
)


@dataclass(frozen=True, eq=False)
class LongColumn:
    """A field as one number per row of a table.

    Attributes:
        listings: the cells of those rows.
        values: (n,) numbers, NaN where there is none.
    """

    listings: Listings
    values: np.ndarray

    @property
    def assets(self) -> pd.Index:
        """Names (N,) of the assets."""
        return self.listings.assets

    @property
    def folder(self) -> None:
        """None: its numbers are in memory."""
        return None

    @property
    def listed(self) -> int:
        """Cells that the table has a row for."""
        return len(self.listings.row)

    @property
    def frame(self) -> pd.DataFrame:
        """The field as a frame (T, N), made anew."""
        cells = self.listings.spread(self.values, np.nan)
        dates = self.listings.dates
        return pd.DataFrame(cells, index=dates, columns=self.listings.assets, copy=False)

    @Lazily
    def missing(self) -> int:
        """How many rows of the table have no number."""
        return int(np.count_nonzero(np.isnan(self.values)))

    @Lazily
    def digest(self) -> bytes:
        """Digest of the numbers that are there, in order of date, then asset."""
        return digest_of_numbers(self.parts())

    @property
    def share(self) -> float:
        """Share of the cells that have a value."""
        cells = len(self.listings.dates) * len(self.listings.assets)
        return (len(self.values) - self.missing) / max(cells, 1)

    def counts(self) -> Counts:
        """How many asset-dates have a value, by date and by asset."""
        row = self.listings.row
        column = self.listings.column
        if self.missing:
            known = ~np.isnan(self.values)
            row = row[known]
            column = column[known]
        N = len(self.listings.assets)
        every_date = np.arange(len(self.listings.dates) + 1, dtype=row.dtype)
        of_dates = np.diff(np.searchsorted(row, every_date))  # rows lie in order of dates
        of_assets = np.zeros(N, dtype=np.intp)
        first = np.zeros(N, dtype=np.intp)
        last = np.zeros(N, dtype=np.intp)
        for start in range(0, len(row), NUMBERS):
            rows = row[start : start + NUMBERS]
            columns = column[start : start + NUMBERS]
            new = of_assets[columns] == 0
            first[columns[new][::-1]] = rows[new][::-1]  # of several the last written stays
            last[columns] = rows
            of_assets += np.bincount(columns, minlength=N)
        return Counts(of_dates, of_assets, first, last)

    def found(self, what: str, find: Callable[[], Any]) -> Any:
        """What `find` gives of its numbers."""
        return find()

    def rows_of_assets(self, dates: slice) -> np.ndarray:
        """How many rows of the table each asset (N,) has on these dates."""
        first, last, _ = dates.indices(len(self.listings.dates))
        return self.listings.rows_of_assets(self.listings.between(first, last))

    def known(self) -> np.ndarray:
        """Mask (T, N) of the cells with a value."""
        return self.listings.spread(~np.isnan(self.values), absent=False)

    def parts(self) -> Iterator[np.ndarray]:
        """Its numbers in order, some at a time."""
        for start in range(0, len(self.values), NUMBERS):
            yield self.values[start : start + NUMBERS]

    def stretches(self) -> Iterator[Stretch]:
        """The field on some dates after the other."""
        for first, last in self.listings.bounds:
            yield Stretch(first, self._part(self.listings.adjacent(first, last)))

    def blocks(self, rows: int) -> Iterator[np.ndarray]:
        """Its numbers, so many rows at a time: (rows, N), the last may have fewer."""
        row = self.listings.row
        total = len(self.listings.dates)
        for first in range(0, total, rows):
            last = min(first + rows, total)
            own = self.listings.between(first, last)
            block = np.full((last - first, len(self.listings.assets)), np.nan)
            block[row[own] - first, self.listings.column[own]] = self.values[own]
            yield block

    def places(self, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns of the cells of numbers at these positions, row by row."""
        return self.listings.row[at], self.listings.column[at]

    def of(self, assets: np.ndarray) -> np.ndarray:
        """Numbers (T, m) of the assets at these positions."""
        part = self.listings.of(assets)
        return part.listings.spread(self.values[part.kept], np.nan)

    def at(self, rows: np.ndarray, parts: Parts) -> LongColumn:
        """The field on the dates at these positions, which increase."""
        shared = id(self.listings)
        if shared not in parts:
            parts[shared] = self.listings.at(rows)
        return self._part(parts[shared])

    def of_assets(self, assets: np.ndarray, parts: Parts) -> LongColumn:
        """The field of the assets at these positions, in this order."""
        shared = id(self.listings)
        if shared not in parts:
            parts[shared] = self.listings.of(assets)
        return self._part(parts[shared])

    def _part(self, part: Part) -> LongColumn:
        return LongColumn(part.listings, self.values[part.kept])

    def put(self, at: np.ndarray, value: float) -> LongColumn:
        """The field with the value at these positions of its cells, row by row.

        Raises:
            DataError: the table has no row for one of these cells.
        """
        place = self.listings.places(at)
        unlisted = at[place < 0]
        if len(unlisted):
            refuse_unlisted(unlisted, len(at), self.listings.dates, self.listings.assets)
        values = self.values.copy()
        values[place] = value
        return LongColumn(self.listings, values)

    def shallow(self) -> LongColumn:
        """The same for a function that may write to it: every frame of it is a new one."""
        return self

    def cells(self) -> Cells:
        """Those that have a value, row by row."""
        if not self.missing:
            return Cells(self.listings.position, self.values)
        known = ~np.isnan(self.values)
        return Cells(self.listings.position[known], self.values[known])


class LateColumn(LongColumn):
    """A long column whose numbers are read when they are first asked for."""

    def __init__(self, listings: Listings, read: Callable[[], np.ndarray]) -> None:
        self.__dict__.update(listings=listings, read=read)

    @Lazily
    def values(self) -> np.ndarray:
        """(n,) numbers, NaN where there is none."""
        numbers: np.ndarray = self.__dict__["read"]()
        self.__dict__["read"] = partial(_given, numbers)  # lets go of what it was a part of
        return numbers

    def _part(self, part: Part) -> LongColumn:
        return LateColumn(part.listings, partial(_taken, self, part.kept))


def _given(numbers: np.ndarray) -> np.ndarray:
    """Numbers that were read already."""
    return numbers


def _taken(column: LongColumn, kept: np.ndarray | slice) -> np.ndarray:
    """The numbers of a column at these positions."""
    return column.values[kept]


class KeptColumn(LateColumn):
    """A long column whose frame is kept once it is made: for a part that several features read."""

    def __init__(self, column: LongColumn) -> None:
        super().__init__(column.listings, partial(_taken, column, EVERY))

    @property
    def frame(self) -> pd.DataFrame:
        """The field as a frame (T, N); pandas copies what is written to."""
        return self._frame.copy(deep=False)

    def at(self, rows: np.ndarray, parts: Parts) -> LongColumn:
        """The field on the dates at these positions, which increase.

        Of dates that follow each other, its frame is a part of this one.
        """
        of_dates = super().at(rows, parts)
        if len(rows) and (np.diff(rows) == 1).all():
            return PartOfKept(of_dates, self, int(rows[0]))
        return of_dates

    def forget(self) -> None:
        """Let the frame go; it is made again where it is asked for."""
        self.__dict__.pop("_frame", None)

    @Lazily
    def _frame(self) -> pd.DataFrame:
        return LongColumn(self.listings, self.values).frame


class PartOfKept(KeptColumn):
    """Some rows of a kept column, whose frame is a part of that of all rows."""

    def __init__(self, part: LongColumn, whole: KeptColumn, first: int) -> None:
        """Take that part of a whole column which begins at its row `first`."""
        super().__init__(part)
        self.__dict__.update(whole=whole, first=first)

    @Lazily
    def _frame(self) -> pd.DataFrame:
        first: int = self.__dict__["first"]
        whole: KeptColumn = self.__dict__["whole"]
        return whole.frame.iloc[first : first + len(self.listings.dates)]
