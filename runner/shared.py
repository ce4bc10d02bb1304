"""Moments that folds share: each segment of the rows is summed once, a training part is a sum of segments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from runner.moments import moments, of_units, shift_of

if TYPE_CHECKING:
    from runner.grouping import Unit
    from runner.panel import Panel
    from runner.validation import Fold

MOST_NUMBERS = 2**26  # held as moments; more are summed for each fold by itself
MOST_COLUMNS = 16  # of a panel that is summed whole, whichever regressors are asked for first


@dataclass(frozen=True)
class Shared:
    """Moments of segments (T,) of rows, counted from 0 in order of time, by the columns that they are of; made when
    first asked for, of these very arrays X (T, N, K), y (T, N), valid (T, N) and no others."""

    segment: np.ndarray
    X: np.ndarray
    y: np.ndarray
    valid: np.ndarray
    store: dict[tuple[object, ...], tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    def of(
        self, panel: Panel, rows: np.ndarray, names: Sequence[str] | None, by: str | None, units: Sequence[Unit]
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """Moments (U, P, P) of these rows per unit, and the point that they are about: (1, U, P - 1) by asset, else
        (1, 1, P - 1). `names` are the regressors, null for all; `units` are those of `by`, on whatever rows.

        None where the panel has other arrays, the rows are not whole segments, or there would be too many numbers.
        The point is amid all rows, so that what lies outside `rows` can move the last bit, and no more.
        """
        if not (panel.X is self.X and panel.y is self.y and panel.valid is self.valid):
            return None
        chosen = list(range(len(panel.names))) if names is None else [panel.names.index(name) for name in names]
        sizes = np.bincount(self.segment)
        count = np.bincount(self.segment[rows], minlength=len(sizes))
        cells, most = len(sizes) * (1 if by is None else len(panel.assets)), len(panel.names) + 2
        every = most <= MOST_COLUMNS + 2 and cells * most**2 <= MOST_NUMBERS
        summed = list(range(len(panel.names))) if every else chosen
        P = len(summed) + 2
        if not ((count == 0) | (count == sizes)).all() or len(sizes) * len(units) * P * P > MOST_NUMBERS:
            return None
        key = (*summed, by)
        if key not in self.store:
            self.store[key] = self._sums(panel, summed, by, units)
        M, shift = self.store[key]
        used = np.flatnonzero(count)  # all of a segment is in use, or none
        together = len(used) == used[-1] - used[0] + 1
        M = M[0] if len(M) == 1 else (M[used[0] : used[-1] + 1] if together else M[used]).sum(axis=0)
        if summed == chosen:
            return M.copy(), shift
        at = [0, *(1 + summed.index(k) for k in chosen), P - 1]
        return M[:, at][:, :, at], shift[:, :, np.array(at[1:]) - 1]

    def _sums(
        self, panel: Panel, summed: list[int], by: str | None, units: Sequence[Unit]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Moments (S, U, P, P) of every segment; those of columns that are not adjacent one by one."""
        X, y, use = panel.X, panel.y, panel.valid
        adjacent = summed == list(range(summed[0], summed[-1] + 1)) if summed else False
        own = slice(summed[0], summed[-1] + 1) if adjacent else summed
        shift = shift_of(X, y, use, "asset" if by == "asset" else None)[:, :, [*summed, -1]]
        edges = [0, *(np.flatnonzero(np.diff(self.segment)) + 1).tolist(), len(y)]
        if by is None and adjacent:
            return np.add.reduceat(moments(X[:, :, own], y, use, shift, by_date=True), edges[:-1])[:, None], shift
        P = len(summed) + 2
        found = np.empty((len(edges) - 1, len(units), P, P))
        for number, at in enumerate(slice(start, stop) for start, stop in pairwise(edges)):
            M = moments(X[at, :, own], y[at], use[at], shift, by_date=by is None, whole=y.size)
            found[number] = of_units(M, units, by)
        return found, shift


def shared_by(folds: Sequence[Fold], panel: Panel) -> Shared:
    """The segments of the rows that the training parts of these folds are made of; one without folds."""
    edge = np.zeros(len(panel.y), dtype=bool)
    for fold in folds:
        member = np.zeros(len(edge), dtype=bool)
        member[fold.train] = True
        edge[1:] |= member[1:] != member[:-1]
    return Shared(np.cumsum(edge), panel.X, panel.y, panel.valid)
