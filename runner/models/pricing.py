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
        """The hypothesis, with the number of dates tested where some lack an asset."""
        if self.dates == self.of:
            return GRS
        return f"{GRS} (on {self.dates:,} of {self.of:,} dates, those that every asset has)"


def price_every_asset(
    panel: Panel, rows: np.ndarray, names: list[str], missing: Sequence[str]
) -> Priced:
    """The GRS test of least squares by asset, on the dates that all assets have.

    Args:
        rows: that were fitted.
        names: of the regressors.
        missing: assets without estimates.
    """
    usable = panel.usable_by_date[rows]
    complete = usable == len(panel.assets)
    dates = int(complete.sum())
    dates_with_some = int(np.count_nonzero(usable))
    try:
        result = _test_every_asset(panel, rows[complete], names, missing)
    except NotEstimable as error:
        return Priced(None, str(error), dates, dates_with_some)
    return Priced(result, "", dates, dates_with_some)


def _test_every_asset(
    panel: Panel, rows: np.ndarray, names: list[str], missing: Sequence[str]
) -> Wald:
    """The GRS test on rows that every asset has.

    Raises:
        NotEstimable: there is no such test here.
    """
    N = len(panel.assets)
    K = len(names)
    if missing:
        verb = "was" if len(missing) == 1 else "were"
        raise NotEstimable(f"{listed(missing)} {verb} not estimated")
    if not names:
        raise NotEstimable("there is no regressor")
    if len(rows) <= N + K:
        dates = count(len(rows), "date")
        raise NotEstimable(f"{dates} on which every asset has a row; needs at least {N + K + 1}")
    own = differing(panel, rows, names)
    if own:
        verb = "differs" if len(own) == 1 else "differ"
        raise NotEstimable(f"{listed(own)} {verb} between assets, and it takes shared regressors")
    F = regressors(panel, names)[rows, 0]
    y = panel.y[rows]
    X = np.column_stack([np.ones(len(F)), F])
    # columns of length one, so that regressors of any scale have a rank
    squares = np.sum(X**2, axis=0)
    length = np.asarray(np.sqrt(squares))
    unit = X / length
    b, _, rank, _ = np.linalg.lstsq(unit, y, rcond=None)
    if rank < K + 1:
        raise NotEstimable("regressors are collinear on these dates")
    alpha = b[0] / length[0]
    fitted = unit @ b
    residuals = y - fitted
    return grs(alpha, residuals, F)


def shared_regressors(panel: Panel, rows: np.ndarray, names: list[str]) -> np.ndarray | None:
    """Regressors (T, K) that are the same for every asset, where every asset has every row.

    Else None.
    """
    everywhere = (panel.usable_by_date[rows] == len(panel.assets)).all()
    if len(panel.assets) < 2 or not names or not everywhere:
        return None
    if differing(panel, rows, names):
        return None
    return np.asarray(regressors(panel, names)[rows, 0])


def differing(panel: Panel, rows: np.ndarray, names: list[str]) -> list[str]:
    """Regressors that differ between assets on the first of these rows that show one."""
    X = regressors(panel, names)
    # one row, which mostly says it, and then many at a time
    starts = range(1, len(rows), BLOCK)
    blocks = [rows[:1], *(rows[start : start + BLOCK] for start in starts)]
    for block in blocks:
        part = X[block]
        is_same = np.equal(part, part[:, :1])
        same = is_same.all(axis=(0, 1))
        if not same.all():
            return [name for name, shared in zip(names, same, strict=True) if not shared]
    return []


def grs(alpha: np.ndarray, residuals: np.ndarray, factors: np.ndarray) -> Wald:
    """The test of Gibbons, Ross and Shanken (1989) that every alpha is zero.

    F = (T - N - K) / N * alpha' S^-1 alpha / (1 + m' W^-1 m) with (N, T - N - K) degrees of
    freedom, S (N, N) and W (K, K) the covariances (ddof 0) of residuals (T, N) and factors (T, K),
    m the means of the factors. Exact under normal errors.

    Raises:
        NotEstimable: too few rows for the assets; assets that are fitted exactly, or whose
            residuals are collinear.
    """
    T, N = residuals.shape
    K = factors.shape[1]
    df = T - N - K
    if df < 1:
        raise NotEstimable(
            f"{T} dates for {N} assets and {K} regressors; needs at least {N + K + 1}"
        )
    scale = np.sqrt(np.mean(residuals**2, axis=0))
    if not (scale > 0.0).all():
        raise NotEstimable("an asset is fitted exactly")
    # residuals of size one: alpha' S^-1 alpha is the same for any scale of the assets
    S = (residuals / scale).T @ (residuals / scale) / T
    eigen = np.linalg.eigvalsh(S)
    if eigen[0] < COLLINEAR * eigen[-1]:
        raise NotEstimable("residuals of the assets are collinear")
    m = factors.mean(axis=0)
    W = np.atleast_2d(np.cov(factors, rowvar=False, ddof=0))
    a = alpha / scale
    squared_sharpe = m @ np.linalg.solve(W, m)
    priced = a @ np.linalg.solve(S, a) / (1.0 + squared_sharpe)
    f = float(df / N * priced)
    return Wald(f, N, df, float(fdtrc(N, df, f)))
