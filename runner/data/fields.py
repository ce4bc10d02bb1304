"""Fields of a market: numbers by date and asset, each a wide frame or a long column.

A table of assets that come and go has rows for few cells (date x asset). Where it has them for less
than half, its columns stay long, a number per row of the table, and a field becomes a wide frame
when it is asked for by name. Where they do not fit into memory they lie on disk: see
`runner.data.stored`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from runner.compute.pages import large_copy, let_go
from runner.data.columns.column import Cells, Column, Counts, Parts, Stretch
from runner.data.columns.listings import (
    Listings,
    Part,
    digest_of_numbers,
    refuse_unlisted,
)
from runner.errors import DataError

ALL_DATES = slice(None)
FULL = 0.5  # share of the cells that have a row, from which on fields are wide


@dataclass(frozen=True, eq=False)
class WideColumn:
    """A field as a frame (T, N)."""

    frame: pd.DataFrame

    @property
    def assets(self) -> pd.Index:
        """Names (N,) of the assets."""
        return self.frame.columns

    @property
    def folder(self) -> None:
        """None: its numbers are in memory."""
        return None

    @property
    def listings(self) -> None:
        """No cells of a table: the field has every cell."""
        return None

    @property
    def listed(self) -> None:
        """No number of cells with a row: the field has every cell."""
        return None

    @property
    def values(self) -> np.ndarray:
        """Its numbers (T, N), NaN where there is none; not to be written to."""
        return self.frame.to_numpy(dtype=float)

    @property
    def share(self) -> float:
        """Share of the cells that have a value."""
        values = self.values
        return np.count_nonzero(~np.isnan(values)) / max(values.size, 1)

    def counts(self) -> Counts:
        """How many asset-dates have a value, by date and by asset."""
        known = self.known()
        first = known.argmax(axis=0)
        after_last = known[::-1].argmax(axis=0)
        last = len(known) - 1 - after_last
        return Counts(known.sum(axis=1), known.sum(axis=0), first, last)

    def rows_of_assets(self, dates: slice) -> np.ndarray:
        """How many of these dates each asset (N,) has: all where it has a value, else none."""
        known = self.known()[dates]
        return np.where(known.any(axis=0), len(known), 0)

    def known(self) -> np.ndarray:
        """Mask (T, N) of the cells with a value."""
        return self.frame.notna().to_numpy()

    def parts(self) -> Iterator[np.ndarray]:
        """All its numbers (T, N) as one part."""
        yield self.values

    def stretches(self) -> Iterator[Stretch]:
        """The field on all dates."""
        yield Stretch(0, self)

    def blocks(self, rows: int) -> Iterator[np.ndarray]:
        """Its numbers, so many rows at a time: (rows, N), the last may have fewer."""
        values = self.values
        for first in range(0, len(values), rows):
            yield values[first : first + rows]

    def places(self, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns of the cells of numbers at these positions, row by row."""
        rows, columns = np.divmod(at, self.frame.shape[1])
        return rows, columns

    def of(self, assets: np.ndarray) -> np.ndarray:
        """Numbers (T, m) of the assets at these positions."""
        return self.values[:, assets]

    def at(self, rows: np.ndarray, parts: Parts) -> WideColumn:
        """The field on the dates at these positions."""
        return WideColumn(self.frame.iloc[rows])

    def of_assets(self, assets: np.ndarray, parts: Parts) -> WideColumn:
        """The field of the assets at these positions, in this order."""
        return WideColumn(self.frame.iloc[:, assets])

    def put(self, at: np.ndarray, value: float) -> WideColumn:
        """The field with the value at these positions of its cells, row by row."""
        values = self.values
        cells = large_copy(values.T).T if values.flags.f_contiguous else large_copy(values)
        position = np.unravel_index(at, cells.shape)
        cells[position] = value
        index = self.frame.index
        return WideColumn(pd.DataFrame(cells, index=index, columns=self.frame.columns, copy=False))

    def shallow(self) -> WideColumn:
        """The same for a function that may write to it: pandas copies what it writes to."""
        return WideColumn(self.frame.copy(deep=False))

    def cells(self) -> Cells:
        """Those that have a value, row by row."""
        values = self.values
        rows, columns = np.nonzero(~np.isnan(values))
        return Cells(rows * values.shape[1] + columns, values[rows, columns])


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
        return len(self.values)

    @property
    def frame(self) -> pd.DataFrame:
        """The field as a frame (T, N), made anew."""
        cells = self.listings.spread(self.values, np.nan)
        dates = self.listings.dates
        return pd.DataFrame(cells, index=dates, columns=self.listings.assets, copy=False)

    @cached_property
    def missing(self) -> int:
        """How many rows of the table have no number."""
        return int(np.count_nonzero(np.isnan(self.values)))

    @cached_property
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
        first = np.zeros(N, dtype=np.intp)
        last = np.zeros(N, dtype=np.intp)
        first[column[::-1]] = row[::-1]  # of several the last that is written stays
        last[column] = row
        return Counts(of_dates, np.bincount(column, minlength=N), first, last)

    def rows_of_assets(self, dates: slice) -> np.ndarray:
        """How many rows of the table each asset (N,) has on these dates."""
        first, last, _ = dates.indices(len(self.listings.dates))
        start, stop = np.searchsorted(self.listings.row, [first, last])
        return np.bincount(self.listings.column[start:stop], minlength=len(self.assets))

    def known(self) -> np.ndarray:
        """Mask (T, N) of the cells with a value."""
        return self.listings.spread(~np.isnan(self.values), absent=False)

    def parts(self) -> Iterator[np.ndarray]:
        """All its numbers (n,) as one part."""
        yield self.values

    def stretches(self) -> Iterator[Stretch]:
        """The field on all dates."""
        yield Stretch(0, self)

    def blocks(self, rows: int) -> Iterator[np.ndarray]:
        """Its numbers, so many rows at a time: (rows, N), the last may have fewer."""
        row = self.listings.row
        total = len(self.listings.dates)
        for first in range(0, total, rows):
            last = min(first + rows, total)
            start, end = np.searchsorted(row, [first, last])
            block = np.full((last - first, len(self.listings.assets)), np.nan)
            block[row[start:end] - first, self.listings.column[start:end]] = self.values[start:end]
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
        listed = self.listings.position
        place = np.searchsorted(listed, at)
        nearest = np.append(listed, -1)[place]
        unlisted = at[nearest != at]
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


@dataclass(frozen=True, eq=False)
class KeptColumn(LongColumn):
    """A long column whose frame is kept once it is made: for a part that several features read."""

    @property
    def frame(self) -> pd.DataFrame:
        """The field as a frame (T, N); pandas copies what is written to."""
        return self._frame.copy(deep=False)

    def forget(self) -> None:
        """Let the frame go; it is made again where it is asked for."""
        self.__dict__.pop("_frame", None)

    @cached_property
    def _frame(self) -> pd.DataFrame:
        return LongColumn(self.listings, self.values).frame


class Fields(MutableMapping[str, pd.DataFrame]):
    """The fields of a market by name; `fields[name]` is a frame (T, N).

    A feature may set or delete those of its own copy of the market.
    """

    def __init__(self, columns: Mapping[str, Column]) -> None:
        self.columns = dict(columns)

    @classmethod
    def of_frames(cls, frames: Mapping[str, pd.DataFrame]) -> Fields:
        """Wide fields; those that are fields already stay as they are."""
        if isinstance(frames, Fields):
            return frames
        return cls({name: WideColumn(frame) for name, frame in frames.items()})

    def __getitem__(self, name: str) -> pd.DataFrame:
        return self.columns[name].frame

    def __setitem__(self, name: str, frame: pd.DataFrame) -> None:
        self.columns[name] = WideColumn(frame)

    def __delitem__(self, name: str) -> None:
        del self.columns[name]

    def __contains__(self, name: object) -> bool:
        return name in self.columns

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __len__(self) -> int:
        return len(self.columns)

    @property
    def folder(self) -> Path | None:
        """Where the numbers of fields are on disk; None where all are in memory."""
        folders = [column.folder for column in self.columns.values()]
        return next((folder for folder in folders if folder is not None), None)

    @property
    def listed(self) -> int | None:
        """Cells (date x asset) that a long field has rows for; None where every field is wide."""
        rows = [column.listed for column in self.columns.values() if column.listed is not None]
        return max(rows, default=None)

    @property
    def assets(self) -> pd.Index:
        """Names (N,) of the assets."""
        return next(iter(self.columns.values())).assets

    def with_frames(self, frames: Mapping[str, pd.DataFrame]) -> Fields:
        """These fields and those, or those in the place of these."""
        wide = {name: WideColumn(frame) for name, frame in frames.items()}
        return Fields({**self.columns, **wide})

    def put(self, name: str, at: np.ndarray, value: float) -> Fields:
        """These fields with a value at positions of the cells of one of them, row by row."""
        changed = self.columns[name].put(at, value)
        return Fields({**self.columns, name: changed})

    def named(self, names: Collection[str]) -> Fields:
        """The fields of these names."""
        columns = {name: column for name, column in self.columns.items() if name in names}
        return Fields(columns)

    def kept(self) -> Fields:
        """The same, whose frames are made once: for a part of a market that lives shortly."""
        columns = dict(self.columns)
        for name, column in self.columns.items():
            if isinstance(column, LongColumn):
                columns[name] = KeptColumn(column.listings, column.values)
        return Fields(columns)

    def shallow(self) -> Fields:
        """The same for a function that may write to them."""
        return Fields({name: column.shallow() for name, column in self.columns.items()})

    def rest(self) -> None:
        """Give the memory of large fields and of kept frames back until they are read again."""
        for column in self.columns.values():
            if isinstance(column, WideColumn):
                let_go(column.values)
            elif isinstance(column, KeptColumn):
                column.forget()

    def known(self) -> np.ndarray:
        """Mask (T, N) of the cells with a value of any field."""
        masks = [column.known() for column in self.columns.values()]
        return np.asarray(np.logical_or.reduce(masks))

    def rows_of_assets(self, dates: slice = ALL_DATES) -> np.ndarray:
        """How many rows of its tables each asset (N,) has on these dates, at most.

        Of a frame, all of them where the asset has a value, else none.
        """
        rows = np.zeros(len(self.assets), dtype=np.intp)
        counted: set[int] = set()
        for column in self.columns.values():
            if column.listings is not None and id(column.listings) in counted:
                continue
            counted.add(id(column.listings))
            rows = np.maximum(rows, column.rows_of_assets(dates))
        return rows

    def at(self, rows: np.ndarray) -> Fields:
        """These fields on the dates at these positions, which increase."""
        parts: Parts = {}  # what is chosen of listings that fields share is chosen once
        return Fields({name: column.at(rows, parts) for name, column in self.columns.items()})

    def of(self, assets: np.ndarray) -> Fields:
        """These fields of the assets at these positions, in this order."""
        parts: Parts = {}
        columns = {name: column.of_assets(assets, parts) for name, column in self.columns.items()}
        return Fields(columns)


def same_for_all(name: str, field: pd.DataFrame) -> pd.Series:
    """A field (T, N) whose value is the same for every asset that has one, as a series (T,).

    Raises:
        DataError: its values differ between assets.
    """
    cells = field.to_numpy(dtype=float)
    known = ~np.isnan(cells)
    low = np.where(known, cells, np.inf).min(axis=1)
    high = np.where(known, cells, -np.inf).max(axis=1)
    if (high > low).any():
        date = field.index[(high > low).argmax()]
        raise DataError(
            f"{name} is a field that differs between assets (first on {date:%Y-%m-%d}); "
            "allowed: a series, the same for every asset"
        )
    values = np.where(known.any(axis=1), low, np.nan)
    return pd.Series(values, index=field.index, name=name)
