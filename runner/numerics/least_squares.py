"""Least squares of one unit: pure functions of arrays.

Letters: X (n, k) regressors with the constant among them, y (n,) target, b (k,) estimates, u (n,)
residuals, V (k, k) covariance of b.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular

from runner.numerics.variation import explained, flat

# Smallest singular value of the unit-length columns, relative to the largest, below which columns
# count as collinear: float64 leaves no correct digit of the estimates beyond it.
RANK_TOLERANCE = 1e-11
# Largest size of a column, and its inverse the smallest: fourth powers of it still fit a float64.
LARGEST = 1e70


class NotEstimable(Exception):
    """The regression has no answer; the message is the reason."""


@dataclass(frozen=True)
class Solution:
    """A solved least-squares problem.

    Attributes:
        X: (n, k) regressors.
        b: (k,) estimates.
        u: (n,) residuals.
        bread: (k, k) inverse of X'X.
        leverage: (n,) diagonal of the hat matrix.
        ssr, tss: sums of squares of the residuals and of the target (about its mean with a
            constant).
        constant: whether X holds a constant.
        exact: whether the residuals are rounding noise: errors of the estimates would be noise too.
    """

    X: np.ndarray
    b: np.ndarray
    u: np.ndarray
    bread: np.ndarray
    leverage: np.ndarray
    ssr: float
    tss: float
    constant: bool
    exact: bool

    @property
    def n(self) -> int:
        return len(self.u)

    @property
    def df(self) -> int:
        """Degrees of freedom of the residuals, n - k."""
        return len(self.u) - len(self.b)

    @property
    def r2(self) -> float:
        return 1.0 - self.ssr / self.tss


def solve(
    X: np.ndarray,
    y: np.ndarray,
    terms: Sequence[str],
    constant: bool,
    weights: np.ndarray | None = None,
) -> Solution:
    """Least squares by QR of the unit-length columns; of rows times the root of their weights (n,)
    where given.

    Raises:
        NotEstimable: too few rows, a constant target, constant, collinear or outsized columns,
            which are named.
    """
    n, k = X.shape
    if n <= k:
        raise NotEstimable(f"{n} rows for {k} terms; needs at least {k + 1}")
    if flat(y):
        raise NotEstimable("the target is constant")
    _refuse_flat(X, terms, constant)
    refuse_outsized(np.column_stack([y, X]), ["the target", *terms])
    about = y - np.average(y, weights=weights) if constant else y
    target = y
    if weights is not None:
        root = np.sqrt(weights)
        X, y, about = X * root[:, None], y * root, about * root
    length = np.linalg.norm(X, axis=0)
    Q, R = np.linalg.qr(X / length)
    _refuse_collinear(R, terms)
    inverse = solve_triangular(R, np.eye(k)) / length[:, None]
    b = inverse @ (Q.T @ y)
    u = y - X @ b
    ssr, tss = float(u @ u), float(about @ about)
    exact = explained(ssr, n, max(tss, float(np.sum((X * b) ** 2))), target)
    return Solution(X, b, u, inverse @ inverse.T, np.sum(Q * Q, axis=1), ssr, tss, constant, exact)


def _refuse_flat(X: np.ndarray, terms: Sequence[str], constant: bool) -> None:
    still = flat(X) if constant else np.all(X == 0.0, axis=0)
    if constant:
        still[terms.index("const")] = False
    if still.any():
        names = ", ".join(np.array(terms)[still])
        raise NotEstimable(f"{names} is constant" if still.sum() == 1 else f"{names} are constant")


def refuse_outsized(columns: np.ndarray, names: Sequence[str]) -> None:
    """Raise where a column (n, P) is so large or small that fourth powers of it do not fit a
    float64.
    """
    peak = np.abs(columns).max(axis=0)
    for name, size in zip(names, peak, strict=True):
        if not 1.0 / LARGEST < size < LARGEST:
            raise NotEstimable(
                f"{name} is of size {size:.0e}; allowed: {1.0 / LARGEST:.0e} to {LARGEST:.0e}"
            )


def _refuse_collinear(R: np.ndarray, terms: Sequence[str]) -> None:
    _, singular, right = np.linalg.svd(R)
    if singular[-1] > RANK_TOLERANCE * singular[0]:
        return
    weight = np.abs(right[singular <= RANK_TOLERANCE * singular[0]]).max(axis=0)
    names = [term for term, w in zip(terms, weight, strict=True) if w > 1e-3 * weight.max()]
    raise NotEstimable(f"collinear: {', '.join(names)}")
