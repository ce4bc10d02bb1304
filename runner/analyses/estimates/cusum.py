"""CUSUM of recursive residuals: whether the forecast errors of a growing regression drift.

Brown, Durbin and Evans (1975). Letters: X (n, k) regressors, y (n,) target, in order of time.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from runner.numerics.least_squares import RANK_TOLERANCE, NotEstimable
from runner.numerics.variation import COMPUTED, flat

LEAST = 3  # recursive residuals: their variance needs two
FORMULA_FROM = 0.3  # a from which on the formula of the chance of a crossing holds
SLOPE_BELOW = 0.1464  # of one less that chance in a, below it


class Cusum(NamedTuple):
    """Sums of standardised recursive residuals.

    Attributes:
        path: (m,) sums over the root of m, after each of the last m rows; a Brownian motion on [0,
            1] under the null.
        statistic: largest |path| over 1 + 2 s, s = 1/m .. 1 the share of the rows.
        at: position of that row among the m.
        p_value: chance of as much where coefficients and variance stay and errors are independent.
    """

    path: np.ndarray
    statistic: float
    at: int
    p_value: float


def recursive_residuals(X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Errors (m,) of forecasting each row by least squares on the rows before, over their scale.

    Independent with the variance of the errors where coefficients stay. They begin after the first
    rows that determine every coefficient, usually k, so that m is n - k or less.

    Raises:
        NotEstimable: fewer than three of them.
    """
    n, k = X.shape
    if n < k + LEAST:
        raise NotEstimable(f"{n} rows for {k} terms; needs {k + LEAST}")
    Z = _orthonormal(X)
    # sums of z z' and z y over the rows up to each
    products = Z[:, :, None] * Z[:, None, :]
    ZZ = np.cumsum(products, axis=0)
    Zy = np.cumsum(Z * y[:, None], axis=0)
    eigenvalues = np.linalg.eigvalsh(ZZ)
    smallest = eigenvalues[:, 0]
    largest = eigenvalues[:, -1]
    determined = smallest > RANK_TOLERANCE * largest
    start = max(k, 1 + int(np.argmax(determined)))
    if n - start < LEAST:
        raise NotEstimable(f"the first {start:,} of {n:,} rows do not determine every coefficient")
    z = Z[start:]
    before = slice(start - 1, -1)
    right = np.stack([Zy[before], z], axis=2)
    solved = np.linalg.solve(ZZ[before], right)
    b = solved[:, :, 0]
    error = y[start:] - np.einsum("tk,tk->t", z, b)
    variance = 1.0 + np.einsum("tk,tk->t", z, solved[:, :, 1])
    return np.asarray(error / np.sqrt(variance))


def _orthonormal(X: np.ndarray) -> np.ndarray:
    """Columns (n, k) of unit mean square and no correlation: the same residuals, more digits."""
    length = np.linalg.norm(X, axis=0)
    scale = np.where(length > 0.0, length, 1.0)
    Q, R = np.linalg.qr(X / scale)
    if np.linalg.cond(R) > 1.0 / RANK_TOLERANCE:
        raise NotEstimable("the columns are collinear")
    return Q * np.sqrt(len(X))


def cusum_test(w: np.ndarray) -> Cusum:
    """Sums of recursive residuals w (m,) over their deviation (ddof 1, Harvey 1975), and lines.

    Raises:
        NotEstimable: residuals that do not vary.
    """
    if flat(w, relative=COMPUTED):
        raise NotEstimable("the recursive residuals do not vary")
    m = len(w)
    standardised = w / w.std(ddof=1)
    path = np.cumsum(standardised) / np.sqrt(m)
    line = 1.0 + 2.0 * np.arange(1, m + 1) / m
    ratio = np.abs(path) / line
    at = int(ratio.argmax())
    statistic = float(ratio[at])
    return Cusum(path, statistic, at, crossing(statistic))


def crossing(a: float) -> float:
    """Chance that a Brownian motion leaves +-a (1 + 2 s) on 0 <= s <= 1.

    Zeileis, Leisch, Hornik and Kleiber (2002), with their straight line below .3, where the
    formula, in which both lines are crossed at most once each, no longer holds.
    """
    if a < FORMULA_FROM:
        return 1.0 - SLOPE_BELOW * a
    beyond = 1.0 - ndtr(3.0 * a)
    between = ndtr(a) + ndtr(5.0 * a) - 1.0
    reflected = np.exp(-4.0 * a**2) * between
    both = np.exp(-16.0 * a**2) * (1.0 - ndtr(a))
    return float(2.0 * (beyond + reflected - both))


def boundary(level: float) -> float:
    """The a of the lines +-a (1 + 2 s) that are crossed with this chance: .948 at 5 %."""
    from scipy.optimize import brentq

    return float(brentq(lambda a: crossing(a) - level, 0.0, 10.0))
