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
        position: of that row among the m.
        p_value: chance of as much where coefficients and variance stay and errors are independent.
    """

    path: np.ndarray
    statistic: float
    position: int
    p_value: float


def recursive_residuals(X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Errors (m,) of forecasting each row by least squares on the rows before, over their scale.

    Independent with the variance of the errors where coefficients stay. They begin after the first
    rows that determine every coefficient, usually k, so that m is n - k or less.

    Raises:
        NotEstimable: fewer than three of them.
    """
    n, k = X.shape
    fewest = k + LEAST
    if n < fewest:
        raise NotEstimable(f"{n} rows for {k} terms; needs {fewest}")
    Z = _orthonormal(X)
    # sums of z z' and z y over the rows up to each
    products = Z[:, :, None] * Z[:, None, :]
    ZZ = np.cumsum(products, axis=0)
    Z_times_y = Z * y[:, None]
    Zy = np.cumsum(Z_times_y, axis=0)
    eigenvalues = np.linalg.eigvalsh(ZZ)
    smallest = eigenvalues[:, 0]
    largest = eigenvalues[:, -1]
    least = RANK_TOLERANCE * largest
    determined = smallest > least
    first = np.argmax(determined)
    first_determined = 1 + int(first)
    start = max(k, first_determined)
    if n - start < LEAST:
        raise NotEstimable(f"the first {start:,} of {n:,} rows do not determine every coefficient")
    z = Z[start:]
    previous = start - 1
    before = slice(previous, -1)
    Zy_before = Zy[before]
    right = np.stack([Zy_before, z], axis=2)
    ZZ_before = ZZ[before]
    solved = np.linalg.solve(ZZ_before, right)
    b = solved[:, :, 0]
    inverse_z = solved[:, :, 1]
    forecast = np.einsum("tk,tk->t", z, b)
    error = y[start:] - forecast
    leverage = np.einsum("tk,tk->t", z, inverse_z)
    variance = 1.0 + leverage
    scale = np.sqrt(variance)
    return np.asarray(error / scale)


def _orthonormal(X: np.ndarray) -> np.ndarray:
    """Columns (n, k) of unit mean square and no correlation: the same residuals, more digits."""
    length = np.linalg.norm(X, axis=0)
    scale = np.where(length > 0.0, length, 1.0)
    scaled = X / scale
    Q, R = np.linalg.qr(scaled)
    condition = np.linalg.cond(R)
    if condition > 1.0 / RANK_TOLERANCE:
        raise NotEstimable("the columns are collinear")
    n = len(X)
    root_rows = np.sqrt(n)
    return Q * root_rows


def cusum_test(w: np.ndarray) -> Cusum:
    """Sums of recursive residuals w (m,) over their deviation (ddof 1, Harvey 1975), and lines.

    Raises:
        NotEstimable: residuals that do not vary.
    """
    if flat(w, relative=COMPUTED):
        raise NotEstimable("the recursive residuals do not vary")
    m = len(w)
    deviation = w.std(ddof=1)
    standardised = w / deviation
    sums = np.cumsum(standardised)
    path = sums / np.sqrt(m)
    line = 1.0 + 2.0 * np.arange(1, m + 1) / m
    distance = np.abs(path)
    ratio = distance / line
    position = int(ratio.argmax())
    statistic = float(ratio[position])
    p_value = crossing(statistic)
    return Cusum(path, statistic, position, p_value)


def crossing(a: float) -> float:
    """Chance that a Brownian motion leaves +-a (1 + 2 s) on 0 <= s <= 1.

    Zeileis, Leisch, Hornik and Kleiber (2002), with their straight line below .3, where the
    formula, in which both lines are crossed at most once each, no longer holds.
    """
    if a < FORMULA_FROM:
        return 1.0 - SLOPE_BELOW * a
    below = ndtr(a)
    near = ndtr(3.0 * a)
    beyond = 1.0 - near
    beyond_line = ndtr(5.0 * a)
    both_sides = below + beyond_line
    between = both_sides - 1.0
    above = 1.0 - below
    reflected = np.exp(-4.0 * a**2) * between
    both = np.exp(-16.0 * a**2) * above
    one_side = beyond + reflected - both
    return float(2.0 * one_side)


def boundary(level: float) -> float:
    """The a of the lines +-a (1 + 2 s) that are crossed with this chance: .948 at 5 %."""
    from scipy.optimize import brentq

    def excess(a: float) -> float:
        return crossing(a) - level

    root = brentq(excess, 0.0, 10.0)
    return float(root)
