"""CUSUM of recursive residuals: whether forecast errors of a regression that grows with time drift
(Brown, Durbin and Evans 1975).

Letters: X (n, k) regressors, y (n,) target, in order of time.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from runner.numerics.least_squares import RANK_TOLERANCE, NotEstimable
from runner.numerics.variation import COMPUTED, flat

LEAST = 3  # recursive residuals: their variance needs two


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
    """Errors (m,) of forecasting each row by the least squares of the rows before it, over their
    scale.

    Independent with the variance of the errors where coefficients stay. They begin after the first
    rows that determine every coefficient, usually k, so that m is n - k or less.

    Raises:
        NotEstimable: fewer than three of them.
    """
    (n, k), length = X.shape, np.linalg.norm(X, axis=0)
    if n < k + LEAST:
        raise NotEstimable(f"{n} rows for {k} terms; needs {k + LEAST}")
    Q, R = np.linalg.qr(X / np.where(length > 0.0, length, 1.0))
    if np.linalg.cond(R) > 1.0 / RANK_TOLERANCE:
        raise NotEstimable("the columns are collinear")
    Z = Q * np.sqrt(n)  # the same residuals, from columns that are as well conditioned as can be
    A, c = np.cumsum(Z[:, :, None] * Z[:, None, :], axis=0), np.cumsum(Z * y[:, None], axis=0)
    size = np.linalg.eigvalsh(A)
    start = max(k, 1 + int(np.argmax(size[:, 0] > RANK_TOLERANCE * size[:, -1])))
    if n - start < LEAST:
        raise NotEstimable(f"the first {start:,} of {n:,} rows do not determine every coefficient")
    z, before = Z[start:], A[start - 1 : -1]
    solved = np.linalg.solve(before, np.stack([c[start - 1 : -1], z], axis=2))
    error = y[start:] - np.einsum("tk,tk->t", z, solved[:, :, 0])
    return np.asarray(error / np.sqrt(1.0 + np.einsum("tk,tk->t", z, solved[:, :, 1])))


def cusum_test(w: np.ndarray) -> Cusum:
    """Sums of recursive residuals w (m,) over their standard deviation (ddof 1, Harvey 1975)
    against lines.

    Raises:
        NotEstimable: residuals that do not vary.
    """
    if flat(w, relative=COMPUTED):
        raise NotEstimable("the recursive residuals do not vary")
    m = len(w)
    path = np.cumsum(w / w.std(ddof=1)) / np.sqrt(m)
    over = np.abs(path) / (1.0 + 2.0 * np.arange(1, m + 1) / m)
    at = int(over.argmax())
    return Cusum(path, float(over[at]), at, crossing(float(over[at])))


def crossing(a: float) -> float:
    """Chance that a Brownian motion leaves +-a (1 + 2 s) on 0 <= s <= 1 (Zeileis, Leisch, Hornik,
    Kleiber 2002).

    Their line below .3, where the formula, in which both lines are crossed at most once each, no
    longer holds.
    """
    if a < 0.3:
        return 1.0 - 0.1464 * a
    normal = 1.0 - ndtr(3.0 * a) + np.exp(-4.0 * a**2) * (ndtr(a) + ndtr(5.0 * a) - 1.0)
    return float(2.0 * (normal - np.exp(-16.0 * a**2) * (1.0 - ndtr(a))))


def boundary(level: float) -> float:
    """The a of the lines +-a (1 + 2 s) that are crossed with this chance: .948 at 5 %."""
    from scipy.optimize import brentq

    return float(brentq(lambda a: crossing(a) - level, 0.0, 10.0))
