"""The numbers of every cell (date x asset) of a panel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np

from runner.compute.pages import LARGE, let_go
from runner.numerics.moments import moments, products_summed, shift_of
from runner.numerics.variation import few_values
from runner.panels.numbers.selections import (
    Numbers,
    adjacent,
    adjacent_columns,
    all_finite,
    are_alike,
    are_all,
    selected,
)
from runner.panels.numbers.spelled import SpellColumns

BLOCK = 64  # dates whose features are compared at a time
LINES = 2000  # cells whose lines are summed at a time


class Taken(NamedTuple):
    """Some cells and their numbers.

    Attributes:
        t, i: (n,) positions of their dates and assets.
        y: target (n,).
        X: features (n, K).
        weights, raw: (n,), or None; see `runner.panels.panel.Panel`.
    """

    t: np.ndarray
    i: np.ndarray
    y: np.ndarray
    X: np.ndarray
    weights: np.ndarray | None
    raw: np.ndarray | None


@dataclass(frozen=True, eq=False)
class Cube:
    """Numbers of every cell.

    Attributes:
        y: target (T, N).
        X: features (T, N, K).
        valid: (T, N) whether a cell is usable.
        weights, raw: (T, N), or None; see `runner.panels.panel.Panel`.
    """

    y: np.ndarray
    X: np.ndarray
    valid: np.ndarray
    weights: np.ndarray | None = None
    raw: np.ndarray | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Dates and assets."""
        T, N = self.y.shape
        return T, N

    @property
    def rows(self) -> int:
        """Cells that are held."""
        return int(self.y.size)

    @property
    def features(self) -> int:
        """How many there are."""
        return int(self.X.shape[2])

    @property
    def has_weights(self) -> bool:
        """Whether the cells have weights."""
        return self.weights is not None

    @property
    def cube(self) -> Cube:
        """The same."""
        return self

    def wide(self, name: Numbers) -> Any:
        """An array of every cell, (T, N) or (T, N, K)."""
        return getattr(self, name)

    def taken(self, mask: np.ndarray) -> np.ndarray:
        """Those of a mask (T, N) that are held here, in the shape of `y`."""
        return mask

    def spread(self, values: np.ndarray, absent: Any) -> np.ndarray:
        """Values of the cells that are held here as an array (T, N), `absent` in all others."""
        return values

    def usable_by_date(self) -> np.ndarray:
        """(T,) number of usable cells."""
        return np.asarray(self.valid.sum(axis=1))

    def at(self, rows: np.ndarray) -> Cube:
        """Those of the dates at these positions; dates that follow each other are not copied."""
        selection = adjacent(rows)
        return Cube(
            y=self.y[selection],
            X=self.X[selection],
            valid=self.valid[selection],
            weights=selected(self.weights, selection),
            raw=selected(self.raw, selection),
        )

    def part(self, rows: np.ndarray, assets: np.ndarray) -> Cube:
        """Those of the dates and assets at these positions."""
        cells = np.ix_(rows, assets)
        return Cube(
            y=self.y[cells],
            X=self.X[cells],
            valid=self.valid[cells],
            weights=selected(self.weights, cells),
            raw=selected(self.raw, cells),
        )

    def of(self, rows: np.ndarray, assets: np.ndarray) -> Cube:
        """Those of the dates at these positions and of the assets at those, each once."""
        if are_all(assets, self.shape[1]):
            return self.at(rows)
        return self.part(rows, assets)

    def columns(self, positions: Sequence[int]) -> np.ndarray:
        """The features (T, N, k) at these positions; those that follow each other, not copied."""
        adjacent = adjacent_columns(positions)
        if adjacent is not None:
            return self.X[:, :, adjacent]
        return np.take(self.X, np.asarray(positions, dtype=int), axis=2)

    def usable_by_asset(self) -> np.ndarray:
        """(N,) number of usable cells."""
        return np.asarray(self.valid.sum(axis=0))

    def add_sums_by_asset(self, count: np.ndarray, total: np.ndarray) -> None:
        """Add the usable cells of each asset (N,), and the sum of what is scored in them."""
        scored = self.y if self.raw is None else self.raw
        used = np.where(self.valid, scored, 0.0)
        count += self.valid.sum(axis=0)
        for of_date in used:
            total += of_date

    @cached_property
    def few_values(self) -> dict[int, int]:
        """Assets whose target has few distinct values, and how many these are."""
        return few_values(self.y, self.valid)

    def scored_cells(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Dates and assets (n,) of the usable cells, and what they are scored by."""
        t, i = np.nonzero(self.valid)
        scored = self.y if self.raw is None else self.raw
        return t, i, scored[t, i]

    def used_on(self, dates: np.ndarray) -> Cube:
        """The same with cells usable on these dates (T,) alone."""
        return replace(self, valid=self.valid & dates[:, None])

    def by_spells(self, spells: SpellColumns) -> Cube:
        """The same with each cell in the column of its spell; it is not usable in the others."""
        dates = np.arange(len(self.y))
        cells = self.part(dates, spells.owner)
        own = np.zeros(cells.y.shape, dtype=bool)
        own[dates[:, None], spells.of_every_cell(len(dates))] = True
        return replace(cells, valid=cells.valid & own)

    def unweighted(self) -> Cube:
        """The same, all cells counting the same."""
        return replace(self, weights=None)

    def same_as(self, other: Any) -> bool:
        """Whether these are the very numbers of other cells."""
        if not isinstance(other, Cube):
            return False
        return other.X is self.X and other.y is self.y and other.valid is self.valid

    def stretches(self, rows: slice | None = None, dates: int = 1) -> Iterator[tuple[int, Cube]]:
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
        """The usable cells of these dates and assets, by date."""
        at, member = np.nonzero(self.valid[np.ix_(rows, assets)])
        return self.taken_at(rows[at], assets[member])

    def usable_blocks(self, dates: int) -> Iterator[np.ndarray]:
        """Whether each cell is usable, so many dates after the other: (dates, N)."""
        for first in range(0, len(self.valid), dates):
            yield self.valid[first : first + dates]

    def usable_rows(self, ranks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Features (m, K) and target (m,) of these places among the usable cells; they increase."""
        rows = np.flatnonzero(self.valid)[ranks]
        return self.X.reshape(-1, self.features)[rows], self.y.ravel()[rows]

    def taken_at(self, t: np.ndarray, i: np.ndarray) -> Taken:
        """The numbers of the cells at dates t and assets i."""
        cells = (t, i)
        weights = selected(self.weights, cells)
        X = np.empty((len(t), self.features))
        # those of an asset lie all over the features of their dates
        dates = self.X[t.min() : t.max() + 1] if len(t) else self.X[:0]
        parts = dates.nbytes // LARGE + 1
        for some in np.array_split(np.arange(len(t)), parts):
            X[some] = self.X[t[some], i[some]]
            if parts > 1:
                let_go(self.X)
        return Taken(t, i, self.y[cells], X, weights, selected(self.raw, cells))

    def without_targets(self) -> Cube:
        """The same before targets are known: usable is where every feature is finite."""
        missing = np.broadcast_to(np.nan, self.y.shape)
        raw = None if self.raw is None else missing
        valid = all_finite(self.X)
        return replace(self, y=missing, raw=raw, valid=valid)

    def point(self, columns: Sequence[int], per: str | None) -> np.ndarray:
        """A point amid these features and the target, see `runner.numerics.moments.shift_of`."""
        rest = partial(let_go, self.X)
        if adjacent_columns(columns) is not None:
            return shift_of(self.columns(columns), self.y, self.valid, per, rest)
        # of a sample, and no copy of columns
        of_all = shift_of(self.X, self.y, self.valid, per, rest)
        return of_all[..., [*columns, self.features]]

    def moments(
        self, columns: Sequence[int], point: np.ndarray, by_date: bool, whole: int = 0
    ) -> np.ndarray:
        """Moments of dates (T, P, P) or assets (N, P, P), see `runner.numerics.moments.moments`."""
        X = self.columns(columns)
        rest = partial(let_go, X)
        return moments(X, self.y, self.valid, point, by_date, self.weights, whole, rest)

    def lines(self, columns: Sequence[int], slopes: np.ndarray) -> np.ndarray:
        """(T, N) sums of these features times the slopes (N, k) of each asset."""
        X = self.columns(columns)
        if are_alike(slopes):
            return np.asarray(X @ slopes[0])  # one line for all assets is one product
        return products_summed(X, slopes)

    def several_lines(self, columns: Sequence[int], slopes: np.ndarray) -> np.ndarray:
        """(F, T, N) sums of these features times each of F slopes (F, k), the same of all assets.

        Some cells are taken at a time, which are read once, and are in the cache for all lines.
        """
        T, N = self.shape
        X = self.columns(columns).reshape(T * N, len(columns))
        sums = np.empty((len(slopes), T * N))
        for start in range(0, T * N, LINES):
            cells = slice(start, start + LINES)
            np.matmul(slopes, X[cells].T, out=sums[:, cells])
        return sums.reshape(len(slopes), T, N)

    def differ_between_assets(self, rows: np.ndarray) -> np.ndarray:
        """(K,) whether a feature differs between usable cells of one of the dates at `rows`."""
        same = np.ones(self.X.shape[2], dtype=bool)
        for start in range(0, len(rows), BLOCK):
            if not same.any():
                break
            at = rows[start : start + BLOCK]
            known = self.valid[at]
            X = self.X[at]
            first = X[np.arange(len(at)), known.argmax(axis=1)]
            differs = np.not_equal(X, first[:, None]) & known[:, :, None]
            same &= ~differs.any(axis=(0, 1))
        return ~same
