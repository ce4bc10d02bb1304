"""Moments that folds share: each segment of rows is summed once, training parts add segments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from runner.compute.pages import large_array, let_go
from runner.numerics.moments import of_units, together, with_zeros
from runner.panels.numbers.cells import Cells, rest
from runner.panels.numbers.selections import runs

# held as moments, and as many of pairs of segments; more are summed for each fold by itself
MOST_NUMBERS = 2**26
PAIRS = 16  # of segments that are summed at a time
OF_DATES = 2**22  # numbers of the moments of all dates that are kept
MOST_COLUMNS = 16  # of a panel that is summed whole, whichever regressors are asked for first


class Sums(NamedTuple):
    """Moments of S segments, and of runs of them.

    Attributes:
        M: at [k] those of every 2^k segments that follow each other, (S / 2^k, U, P, P).
        point: that they are about, (1, U, P - 1) by asset, else (1, 1, P - 1).
    """

    M: tuple[np.ndarray, ...]
    point: np.ndarray

    def over(self, start: int, stop: int) -> np.ndarray:
        """Moments (U, P, P) of the segments from start to before stop.

        A sum of the fewest runs that make them up.
        """
        total = np.zeros(self.M[0].shape[1:])
        for M in self.M:
            if start >= stop:
                break
            if start % 2:
                total += M[start]
            if stop % 2:
                total += M[stop - 1]
            start = (start + 1) // 2
            stop = stop // 2
        return total


class Regressors(NamedTuple):
    """Which columns a regression has.

    Attributes:
        columns: positions among the features.
        levels: names of dummies of groups of assets, which stand after them.
        member: (N, L) the dummies.
    """

    columns: list[int]
    levels: tuple[str, ...]
    member: np.ndarray


@dataclass(frozen=True)
class Shared:
    """Moments of segments of rows, by the columns that they are of; made when first asked for.

    They are of these very arrays and no others. The panel is read once for each set of columns:
    moments of assets give those of groups, of all, and with dummies.

    Attributes:
        segment: (T,) the segment of each row, counted from 0 in order of time.
        cells: those of the panel.
        store: columns -> moments of segments.
        dates: features -> moments (T, P, P) of dates, and the point that they are about; those
            that were read on the way and are not too many.
    """

    segment: np.ndarray
    cells: Cells
    store: dict[tuple[object, ...], Sums] = field(default_factory=dict)
    dates: dict[tuple[int, ...], tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    def rest(self) -> None:
        """Give the memory of large moments back until they are read again."""
        for sums in self.store.values():
            for M in sums.M:
                let_go(M)

    def are_of(self, cells: Cells) -> bool:
        """Whether the segments are of these very arrays."""
        return self.cells.same_as(cells)

    @np.errstate(over="ignore", invalid="ignore")  # as in _with_pairs
    def of(
        self, rows: np.ndarray, regressors: Regressors, by: str | None, owns: Sequence[np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """Moments (U, P, P) of these rows per unit, and the point that they are about.

        The point is (1, U, P - 1) by asset, else (1, 1, P - 1); it is amid all rows, so that what
        lies outside `rows` can move the last bit, and no more. None where the rows are not whole
        segments, or there would be too many numbers.

        Args:
            by: what the units are: asset, the name of a group, or None for one of all assets.
            owns: positions of the assets of each unit.
        """
        of_segments = self._segments_of(rows)
        if of_segments is None:
            return None
        every = list(range(self.cells.features))
        chosen = regressors.columns
        levels = regressors.levels
        few = len(every) <= MOST_COLUMNS and self._fits(len(every), self.cells.shape[1])
        summed = every if few else chosen
        if not self._fits(len(summed) + len(levels), len(owns)):
            return None
        key = (*summed, by, *levels)
        if key not in self.store:
            sums = self._sums(summed, regressors, by, owns)
            if sums is None:
                return None
            self.store[key] = sums
        sums = self.store[key]
        M = np.asarray(sum(sums.over(start, stop) for start, stop in of_segments))
        if summed == chosen:
            return M, sums.point
        # of the columns [1, summed, levels, y] those that were asked for
        first_level = len(summed) + 1
        columns = [1 + summed.index(k) for k in chosen]
        at = [0, *columns, *range(first_level, first_level + len(levels) + 1)]
        in_point = np.array(at[1:]) - 1
        return M[:, at][:, :, at], sums.point[:, :, in_point]

    def of_dates(self, columns: list[int]) -> tuple[np.ndarray, np.ndarray] | None:
        """Moments (T, P, P) of these features on every date, all assets in one, and their point.

        The point is (1, 1, P - 1). None where they were not kept.
        """
        for summed, (M, point) in self.dates.items():
            if set(columns) <= set(summed):
                features = [summed.index(k) for k in columns]
                in_point = [*features, len(summed)]
                at = [0, *(1 + k for k in in_point)]
                return M[:, at][:, :, at], point[:, :, in_point]
        return None

    def _segments_of(self, rows: np.ndarray) -> list[tuple[int, int]] | None:
        """First segment and the one after the last of each run of segments that the rows are.

        None where some are not whole.
        """
        of_segments = []
        for run in runs(rows):
            start = self._starting.get(run.start)
            stop = self._starting.get(run.stop)
            if start is None or stop is None:
                return None
            of_segments.append((start, stop))
        return of_segments

    @cached_property
    def _starting(self) -> dict[int, int]:
        """Number of the segment that starts at a row; S at the one after the last."""
        starts = np.flatnonzero(np.diff(self.segment, prepend=-1)).tolist()
        rows = [*starts, len(self.segment)]
        return {row: s for s, row in enumerate(rows)}

    def _fits(self, columns: int, units: int) -> bool:
        """Whether moments of so many columns and units can be held."""
        segments = int(self.segment[-1]) + 1
        return segments * units * (columns + 2) ** 2 <= MOST_NUMBERS

    def _sums(
        self,
        summed: list[int],
        regressors: Regressors,
        by: str | None,
        owns: Sequence[np.ndarray],
    ) -> Sums | None:
        """Sums of these columns by segment and unit.

        Those of groups and with dummies come from those of assets where these can be held, and with
        dummies only so. Those of all assets in one are read from the rows, which takes a fraction
        of the time, whatever else is held: the same bits whoever asked before.
        """
        alone = by is None and not regressors.levels
        if by == "asset" or alone or not self._fits(len(summed), self.cells.shape[1]):
            if regressors.levels:
                return None
            return _with_pairs(*self._read(summed, by, owns))
        key = (*summed, "asset")
        if key not in self.store:
            self.store[key] = _with_pairs(*self._read(summed, "asset", []))
        assets = self.store[key]
        member = regressors.member
        point = self._point(summed, None)
        away = assets.point[0] - point[0]
        by_segment = []
        for M in assets.M[0]:
            of_units = [together(M[own], away[own], member[own]) for own in owns]
            by_segment.append(of_units)
            let_go(M)
        return _with_pairs(np.array(by_segment), with_zeros(point, member.shape[1]))

    def _point(self, summed: list[int], by: str | None) -> np.ndarray:
        """The point (1, 1 or U, P - 1) amid all rows that moments of these columns are about."""
        return self.cells.point(summed, by)

    def _read(
        self, summed: list[int], by: str | None, owns: Sequence[np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Moments (S, U, P, P) of every segment, from the rows, and their point."""
        point = self._point(summed, "asset" if by == "asset" else None)
        N = self.cells.shape[1]
        *starts, end = self._starting
        unweighted = self.cells.unweighted()
        adjacent = bool(summed) and summed == list(range(summed[0], summed[-1] + 1))
        if by is None and adjacent:
            of_dates = unweighted.moments(summed, point, by_date=True)
            if of_dates.size <= OF_DATES:
                self.dates[tuple(summed)] = (of_dates, point)
            return np.add.reduceat(of_dates, starts)[:, None], point
        P = len(summed) + 2
        U = N if by == "asset" else len(owns)
        by_segment = large_array((len(starts), U, P, P))
        for s, (start, stop) in enumerate(pairwise([*starts, end])):
            part = unweighted.at(np.arange(start, stop))
            M = part.moments(summed, point, by_date=by is None, whole=self.cells.rows)
            by_segment[s] = of_units(M, owns, by)
            rest(self.cells)
            let_go(by_segment)
        return by_segment, point


@np.errstate(over="ignore", invalid="ignore")  # columns too large for products are refused later
def _with_pairs(M: np.ndarray, point: np.ndarray) -> Sums:
    """Sums of twice as many segments each time, the last one left out where it has no neighbour."""
    levels = [M]
    sums = large_array(M.shape)  # of all levels, which are fewer than the segments
    start = 0
    while len(levels[-1]) > 1:
        pairs = len(levels[-1]) // 2
        segments = levels[-1][: 2 * pairs]
        level = sums[start : start + pairs]
        for first in range(0, pairs, PAIRS):
            part = slice(2 * first, 2 * (first + PAIRS))
            some = segments[part]
            np.add(some[::2], some[1::2], out=level[first : first + PAIRS])
            let_go(levels[-1])
            let_go(sums)
        levels.append(level)
        start += pairs
    return Sums(tuple(levels), point)


def segments(trainings: Sequence[np.ndarray], cells: Cells) -> Shared:
    """The segments of rows that training parts are made of; one without any.

    Args:
        trainings: positions of the training rows of each fold.
        cells: those of the panel.
    """
    T, _ = cells.shape
    edge = np.zeros(T, dtype=bool)
    for rows in trainings:
        member = np.zeros(len(edge), dtype=bool)
        member[rows] = True
        edge[1:] |= member[1:] != member[:-1]
    return Shared(np.cumsum(edge), cells)
