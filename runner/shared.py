"""Moments that folds share: each segment of the rows is summed once, a training part is a sum of segments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from runner.moments import moments, shift_of

if TYPE_CHECKING:
    from runner.panel import Panel
    from runner.validation import Fold

MOST_NUMBERS = 2**25  # held as moments; more are summed for each fold by itself
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
        self, panel: Panel, rows: np.ndarray, names: Sequence[str] | None, by: str | None
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """Moments (N, P, P) of these rows per asset, or (1, P, P) with `by` null, and the point that they are about:
        (1, N, P - 1) by asset, else (1, 1, P - 1). `names` are the regressors, null for all.

        None where the panel has other arrays, the rows are not whole segments, or there would be too many numbers.
        The point is amid all rows, so that what lies outside `rows` can move the last bit, and no more.
        """
        if not (panel.X is self.X and panel.y is self.y and panel.valid is self.valid):
            return None
        chosen = list(range(len(panel.names))) if names is None else [panel.names.index(name) for name in names]
        summed = list(range(len(panel.names))) if len(panel.names) <= MOST_COLUMNS else chosen
        sizes = np.bincount(self.segment)
        count = np.bincount(self.segment[rows], minlength=len(sizes))
        units, P = 1 if by is None else len(panel.assets), len(summed) + 2
        if not ((count == 0) | (count == sizes)).all() or len(sizes) * units * P * P > MOST_NUMBERS:
            return None
        key = (*summed, by)
        if key not in self.store:
            adjacent = summed == list(range(summed[0], summed[-1] + 1)) if summed else False
            X = panel.X[:, :, summed[0] : summed[-1] + 1] if adjacent else panel.X[:, :, summed]
            self.store[key] = self._sums(X, panel.y, panel.valid, by)
        M, shift = self.store[key]
        M = M[0] if len(M) == 1 else M[count > 0].sum(axis=0)
        if summed == chosen:
            return M.copy(), shift
        at = [0, *(1 + summed.index(k) for k in chosen), P - 1]
        return M[:, at][:, :, at], shift[:, :, np.array(at[1:]) - 1]

    def _sums(self, X: np.ndarray, y: np.ndarray, use: np.ndarray, by: str | None) -> tuple[np.ndarray, np.ndarray]:
        """Moments (S, N or 1, P, P) of every segment."""
        shift, edges = (
            shift_of(X, y, use, "asset" if by == "asset" else None),
            np.flatnonzero(np.diff(self.segment)) + 1,
        )
        if by is None:
            return np.add.reduceat(moments(X, y, use, shift, by_date=True), [0, *edges])[:, None], shift
        parts = [slice(start, stop) for start, stop in zip([0, *edges], [*edges, len(y)], strict=True)]
        return np.stack([moments(X[at], y[at], use[at], shift, by_date=False, whole=y.size) for at in parts]), shift


def shared_by(folds: Sequence[Fold], panel: Panel) -> Shared:
    """The segments of the rows that the training parts of these folds are made of; one without folds."""
    edge = np.zeros(len(panel.y), dtype=bool)
    for fold in folds:
        member = np.zeros(len(edge), dtype=bool)
        member[fold.train] = True
        edge[1:] |= member[1:] != member[:-1]
    return Shared(np.cumsum(edge), panel.X, panel.y, panel.valid)
