"""The numbers of the listed cells of a panel that is larger than memory: rows in files.

They are read some dates at a time, and what is summed over them is summed in the order of
`runner.panels.numbers.ragged`: the bits do not depend on how many dates a file has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from runner.data.columns.listings import Listings
from runner.numerics.moments import evenly, halves
from runner.numerics.variation import few_values_of
from runner.panels import memory
from runner.panels.numbers.cube import Cube, Taken
from runner.panels.numbers.joining import Room, copied, joined, means_of_assets, spans_of
from runner.panels.numbers.ragged import BLOCK, SAMPLE, Ragged
from runner.panels.numbers.rowfiles import NUMBER_BYTES, Layout, RowFile, RowReader
from runner.panels.numbers.selections import Numbers, adjacent, are_all, centre, marked, runs
from runner.panels.numbers.spelled import SpellColumns

AT_A_TIME = 2**25  # bytes of rows that are read at a time
OF_ASSETS = 3 * 2**28  # bytes of the rows of assets that are held side by side at a time
HELD = 2**28  # bytes of a part that is held in memory as it is taken


@dataclass(frozen=True, eq=False)
class Stored:
    """Numbers of the listed cells alone, in files, by date, then asset.

    Attributes:
        files: in order of their dates, of all dates of the panel that was stored.
        layout: of their rows.
        all_dates: of those files.
        assets: (N,) names.
        start, stop: the first date of these numbers, and the one after the last.
        chosen: positions of the features among those of the files.
        on: (T,) dates on which cells are usable; None where they are on all.
        weighted: whether the cells have their weights.
        known: whether targets are known; else y and raw are NaN, and usable is where every feature
            is finite.
        spells: by which an asset of the files has several columns; those of the last are `assets`.
    """

    files: tuple[RowFile, ...]
    layout: Layout
    all_dates: pd.DatetimeIndex
    assets: pd.Index
    start: int
    stop: int
    chosen: tuple[int, ...]
    on: np.ndarray | None = None
    weighted: bool = True
    known: bool = True
    spells: tuple[SpellColumns, ...] = ()

    @property
    def shape(self) -> tuple[int, int]:
        """Dates and assets."""
        return self.stop - self.start, len(self.assets)

    @property
    def dates(self) -> pd.DatetimeIndex:
        """(T,) of these numbers."""
        return self.all_dates[self.start : self.stop]

    @property
    def rows(self) -> int:
        """Cells that are in the files."""
        return int(self.cells_by_date.sum())

    @property
    def features(self) -> int:
        """How many there are."""
        return len(self.chosen)

    @property
    def row_bytes(self) -> int:
        """Bytes of a row as it is read."""
        unread = self.layout.features - len(self.chosen)
        return self.layout.row_bytes - NUMBER_BYTES * unread

    @cached_property
    def held(self) -> Ragged:
        """All of them in memory.

        Raises:
            DataError: there is less memory than they take.
        """
        memory.refuse_rows(self.rows, self.row_bytes)
        return self._read(self._reader(), 0, self.shape[0])

    @property
    def cube(self) -> Cube:
        """Arrays of every cell."""
        return self.held.cube

    @property
    def listings(self) -> Listings:
        """The listed cells."""
        return self.held.listings

    @property
    def y(self) -> np.ndarray:
        """Target (n,)."""
        return self.held.y

    @property
    def X(self) -> np.ndarray:  # noqa: N802
        """Features (n, K)."""
        return self.held.X

    @property
    def valid(self) -> np.ndarray:
        """(n,) whether a cell is usable."""
        return self.held.valid

    @property
    def weights(self) -> np.ndarray | None:
        """(n,) weights, or None."""
        return self.held.weights if self.has_weights else None

    @property
    def has_weights(self) -> bool:
        """Whether the cells have weights."""
        return self.weighted and self.layout.weighted

    @property
    def raw(self) -> np.ndarray | None:
        """(n,) the target as it is, or None."""
        return self.held.raw if self.layout.raw else None

    def wide(self, name: Numbers) -> Any:
        """An array of every cell, (T, N) or (T, N, K)."""
        if name == "weights" and not self.has_weights:
            return None
        if name == "raw" and not self.layout.raw:
            return None
        return self.held.wide(name)

    def spread(self, values: np.ndarray, absent: Any) -> np.ndarray:
        """Values of the cells as an array (T, N), `absent` in all others."""
        return self.held.spread(values, absent)

    def taken(self, mask: np.ndarray) -> np.ndarray:
        """Those of a mask (T, N) that are listed."""
        return self.held.taken(mask)

    def same_as(self, other: Any) -> bool:
        """Whether these are the very numbers of other cells."""
        if not isinstance(other, Stored):
            return False
        own = (self.files, self.start, self.stop, self.chosen, self.known, self.spells)
        others = (other.files, other.start, other.stop, other.chosen, other.known, other.spells)
        return own == others and self.on is other.on

    def by_spells(self, spells: SpellColumns) -> Stored:
        """The same with each row in the column of its spell."""
        return replace(self, assets=spells.names, spells=(*self.spells, spells))

    def unweighted(self) -> Stored:
        """The same, all cells counting the same."""
        return replace(self, weighted=False)

    def stretches(self, rows: slice | None = None, dates: int = 1) -> Iterator[tuple[int, Ragged]]:
        """The numbers of these dates, some at a time, each with the position of its first date.

        What is given is written over by the next.

        Args:
            rows: positions of the dates; all of them where None.
            dates: how many are read at a time is a multiple of this.
        """
        return self._stretches(self._reader(), rows, dates)

    def _flags(self, rows: slice | None = None, dates: int = 1) -> Iterator[tuple[int, Ragged]]:
        """The same of which cells are listed and usable alone: their numbers are not set."""
        if not self.known:  # usable is where their features are finite
            return self.stretches(rows, dates)
        reader = RowReader(self.files, self.layout, (), numbers=False)
        return self.of_features(())._stretches(reader, rows, dates)

    def _stretches(
        self, reader: RowReader, rows: slice | None, dates: int
    ) -> Iterator[tuple[int, Ragged]]:
        rows = rows or slice(0, self.shape[0])
        length = self._dates_at_a_time(dates)
        # of no date, an empty part
        for first in range(rows.start, max(rows.stop, rows.start + 1), length):
            last = min(first + length, rows.stop)
            yield first, self._read(reader, first, last)

    def usable_by_date(self) -> np.ndarray:
        """(T,) number of usable cells."""
        if not self.known:
            return np.concatenate([part.usable_by_date() for _, part in self._flags()])
        usable = np.concatenate([file.usable for file in self.files])
        counts = usable[self.start - self.files[0].first :][: self.shape[0]]
        return counts if self.on is None else np.where(self.on, counts, 0)

    def at(self, rows: np.ndarray) -> Stored | Ragged:
        """Those of the dates at these positions, in memory where they are few.

        Raises:
            DataError: dates that do not follow each other, and less memory than they take.
        """
        selection = adjacent(rows)
        if not isinstance(selection, slice):
            return self._joined(rows)
        part = replace(
            self,
            start=self.start + selection.start,
            stop=self.start + selection.stop,
            on=None if self.on is None else self.on[selection],
            spells=tuple(spells.at(selection) for spells in self.spells),
        )
        if part.rows * part.row_bytes > HELD:
            return part
        return part._read(part._reader(), 0, part.shape[0])

    def _joined(self, rows: np.ndarray) -> Ragged:
        """Those of dates that do not follow each other, in memory.

        Raises:
            DataError: there is less memory than they take.
        """
        memory.refuse_rows(int(self.cells_by_date[rows].sum()), self.row_bytes)
        reader = self._reader()
        return joined([copied(self._read(reader, run.start, run.stop)) for run in runs(rows)])

    def part(self, rows: np.ndarray, assets: np.ndarray) -> Cube | Ragged | Stored:
        """Those of the dates and assets at these positions; an asset may be taken several times."""
        distinct, position = np.unique(assets, return_inverse=True)
        if len(distinct) == len(assets):
            return self.of(rows, assets)
        return self.of(rows, distinct).cube.part(np.arange(len(rows)), position)

    def of(self, rows: np.ndarray, assets: np.ndarray) -> Ragged | Stored:
        """Those of the dates at these positions and of the assets at those, each once."""
        if are_all(assets, self.shape[1]):
            return self.at(rows)
        memory.refuse_rows(int(self.rows_of_assets[assets].sum()), self.row_bytes)
        parts = []
        for dates in runs(rows):
            for _, held in self.stretches(dates):
                of_assets = held.of(np.arange(held.shape[0]), assets)
                parts.append(copied(of_assets))
        return joined(parts)

    @cached_property
    def rows_of_assets(self) -> np.ndarray:
        """(N,) listed cells of each asset."""
        N = self.shape[1]
        return self._by_asset(lambda part: np.bincount(part.listings.column, minlength=N))

    def used_by_asset(self, assets: np.ndarray) -> Iterator[tuple[int, Taken]]:
        """Each of the assets at these positions with its usable cells, in order of date.

        Those of many are read at a time. What is given is written over by the next.
        """
        spans = spans_of(self._flags(), self.shape[1])
        groups = spans.groups(assets, OF_ASSETS // self.row_bytes)
        most = max((int(spans.rows[some].sum()) for some in groups), default=0)
        room = Room(most, self.features, self.has_weights, self.layout.raw)
        for some in groups:
            parts = self.stretches(spans.dates(some))
            yield from room.filled(parts, some, spans.rows[some])

    def columns(self, positions: Sequence[int]) -> np.ndarray:
        """The features (n, k) at these positions."""
        return self.held.columns(positions)

    def of_features(self, positions: Sequence[int]) -> Stored:
        """The same with these features alone."""
        return replace(self, chosen=tuple(self.chosen[k] for k in positions))

    def usable_by_asset(self) -> np.ndarray:
        """(N,) number of usable cells."""
        return self._by_asset(Ragged.usable_by_asset)

    def add_sums_by_asset(self, count: np.ndarray, total: np.ndarray) -> None:
        """Add the usable cells of each asset (N,), and the sum of what is scored in them."""
        for _, part in self.of_features(()).stretches():
            part.add_sums_by_asset(count, total)

    @cached_property
    def few_values(self) -> dict[int, int]:
        """Assets whose target has few distinct values, and how many these are."""
        parts = self.of_features(()).stretches
        return few_values_of(
            lambda: ((part.y, part.listings.column, part.valid) for _, part in parts()),
            self.shape[1],
        )

    def used_on(self, dates: np.ndarray) -> Stored:
        """The same with cells usable on these dates (T,) alone."""
        on = dates if self.on is None else self.on & dates
        return replace(self, on=None if on.all() else on)

    def used(self, rows: np.ndarray, assets: np.ndarray) -> Taken:
        """The usable cells of these dates and assets, both increasing, by date."""
        part = self.of(rows, assets)
        if isinstance(part, Stored):
            part = part.held
        used = part.used(np.arange(len(rows)), np.arange(len(assets)))
        return used._replace(t=rows[used.t], i=assets[used.i])

    def taken_at(self, t: np.ndarray, i: np.ndarray) -> Taken:
        """The numbers of the listed cells at dates t and assets i."""
        first = int(t.min()) if len(t) else 0
        stop = int(t.max()) + 1 if len(t) else 0
        part = self.at(np.arange(first, stop))
        if isinstance(part, Stored):
            part = part.held
        return part.taken_at(t - first, i)._replace(t=t)

    def without_targets(self) -> Stored:
        """The same before targets are known: usable is where every feature is finite."""
        return replace(self, known=False)

    def point(self, columns: Sequence[int], per: str | None) -> np.ndarray:
        """A point amid these features and the target, as of `Ragged`."""
        total = int(self.usable_by_date().sum())
        some = evenly(total, SAMPLE)  # of the usable cells of all dates
        of_features = self.of_features(columns)
        of_all = centre(*of_features.usable_rows(some))
        if per is None:
            return of_all
        if per == "asset":
            return means_of_assets(of_features.stretches(), of_all, self.shape[1])
        every = list(range(len(columns)))
        points = [part.point_of_dates(every, of_all) for _, part in of_features.stretches()]
        return np.concatenate(points)

    def usable_blocks(self, dates: int) -> Iterator[np.ndarray]:
        """Whether each cell is usable, so many dates after the other: (dates, N)."""
        for _, part in self._flags(dates=dates):
            yield from part.usable_blocks(dates)

    def usable_rows(self, ranks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Features (m, K) and target (m,) of these places among the usable cells; they increase."""
        if not self.known:
            return self.held.usable_rows(ranks)
        usable = self.usable_by_date()
        until = np.cumsum(usable)
        date = np.searchsorted(until, ranks, side="right")
        rank = ranks - (until - usable)[date]  # on its date
        reader = self._reader()
        X = np.empty((self.features, len(ranks))).T
        y = np.empty(len(ranks))
        for t in np.unique(date):
            of_date = date == t
            X[of_date], y[of_date] = reader.usable_rows(self.start + int(t), rank[of_date])
        return X, y

    def moments(
        self, columns: Sequence[int], point: np.ndarray, by_date: bool, whole: int = 0
    ) -> np.ndarray:
        """Moments of dates (T, P, P) or assets (N, P, P), see `runner.numerics.moments.moments`."""
        every = list(range(len(columns)))
        cells = self.of_features(columns)
        most = max(self.rows, whole)
        if by_date:

            def of_dates(rows: slice) -> np.ndarray:
                parts = []
                for first, part in cells.stretches(rows):
                    T = part.shape[0]
                    own = point if len(point) == 1 else point[first : first + T]
                    parts.append(part.moments_of_dates(every, own, most, slice(0, T)))
                return np.concatenate(parts)

            return np.concatenate(halves(self.shape[0], of_dates, 2, self.cells_by_date))
        P = len(columns) + 2
        M = np.zeros((self.shape[1], P, P))
        for _, part in cells.stretches(dates=BLOCK):
            part.add_moments_of_assets(M, every, point, most)
        return M

    def lines(self, columns: Sequence[int], slopes: np.ndarray) -> np.ndarray:
        """(T, N) sums of these features times the slopes (N, k) of each asset; NaN elsewhere.

        Raises:
            DataError: there is less memory than they take.
        """
        memory.refuse_cube(*self.shape, 1)
        every = list(range(len(columns)))
        stretches = self.of_features(columns).stretches()
        return np.concatenate([part.lines(every, slopes) for _, part in stretches])

    def differ_between_assets(self, rows: np.ndarray) -> np.ndarray:
        """(K,) whether a feature differs between usable cells of one of the dates at `rows`."""
        taken = marked(rows, self.shape[0])
        differ = np.zeros(len(self.chosen), dtype=bool)
        for first, part in self.stretches():
            own = np.flatnonzero(taken[first : first + part.shape[0]])
            differ |= part.differ_between_assets(own)
            if differ.all():
                break
        return differ

    def _by_asset(self, count: Callable[[Ragged], np.ndarray]) -> np.ndarray:
        """Counts (N,) of the cells of each asset."""

        def of_dates(rows: slice) -> np.ndarray:
            return np.sum([count(part) for _, part in self._flags(rows)], axis=0)

        return np.sum(halves(self.shape[0], of_dates, 2, self.cells_by_date), axis=0)

    def _reader(self) -> RowReader:
        return RowReader(self.files, self.layout, self.chosen)

    def _dates_at_a_time(self, multiple: int) -> int:
        """How many dates are read at a time."""
        of_a_date = max(self.rows // max(self.shape[0], 1), 1) * self.row_bytes
        multiples = AT_A_TIME // (of_a_date * multiple)
        return max(multiples, 1) * multiple

    def _read(self, reader: RowReader, first: int, last: int) -> Ragged:
        """The dates from `first` to before `last`, in the buffer of the reader."""
        stretch = reader.read(self.start + first, self.start + last)
        row = np.repeat(np.arange(last - first, dtype=np.int32), self.cells_by_date[first:last])
        column = stretch.asset
        for spells in self.spells:
            column = spells.of_cells(row + np.int32(first), column)
        listings = Listings(self.dates[first:last], self.assets, row, column)
        usable = stretch.usable
        if self.on is not None:
            usable = usable & self.on[first:last][row]
        cells = Ragged(
            listings=listings,
            y=stretch.y,
            X=stretch.X,
            valid=usable,
            weights=stretch.weights if self.weighted else None,
            raw=stretch.raw,
        )
        return cells if self.known else cells.without_targets()

    @cached_property
    def cells_by_date(self) -> np.ndarray:
        """(T,) listed cells of each date."""
        of_files = np.concatenate([np.diff(file.starts) for file in self.files])
        return of_files[self.start : self.stop]
