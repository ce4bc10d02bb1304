"""Moments that folds share: each segment of the rows is summed once, a training part is a sum of
segments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from runner.numerics.moments import moments, of_units, shift_of, together, with_zeros

if TYPE_CHECKING:
    from runner.panels.panel import Panel
    from runner.panels.units import Unit
    from runner.validation.splitters import Fold

MOST_NUMBERS = (
    2**26
)  # held as moments, and as many of pairs of segments; more are summed for each fold by itself
MOST_COLUMNS = 16  # of a panel that is summed whole, whichever regressors are asked for first


class Sums(NamedTuple):
    """Moments of S segments: at [k] those of every 2^k segments that follow each other, (S / 2^k,
    U, P, P); and the point that they are about, (1, U, P - 1) by asset, else (1, 1, P - 1)."""

    M: tuple[np.ndarray, ...]
    point: np.ndarray

    def over(self, start: int, stop: int) -> np.ndarray:
        """Moments (U, P, P) of the segments from start to before stop: a sum of the fewest that
        make them up.
        """
        found = np.zeros(self.M[0].shape[1:])
        for M in self.M:
            if start >= stop:
                break
            if start % 2:
                found += M[start]
            if stop % 2:
                found += M[stop - 1]
            start, stop = (start + 1) // 2, stop // 2
        return found


@dataclass(frozen=True)
class Shared:
    """Moments of segments (T,) of rows, counted from 0 in order of time, by the columns that they
    are of; made when first asked for, of these very arrays X (T, N, K), y (T, N), valid (T, N) and
    no others. The panel is read once for each set of columns: moments of assets give those of
    groups, of all, and with dummies."""

    segment: np.ndarray
    X: np.ndarray
    y: np.ndarray
    valid: np.ndarray
    store: dict[tuple[object, ...], Sums] = field(default_factory=dict)

    def of(
        self,
        panel: Panel,
        rows: np.ndarray,
        names: Sequence[str] | None,
        by: str | None,
        units: Sequence[Unit],
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """Moments (U, P, P) of these rows per unit, and the point that they are about: (1, U, P -
        1) by asset, else (1, 1, P - 1). `names` are the regressors, null for all; `units` are those
        of `by`, on whatever rows.

        None where the panel has other arrays, the rows are not whole segments, or there would be
        too many numbers. The point is amid all rows, so that what lies outside `rows` can move the
        last bit, and no more.
        """
        if not (panel.X is self.X and panel.y is self.y and panel.valid is self.valid):
            return None
        every = list(range(len(panel.names)))
        chosen = (
            every
            if names is None
            else [panel.names.index(name) for name in names if name in panel.names]
        )
        levels = tuple(name for name in names or () if name not in panel.names)
        sizes = np.bincount(self.segment)
        count = np.bincount(self.segment[rows], minlength=len(sizes))
        if not ((count == 0) | (count == sizes)).all():
            return None
        summed = (
            every
            if len(every) <= MOST_COLUMNS and self._fits(len(every), len(panel.assets))
            else chosen
        )
        if not self._fits(len(summed) + len(levels), len(units)):
            return None
        key = (*summed, by, *levels)
        if key not in self.store:
            sums = self._sums(panel, summed, by, units, levels)
            if sums is None:
                return None
            self.store[key] = sums
        sums = self.store[key]
        edge = np.flatnonzero(np.diff(count > 0, prepend=False, append=False))
        M = np.asarray(sum(sums.over(start, stop) for start, stop in edge.reshape(-1, 2).tolist()))
        if summed == chosen:
            return M, sums.point
        K = len(summed)
        at = [0, *(1 + summed.index(k) for k in chosen), *range(K + 1, K + len(levels) + 2)]
        return M[:, at][:, :, at], sums.point[:, :, np.array(at[1:]) - 1]

    def _fits(self, columns: int, units: int) -> bool:
        return (int(self.segment[-1]) + 1) * units * (columns + 2) ** 2 <= MOST_NUMBERS

    def _sums(
        self,
        panel: Panel,
        summed: list[int],
        by: str | None,
        units: Sequence[Unit],
        levels: tuple[str, ...],
    ) -> Sums | None:
        """Sums of these columns by segment and unit, from those of assets where these can be kept;
        with `levels` only so."""
        if by == "asset" or not self._fits(len(summed), len(panel.assets)):
            return None if levels else _with_pairs(*self._read(panel, summed, by, units))
        key = (*summed, "asset")
        if key not in self.store:
            self.store[key] = _with_pairs(*self._read(panel, summed, "asset", []))
        assets, member, point = self.store[key], panel.dummies(levels), self._point(summed, None)
        away, owns = assets.point[0] - point[0], [unit.assets for unit in units]
        every = [[together(M[own], away[own], member[own]) for own in owns] for M in assets.M[0]]
        return _with_pairs(np.array(every), with_zeros(point, len(levels)))

    def _point(self, summed: list[int], of: str | None) -> np.ndarray:
        return shift_of(self.X, self.y, self.valid, of)[:, :, [*summed, -1]]

    def _read(
        self, panel: Panel, summed: list[int], by: str | None, units: Sequence[Unit]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Moments (S, U, P, P) of every segment, from the panel, and their point."""
        X, y, use = panel.X, panel.y, panel.valid
        adjacent = summed == list(range(summed[0], summed[-1] + 1)) if summed else False
        own = slice(summed[0], summed[-1] + 1) if adjacent else summed
        shift = self._point(summed, "asset" if by == "asset" else None)
        edges = [0, *(np.flatnonzero(np.diff(self.segment)) + 1).tolist(), len(y)]
        if by is None and adjacent:
            return np.add.reduceat(moments(X[:, :, own], y, use, shift, by_date=True), edges[:-1])[
                :, None
            ], shift
        P = len(summed) + 2
        found = np.empty((len(edges) - 1, y.shape[1] if by == "asset" else len(units), P, P))
        for number, at in enumerate(slice(start, stop) for start, stop in pairwise(edges)):
            M = moments(X[at, :, own], y[at], use[at], shift, by_date=by is None, whole=y.size)
            found[number] = of_units(M, units, by)
        return found, shift


def _with_pairs(M: np.ndarray, point: np.ndarray) -> Sums:
    """Sums of twice as many segments each time, the last one left out where it has no neighbour."""
    found = [M]
    while len(found[-1]) > 1:
        last = found[-1][: len(found[-1]) // 2 * 2]
        found.append(last[::2] + last[1::2])
    return Sums(tuple(found), point)


def shared_by(folds: Sequence[Fold], panel: Panel) -> Shared:
    """The segments of the rows that the training parts of these folds are made of; one without
    folds.
    """
    edge = np.zeros(len(panel.y), dtype=bool)
    for fold in folds:
        member = np.zeros(len(edge), dtype=bool)
        member[fold.train] = True
        edge[1:] |= member[1:] != member[:-1]
    return Shared(np.cumsum(edge), panel.X, panel.y, panel.valid)
