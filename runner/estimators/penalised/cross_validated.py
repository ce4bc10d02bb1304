"""LASSO fits of many targets on one design, each with a penalty chosen by cross-validation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from runner.numerics.homotopy import paths
from runner.numerics.variation import flat

# least penalty of a grid, relative to the least that leaves no candidate, as in scikit-learn
LEAST = 1e-3


class Chosen(NamedTuple):
    """The fits of N targets on one window.

    Attributes:
        values: (N, m) forecasts of the rows asked for.
        slopes: (N, p) on the candidates in their own units, empty unless asked for; constant: (N,).
        penalty: (N,) scikit-learn's alpha; terms: (N,) candidates kept; ended: (N,) whether every
            path was.
    """

    values: np.ndarray
    slopes: np.ndarray
    constant: np.ndarray
    penalty: np.ndarray
    terms: np.ndarray
    ended: np.ndarray


def choose(
    X: np.ndarray,
    y: np.ndarray,
    Z: np.ndarray,
    parts: Sequence[tuple[np.ndarray, np.ndarray]],
    penalties: int = 100,
    choice: str = "min",
    standardise: bool = False,
    slopes: bool = False,
) -> Chosen:
    """LASSO with a constant of N targets on one design, and its forecasts.

    Each target has a penalty of its own, the one that LassoCV(alphas=penalties, cv=parts) chooses.

    Args:
        X: (n, p) design; y: (N, n) targets; Z: (m, p) rows to forecast.
        parts: training and test positions of the folds.
        slopes: whether slopes are wanted too.
    """
    n, p = X.shape
    still = flat(X)
    mean = X.mean(axis=0)
    spread = np.where(still, 1.0, X.std(axis=0) if standardise else 1.0)
    scaled = np.where(still, 0.0, (X - mean) / spread)
    level = y.mean(axis=1)
    centred = y - level[:, None]
    # targets of size one, whatever their unit
    distance = np.abs(centred)
    size = distance.max(axis=1)
    divisor = np.where(size > 0.0, size, 1.0)
    targets = centred / divisor[:, None]
    penalty, folds_ended = _penalty(scaled, targets, parts, penalties, choice)

    points = [np.where(still, 0.0, (Z - mean) / spread)]
    if slopes:
        identity = np.eye(p)
        points.append(identity)  # the value at a unit vector is a slope
    knots = paths(scaled, targets, np.vstack(points), n * penalty)
    lam = n * penalty[:, None]
    ratios = knots.at(lam)[:, 0]
    values = ratios * size[:, None]
    fitted = values[:, : len(Z)]
    forecasts = level[:, None] + fitted
    b = values[:, len(Z) :]
    constant = level
    if slopes:
        b = b / spread
        of_means = b @ mean
        constant = level - of_means
    return Chosen(
        values=forecasts,
        slopes=b,
        constant=constant,
        penalty=penalty * size,
        terms=knots.terms_at(lam)[:, 0],
        ended=knots.ended & folds_ended,
    )


def _penalty(
    X: np.ndarray,
    y: np.ndarray,
    parts: Sequence[tuple[np.ndarray, np.ndarray]],
    penalties: int,
    choice: str,
) -> tuple[np.ndarray, np.ndarray]:
    """The penalty (N,) of each target y (N, n), chosen on folds of the rows of X (n, p).

    Also whether all its paths ended (N,).
    """
    N, n = y.shape
    products = y @ X
    largest_product = np.abs(products).max(axis=1)
    largest = largest_product / n
    grid = largest[:, None] * np.geomspace(1.0, LEAST, penalties)
    errors = []
    ended = np.ones(N, dtype=bool)
    for train, test in parts:
        fold_errors, fold_ended = _errors(X, y, grid, train, test)
        errors.append(fold_errors)
        ended &= fold_ended
    mean_errors = np.array(errors)
    at = _position(mean_errors, choice)
    return grid[np.arange(N), at], ended


def _errors(
    X: np.ndarray, y: np.ndarray, grid: np.ndarray, train: np.ndarray, test: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean squared errors (N, L) on the test rows of fits on the training rows.

    Also which paths ended (N,).
    """
    n = len(train)
    X_mean = X[train].mean(axis=0)
    y_mean = y[:, train].mean(axis=1)[:, None]
    X_train = X[train] - X_mean
    y_train = y[:, train] - y_mean
    X_test = X[test] - X_mean
    y_test = y[:, test] - y_mean
    least_penalty = n * grid[:, -1]
    knots = paths(X_train, y_train, X_test, least_penalty)
    forecasts = knots.at(n * grid)
    y_of_test = y_test[:, None, :]
    residuals = forecasts - y_of_test
    return np.mean(residuals * residuals, axis=2), knots.ended


def _position(errors: np.ndarray, choice: str) -> np.ndarray:
    """Position (N,) of the penalty by the errors (F, N, L) of the folds; of ties the largest."""
    F, N, _ = errors.shape
    mean = errors.mean(axis=0)
    least = mean.argmin(axis=1)
    if choice == "min" or F < 2:
        return least
    target = np.arange(N)
    spread = errors.std(axis=0, ddof=1)
    std_error = spread[target, least] / np.sqrt(F)
    allowed = mean[target, least] + std_error
    is_allowed = mean <= allowed[:, None]
    return np.asarray(is_allowed.argmax(axis=1))
