"""Covariance of one pooled regression whose errors hang together: within assets, within dates, over
time.

Scores x*u are summed by cluster before their products are. One pass over the panel in blocks of
dates gives the sums of every date and asset; the clusters of groups are sums of these.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from runner.estimators.standard_errors import Estimated
from runner.numerics.covariance import long_run
from runner.numerics.least_squares import NotEstimable
from runner.numerics.moments import halves

CELLS = 8_192  # of one regressor at a time, which stay in the cache
FEWEST_DATES = 16  # at a time, however many assets there are


class Pool(NamedTuple):
    """One regression: regressors X (T, N, K), target y (T, N), cells in use (T, N), estimates b
    (k,) and bread (k, k); weights (T, N); what fixed effects take of each column, alpha (N, K + 1)
    and delta (T, K + 1), and the degrees of freedom that they take; and dummies (N, L), which stand
    last in b."""

    X: np.ndarray
    y: np.ndarray
    use: np.ndarray
    b: np.ndarray
    bread: np.ndarray
    weights: np.ndarray | None = None
    alpha: np.ndarray | None = None
    delta: np.ndarray | None = None
    absorbed: int = 0
    member: np.ndarray | None = None

    @property
    def n(self) -> int:
        return int(self.use.sum())

    @property
    def df(self) -> int:
        return self.n - len(self.b) - self.absorbed

    def blocks(self, rows: slice) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
        """Regressors (B, k, N) and residuals (B, N) of each block of these dates, less the effects
        and times the root of the weights, zero in cells that are not in use."""
        (_, N, K), dummies = (
            self.X.shape,
            np.empty((0, self.y.shape[1])) if self.member is None else self.member.T,
        )
        k = len(self.b) - len(dummies)
        size = min(max(CELLS // N, FEWEST_DATES), max(rows.stop - rows.start, 1))
        buffer = np.ones((size, len(self.b), N))
        for start in range(rows.start, rows.stop, size):
            part = slice(start, min(start + size, rows.stop))
            z, use = buffer[: part.stop - start], self.use[part]
            z[:, : k - K] = 1.0
            z[:, k - K : k] = self.X[part].swapaxes(1, 2)
            z[:, k:] = dummies
            y = self.y[part].copy()
            if self.alpha is not None and self.delta is not None:
                z -= self.alpha[:, :K].T + self.delta[part, :K, None]
                y -= self.alpha[:, K] + self.delta[part, K, None]
            every = bool(use.all())
            if not every:
                z.swapaxes(1, 2)[~use], y[~use] = 0.0, 0.0
            u = y - self.b @ z
            if self.weights is not None:
                root = np.sqrt(np.where(use, self.weights[part], 0.0))
                z *= root[:, None]
                u *= root
            yield part, z, u

    def scores(self, rows: slice) -> Iterator[tuple[slice, np.ndarray]]:
        """Scores (B, k, N) of each block of these dates, zero in cells that are not in use."""
        for part, z, u in self.blocks(rows):
            z *= u[:, None]
            yield part, z


class Sums(NamedTuple):
    """Scores summed by date (T, k) and by asset (N, k), and the products (k, k) of single cells and
    of date-and-group clusters (without groups those of cells)."""

    by_date: np.ndarray
    by_asset: np.ndarray
    cells: np.ndarray
    pairs: np.ndarray


def sums(pool: Pool, groups: np.ndarray | None = None) -> Sums:
    """One pass over the scores; `groups` (N,) are codes of the groups that meet dates in
    `pairs`.
    """
    parts = halves(len(pool.y), lambda rows: _sums(pool, rows, groups))
    together = [np.asarray(sum(column)) for column in list(zip(*parts, strict=True))[1:]]
    return Sums(np.concatenate([part.by_date for part in parts]), *together)


def _sums(pool: Pool, rows: slice, groups: np.ndarray | None) -> Sums:
    N, k = pool.y.shape[1], len(pool.b)
    by_date, by_asset = np.empty((rows.stop - rows.start, k)), np.zeros((k, N))
    cells, pairs = np.zeros((k, k)), np.zeros((k, k))
    member = None if groups is None else (groups[:, None] == np.unique(groups)).astype(float)
    for part, s in pool.scores(rows):
        by_date[part.start - rows.start : part.stop - rows.start] = s.sum(axis=2)
        by_asset += s.sum(axis=0)
        cells += np.matmul(s, s.swapaxes(1, 2)).sum(axis=0)
        if member is not None:
            together = s @ member
            pairs += np.matmul(together, together.swapaxes(1, 2)).sum(axis=0)
    return Sums(by_date, by_asset.T, cells, cells if member is None else pairs)


def white(pool: Pool, lags: int, keys: Sequence[np.ndarray | None], kind: str) -> Estimated:
    """HC0 to HC3 as in `runner.numerics.covariance`, cell by cell.

    Raises:
        NotEstimable: HC2 or HC3 with rows of leverage 1.
    """
    meat = np.zeros_like(pool.bread)
    for _, z, u in pool.blocks(slice(0, len(pool.y))):
        if kind in ("HC2", "HC3"):
            slack = 1.0 - np.einsum("tkn,tkn->tn", pool.bread @ z, z)
            if (slack < 1e-10).any():
                raise NotEstimable(
                    f"HC2 and HC3 do not exist: {int((slack < 1e-10).sum())} rows have leverage 1"
                )
            u = u / (slack if kind == "HC3" else np.sqrt(slack))
        z *= u[:, None]
        meat += np.matmul(z, z.swapaxes(1, 2)).sum(axis=0)
    factor = pool.n / pool.df if kind == "HC1" else 1.0
    return Estimated(pool.bread @ meat @ pool.bread * factor, pool.df)


def clustered(pool: Pool, lags: int, keys: Sequence[np.ndarray | None]) -> Estimated:
    """One- or two-way clusters (Liang and Zeger 1986; Cameron, Gelbach and Miller 2011).

    A key is None for dates, or codes (N,) of assets or groups of them. Each way has the factor
    G/(G-1) (n-1)/(n-k) of its own G clusters; two ways add up less their intersection, and negative
    eigenvalues of that are set to zero. The degrees of freedom of Student's t are the smallest G
    less one.

    Raises:
        NotEstimable: fewer than two clusters, or an estimate without variance.
    """
    codes = [key for key in keys if key is not None]
    with_dates = len(codes) < len(keys)
    meeting = with_dates and bool(codes) and len(np.unique(codes[0])) < len(codes[0])
    found = sums(pool, codes[0] if meeting else None)
    ways = [_way(pool, found, key) for key in keys]
    fewest = min(size for _, size in ways)
    if fewest < 2:
        raise NotEstimable(f"{fewest} cluster; clustered errors need at least 2")
    V, zeroed = np.asarray(sum(_between(pool, meat, size) for meat, size in ways)), 0
    if len(keys) == 2:
        cells = _pairs(pool, codes[0]) if meeting else pool.n
        both = (found.pairs, cells) if with_dates else _way(pool, found, _crossed(codes))
        V, zeroed = positive(V - _between(pool, *both))
    if not (np.diag(V) > 0.0).all():
        raise NotEstimable(
            "the clusters leave an estimate without variance; cluster by something else"
        )
    return Estimated(V, fewest - 1, zeroed)


def positive(V: np.ndarray) -> tuple[np.ndarray, int]:
    """A symmetric V (k, k) with its negative eigenvalues set to zero, and how many they were.

    Covariances by two ways of clustering are differences, and need not be positive semi-definite
    (Cameron, Gelbach and Miller 2011, section 2.3). What is negative by rounding alone is set to
    zero too, and not counted.
    """
    values, vectors = np.linalg.eigh((V + V.T) / 2.0)
    if values[0] >= 0.0:
        return V, 0
    kept = np.maximum(values, 0.0)
    rounding = len(V) * np.finfo(float).eps * np.abs(values).max()
    return (vectors * kept) @ vectors.T, int((values < -rounding).sum())


def driscoll_kraay(pool: Pool, lags: int, keys: Sequence[np.ndarray | None]) -> Estimated:
    """Scores summed by date, then Newey-West over the dates (Driscoll and Kraay 1998), times n / (n
    - k).

    Bartlett weights 1 - l / (lags + 1). The degrees of freedom are the dates less one.

    Raises:
        NotEstimable: as many lags as dates, or one date, whose scores sum to zero.
    """
    by_date = sums(pool).by_date[pool.use.any(axis=1)]
    if len(by_date) < 2:
        raise NotEstimable(f"{len(by_date)} date; Driscoll-Kraay errors need at least 2")
    if lags >= len(by_date):
        raise NotEstimable(
            f"cov_lags={lags} with {len(by_date)} dates; allowed: less than the dates"
        )
    V = pool.bread @ long_run(by_date, lags) @ pool.bread * (pool.n / pool.df)
    return Estimated(V, len(by_date) - 1)


def _way(pool: Pool, found: Sums, key: np.ndarray | None) -> tuple[np.ndarray, int]:
    """Products (k, k) of the sums of one way of clustering, and its number of clusters."""
    if key is None:
        return found.by_date.T @ found.by_date, int(pool.use.any(axis=1).sum())
    own = pool.use.any(axis=0)
    names, at = np.unique(key[own], return_inverse=True)
    total = np.column_stack([np.bincount(at, weights=column) for column in found.by_asset[own].T])
    return total.T @ total, len(names)


def _pairs(pool: Pool, codes: np.ndarray) -> int:
    """How many date-and-group clusters have a cell."""
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.append(True, np.diff(codes[order]) != 0))
    return int(np.logical_or.reduceat(pool.use[:, order], starts, axis=1).sum())


def _crossed(codes: Sequence[np.ndarray]) -> np.ndarray:
    """Codes (N,) of the intersection of two ways of grouping assets."""
    return np.unique(np.column_stack(codes), axis=0, return_inverse=True)[1].ravel()


def _between(pool: Pool, meat: np.ndarray, size: int) -> np.ndarray:
    factor = size / (size - 1.0) * (pool.n - 1.0) / pool.df
    return np.asarray(pool.bread @ meat @ pool.bread * factor)
