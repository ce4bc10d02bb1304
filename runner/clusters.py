"""Covariance of one pooled regression whose errors hang together: within assets, within dates, over time.

Scores x*u are summed by cluster before their products are. One pass over the panel in blocks of dates gives
the sums of every date and asset; the clusters of groups are sums of these.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from runner.least_squares import NotEstimable

BLOCK = 16  # dates at a time


class Pool(NamedTuple):
    """One regression: regressors X (T, N, K), target y (T, N), cells in use (T, N), estimates b (k,) and
    bread (k, k)."""

    X: np.ndarray
    y: np.ndarray
    use: np.ndarray
    b: np.ndarray
    bread: np.ndarray

    @property
    def n(self) -> int:
        return int(self.use.sum())

    @property
    def df(self) -> int:
        return self.n - len(self.b)

    def scores(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Scores (B, N, k) of each block of dates, zero in cells that are not in use."""
        T, N, K = self.X.shape
        k = len(self.b)
        buffer = np.ones((BLOCK, N, k))
        for start in range(0, T, BLOCK):
            part = slice(start, min(start + BLOCK, T))
            z = buffer[: part.stop - start]
            z[:, :, : k - K] = 1.0
            z[:, :, k - K :] = self.X[part]
            u = np.where(self.use[part], self.y[part], 0.0) - np.where(self.use[part], z @ self.b, 0.0)
            z[~self.use[part]] = 0.0
            z *= u[:, :, None]
            yield part, z


class Sums(NamedTuple):
    """Scores summed by date (T, k) and by asset (N, k), and the products (k, k) of single cells and of
    date-and-group clusters (without groups those of cells)."""

    by_date: np.ndarray
    by_asset: np.ndarray
    cells: np.ndarray
    pairs: np.ndarray


def sums(pool: Pool, groups: np.ndarray | None = None) -> Sums:
    """One pass over the scores; `groups` (N,) are codes of the groups that meet dates in `pairs`."""
    (T, N), k = pool.y.shape, len(pool.b)
    found = Sums(np.empty((T, k)), np.zeros((N, k)), np.zeros((k, k)), np.zeros((k, k)))
    member = None if groups is None else (groups[None, :] == np.unique(groups)[:, None]).astype(float)
    for part, s in pool.scores():
        found.by_date[part] = np.ones(N) @ s
        found.by_asset[...] += (np.ones(len(s)) @ s.reshape(len(s), -1)).reshape(N, k)
        flat = s.reshape(-1, k)
        found.cells[...] += flat.T @ flat
        if member is not None:
            together = (member @ s).reshape(-1, k)
            found.pairs[...] += together.T @ together
    return found if member is not None else found._replace(pairs=found.cells)


def clustered(pool: Pool, keys: Sequence[np.ndarray | None]) -> tuple[np.ndarray, int]:
    """One- or two-way clusters (Liang and Zeger 1986; Cameron, Gelbach and Miller 2011).

    A key is None for dates, or codes (N,) of assets or groups of them. Each way has the factor G/(G-1)
    (n-1)/(n-k) of its own G clusters; two ways add up less their intersection. Returns the covariance and
    the degrees of freedom of Student's t, the smallest G less one.

    Raises:
        NotEstimable: fewer than two clusters, or two ways that leave a negative variance.
    """
    codes = [key for key in keys if key is not None]
    with_dates = len(codes) < len(keys)
    meeting = with_dates and bool(codes) and len(np.unique(codes[0])) < len(codes[0])
    found = sums(pool, codes[0] if meeting else None)
    ways = [_way(pool, found, key) for key in keys]
    fewest = min(size for _, size in ways)
    if fewest < 2:
        raise NotEstimable(f"{fewest} cluster; clustered errors need at least 2")
    V = np.asarray(sum(_between(pool, meat, size) for meat, size in ways))
    if len(keys) == 2:
        cells = _pairs(pool, codes[0]) if meeting else pool.n
        both = (found.pairs, cells) if with_dates else _way(pool, found, _crossed(codes))
        V = V - _between(pool, *both)
    if not (np.diag(V) > 0.0).all():
        raise NotEstimable("two-way clusters leave a negative variance; cluster by one of them")
    return V, fewest - 1


def driscoll_kraay(pool: Pool, lags: int) -> tuple[np.ndarray, int]:
    """Scores summed by date, then Newey-West over the dates (Driscoll and Kraay 1998), times n / (n - k).

    Bartlett weights 1 - l / (lags + 1). Returns the covariance and the degrees of freedom, dates less one.

    Raises:
        NotEstimable: as many lags as dates.
    """
    by_date = sums(pool).by_date[pool.use.any(axis=1)]
    if lags >= len(by_date):
        raise NotEstimable(f"cov_lags={lags} with {len(by_date)} dates; allowed: less than the dates")
    return pool.bread @ long_run(by_date, lags) @ pool.bread * (pool.n / pool.df), len(by_date) - 1


def long_run(scores: np.ndarray, lags: int) -> np.ndarray:
    """Sum (k, k) of the products of scores (T, k) with themselves and their lags, Bartlett weights."""
    meat = scores.T @ scores
    for lag in range(1, lags + 1):
        product = scores[lag:].T @ scores[:-lag]
        meat += (1.0 - lag / (lags + 1.0)) * (product + product.T)
    return np.asarray(meat)


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
