"""Tests over all assets together: do the factors price every one of them?"""

from __future__ import annotations

import numpy as np
from scipy.special import fdtrc

from runner.estimation import regressors
from runner.inference import Wald
from runner.moments import BLOCK
from runner.panel import Panel


def shared_regressors(panel: Panel, rows: np.ndarray, names: list[str]) -> np.ndarray | None:
    """Regressors (T, K) where they are the same for every asset and every asset has every row, else None."""
    if len(panel.assets) < 2 or not names or not panel.valid[rows].all():
        return None
    X = regressors(panel, names)
    for start in (0, *range(1, len(rows), BLOCK)):  # one row, which mostly says it, and then many at a time
        part = X[rows[start : start + BLOCK if start else 1]]
        if not bool(np.equal(part, part[:, :1]).all()):
            return None
    return np.asarray(X[rows, 0])


def grs(alpha: np.ndarray, residuals: np.ndarray, factors: np.ndarray) -> Wald | None:
    """Gibbons, Ross and Shanken (1989): every alpha is zero. F with (N, T - N - K) degrees of freedom.

    F = (T - N - K) / N * alpha' S^-1 alpha / (1 + m' W^-1 m), S (N, N) and W (K, K) the covariances (ddof 0) of
    residuals (T, N) and factors (T, K), m the means of the factors. Exact under normal errors. None with
    too few rows for the assets, or assets whose residuals are collinear.
    """
    T, N = residuals.shape
    K = factors.shape[1]
    scale = np.sqrt(np.mean(residuals**2, axis=0))
    if T - N - K < 1 or not (scale > 0.0).all():
        return None
    S = (residuals / scale).T @ (residuals / scale) / T
    eigen = np.linalg.eigvalsh(S)
    if eigen[0] < 1e-12 * eigen[-1]:
        return None
    mean = factors.mean(axis=0)
    W = np.atleast_2d(np.cov(factors, rowvar=False, ddof=0))
    a = alpha / scale
    priced = a @ np.linalg.solve(S, a) / (1.0 + mean @ np.linalg.solve(W, mean))
    f = float((T - N - K) / N * priced)
    return Wald(f, N, T - N - K, float(fdtrc(N, T - N - K, f)))
