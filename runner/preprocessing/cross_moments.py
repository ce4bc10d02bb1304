"""Means, medians and residuals over the assets of each date."""

from __future__ import annotations

import warnings

import numpy as np

from runner.numerics.compiled.rule import DONE

DATES = 16  # at a time, whose cells stay in the cache


def group_means(X: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Mean (T, N, J) over the assets of the same group; NaN where none has a value.

    Codes are (N,), or (T, N) where assets change groups.
    """
    T, _, J = X.shape
    group = np.unique(codes, return_inverse=True)[1].reshape(codes.shape)
    last = int(group.max(initial=0))
    L = last + 1
    # each pair of date and group is one bin
    bin_of_cell = np.arange(T)[:, None] * L + group
    means = np.empty_like(X)
    for j in range(J):
        x = X[:, :, j]
        is_missing = np.isnan(x)
        known = ~is_missing
        bins = bin_of_cell[known]
        total = np.bincount(bins, weights=x[known], minlength=T * L)
        count = np.bincount(bins, minlength=T * L)
        with np.errstate(invalid="ignore"):
            means[:, :, j] = (total / count)[bin_of_cell]
    return means


def sums(X: np.ndarray) -> np.ndarray:
    """Sum (T, 1, J) over assets of what is known.

    One is added after the other: assets without a value, listed or not, cannot move the last bit.
    """
    T, _, J = X.shape
    total = np.empty((T, 1, J))
    for start in range(0, T, DATES):
        dates = slice(start, start + DATES)
        x = X[dates]
        known = np.where(np.isnan(x), 0.0, x)
        total[dates] = np.cumsum(known, axis=1)[:, -1:]
    return total


def means_of_dates(x: np.ndarray) -> np.ndarray:
    """Mean (T,) over assets of what is known of x (T, N); NaN on a date without any."""
    if DONE.has_begun:
        from runner.numerics.compiled import cells  # numba, where it is used

        total, count = cells.sums_over_assets(x)
    else:
        total = sums(x[:, :, None]).sum(axis=(1, 2))
        count = (~np.isnan(x)).sum(axis=1)
    with np.errstate(invalid="ignore"):
        return np.asarray(total / count)


def centred(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """X less its mean over assets (T, N, J), and how many have a value (T, 1, J)."""
    count = (~np.isnan(X)).sum(axis=1, keepdims=True)
    total = sums(X)
    at_least_one = np.maximum(count, 1)
    mean = total / at_least_one
    return X - mean, count


def group_medians(X: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Median (T, N, J) over the assets of the same group; NaN where none has a value.

    Codes are (N,), or (T, N) where assets change groups.
    """
    centres = np.empty_like(X)
    for code in np.unique(codes):
        members = codes == code
        if codes.ndim == 2:
            inside = members[:, :, None]
            medians = _medians(np.where(inside, X, np.nan))
            np.copyto(centres, medians, where=inside)
            continue
        centres[:, members] = _medians(X[:, members])
    return centres


def _medians(part: np.ndarray) -> np.ndarray:
    """Median (T, 1, J) of what is known of part (T, M, J); NaN on a date without any."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.asarray(np.nanmedian(part, axis=1, keepdims=True))


def residuals(x: np.ndarray, Z: np.ndarray) -> np.ndarray:
    """Residuals (N, J) of each column of x (N, J) on Z (N, p), over the rows with both known."""
    left = np.full_like(x, np.nan)
    is_finite = np.isfinite(Z)
    regressors_known = is_finite.all(axis=1)
    for j in range(x.shape[1]):
        rows = np.isfinite(x[:, j]) & regressors_known
        regressors = Z[rows]
        used = regressors[:, regressors.any(axis=0)]
        if not used.size or rows.sum() <= np.linalg.matrix_rank(used):
            continue
        y = x[rows, j]
        b = np.linalg.lstsq(used, y, rcond=None)[0]
        left[rows, j] = y - used @ b
    return left


def adjacent(positions: list[int]) -> slice | list[int]:
    """The same positions, as a slice where they follow each other: numpy then makes no copy."""
    if not positions:
        return positions
    first = positions[0]
    last = positions[-1]
    if positions == list(range(first, last + 1)):
        return slice(first, last + 1)
    return positions
