"""Means, medians and residuals over the assets of each date."""

from __future__ import annotations

import warnings

import numpy as np


def group_means(X: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Mean (T, N, J) over the assets of the same group, given codes (N,); NaN without a value."""
    group = np.unique(codes, return_inverse=True)[1]
    order = np.argsort(group, kind="stable")
    known = ~np.isnan(X)
    groups = np.arange(group.max() + 1)
    starts = np.searchsorted(group[order], groups)
    filled = np.where(known, X, 0.0)
    total = np.add.reduceat(filled[:, order], starts, axis=1)
    count = np.add.reduceat(known[:, order], starts, axis=1, dtype=float)
    with np.errstate(invalid="ignore"):
        means = total / count
    return means[:, group]


def centred(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """X less its mean over assets (T, N, J), and how many have a value (T, 1, J)."""
    count = (~np.isnan(X)).sum(axis=1, keepdims=True)
    total = np.nansum(X, axis=1, keepdims=True)
    mean = total / np.maximum(count, 1)
    return X - mean, count


def group_medians(X: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Median (T, N, J) over the assets of the same group, given codes (N,); NaN without a value."""
    centres = np.empty_like(X)
    for code in np.unique(codes):
        members = codes == code
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
    regressors_known = np.isfinite(Z).all(axis=1)
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
