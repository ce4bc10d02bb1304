"""Moments that folds share: each segment of the rows is summed once, a training part is a sum of segments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from runner.moments import moments, shift_of

if TYPE_CHECKING:
    from runner.panel import Panel
    from runner.validation import Fold

MOST_NUMBERS = 2**25  # held as moments; more are summed for each fold by itself


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
        self, panel: Panel, rows: np.ndarray, make: Callable[[], np.ndarray], names: Sequence[str], by: str | None
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """Moments (N, P, P) of these rows and of the features `names`, which `make` gives (T, N, K), per asset, or
        (1, P, P) with `by` null, and the point that they are about: (1, N, P - 1) by asset, else (1, 1, P - 1).

        None where the panel has other arrays, the rows are not whole segments, or there would be too many numbers.
        The point is amid all rows, so that what lies outside `rows` can move the last bit, and no more.
        """
        if not (panel.X is self.X and panel.y is self.y and panel.valid is self.valid):
            return None
        sizes = np.bincount(self.segment)
        count = np.bincount(self.segment[rows], minlength=len(sizes))
        units, P = 1 if by is None else len(panel.assets), len(names) + 2
        if not ((count == 0) | (count == sizes)).all() or len(sizes) * units * P * P > MOST_NUMBERS:
            return None
        key = (*names, by)
        if key not in self.store:
            self.store[key] = self._sums(make(), panel.y, panel.valid, by)
        M, shift = self.store[key]
        return M[count > 0].sum(axis=0), shift

    def _sums(self, X: np.ndarray, y: np.ndarray, use: np.ndarray, by: str | None) -> tuple[np.ndarray, np.ndarray]:
        """Moments (S, N or 1, P, P) of every segment."""
        shift, edges = (
            shift_of(X, y, use, "asset" if by == "asset" else None),
            np.flatnonzero(np.diff(self.segment)) + 1,
        )
        if by is None:
            return np.add.reduceat(moments(X, y, use, shift, by_date=True), [0, *edges])[:, None], shift
        parts = [slice(start, stop) for start, stop in zip([0, *edges], [*edges, len(y)], strict=True)]
        return np.stack([moments(X[at], y[at], use[at], shift, by_date=False) for at in parts]), shift


def shared_by(folds: Sequence[Fold], panel: Panel) -> Shared | None:
    """The segments of the rows that the training parts of these folds are made of; none of a single fold."""
    if len(folds) < 2:
        return None
    edge = np.zeros(len(panel.y), dtype=bool)
    for fold in folds:
        member = np.zeros(len(edge), dtype=bool)
        member[fold.train] = True
        edge[1:] |= member[1:] != member[:-1]
    return Shared(np.cumsum(edge), panel.X, panel.y, panel.valid)
