"""The numbers of the listed cells (date x asset) of a panel, where these are few.

They are rows, in order of date, then asset; an array (T, N) of them is made where something asks
for one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from runner.data.columns.listings import Listings
from runner.numerics.compiled.rows import DatedRows, moments_of_dates
from runner.numerics.moments import evenly, halves, of_block
from runner.numerics.variation import few_values_of
from runner.panels import memory
from runner.panels.numbers.cube import Cube, Taken
from runner.panels.numbers.selections import (
    Numbers,
    adjacent,
    adjacent_columns,
    are_alike,
    are_all,
    centre,
    marked,
    marked_at,
    selected,
)
from runner.panels.numbers.spelled import SpellColumns

EVERY = slice(None)
BLOCK = 64  # dates of which moments of assets are summed at a time
FEW = 8  # rows of a date whose mean is the point that its moments are about
SAMPLE = 2000  # rows of all dates whose mean is that of all
CELLS = 2**16  # rows whose features are compared at a time


class Lone(NamedTuple):
    """Cells with a target and no feature: none of them can be used where a model has features.

    Attributes:
        position: (m,) among all cells, increasing.
        y: target (m,).
    """

    position: np.ndarray
    y: np.ndarray


@dataclass(frozen=True, eq=False)
class Ragged:
    """Numbers of the listed cells alone, by date, then asset.

    Attributes:
        listings: the n cells.
        y: target (n,).
        X: features (n, K).
        valid: (n,) whether a cell is usable.
        weights, raw: (n,), or None; see `runner.panels.panel.Panel`.
        lone: cells beside the listed ones that have a target alone; None where these are listed.
    """

    listings: Listings
    y: np.ndarray
    X: np.ndarray
    valid: np.ndarray
    weights: np.ndarray | None = None
    raw: np.ndarray | None = None
    lone: Lone | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Dates and assets."""
        return len(self.listings.dates), len(self.listings.assets)

    @property
    def rows(self) -> int:
        """Cells that are held."""
        return len(self.y)

    @property
    def features(self) -> int:
        """How many there are."""
        return int(self.X.shape[1])

    @property
    def has_weights(self) -> bool:
        """Whether the cells have weights."""
        return self.weights is not None

    @cached_property
    def cube(self) -> Cube:
        """Arrays of every cell."""
        return Cube(
            y=self.wide("y"),
            X=self.wide("X"),
            valid=self.wide("valid"),
            weights=self.wide("weights"),
            raw=self.wide("raw"),
        )

    def wide(self, name: Numbers) -> Any:
        """An array (T, N) or (T, N, K) of every cell: NaN, or not usable, where none is listed.

        Raises:
            DataError: there is less memory than it takes.
        """
        values = getattr(self, name)
        if values is None:
            return None
        T, N = self.shape
        if name == "X":
            memory.refuse_cube(T, N, values.shape[1])
        memory.refuse_arrays(T, N)
        cells = self.spread(values, absent=False if name == "valid" else np.nan)
        if name == "y" and self.lone is not None:
            cells.flat[self.lone.position] = self.lone.y
        return cells

    def spread(self, values: np.ndarray, absent: Any) -> np.ndarray:
        """Values (n,) or (n, K) of the cells held here as (T, N) or (T, N, K), else `absent`."""
        T, N = self.shape
        more = values.shape[1:]
        cells = np.full((T * N, *more), absent)
        cells[self.listings.position] = values
        return cells.reshape(T, N, *more)

    def taken(self, mask: np.ndarray) -> np.ndarray:
        """Those of a mask (T, N) that are held here, in the shape of `y`."""
        return np.asarray(mask[self.listings.row, self.listings.column])

    @property
    def starts(self) -> np.ndarray:
        """(T + 1,) position of the first row of each date, and the number of rows."""
        return self.listings.starts

    def usable_by_date(self) -> np.ndarray:
        """(T,) number of usable cells."""
        dates = (self.valid[first:last] for first, last in pairwise(self.starts.tolist()))
        return np.fromiter(map(np.count_nonzero, dates), dtype=np.intp)

    def at(self, rows: np.ndarray) -> Ragged:
        """Those of the dates at these positions; dates that follow each other are not copied."""
        selection = adjacent(rows)
        if not isinstance(selection, slice):
            part = self.listings.at(rows)
            return self._taken(part.listings, part.kept)
        if selection == slice(0, self.shape[0]):  # what is known of its listings stays known
            return self
        taken = slice(self.starts[selection.start], self.starts[selection.stop])
        row = self.listings.row[taken] - np.int32(selection.start)
        dates = self.listings.dates[selection]
        column = self.listings.column[taken]
        return self._taken(Listings(dates, self.listings.assets, row, column), taken)

    def part(self, rows: np.ndarray, assets: np.ndarray) -> Cube | Ragged:
        """Those of the dates and assets at these positions; an asset may be taken several times."""
        if len(np.unique(assets)) < len(assets):
            return self.cube.part(rows, assets)
        return self.of(rows, assets)

    def of(self, rows: np.ndarray, assets: np.ndarray) -> Ragged:
        """Those of the dates at these positions and of the assets at those, each once."""
        of_rows = self.at(rows)
        if are_all(assets, self.shape[1]):
            return of_rows
        part = of_rows.listings.of(assets)
        return of_rows._taken(part.listings, part.kept)

    def _taken(self, listings: Listings, selection: slice | np.ndarray) -> Ragged:
        """The numbers of some of the rows, which are those listings."""
        return Ragged(
            listings=listings,
            y=self.y[selection],
            X=self.X[selection],
            valid=self.valid[selection],
            weights=selected(self.weights, selection),
            raw=selected(self.raw, selection),
        )

    def columns(self, positions: Sequence[int]) -> np.ndarray:
        """The features (n, k) at these positions; those that follow each other, not copied."""
        adjacent = adjacent_columns(positions)
        if adjacent is not None:
            return self.X[:, adjacent]
        return np.take(self.X, np.asarray(positions, dtype=int), axis=1)

    def usable_by_asset(self) -> np.ndarray:
        """(N,) number of usable cells."""
        return np.bincount(self.listings.column[self.valid], minlength=self.shape[1])

    def add_sums_by_asset(self, count: np.ndarray, total: np.ndarray) -> None:
        """Add the usable cells of each asset (N,), and the sum of what is scored in them."""
        scored = self.y if self.raw is None else self.raw
        used = np.flatnonzero(self.valid)
        asset = self.listings.column[used]
        count += np.bincount(asset, minlength=len(count))
        np.add.at(total, asset, scored[used])

    @cached_property
    def few_values(self) -> dict[int, int]:
        """Assets whose target has few distinct values, and how many these are."""
        return few_values_of(lambda: [(self.y, self.listings.column, self.valid)], self.shape[1])

    def places(self, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Dates and assets of the cells of a mask (n,)."""
        return self.listings.row[mask], self.listings.column[mask]

    def scored_cells(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Dates and assets (n,) of the usable cells, and what they are scored by."""
        used = np.flatnonzero(self.valid)
        scored = self.y if self.raw is None else self.raw
        return self.listings.row[used], self.listings.column[used], scored[used]

    def used_on(self, dates: np.ndarray) -> Ragged:
        """The same with cells usable on these dates (T,) alone."""
        return replace(self, valid=self.valid & dates[self.listings.row])

    def by_spells(self, spells: SpellColumns) -> Ragged:
        """The same with each row in the column of its spell."""
        listed = self.listings
        column = spells.of_cells(listed.row, listed.column)
        lone = self.lone
        if lone is not None:
            t, i = np.divmod(lone.position, self.shape[1])
            lone = lone._replace(position=t * len(spells.names) + spells.of_cells(t, i))
        listings = Listings(listed.dates, spells.names, listed.row, column)
        return replace(self, listings=listings, lone=lone)

    def unweighted(self) -> Ragged:
        """The same, all cells counting the same."""
        return replace(self, weights=None)

    def same_as(self, other: Any) -> bool:
        """Whether these are the very numbers of other cells."""
        if not isinstance(other, Ragged):
            return False
        return other.X is self.X and other.y is self.y and other.valid is self.valid

    def stretches(self, rows: slice | None = None, dates: int = 1) -> Iterator[tuple[int, Ragged]]:
        """These dates at once, as they are in memory, with the position of the first of them.

        Args:
            rows: positions of the dates; all of them where None.
            dates: as of `Stored`.
        """
        if rows is None:
            yield 0, self
        elif rows.stop > rows.start:
            yield rows.start, self.at(np.arange(rows.start, rows.stop))

    def used(self, rows: np.ndarray, assets: np.ndarray) -> Taken:
        """The usable cells of these dates and assets, both increasing, by date."""
        T, N = self.shape
        if len(assets) == 1:  # only its own rows are looked at
            first, last = self.listings.starts_of_assets[assets[0] : assets[0] + 2]
            own = self.listings.by_asset[first:last]
        else:
            first, last = self.starts[[rows[0], rows[-1] + 1]] if len(rows) else (0, 0)
            of_assets = marked(assets, N)[self.listings.column[first:last]]
            own = first + np.flatnonzero(of_assets)
        own = own[self.valid[own]]
        if len(rows) < T:
            own = own[marked(rows, T)[self.listings.row[own]]]
        return self._numbers_at(own)

    def usable_blocks(self, dates: int) -> Iterator[np.ndarray]:
        """Whether each cell is usable, so many dates after the other: (dates, N)."""
        T, N = self.shape
        for first in range(0, T, dates):
            usable = np.zeros((min(dates, T - first), N), dtype=bool)
            for t, of_date in enumerate(usable, first):
                rows = slice(self.starts[t], self.starts[t + 1])
                of_date[self.listings.column[rows].astype(np.intp)] = self.valid[rows]
            yield usable

    def usable_rows(self, ranks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Features (m, K) and target (m,) of these places among the usable cells; they increase."""
        rows = np.flatnonzero(self.valid)[ranks]
        return self.X[rows], self.y[rows]

    def taken_at(self, t: np.ndarray, i: np.ndarray) -> Taken:
        """The numbers of the listed cells at dates t and assets i.

        Raises:
            IndexError: a cell is not listed.
        """
        wanted = t.astype(np.int64) * self.shape[1] + i
        listed = self.listings.position
        at = np.searchsorted(listed, wanted)
        if (at == len(listed)).any() or (listed[at] != wanted).any():
            raise IndexError("a cell without a row is asked for")
        return self._numbers_at(at)

    def _numbers_at(self, at: np.ndarray) -> Taken:
        """The numbers of the listed cells at these positions (n,)."""
        X = np.empty((self.features, len(at)))
        for into, column in zip(X, self.X.T, strict=True):
            column.take(at, out=into, mode="clip")
        return Taken(
            t=self.listings.row[at].astype(np.intp),
            i=self.listings.column[at].astype(np.intp),
            y=self.y[at],
            X=X.T,
            weights=selected(self.weights, at),
            raw=selected(self.raw, at),
        )

    def without_targets(self) -> Ragged:
        """The same before targets are known: usable is where every feature is finite."""
        missing = np.broadcast_to(np.nan, self.y.shape)
        raw = None if self.raw is None else missing
        valid = np.isfinite(self.X).all(axis=1)
        return replace(self, y=missing, raw=raw, valid=valid)

    def point(self, columns: Sequence[int], per: str | None) -> np.ndarray:
        """A point amid these features and the target, see `runner.numerics.moments.shift_of`.

        The mean over the usable cells of all or of each asset, over a few of each date.
        """
        X = self.columns(columns)
        total = int(np.count_nonzero(self.valid))
        some = marked_at(self.valid, evenly(total, SAMPLE))
        of_all = centre(X[some], self.y[some])
        if per is None:
            return of_all
        if per == "date":
            return self.point_of_dates(columns, of_all)
        used = np.flatnonzero(self.valid)
        asset = self.listings.column[used]
        N = self.shape[1]
        count = np.bincount(asset, minlength=N)
        columns_and_target = (*X.T, self.y)
        totals = [np.bincount(asset, values[used], minlength=N) for values in columns_and_target]
        of_assets = np.stack(totals, axis=1) / np.maximum(count, 1)[:, None]
        return np.where(count[:, None] > 0, of_assets, of_all)

    def point_of_dates(self, columns: Sequence[int], of_all: np.ndarray) -> np.ndarray:
        """Means (T, 1, P - 1) over a few usable rows of each date; `of_all` where it has none."""
        X = self.columns(columns)
        count = self.usable_by_date()
        total = count.sum()
        if not total:
            return np.repeat(of_all, self.shape[0], axis=0)
        first = np.cumsum(count) - count
        share = (np.arange(FEW) + 0.5) / FEW
        place = first[:, None] + (share * count[:, None]).astype(int)
        some = marked_at(self.valid, np.minimum(place, total - 1))
        x_mean = X[some].mean(axis=1)
        y_mean = self.y[some].mean(axis=1)
        of_dates = np.column_stack([x_mean, y_mean])[:, None]
        return np.where(count[:, None, None] > 0, of_dates, of_all)

    def moments(
        self, columns: Sequence[int], point: np.ndarray, by_date: bool, whole: int = 0
    ) -> np.ndarray:
        """Moments of dates (T, P, P) or assets (N, P, P), see `runner.numerics.moments.moments`."""
        if by_date:
            of_dates = partial(self.moments_of_dates, columns, point, max(self.rows, whole))
            return np.concatenate(halves(self.shape[0], of_dates, 2, np.diff(self.starts)))
        P = len(columns) + 2
        M = np.zeros((self.shape[1], P, P))
        self.add_moments_of_assets(M, columns, point, max(self.rows, whole))
        return M

    def add_moments_of_assets(
        self, M: np.ndarray, columns: Sequence[int], point: np.ndarray, cells: int
    ) -> None:
        """Add the moments of the assets to M (N, P, P), those of some dates at a time.

        Args:
            cells: of the panel that these are a part of.
        """
        T = self.shape[0]
        for first in range(0, T, BLOCK):
            dates = slice(first, min(first + BLOCK, T))
            rows = slice(self.starts[dates.start], self.starts[dates.stop])
            self._add_moments_of_assets(M, columns, point, rows, cells)

    def moments_of_dates(
        self, columns: Sequence[int], point: np.ndarray, cells: int, dates: slice
    ) -> np.ndarray:
        """Moments (dates, P, P) of these dates, of a panel of so many cells."""
        own = point if len(point) == 1 else point[dates]
        return moments_of_dates(self.dated(columns, dates), own, cells)

    def dated(self, columns: Sequence[int], dates: slice = EVERY) -> DatedRows:
        """The rows of these dates, with these features."""
        first, last, _ = dates.indices(self.shape[0])
        starts = self.starts[first : last + 1]
        return DatedRows(starts, self.valid, self.columns(columns).T, self.y, self.weights)

    def _add_moments_of_assets(
        self, M: np.ndarray, columns: Sequence[int], point: np.ndarray, rows: slice, cells: int
    ) -> None:
        """Add the moments of these rows, of some dates, to those (N, P, P) of the assets.

        They are arrays (dates, assets) of the assets that are listed on any of the dates.
        """
        used = rows.start + np.flatnonzero(self.valid[rows])
        if not len(used):
            return
        listed, column = np.unique(self.listings.column[used], return_inverse=True)
        row = self.listings.row[used] - self.listings.row[used[0]]
        shape = (int(row[-1]) + 1, len(listed))
        x = np.zeros((*shape, len(columns)))
        y = np.zeros(shape)
        use = np.zeros(shape, dtype=bool)
        x[row, column] = self.columns(columns)[used]
        y[row, column] = self.y[used]
        use[row, column] = True
        weights = None
        if self.weights is not None:
            weights = np.zeros(shape)
            weights[row, column] = self.weights[used]
        if point.shape[1] > 1:
            point = point[:, listed]
        M[listed] += of_block(x, y, use, point, False, weights, cells)

    def lines(self, columns: Sequence[int], slopes: np.ndarray) -> np.ndarray:
        """(T, N) sums of these features times the slopes (N, k) of each asset; NaN elsewhere."""
        X = self.columns(columns)
        alike = are_alike(slopes)
        values = np.zeros(self.rows)
        for first in range(0, self.rows, CELLS):
            rows = slice(first, first + CELLS)
            # one column after the other: the bits do not depend on which rows are beside a row
            for k, column in enumerate(X[rows].T):
                of_rows = slopes[0, k] if alike else slopes[self.listings.column[rows], k]
                values[rows] += column * of_rows
        return self.spread(values, absent=np.nan if len(columns) else 0.0)

    def differ_between_assets(self, rows: np.ndarray) -> np.ndarray:
        """(K,) whether a feature differs between usable cells of one of the dates at `rows`."""
        differ = np.zeros(self.features, dtype=bool)
        for t in rows:
            if differ.all():
                break
            own = slice(self.starts[t], self.starts[t + 1])
            X = self.X[own][self.valid[own]]
            differ |= (X[:1] != X).any(axis=0)
        return differ
