"""Tests over all assets together: do the factors price every one of them?"""

from __future__ import annotations

import numpy as np
from scipy.special import fdtrc

from runner.inference import Wald
from runner.panel import Panel


def shared_regressors(panel: Panel, rows: np.ndarray, names: list[str]) -> np.ndarray | None:
    """Regressors (T, K) where they are the same for every asset and every asset has every row, else None."""
    if len(panel.assets) < 2 or not names or not panel.valid[rows].all():
        return None
    X = panel.X[rows][:, :, [panel.names.index(name) for name in names]]
    same = bool(np.equal(X, X[:, :1]).all())
    return X[:, 0] if same else None


def grs(alpha: np.ndarray, residuals: np.ndarray, factors: np.ndarray) -> Wald | None:
    """Gibbons, Ross and Shanken (1989): every alpha is zero. F with (N, T - N - K) degrees of freedom.

    F = (T - N - K) / N * alpha' S^-1 alpha / (1 + m' W^-1 m), S (N, N) and W (K, K) the covariances (ddof 0) of
    residuals (T, N) and factors (T, K), m the means of the factors. Exact under normal errors. None with
    too few rows for the assets, or assets whose residuals are collinear.
    """
    T, N = residuals.shape
    K = factors.shape[1]
    S = residuals.T @ residuals / T
    scale = np.sqrt(np.diag(S))
    if T - N - K < 1 or not (scale > 0.0).all() or np.linalg.cond(S / np.outer(scale, scale)) > 1e12:
        return None
    mean = factors.mean(axis=0)
    W = np.atleast_2d(np.cov(factors, rowvar=False, ddof=0))
    a = alpha / scale
    priced = a @ np.linalg.solve(S / np.outer(scale, scale), a) / (1.0 + mean @ np.linalg.solve(W, mean))
    f = float((T - N - K) / N * priced)
    return Wald(f, N, T - N - K, float(fdtrc(N, T - N - K, f)))
