"""Fields on disk: one number per row of a table, in order of date, then asset."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from runner.compute.lazily import Lazily
from runner.compute.memory import GIGABYTE, NUMBER, refuse_beyond
from runner.data.columns.column import Cells, Counts, Parts, Stretch
from runner.data.columns.listings import (
    Listings,
    Part,
    bounds_of,
    changes_by_date,
    refuse_unlisted,
)
from runner.data.columns.long import LateColumn, LongColumn
from runner.data.stored.folder import remembered
from runner.data.stored.numbers import PART, Numbers, Readable, taken, taken_of

SMALLER = "fewer assets (data.assets) or dates (data.start)"
NUMBERS = "float64"
OF_LISTING = 16  # bytes of a listing in memory: row, column, and its position on disk


def check_memory(what: str, need: int) -> None:
    """Whether so many bytes of a market on disk fit into memory.

    Raises:
        DataError: they do not.
    """
    takes = f"data: the market is on disk (data.on_disk), and {what}: {need / GIGABYTE:.1f} GB"
    refuse_beyond(need, takes, SMALLER)


@dataclass(frozen=True, eq=False)
class StoredListings:
    """The cells (date x asset) that a table on disk has rows for, in order of date, then asset.

    Attributes:
        dates: (T,) rows of the market.
        assets: (N,) names.
        pointer: (T + 1,) position of the first listing of each date; the last ends them.
        column: (n,) positions of the assets of the listings, int32.
    """

    dates: pd.DatetimeIndex
    assets: pd.Index
    pointer: np.ndarray
    column: Numbers

    def __len__(self) -> int:
        return self.column.count

    @property
    def cells(self) -> int:
        """Cells of all dates and assets."""
        return len(self.dates) * len(self.assets)

    @Lazily
    def of_assets(self) -> np.ndarray:
        """How many listings each asset has, (N,)."""
        N = len(self.assets)
        counts = np.zeros(N, dtype=np.int64)
        for part in self.column.parts():
            counts += np.bincount(part, minlength=N)
        return counts

    @Lazily
    def bounds(self) -> list[tuple[int, int]]:
        """First and last row (exclusive) of stretches of dates, each of about one part."""
        return bounds_of(self.pointer, PART)

    def stretch(self, first: int, last: int) -> StretchOfListings:
        """Those of the dates from one row to another (exclusive), read when they are asked for."""
        return StretchOfListings(self, first, last)

    def at(self, rows: np.ndarray) -> Part:
        """Those on the dates at these positions, in memory."""
        counts = self.pointer[rows + 1] - self.pointer[rows]
        need = OF_LISTING * int(counts.sum())
        check_memory(f"{len(rows):,} dates of it are asked for at once", need)
        row = np.repeat(np.arange(len(rows), dtype=np.int32), counts)
        kept: np.ndarray | slice
        if len(rows) and (np.diff(rows) == 1).all():
            kept = slice(int(self.pointer[rows[0]]), int(self.pointer[rows[-1] + 1]))
        else:
            before = np.cumsum(counts) - counts
            kept = np.repeat(self.pointer[rows] - before, counts) + np.arange(len(row))
        column = taken(self.column, kept)
        return Part(Listings(self.dates[rows], self.assets, row, column), kept)

    def of(self, assets: np.ndarray) -> Part:
        """Those of the assets at these positions, each once, in this order, in memory."""
        count = int(self.of_assets[assets].sum())
        check_memory(f"{len(assets):,} assets of it are asked for at once", OF_LISTING * count)
        new_column = np.full(len(self.assets), -1, dtype=np.int32)
        new_column[assets] = np.arange(len(assets))
        kept = np.empty(count, dtype=np.int64)
        column = np.empty(count, dtype=np.int32)
        start = 0
        done = 0
        for part in self.column.parts():
            of_part = new_column.take(part)
            wanted = np.flatnonzero(of_part >= 0)
            stop = done + len(wanted)
            kept[done:stop] = wanted + start
            column[done:stop] = of_part[wanted]
            done = stop
            start += len(part)
        row = self.rows_of(kept)
        if not (np.diff(assets) > 0).all():
            order = np.lexsort((column, row))
            kept = kept[order]
            column = column[order]
        return Part(Listings(self.dates, self.assets[assets], row, column), kept)

    def rows_of(self, at: np.ndarray) -> np.ndarray:
        """Rows (m,) of the listings at these positions."""
        return (np.searchsorted(self.pointer, at, side="right") - 1).astype(np.int32)


class StretchOfListings(Listings):
    """Listings on consecutive dates of a table on disk; the assets are read when asked for."""

    def __init__(self, whole: StoredListings, first: int, last: int) -> None:
        attributes = {
            "dates": whole.dates[first:last],
            "assets": whole.assets,
            "pointer": whole.pointer[first : last + 1],
            "of_whole": whole.column,
        }
        self.__dict__.update(attributes)

    @Lazily
    def row(self) -> np.ndarray:
        """(n,) positions of the dates of the cells."""
        rows = np.arange(len(self.dates), dtype=np.int32)
        return np.repeat(rows, np.diff(self.__dict__["pointer"]))

    @Lazily
    def starts(self) -> np.ndarray:
        """(T + 1,) position of the first cell of each date, and the number of cells."""
        pointer: np.ndarray = self.__dict__["pointer"]
        return pointer - pointer[0]

    @Lazily
    def column(self) -> np.ndarray:
        """(n,) positions of their assets."""
        pointer = self.__dict__["pointer"]
        return self.__dict__["of_whole"].read(int(pointer[0]), int(pointer[-1]))


@dataclass(frozen=True, eq=False)
class StoredColumn:
    """A field as one number per row of a table on disk.

    Attributes:
        listings: the cells of those rows.
        numbers: (n,) on disk, NaN where there is none.
        changed: positions (m,) of numbers, which increase, and what they are instead.
    """

    listings: StoredListings
    numbers: Readable
    changed: Cells | None = None

    @property
    def assets(self) -> pd.Index:
        """Names (N,) of the assets."""
        return self.listings.assets

    @property
    def folder(self) -> Path:
        """Where its numbers are on disk."""
        return self.listings.column.path.parent

    @property
    def file(self) -> str | None:
        """Name of the file of its numbers; None where they are computed."""
        return self.numbers.path.name if isinstance(self.numbers, Numbers) else None

    @property
    def listed(self) -> int:
        """Cells that the table has a row for."""
        return len(self.listings)

    @property
    def frame(self) -> pd.DataFrame:
        """The field as a frame (T, N), where that fits into memory."""
        need = NUMBER * self.listings.cells
        check_memory("a field of every cell (date x asset) is asked for", need)
        return self._whole().frame

    @property
    def values(self) -> np.ndarray:
        """All its numbers (n,), where they fit into memory."""
        check_memory("all numbers of a field are asked for at once", NUMBER * self.listed)
        return self.numbers_at(slice(0, self.listed))

    @property
    def share(self) -> float:
        """Share of the cells that have a value."""
        return self._counts.total / max(self.listings.cells, 1)

    def counts(self) -> Counts:
        """How many asset-dates have a value, by date and by asset."""
        return self._counts

    @Lazily
    def _counts(self) -> Counts:
        N = len(self.assets)
        of_dates = np.zeros(len(self.listings.dates), dtype=np.int64)
        of_assets = np.zeros(N, dtype=np.int64)
        first = np.zeros(N, dtype=np.intp)
        last = np.zeros(N, dtype=np.intp)
        for start, column in self.stretches():
            counts = column.counts()
            of_dates[start : start + len(counts.of_dates)] = counts.of_dates
            there = counts.of_assets > 0
            new = there & (of_assets == 0)
            first[new] = counts.first[new] + start
            last[there] = counts.last[there] + start
            of_assets += counts.of_assets
        return Counts(of_dates, of_assets, first, last)

    def found(self, what: str, find: Callable[[], Any]) -> Any:
        """What `find` gives of its numbers, as of a column; kept on disk beside them."""
        if self.file is None:
            return find()
        key = blake2b(repr((what, self.file)).encode(), digest_size=16)
        if self.changed is not None:
            key.update(self.changed.position.tobytes())
            key.update(self.changed.values.tobytes())
        return json.loads(remembered(self.folder, key.hexdigest(), lambda: json.dumps(find())))

    def rows_of_assets(self, dates: slice) -> np.ndarray:
        """How many rows of the table each asset (N,) has on these dates."""
        first, last, _ = dates.indices(len(self.listings.dates))
        stop = int(self.listings.pointer[last])
        rows = np.zeros(len(self.assets), dtype=np.int64)
        for start in range(int(self.listings.pointer[first]), stop, PART):
            part = self.listings.column.read(start, min(start + PART, stop))
            rows += np.bincount(part, minlength=len(rows))
        return rows

    def known(self) -> np.ndarray:
        """Mask (T, N) of the cells with a value, where that fits into memory."""
        check_memory("a mask of every cell (date x asset) is asked for", self.listings.cells)
        return self._whole().known()

    def parts(self) -> Iterator[np.ndarray]:
        """Its numbers in order, some at a time; a part is overwritten by the next."""
        start = 0
        for part in self.numbers.parts():
            self._change(part, start)
            yield part
            start += len(part)

    def stretches(self) -> Iterator[Stretch]:
        """The field on some dates after the other, as long columns."""
        for first, last in self.listings.bounds:
            yield Stretch(first, self._stretch(first, last))

    def blocks(self, rows: int) -> Iterator[np.ndarray]:
        """Its numbers, so many rows at a time: (rows, N), the last may have fewer."""
        T = len(self.listings.dates)
        for first in range(0, T, rows):
            last = min(first + rows, T)
            yield from self._stretch(first, last).blocks(last - first)

    def places(self, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns of the cells of numbers at these positions, which increase."""
        return self.listings.rows_of(at), self.listings.column.taken(at)

    def of(self, assets: np.ndarray) -> np.ndarray:
        """Numbers (T, m) of the assets at these positions, where they fit into memory."""
        need = NUMBER * len(self.listings.dates) * len(assets)
        check_memory(f"{len(assets):,} assets of it are asked for at once", need)
        part = self.of_assets(assets, {})
        return part.frame.to_numpy()

    def at(self, rows: np.ndarray, parts: Parts) -> LongColumn:
        """The field on the dates at these positions, which increase, in memory."""
        shared = id(self.listings)
        if shared not in parts:
            parts[shared] = self.listings.at(rows)
        return self._part(parts[shared])

    def of_assets(self, assets: np.ndarray, parts: Parts) -> LongColumn:
        """The field of the assets at these positions, in this order, in memory."""
        shared = id(self.listings)
        if shared not in parts:
            parts[shared] = self.listings.of(assets)
        return self._part(parts[shared])

    def changes(self) -> StoredColumn:
        """The changes of this price from one row to the next, at its listings."""
        return StoredColumn(self.listings, Changes(self))

    def put(self, at: np.ndarray, value: float) -> StoredColumn:
        """The field with the value at these positions of its cells, row by row; on disk it stays.

        Raises:
            DataError: the table has no row for one of these cells.
        """
        cells = np.unique(at)
        N = len(self.assets)
        found = []
        for first, last in self.listings.bounds:
            start, stop = np.searchsorted(cells, [first * N, last * N])
            if start == stop:
                continue
            listings = self.listings.stretch(first, last)
            wanted = cells[start:stop] - first * N
            place = listings.places(wanted)
            unlisted = wanted[place < 0] + first * N
            if len(unlisted):
                refuse_unlisted(unlisted, len(cells), self.listings.dates, self.assets)
            found.append(place + self.listings.pointer[first])
        position = np.concatenate([np.empty(0, dtype=np.int64), *found])
        values = np.full(len(position), value)
        if self.changed is not None:
            kept = ~np.isin(self.changed.position, position)
            position = np.append(self.changed.position[kept], position)
            values = np.append(self.changed.values[kept], values)
            order = np.argsort(position)
            position = position[order]
            values = values[order]
        return StoredColumn(self.listings, self.numbers, Cells(position, values))

    def shallow(self) -> StoredColumn:
        """The same for a function that may write to it: every frame of it is a new one."""
        return self

    def cells(self) -> Cells:
        """Those that have a value, row by row, where they fit into memory."""
        return self._whole().cells()

    def _whole(self) -> LongColumn:
        """The field in memory, where it fits."""
        need = (NUMBER + OF_LISTING) * self.listed
        check_memory("a whole field is asked for", need)
        return self.at(np.arange(len(self.listings.dates)), {})

    def _stretch(self, first: int, last: int) -> LongColumn:
        start = int(self.listings.pointer[first])
        stop = int(self.listings.pointer[last])
        values = self.numbers_at(slice(start, stop))
        return LongColumn(self.listings.stretch(first, last), values)

    def _part(self, part: Part) -> LongColumn:
        return LateColumn(part.listings, partial(self.numbers_at, part.kept))

    def numbers_at(self, kept: np.ndarray | slice) -> np.ndarray:
        """The numbers at these positions, in memory."""
        values = taken(self.numbers, kept)
        if isinstance(kept, slice):
            self._change(values, kept.start)
        elif self.changed is not None:
            order = np.argsort(kept, kind="stable")
            place = np.searchsorted(kept, self.changed.position, sorter=order)
            inside = place < len(kept)
            where = order[place[inside]]
            same = kept[where] == self.changed.position[inside]
            values[where[same]] = self.changed.values[inside][same]
        return values

    def _change(self, values: np.ndarray, start: int) -> None:
        """Put what is changed into the numbers from a position on."""
        if self.changed is None:
            return
        position, changed = self.changed
        first, last = np.searchsorted(position, [start, start + len(values)])
        values[position[first:last] - start] = changed[first:last]


class Changes:
    """Changes of a price on disk from one row of the market to the next, computed as they are read.

    They are of the listings of the price: NaN where its asset has none on the row before, or one
    of the two is zero or negative.

    Attributes:
        price: the field.
        kind: type of the numbers.
        count: how many there are.
    """

    def __init__(self, price: StoredColumn) -> None:
        self.price = price
        self.kind = NUMBERS
        self.count = len(price.listings)

    def read(self, start: int, stop: int) -> np.ndarray:
        """The changes at the listings from one position to another."""
        changes = np.empty(stop - start)
        self.read_into(changes, start)
        return changes

    def read_into(self, changes: np.ndarray, start: int) -> None:
        """Fill an array with the changes at the listings from a position on."""
        if not len(changes):
            return
        listings = self.price.listings
        stop = start + len(changes)
        first, last = listings.rows_of(np.array([start, stop - 1])).tolist()
        before = max(first - 1, 0)
        low = int(listings.pointer[before])
        high = int(listings.pointer[last + 1])
        columns = listings.column.read(low, high)
        prices = self.price.numbers_at(slice(low, high))
        of_hull = changes_by_date(listings.pointer[before : last + 2] - low, columns, prices)
        changes[:] = of_hull[start - low : stop - low]

    def parts(self) -> Iterator[np.ndarray]:
        """All changes in order, some at a time; a part is overwritten by the next."""
        buffer = np.empty(min(PART, self.count))
        for start in range(0, self.count, PART):
            part = buffer[: min(PART, self.count - start)]
            self.read_into(part, start)
            yield part

    def taken(self, at: np.ndarray) -> np.ndarray:
        """The changes (m,) at these positions, which increase."""
        return taken_of(self, at)
