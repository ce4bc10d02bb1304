"""The columns [x, y] of a regression beside fixed effects: of every cell, or of rows of some."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from runner.numerics.moments import evenly, shift_of

BLOCK = 16  # dates at a time
AT_A_TIME = 2**15  # rows
SAMPLE = 2000  # rows whose mean is the point that all are about

Sums = tuple[np.ndarray, np.ndarray, np.ndarray]  # (P, P), (P, N) and (dates, P)


class Cells(NamedTuple):
    """Regressors X (T, N, K), target y (T, N), cells in use (T, N), and weights (T, N) or None."""

    X: np.ndarray
    y: np.ndarray
    use: np.ndarray
    weights: np.ndarray | None

    @property
    def shape(self) -> tuple[int, int]:
        """Dates and assets."""
        T, N = self.y.shape
        return T, N

    @property
    def n(self) -> int:
        """Cells in use."""
        return int(self.use.sum())

    @property
    def balanced(self) -> bool:
        """Whether every cell is in use and counts the same."""
        return self.weights is None and bool(self.use.all())

    @property
    def table(self) -> np.ndarray:
        """Weights (T, N), zero in cells that are not in use."""
        if self.weights is None:
            return self.use.astype(float)
        return np.where(self.use, self.weights, 0.0)

    def point(self) -> np.ndarray:
        """(K + 1,) amid the columns, where rounding is least."""
        return shift_of(self.X, self.y, self.use)[0, 0]

    def dates_and_assets(self) -> tuple[np.ndarray, np.ndarray]:
        """Which dates (T,) and assets (N,) have a cell in use."""
        return np.asarray(self.use.any(axis=1)), np.asarray(self.use.any(axis=0))

    def places(self) -> tuple[np.ndarray, np.ndarray]:
        """Positions (n,) of the dates and assets of the cells in use."""
        t, i = np.nonzero(self.use)
        return t, i

    def in_use(self) -> np.ndarray:
        """The columns (n, K + 1) of the cells in use."""
        return np.column_stack([self.X[self.use], self.y[self.use]])

    def weights_in_use(self) -> np.ndarray | None:
        """Weights (n,) of the cells in use, None without any."""
        return None if self.weights is None else self.weights[self.use]

    def of_columns(self, columns: np.ndarray) -> Cells:
        """The same with these columns (n, K + 1) in the cells in use, zero elsewhere."""
        X = np.zeros(self.X.shape)
        y = np.zeros(self.y.shape)
        X[self.use] = columns[:, :-1]
        y[self.use] = columns[:, -1]
        return self._replace(X=X, y=y)

    def less(self, b: np.ndarray) -> Cells:
        """The same with the residuals y - X b for a target."""
        # cells that are not in use may hold anything
        with np.errstate(invalid="ignore", over="ignore"):
            return self._replace(y=self.y - self.X @ b)

    def blocks(self, rows: slice) -> Iterator[tuple[slice, np.ndarray, np.ndarray | None]]:
        """Columns [x, y] (B, K + 1, N) of each block of these dates, and weights (B, N).

        The columns are written over by the next block.
        """
        _, N, K = self.X.shape
        shape = (BLOCK, K + 1, N)
        buffer = np.empty(shape)
        for start in range(rows.start, rows.stop, BLOCK):
            stop = min(start + BLOCK, rows.stop)
            part = slice(start, stop)
            z = buffer[: stop - start]
            X = self.X[part]
            z[:, :K] = X.swapaxes(1, 2)
            z[:, K] = self.y[part]
            weights = None
            if self.weights is not None:
                weights = np.where(self.use[part], self.weights[part], 0.0)
            yield part, z, weights

    @np.errstate(over="ignore", invalid="ignore")
    def sums(self, alpha: np.ndarray, delta: np.ndarray, rows: slice) -> Sums:
        """Products of the columns less these effects on these dates, and sums of them.

        Args:
            alpha, delta: of assets (N, P) and dates (T, P).

        Returns:
            Products (P, P), sums over these dates (P, N) and over assets (dates, P).
        """
        N, P = alpha.shape
        S = np.zeros((P, P))
        A = np.zeros((P, N))
        length = rows.stop - rows.start
        D = np.empty((length, P))
        with_dates = bool(delta.any())
        for part, z, w in self.blocks(rows):
            use = self.use[part]
            z -= alpha.T
            if with_dates:
                z -= delta[part, :, None]
            if not use.all():
                by_cell = z.swapaxes(1, 2)
                by_cell[~use] = 0.0
            weighted = z if w is None else z * w[:, None]
            weighted_by_cell = weighted.swapaxes(1, 2)
            products = np.matmul(z, weighted_by_cell)
            S += products.sum(axis=0)
            A += weighted.sum(axis=0)
            first = part.start - rows.start
            last = first + len(z)
            D[first:last] = weighted.sum(axis=2)
        return S, A, D


class RowCells(NamedTuple):
    """The same of rows in use alone, in order of date, then asset.

    Attributes:
        shape: dates and assets.
        t, i: (n,) positions of the dates and assets of the rows.
        X: regressors (K, n), a line each. y: target (n,). weights: (n,), or None.
    """

    shape: tuple[int, int]
    t: np.ndarray
    i: np.ndarray
    X: np.ndarray
    y: np.ndarray
    weights: np.ndarray | None

    @property
    def n(self) -> int:
        """Rows."""
        return len(self.t)

    @property
    def balanced(self) -> bool:
        """Whether every cell is in use and counts the same."""
        T, N = self.shape
        return self.weights is None and self.n == T * N

    @property
    def table(self) -> Any:
        """Weights (T, N), zero in cells that are not in use: a sparse array."""
        from scipy.sparse import csr_array

        weights = np.ones(self.n) if self.weights is None else self.weights
        return csr_array((weights, (self.t, self.i)), shape=self.shape)

    def point(self) -> np.ndarray:
        """(K + 1,) amid the columns, where rounding is least."""
        some = evenly(self.n, SAMPLE)
        x_mean = self.X[:, some].mean(axis=1)
        return np.append(x_mean, self.y[some].mean())

    def dates_and_assets(self) -> tuple[np.ndarray, np.ndarray]:
        """Which dates (T,) and assets (N,) have a row."""
        T, N = self.shape
        return np.bincount(self.t, minlength=T) > 0, np.bincount(self.i, minlength=N) > 0

    def places(self) -> tuple[np.ndarray, np.ndarray]:
        """Positions (n,) of the dates and assets of the rows."""
        return self.t, self.i

    def in_use(self) -> np.ndarray:
        """The columns (n, K + 1) of the rows."""
        return np.concatenate([self.X, self.y[None]]).T

    def weights_in_use(self) -> np.ndarray | None:
        """Weights (n,) of the rows, None without any."""
        return self.weights

    def of_columns(self, columns: np.ndarray) -> RowCells:
        """The same with these columns (n, K + 1)."""
        lines = np.ascontiguousarray(columns.T)
        return self._replace(X=lines[:-1], y=lines[-1])

    def less(self, b: np.ndarray) -> RowCells:
        """The same with the residuals y - X b for a target."""
        with np.errstate(invalid="ignore", over="ignore"):
            return self._replace(y=self.y - b @ self.X)

    @np.errstate(over="ignore", invalid="ignore")
    def sums(self, alpha: np.ndarray, delta: np.ndarray, rows: slice) -> Sums:
        """As of `Cells`."""
        N, P = alpha.shape
        S = np.zeros((P, P))
        A = np.zeros((P, N))
        D = np.zeros((rows.stop - rows.start, P))
        # edges of another type would copy t
        edges = np.array([rows.start, rows.stop], dtype=self.t.dtype)
        start, stop = np.searchsorted(self.t, edges).tolist()
        of_assets = np.ascontiguousarray(alpha.T)
        of_dates = np.ascontiguousarray(delta.T)
        for first in range(start, stop, AT_A_TIME):
            own = slice(first, min(first + AT_A_TIME, stop))
            t = self.t[own]
            i = self.i[own]
            z = np.concatenate([self.X[:, own], self.y[None, own]])
            z -= of_assets.take(i, axis=1)
            z -= of_dates.take(t, axis=1)
            weighted = z if self.weights is None else z * self.weights[own]
            S += z @ weighted.T
            for sums, values in zip(A, weighted, strict=True):
                np.add.at(sums, i, values)
            new_date = np.flatnonzero(np.diff(t, prepend=-1))
            D[t[new_date] - rows.start] += np.add.reduceat(weighted, new_date, axis=1).T
        return S, A, D


AnyCells = Cells | RowCells
