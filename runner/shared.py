"""Moments that folds share: each segment of the rows is summed once, a training part is a sum of segments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from runner.moments import moments, shift_of

if TYPE_CHECKING:
    from runner.validation import Fold

MOST_NUMBERS = 2**25  # held as moments; more are summed for each fold by itself


@dataclass(frozen=True)
class Shared:
    """Moments of segments (T,) of rows, by the columns that they are of; made when first asked for."""

    segment: np.ndarray
    store: dict[tuple[object, ...], tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    def of(
        self, rows: np.ndarray, X: np.ndarray, y: np.ndarray, use: np.ndarray, names: Sequence[str], by: str | None
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """Moments (N, P, P) of these rows per asset, or (1, P, P) with `by` null, and the point that they are about:
        (1, N, P - 1) by asset, else (1, 1, P - 1).

        None where the rows are not whole segments, or there would be too many numbers. The point is amid all rows, so
        that what lies outside `rows` can move the last bit, and no more.
        """
        sizes = np.bincount(self.segment)
        count = np.bincount(self.segment[rows], minlength=len(sizes))
        units, P = 1 if by is None else X.shape[1], X.shape[2] + 2
        if not ((count == 0) | (count == sizes)).all() or len(sizes) * units * P * P > MOST_NUMBERS:
            return None
        key = (*names, by)
        if key not in self.store:
            self.store[key] = self._sums(X, y, use, by)
        M, shift = self.store[key]
        return M[count > 0].sum(axis=0), shift

    def _sums(self, X: np.ndarray, y: np.ndarray, use: np.ndarray, by: str | None) -> tuple[np.ndarray, np.ndarray]:
        """Moments (S, N or 1, P, P) of every segment."""
        shift, P, one = shift_of(X, y, use, "asset" if by == "asset" else None), X.shape[2] + 2, by is None
        found = np.zeros((int(self.segment.max()) + 1, 1 if one else X.shape[1], P, P))
        edges = np.flatnonzero(np.diff(self.segment)) + 1
        for start, stop in zip([0, *edges], [*edges, len(y)], strict=True):
            part = slice(start, stop)
            M = moments(X[part], y[part], use[part], shift, by_date=one)
            found[self.segment[start]] += M.sum(axis=0) if one else M
        return found, shift


def shared_by(folds: Sequence[Fold], T: int) -> Shared | None:
    """The segments of T rows that the training parts of these folds are made of; none of a single fold."""
    if len(folds) < 2:
        return None
    train = np.zeros((len(folds), T), dtype=bool)
    for f, fold in enumerate(folds):
        train[f, fold.train] = True
    return Shared(np.unique(train, axis=1, return_inverse=True)[1].ravel())
