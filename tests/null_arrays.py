"""All regressions of a sweep on one signal each, at once by arrays: what twenty fits give, in closed form.

Letters: T dates, N assets, S signals; target y (T, N), signals X (T, N, S), every cell in use.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import expit

from runner.models.regression import Regression
from runner.numerics.covariance import default_cosines, default_lags, projected
from runner.numerics.inference import two_sided
from runner.trials.premises import CLOSEST, Dates

STEPS = 20  # of Newton, which double the digits each
ENDED = 1e-8  # size of a step, on columns of unit variance, after which the next is below rounding


class Tested(NamedTuple):
    """Of each signal: estimate, standard error and p-value of the fit (S,), and what its dates do to the estimate;
    and whether it is a mean over assets, whose p-value the verdict leaves out."""

    estimate: np.ndarray
    std_error: np.ndarray
    p_value: np.ndarray
    dates: Dates
    over_assets: bool = False

    @property
    def contributions(self) -> np.ndarray:
        """(T, S) what each date adds to the estimate under the null that the coefficient is zero."""
        return self.dates.influence + self.dates.share * self.estimate

    @property
    def least(self) -> np.ndarray:
        """(S,) p-values that those by dates are never below."""
        return (
            two_sided(self.estimate / self.std_error, np.inf) if self.over_assets else self.p_value
        )

    def estimates(self) -> pd.Series:
        """Estimates by the names that the signals have in a panel."""
        return pd.Series(self.estimate, names(len(self.estimate)))


class Lines(NamedTuple):
    """M regressions on a constant and one signal: slopes b (M,), their variance (M,) where rows are independent.

    `a` (T, n, M) is what the slope multiplies the target of each of n assets with, `u` (T, n, M) the residuals; of a
    logit they are those of its last weighted least squares.
    """

    b: np.ndarray
    a: np.ndarray
    u: np.ndarray
    variance: np.ndarray


def names(signals: int) -> list[str]:
    return [f"x{k}" for k in range(signals)]


def regressed(model: Regression, y: np.ndarray, X: np.ndarray, horizon: int) -> Tested:
    """What the model's regressions of y on each signal give, for the settings that the families have."""
    if model.by == "date":
        return _mean_over_dates(y, X, horizon)
    if model.by == "asset":
        return _by_asset(model, y, X, horizon)
    return _pooled(model, y, X, horizon)


def _mean_over_dates(y: np.ndarray, X: np.ndarray, horizon: int) -> Tested:
    """Fama and MacBeth (1973): slopes across assets, their mean over dates."""
    T = len(y)
    about = X - X.mean(axis=1, keepdims=True)
    path = np.einsum("tns,tn->ts", about, y) / (about**2).sum(axis=1)
    mean = path.mean(axis=0)
    if horizon > 1:
        degrees = default_cosines(T, horizon)
        variance = np.diag(projected(path - mean, degrees)) / T
    else:
        degrees = T - 1
        variance = bartlett(path - mean, default_lags(T, horizon)) / T**2
    none = np.zeros(len(mean))
    dates = Dates((path - mean) / T, np.full_like(path, 1.0 / T), none, np.full_like(none, np.nan))
    error = np.sqrt(variance)
    return Tested(mean, error, two_sided(mean / error, degrees), dates)


def _by_asset(model: Regression, y: np.ndarray, X: np.ndarray, horizon: int) -> Tested:
    """One regression per asset and signal; the mean over assets where there are several."""
    T, N, S = X.shape
    target = np.repeat(y, S, axis=1).reshape(T, 1, N * S)
    fit = lines(model, target, X.reshape(T, 1, N * S))
    a, u = fit.a[:, 0], fit.u[:, 0]
    bias, persistence, _ = stambaugh(a, u, horizon)
    squares = a**2
    parts = [a * u, squares / squares.sum(axis=0)]
    influence, share = (part.reshape(T, N, S).mean(axis=1) for part in parts)
    dates = Dates(
        influence, share, bias.reshape(N, S).mean(axis=0), persistence.reshape(N, S).mean(axis=0)
    )
    b = fit.b.reshape(N, S)
    if N > 1:
        error, degrees = b.std(axis=0, ddof=1) / np.sqrt(N), N - 1
    elif model.cov == "HAC":
        error, degrees = np.sqrt(bartlett(a * u, default_lags(T, horizon))), T - 2
    else:
        error, degrees = np.sqrt(fit.variance), T - 2
    estimate = b.mean(axis=0)
    return Tested(estimate, error, two_sided(estimate / error, degrees), dates, N > 1)


def _pooled(model: Regression, y: np.ndarray, X: np.ndarray, horizon: int) -> Tested:
    """All cells in one regression per signal, clustered by date or by asset, or Driscoll-Kraay."""
    T, N, S = X.shape
    fit = lines(model, np.repeat(y[:, :, None], S, axis=2), X)
    scores, squares = fit.a * fit.u, (fit.a**2).sum(axis=1)
    by_date = scores.sum(axis=1)
    n = T * N
    if model.cov == "driscoll_kraay":
        degrees = T - 1
        variance = bartlett(by_date, default_lags(T, horizon)) * n / (n - 2)
    else:
        sums = by_date if model.clusters == ["date"] else scores.sum(axis=0)
        degrees = len(sums) - 1
        variance = (sums**2).sum(axis=0) * len(sums) / degrees * (n - 1) / (n - 2)
    bias, persistence, _ = stambaugh(fit.a.sum(axis=1), fit.u.mean(axis=1), horizon)
    error = np.sqrt(variance)
    p = two_sided(fit.b / error, np.inf if model.estimator == "logit" else degrees)
    return Tested(fit.b, error, p, Dates(by_date, squares / squares.sum(axis=0), bias, persistence))


def lines(model: Regression, y: np.ndarray, X: np.ndarray) -> Lines:
    """The regressions of y (T, n, M) on a constant and X (T, n, M), one for each of the last axis."""
    if model.estimator == "logit":
        return _logits(y, X)
    n = X.shape[0] * X.shape[1]
    about = X - X.mean(axis=(0, 1))
    bread = 1.0 / (about**2).sum(axis=(0, 1))
    b = bread * (about * y).sum(axis=(0, 1))
    u = y - y.mean(axis=(0, 1)) - b * about
    return Lines(b, about * bread, u, bread * (u**2).sum(axis=(0, 1)) / (n - 2))


def _logits(y: np.ndarray, X: np.ndarray) -> Lines:
    """Maximum likelihood by Newton's steps; regressors and residuals are those of its last weighted least squares."""
    centre, scale = X.mean(axis=(0, 1)), X.std(axis=(0, 1))
    Z = (X - centre) / scale
    level = np.log(y.mean(axis=(0, 1)) / (1.0 - y.mean(axis=(0, 1))))
    slope = np.zeros_like(level)
    for _ in range(STEPS):
        p = expit(level + slope * Z)
        weight = p * (1.0 - p)
        total = weight.sum(axis=(0, 1))
        mean = (weight * Z).sum(axis=(0, 1)) / total
        about = Z - mean
        inverse = 1.0 / (weight * about**2).sum(axis=(0, 1))
        gap = y - p
        step = inverse * (about * gap).sum(axis=(0, 1))
        level = level + gap.sum(axis=(0, 1)) / total - step * mean
        slope = slope + step
        if np.abs(step).max() < ENDED:
            break
    assert np.abs(step).max() < ENDED
    root = np.sqrt(weight)
    return Lines(slope / scale, about * root * inverse / scale, gap / root, inverse / scale**2)


def bartlett(scores: np.ndarray, lags: int) -> np.ndarray:
    """Sums of squares of scores (T, S) and of their products with their lags, by Bartlett weights."""
    total = (scores**2).sum(axis=0)
    for lag in range(1, lags + 1):
        total = total + 2.0 * (1.0 - lag / (lags + 1.0)) * (scores[lag:] * scores[:-lag]).sum(
            axis=0
        )
    return np.asarray(total)


def stambaugh(
    a: np.ndarray, u: np.ndarray, horizon: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bias of sum a y of each column of a (T, M) with residuals u (T, M), its autocorrelation, sum of squares."""
    T, h = len(a), max(horizon, 1)
    about = a - a.mean(axis=0)
    squares = (about**2).sum(axis=0)
    raw = (about[1:] * about[:-1]).sum(axis=0) / (T - 1) / (squares / T)
    rho = np.clip(raw + (1.0 + 3.0 * raw) / T, -CLOSEST, CLOSEST)
    v = about[1:] - rho * about[:-1]
    variance = (v**2).mean(axis=0)
    phi = np.zeros_like(rho)
    for lag in range(1, h + 1):
        phi += (u[: T - lag] * v[lag - 1 :]).mean(axis=0) / variance
    spread = h * (1.0 + rho) + 2.0 * rho * (1.0 - rho**h) / (1.0 - rho)
    return -(phi / h) * spread / T * squares, rho, squares
