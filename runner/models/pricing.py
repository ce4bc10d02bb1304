"""Tests over all assets together: do the factors price every one of them?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import fdtrc

from runner.errors import listed
from runner.estimators.estimation import regressors
from runner.numerics.inference import Wald
from runner.numerics.least_squares import NotEstimable
from runner.numerics.moments import BLOCK
from runner.panels.panel import Panel
from runner.text import count

GRS = "GRS: const = 0 in every asset"
# smallest over largest eigenvalue of the residual covariance below which it has no inverse
COLLINEAR = 1e-12


class Priced(NamedTuple):
    """The test that every constant is zero, or the reason why there is none.

    Attributes:
        result: F and its p-value; None with a reason.
        dates: those on which every asset has a row, which the test is of.
        of: dates on which some asset has one.
    """

    result: Wald | None
    reason: str
    dates: int
    of: int

    @property
    def name(self) -> str:
        """The hypothesis, with the dates that it is of where some have not every asset."""
        if self.dates == self.of:
            return GRS
        return f"{GRS} (on {self.dates:,} of {self.of:,} dates, those that every asset has)"


def price_every_asset(
    panel: Panel, rows: np.ndarray, names: list[str], missing: Sequence[str]
) -> Priced:
    """The GRS test of least squares by asset on these regressors, on the dates that all assets
    have.

    Args:
        rows: that were fitted.
        names: of the regressors.
        missing: assets without estimates.
    """
    valid = panel.valid[rows]
    dates, of = int(valid.all(axis=1).sum()), int(valid.any(axis=1).sum())
    N, K = len(panel.assets), len(names)
    if missing:
        return Priced(None, f"{listed(missing)} {_was(missing)} not estimated", dates, of)
    if not names:
        return Priced(None, "there is no regressor", dates, of)
    if dates <= N + K:
        reason = (
            f"{count(dates, 'date')} on which every asset has a row; needs at least {N + K + 1}"
        )
        return Priced(None, reason, dates, of)
    common = rows[valid.all(axis=1)]
    own = differing(panel, common, names)
    if own:
        verb = "differs" if len(own) == 1 else "differ"
        return Priced(
            None, f"{listed(own)} {verb} between assets, and it takes shared regressors", dates, of
        )
    F = regressors(panel, names)[common, 0]
    design = np.column_stack([np.ones(len(F)), F])
    y = panel.y[common]
    b, _, rank, _ = np.linalg.lstsq(design / _size(design), y, rcond=None)
    if rank < K + 1:
        return Priced(None, "regressors are collinear on these dates", dates, of)
    try:
        residuals = y - design / _size(design) @ b
        return Priced(grs(b[0] / _size(design)[0], residuals, F), "", dates, of)
    except NotEstimable as error:
        return Priced(None, str(error), dates, of)


def _was(names: Sequence[str]) -> str:
    return "was" if len(names) == 1 else "were"


def _size(design: np.ndarray) -> np.ndarray:
    """Length (k,) of each column, so that regressors of any scale have a rank."""
    return np.asarray(np.sqrt(np.sum(design**2, axis=0)))


def shared_regressors(panel: Panel, rows: np.ndarray, names: list[str]) -> np.ndarray | None:
    """Regressors (T, K) where they are the same for every asset and every asset has every row,
    else None.
    """
    if len(panel.assets) < 2 or not names or not panel.valid[rows].all():
        return None
    return None if differing(panel, rows, names) else np.asarray(regressors(panel, names)[rows, 0])


def differing(panel: Panel, rows: np.ndarray, names: list[str]) -> list[str]:
    """Regressors that are not the same for every asset on these rows; those of the first rows that
    show one.
    """
    X = regressors(panel, names)
    for start in (
        0,
        *range(1, len(rows), BLOCK),
    ):  # one row, which mostly says it, and then many at a time
        part = X[rows[start : start + BLOCK if start else 1]]
        same = np.equal(part, part[:, :1]).all(axis=(0, 1))
        if not same.all():
            return [name for name, shared in zip(names, same, strict=True) if not shared]
    return []


def grs(alpha: np.ndarray, residuals: np.ndarray, factors: np.ndarray) -> Wald:
    """Gibbons, Ross and Shanken (1989): every alpha is zero. F with (N, T - N - K) degrees of
    freedom.

    F = (T - N - K) / N * alpha' S^-1 alpha / (1 + m' W^-1 m), S (N, N) and W (K, K) the covariances
    (ddof 0) of residuals (T, N) and factors (T, K), m the means of the factors. Exact under normal
    errors.

    Raises:
        NotEstimable: too few rows for the assets; assets that are fitted exactly, or whose
            residuals are collinear.
    """
    T, N = residuals.shape
    K = factors.shape[1]
    if T - N - K < 1:
        raise NotEstimable(
            f"{T} dates for {N} assets and {K} regressors; needs at least {N + K + 1}"
        )
    scale = np.sqrt(np.mean(residuals**2, axis=0))
    if not (scale > 0.0).all():
        raise NotEstimable("an asset is fitted exactly")
    S = (residuals / scale).T @ (residuals / scale) / T
    eigen = np.linalg.eigvalsh(S)
    if eigen[0] < COLLINEAR * eigen[-1]:
        raise NotEstimable("residuals of the assets are collinear")
    mean = factors.mean(axis=0)
    W = np.atleast_2d(np.cov(factors, rowvar=False, ddof=0))
    a = alpha / scale
    priced = a @ np.linalg.solve(S, a) / (1.0 + mean @ np.linalg.solve(W, mean))
    f = float((T - N - K) / N * priced)
    return Wald(f, N, T - N - K, float(fdtrc(N, T - N - K, f)))
