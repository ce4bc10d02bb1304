"""Covariance of pooled estimates where errors hang together: within assets, within dates, over time.

Scores x*u (n, k) are summed by cluster before their products are; each function gives the covariance and
the degrees of freedom of Student's t that go with it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from runner.least_squares import NotEstimable, Solution


def clustered(fit: Solution, keys: Sequence[np.ndarray]) -> tuple[np.ndarray, int]:
    """One- or two-way clusters, keys (n,) of codes (Liang and Zeger 1986; Cameron, Gelbach and Miller 2011).

    Each way has the factor G/(G-1) (n-1)/(n-k) of its own G clusters; two ways add up less their
    intersection. Degrees of freedom: the smallest G less one.

    Raises:
        NotEstimable: fewer than two clusters, or two ways that leave a negative variance.
    """
    sizes = [len(np.unique(key)) for key in keys]
    if min(sizes) < 2:
        raise NotEstimable(f"{min(sizes)} cluster; clustered errors need at least 2")
    V = sum(_one_way(fit, key) for key in keys)
    if len(keys) == 2:
        V = V - _one_way(fit, np.unique(np.column_stack(keys), axis=0, return_inverse=True)[1].ravel())
    if not (np.diag(V) > 0.0).all():
        raise NotEstimable("two-way clusters leave a negative variance; cluster by one of them")
    return np.asarray(V), min(sizes) - 1


def driscoll_kraay(fit: Solution, dates: np.ndarray, lags: int) -> tuple[np.ndarray, int]:
    """Scores summed by date, then Newey-West over the dates (Driscoll and Kraay 1998), times n / (n - k).

    `dates` (n,) are increasing codes; Bartlett weights 1 - l / (lags + 1). Degrees of freedom: dates less one.

    Raises:
        NotEstimable: as many lags as dates.
    """
    sums = _sums(fit, dates)
    if lags >= len(sums):
        raise NotEstimable(f"cov_lags={lags} with {len(sums)} dates; allowed: less than the dates")
    meat = long_run(sums, lags)
    return fit.bread @ meat @ fit.bread * (fit.n / fit.df), len(sums) - 1


def long_run(scores: np.ndarray, lags: int) -> np.ndarray:
    """Sum (k, k) of the products of scores (T, k) with themselves and their lags, Bartlett weights."""
    meat = scores.T @ scores
    for lag in range(1, lags + 1):
        product = scores[lag:].T @ scores[:-lag]
        meat += (1.0 - lag / (lags + 1.0)) * (product + product.T)
    return np.asarray(meat)


def _one_way(fit: Solution, key: np.ndarray) -> np.ndarray:
    sums = _sums(fit, key)
    factor = len(sums) / (len(sums) - 1.0) * (fit.n - 1.0) / fit.df
    return np.asarray(fit.bread @ (sums.T @ sums) @ fit.bread * factor)


def _sums(fit: Solution, key: np.ndarray) -> np.ndarray:
    """Scores (G, k) summed by cluster, in order of the codes."""
    _, codes = np.unique(key, return_inverse=True)
    return np.column_stack([np.bincount(codes, weights=column) for column in (fit.X * fit.u[:, None]).T])
