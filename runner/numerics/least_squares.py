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
# Weight in a combination that vanishes, relative to the largest, above which a column takes part.
TAKES_PART = 1e-3
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
        n = len(self.u)
        coefficients = len(self.b)
        return n - coefficients

    @property
    def r2(self) -> float:
        unexplained = self.ssr / self.tss
        return 1.0 - unexplained


def solve(
    X: np.ndarray,
    y: np.ndarray,
    terms: Sequence[str],
    constant: bool,
    weights: np.ndarray | None = None,
) -> Solution:
    """Least squares by QR of the unit-length columns, of rows times the root of any weights (n,).

    Raises:
        NotEstimable: too few rows, a constant target, constant, collinear or outsized columns,
            which are named.
    """
    n, k = X.shape
    if n <= k:
        needed = k + 1
        raise NotEstimable(f"{n} rows for {k} terms; needs at least {needed}")
    X = np.asfortranarray(X)  # columns lie together: sooner, and the same bits in any layout
    if flat(y):
        raise NotEstimable("the target is constant")
    _refuse_flat(X, terms, constant)
    refuse_outsized(np.column_stack([y, X]), ["the target", *terms])
    given = y
    centred = y
    if constant:
        mean = np.average(y, weights=weights)
        centred = y - mean
    if weights is not None:
        root = np.sqrt(weights)
        X = X * root[:, None]
        y = y * root
        centred = centred * root
    length = np.linalg.norm(X, axis=0)
    Q, R = np.linalg.qr(X / length)
    _refuse_collinear(R, terms)
    identity = np.eye(k)
    R_inverse = solve_triangular(R, identity)
    inverse = R_inverse / length[:, None]
    projected = Q.T @ y
    b = inverse @ projected
    fitted = X @ b
    u = y - fitted
    bread = inverse @ inverse.T
    leverage = np.sum(Q * Q, axis=1)
    squares = u @ u
    ssr = float(squares)
    centred_squares = centred @ centred
    tss = float(centred_squares)
    size_of_terms = float(np.sum((X * b) ** 2))
    size = max(tss, size_of_terms)
    exact = explained(ssr, n, size, given)
    return Solution(X, b, u, bread, leverage, ssr, tss, constant, exact)


def _refuse_flat(X: np.ndarray, terms: Sequence[str], constant: bool) -> None:
    """Refuse columns that do not vary beside a constant, or are zero without one."""
    if constant:
        still = flat(X)
        place = terms.index("const")
        still[place] = False
    else:
        zero = X == 0.0
        still = zero.all(axis=0)
    if still.any():
        all_terms = np.array(terms)
        still_terms = all_terms[still]
        names = ", ".join(still_terms)
        verb = "is" if still.sum() == 1 else "are"
        raise NotEstimable(f"{names} {verb} constant")


def refuse_outsized(columns: np.ndarray, names: Sequence[str]) -> None:
    """Refuse a column (n, P) so large or small that fourth powers of it do not fit a float64.

    Raises:
        NotEstimable: there is one, which is named.
    """
    sizes = np.abs(columns)
    peak = sizes.max(axis=0)
    smallest = 1.0 / LARGEST
    for name, size in zip(names, peak, strict=True):
        if not smallest < size < LARGEST:
            allowed = f"{smallest:.0e} to {LARGEST:.0e}"
            raise NotEstimable(f"{name} is of size {size:.0e}; allowed: {allowed}")


def _refuse_collinear(R: np.ndarray, terms: Sequence[str]) -> None:
    _, singular, right = np.linalg.svd(R)
    largest = singular[0]
    least = RANK_TOLERANCE * largest
    null = singular <= least
    if null.any():
        names = collinear_terms(right[null], terms)
        listed = ", ".join(names)
        raise NotEstimable(f"collinear: {listed}")


def collinear_terms(combinations: np.ndarray, terms: Sequence[str]) -> list[str]:
    """The terms that take part in combinations (r, k) of columns that vanish."""
    sizes = np.abs(combinations)
    weights = sizes.max(axis=0)
    largest = weights.max()
    least = TAKES_PART * largest
    takes_part = weights > least
    return [term for term, takes in zip(terms, takes_part, strict=True) if takes]
