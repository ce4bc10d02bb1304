"""Covariance of one pooled regression with errors correlated within assets, dates or over time.

Scores x*u are summed by cluster before their products are. One pass over the panel in blocks of
dates gives the sums of every date and asset; the clusters of groups are sums of these.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from runner.estimators.pools import AnyPool, RaggedPool
from runner.estimators.standard_errors import Estimated
from runner.numerics.covariance import long_run, refuse_full_leverage
from runner.numerics.least_squares import NotEstimable
from runner.numerics.moments import halves


class Sums(NamedTuple):
    """Sums and products of the scores.

    Attributes:
        by_date, by_asset: (T, k) and (N, k) sums.
        cells: (k, k) products of single cells.
        pairs: (k, k) products of date-and-group clusters; without groups those of cells.
    """

    by_date: np.ndarray
    by_asset: np.ndarray
    cells: np.ndarray
    pairs: np.ndarray


def sums(pool: AnyPool, groups: np.ndarray | None = None) -> Sums:
    """One pass over the scores; `groups` (N,) codes the groups that meet dates in `pairs`."""

    def sums_of_rows(rows: slice) -> Sums:
        return _sums(pool, rows, groups)

    T, _ = pool.shape
    parts = halves(T, sums_of_rows, cells_by_date=pool.cells_by_date)
    of_dates, of_assets, of_cells, of_pairs = zip(*parts, strict=True)
    by_date = np.concatenate(of_dates)
    by_asset = np.asarray(sum(of_assets))
    cells = np.asarray(sum(of_cells))
    pairs = np.asarray(sum(of_pairs))
    return Sums(by_date, by_asset, cells, pairs)


def _sums(pool: AnyPool, rows: slice, groups: np.ndarray | None) -> Sums:
    """The sums of the scores over these dates, by date, by asset, and of their products."""
    if groups is None and isinstance(pool, RaggedPool) and pool.is_compiled:
        of_dates, sums_of_scores = pool.scores(rows)
        products = sums_of_scores.products
        return Sums(of_dates, sums_of_scores.by_asset, products, products)
    _, N = pool.shape
    k = len(pool.b)
    length = rows.stop - rows.start
    by_date = np.zeros((length, k))
    by_asset = np.zeros((k, N))
    cells = np.zeros((k, k))
    pairs = np.zeros((k, k))
    for block in pool.blocks(rows):
        scores = block.scores
        first = block.dates.start - rows.start
        last = first + len(scores)
        by_date[first:last] = scores.sum(axis=2)
        by_asset[:, block.assets] += scores.sum(axis=0)
        cells += _products(scores)
        if groups is not None:
            pairs += _products(_by_group(scores, groups[block.assets]))
    if groups is None:
        pairs = cells
    return Sums(by_date, by_asset.T, cells, pairs)


def _by_group(scores: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Sums (B, k, G) of scores (B, k, A) over the assets of each group, coded (A,)."""
    order = np.argsort(groups, kind="stable")
    in_order = groups[order]
    starts = np.flatnonzero(np.append(True, in_order[1:] != in_order[:-1]))
    if (np.diff(order) != 1).any():
        scores = scores[:, :, order]
    return np.add.reduceat(scores, starts, axis=2)


def _products(scores: np.ndarray) -> np.ndarray:
    """Sum (k, k) of the products of scores (B, k, N) over cells."""
    transposed = scores.swapaxes(1, 2)
    products = np.matmul(scores, transposed)
    return products.sum(axis=0)


def white(pool: AnyPool, lags: int, keys: Sequence[np.ndarray | None], kind: str) -> Estimated:
    """HC0 to HC3 as in `runner.numerics.covariance`, cell by cell.

    Raises:
        NotEstimable: HC2 or HC3 with rows of leverage 1.
    """
    meat = np.zeros_like(pool.bread)
    T, _ = pool.shape
    every = slice(0, T)
    for block in pool.blocks(every):
        z = block.z
        u = block.u
        if kind in ("HC2", "HC3"):
            leverage = np.einsum("tkn,tkn->tn", pool.bread @ z, z)
            slack = 1.0 - leverage
            refuse_full_leverage(slack)
            divisor = slack if kind == "HC3" else np.sqrt(slack)
            u = u / divisor
        z *= u[:, None]
        meat += _products(z)
    factor = 1.0
    if kind == "HC1":
        factor = pool.n / pool.df
    half_sandwich = pool.bread @ meat
    sandwich = half_sandwich @ pool.bread
    V = sandwich * factor
    return Estimated(V, pool.df)


def clustered(pool: AnyPool, lags: int, keys: Sequence[np.ndarray | None]) -> Estimated:
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
    # groups of several assets meet dates in clusters of more than a cell
    meeting = with_dates and bool(codes) and _repeats(codes[0])
    groups = codes[0] if meeting else None
    scores = sums(pool, groups)
    ways = [_way(pool, scores, key) for key in keys]
    sizes = tuple(size for _, size in ways)
    fewest = min(sizes)
    if fewest < 2:
        raise NotEstimable(f"{fewest} cluster; clustered errors need at least 2")
    V = np.zeros_like(pool.bread)
    for meat, size in ways:
        V = V + _between(pool, meat, size)
    zeroed = 0
    if len(keys) == 2:
        if not with_dates:
            crossed = _crossed(codes)
            meat, size = _way(pool, scores, crossed)
        else:
            meat = scores.pairs
            size = pool.meetings(codes[0]) if meeting else pool.n
        overlap = _between(pool, meat, size)
        V, zeroed = positive(V - overlap)
    variance = np.diag(V)
    if not (variance > 0.0).all():
        raise NotEstimable(
            "the clusters leave an estimate without variance; cluster by something else"
        )
    degrees = fewest - 1
    return Estimated(V, degrees, zeroed, sizes)


def _repeats(codes: np.ndarray) -> bool:
    """Whether two assets have the same code."""
    distinct = np.unique(codes)
    different = len(distinct)
    return different < len(codes)


def positive(V: np.ndarray) -> tuple[np.ndarray, int]:
    """A symmetric V (k, k) with its negative eigenvalues set to zero, and how many they were.

    Covariances by two ways of clustering are differences, and need not be positive semi-definite
    (Cameron, Gelbach and Miller 2011, section 2.3). What is negative by rounding alone is set to
    zero too, and not counted.
    """
    both_ways = V + V.T
    symmetric = both_ways / 2.0
    values, vectors = np.linalg.eigh(symmetric)
    if values[0] >= 0.0:
        return V, 0
    kept = np.maximum(values, 0.0)
    sizes = np.abs(values)
    largest = sizes.max()
    precision = np.finfo(float)
    eps = precision.eps
    rounding = len(V) * eps * largest
    negative = values < -rounding
    zeroed = int(negative.sum())
    scaled = vectors * kept
    repaired = scaled @ vectors.T
    return repaired, zeroed


def driscoll_kraay(pool: AnyPool, lags: int, keys: Sequence[np.ndarray | None]) -> Estimated:
    """Newey-West of scores summed by date (Driscoll and Kraay 1998), times n / (n - k).

    Bartlett weights 1 - l / (lags + 1). The degrees of freedom are the dates less one.

    Raises:
        NotEstimable: as many lags as dates, or one date, whose scores sum to zero.
    """
    used = pool.cells_by_date > 0
    scores = sums(pool)
    by_date = scores.by_date[used]
    dates = len(by_date)
    if dates < 2:
        raise NotEstimable(f"{dates} date; Driscoll-Kraay errors need at least 2")
    if lags >= dates:
        raise NotEstimable(f"cov_lags={lags} with {dates} dates; allowed: less than the dates")
    meat = long_run(by_date, lags)
    factor = pool.n / pool.df
    half_sandwich = pool.bread @ meat
    sandwich = half_sandwich @ pool.bread
    V = sandwich * factor
    return Estimated(V, dates - 1, clusters=(dates,))


def _way(pool: AnyPool, scores: Sums, key: np.ndarray | None) -> tuple[np.ndarray, int]:
    """Products (k, k) of the sums of one way of clustering, and its number of clusters."""
    if key is None:
        by_date = scores.by_date
        dates = int(np.count_nonzero(pool.cells_by_date))
        return by_date.T @ by_date, dates
    used = pool.used_assets
    used_key = key[used]
    names, cluster = np.unique(used_key, return_inverse=True)
    by_asset = scores.by_asset[used]
    columns = [np.bincount(cluster, weights=column) for column in by_asset.T]
    by_cluster = np.column_stack(columns)
    meat = by_cluster.T @ by_cluster
    return meat, len(names)


def _crossed(codes: Sequence[np.ndarray]) -> np.ndarray:
    """Codes (N,) of the intersection of two ways of grouping assets."""
    pairs = np.column_stack(codes)
    _, intersection = np.unique(pairs, axis=0, return_inverse=True)
    return intersection.ravel()


def _between(pool: AnyPool, meat: np.ndarray, size: int) -> np.ndarray:
    """bread @ meat @ bread times G/(G-1) (n-1)/(n-k), `size` the number of clusters G."""
    clusters = size / (size - 1.0)
    rows = pool.n - 1.0
    factor_of_rows = clusters * rows
    factor = factor_of_rows / pool.df
    half_sandwich = pool.bread @ meat
    sandwich = half_sandwich @ pool.bread
    corrected = sandwich * factor
    return np.asarray(corrected)
