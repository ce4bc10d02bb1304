"""Least squares per asset on a window that moves with every row: forecasts refit as they go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from runner.errors import EstimationError
from runner.models.model import Model
from runner.numerics.moments import products_summed
from runner.numerics.variation import flat
from runner.schema.settings import Rows, Share

if TYPE_CHECKING:
    from runner.models.fit import Fit
    from runner.panels.panel import Panel
    from runner.validation.splitters import Fold

# Smallest eigenvalue of the correlations, relative to the largest, from which on normal equations
# keep ten digits; below it the window goes to a singular value decomposition.
CONDITION = 1e-6
COLLINEAR = 1e-10  # singular value relative to the largest that counts as zero


@dataclass(frozen=True)
class Rolling(Model):
    """Least squares with a constant per asset, refitted at every row on the last known rows.

    Of returns on their own lags it is an autoregression. Columns that are constant in the window or
    collinear have no single answer: of those that fit alike, the one with the least sum of squared
    slopes, on regressors of unit variance in the window, is taken; a constant column has the slope
    zero. A window with a missing row gives no forecast. Windows do not reach from one session into
    another.

    Attributes:
        window: rows of each fit, all of which need a target and every feature.
        confidence: level of the intervals of the last window.
    """

    window: Rows = 30
    confidence: Share = 0.95

    def mistakes(self, features: Sequence[str]) -> list[str]:
        """A window that is not longer than the terms."""
        terms = len(features) + 1
        if self.window > terms:
            return []
        return [f"window: given {self.window} with {terms} terms; allowed: from {terms + 1}"]

    def terms(self, features: Sequence[str]) -> list[str]:
        """Names (k,) of the estimates, the constant first."""
        return ["const", *features]

    def lacks_the_mean(self, panel: Panel) -> str:
        return "the constant is of the window before each row, the training mean of all rows"

    def fit(self, panel: Panel, rows: np.ndarray) -> Fit:
        """The regressions on the last `window` of these rows: what would forecast the next one.

        Raises:
            DataError, EstimationError: no asset can be estimated on them.
        """
        from dataclasses import replace

        from runner.models.moving.windows import last_window
        from runner.models.regression import Regression

        last = last_window(panel, rows, self.window)
        by_asset = Regression(by="asset", confidence=self.confidence)
        fit = by_asset.fit(panel, last)
        return replace(fit, errors=f"{fit.errors}, on the last window of {len(last)} rows")

    def predict(self, fit: Fit, panel: Panel) -> np.ndarray:
        """Forecasts (T, N) by the estimates of the last window, NaN where a feature is missing."""
        constant = fit.params[:, 0]
        slopes = fit.params[:, 1:]
        return np.asarray(constant + products_summed(panel.X, slopes))

    def forecast(self, panel: Panel, fold: Fold) -> np.ndarray:
        """Forecasts (len(test), N), each by the window before its row.

        Raises:
            DataError: no test row has a full window before it in its session.
        """
        from runner.models.moving.windows import walk

        def forecast_of(rows: np.ndarray, t: int) -> np.ndarray:
            X = panel.X[rows].swapaxes(0, 1)
            y = panel.y[rows].T
            x_next = panel.X[t]
            complete = panel.valid[rows].all(axis=0)
            is_known = np.isfinite(x_next)
            use = complete & is_known.all(axis=1)
            constant, slopes = least_squares(X[use], y[use])
            forecasts = np.full(len(y), np.nan)
            explained = products_summed(x_next[use], slopes)
            forecasts[use] = constant + explained
            return forecasts

        return walk(panel, fold, self.window, forecast_of, "rows forecast, refitting at each")


def least_squares(X: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Constants (N,) and slopes (N, K) of N regressions of y (N, n) on X (N, n, K) and a constant.

    Raises:
        EstimationError: a value too large for a square.
    """
    still = flat(X, axis=1)
    x_mean = X.mean(axis=1)
    y_mean = y.mean(axis=1)
    away = X - x_mean[:, None]
    centred = np.where(still[:, None], 0.0, away)
    about = y - y_mean[:, None]
    length = np.sqrt(np.einsum("ntk,ntk->nk", centred, centred))
    is_finite = np.isfinite(length)
    if not is_finite.all():
        raise EstimationError("model: a feature is too large for its square")
    scale = np.where(length > 0.0, length, 1.0)
    Z = centred / scale[:, None]
    Z_transposed = Z.swapaxes(1, 2)
    R = np.matmul(Z_transposed, Z)
    r = np.matmul(Z_transposed, about[:, :, None])
    eigenvalues, vectors = np.linalg.eigh(R)
    smallest = eigenvalues[:, :1]
    largest = eigenvalues[:, -1:]
    least = CONDITION * largest
    conditioned = smallest > least
    inverse = np.divide(1.0, eigenvalues, out=np.zeros_like(eigenvalues), where=conditioned)
    rotated = np.matmul(vectors.swapaxes(1, 2), r)
    scaled = inverse[:, :, None] * rotated
    b = np.matmul(vectors, scaled)[:, :, 0]
    rest = np.flatnonzero(~conditioned[:, 0])
    if len(rest):
        pseudo_inverse = np.linalg.pinv(Z[rest], rcond=COLLINEAR)
        target = about[rest][:, :, None]
        b[rest] = np.matmul(pseudo_inverse, target)[:, :, 0]
    slopes = b / scale
    constants = y_mean - products_summed(x_mean, slopes)
    return constants, slopes
