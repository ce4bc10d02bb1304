"""What ridge, LASSO and elastic net need of one regression, by pure functions of arrays.

The objective per row is |y - X b|^2 / (2n) + l1 |b|_1 + l2 |b|^2 / 2, the constant free;
scikit-learn's alpha is l1 + l2 of its Lasso and ElasticNet, and n l2 of its Ridge. Rows are
replaced by a triangle with the same sums of squares, so that no solver sees more rows than columns.
`solvers` solves it for a whole grid of penalties. Letters: n rows, K regressors, L penalties.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from runner.estimators.penalised.ridge import KEPT_DIGITS, sized
from runner.numerics.least_squares import LARGEST, NotEstimable
from runner.numerics.variation import flat, near_rounding


class Penalty(NamedTuple):
    """Weights (L,) of the absolute and of the squared slopes, per row; the largest first."""

    l1: np.ndarray
    l2: np.ndarray


@dataclass(frozen=True)
class Reduced:
    """What least squares needs of n rows.

    Attributes:
        A, z: (m, K), (m,) with the sums of squares and products of the centred, scaled regressors
            and target.
        mean, scale: (K,) of the regressors, taken off and divided by; target_mean: taken off the
            target.
        n: rows.
    """

    A: np.ndarray
    z: np.ndarray
    mean: np.ndarray
    scale: np.ndarray
    target_mean: float
    n: int

    @property
    def spread(self) -> np.ndarray:
        """(K,) standard deviation (ddof 0) of the regressors; about zero without a constant."""
        length = np.linalg.norm(self.A, axis=0)
        root = np.sqrt(self.n)
        root_length = length / root
        return root_length * self.scale

    def line(self, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Constants (L,) and slopes (L, K) of the data, from slopes on the scaled regressors."""
        slopes = b / self.scale
        fitted = slopes @ self.mean
        constant = self.target_mean - fitted
        return constant, slopes

    def ssr(self, b: np.ndarray) -> float:
        """Sum of squared residuals of slopes (K,) on the scaled regressors."""
        fitted = self.A @ b
        residuals = self.z - fitted
        squares = residuals**2
        return float(np.sum(squares))


def from_rows(X: np.ndarray, y: np.ndarray, constant: bool, standardise: bool) -> Reduced:
    """Reduce rows X (n, K) and y (n,).

    A column that does not vary has the scale 1 and, with a constant, no slope.
    """
    n, K = X.shape
    mean = X.mean(axis=0)
    centred = X - mean
    still = flat(X)
    centred[:, still] = 0.0
    variance = np.mean(centred**2, axis=0)
    spread = np.sqrt(variance)
    scale = np.ones(K)
    if standardise:
        scale = np.where(still, 1.0, spread)
    if constant:
        A = centred / scale
        z = y - y.mean()
    else:
        A = X / scale
        z = y
    if n > K + 1:
        both = [A, z]
        columns = np.column_stack(both)
        triangle = np.asarray(np.linalg.qr(columns, mode="r"))
        A = triangle[:, :K]
        z = triangle[:, K]
    x_mean = mean * constant
    y_mean = float(y.mean())
    y_mean = y_mean * constant
    return Reduced(A, z, x_mean, scale, y_mean, n)


def dummies_of(names: Sequence[str]) -> list[np.ndarray]:
    """Positions of the levels of each group among the regressors, `group:level`."""
    of_groups: dict[str, list[int]] = {}
    for k, name in enumerate(names):
        group, colon, _ = name.partition(":")
        if colon:
            of_groups.setdefault(group, []).append(k)
    return [np.array(positions) for positions in of_groups.values()]


def from_moments(
    M: np.ndarray,
    shift: np.ndarray,
    constant: bool,
    standardise: bool,
    dummies: Sequence[np.ndarray] = (),
) -> Reduced | None:
    """Reduce moments M (P, P) about `shift` (P - 1,); None where digits are lost.

    Without a constant the shift is zero. Of `dummies`, positions of the levels of a group, the last
    one that occurs is one less the others: it is put together from them, and levels that do not
    occur have no slope.
    """
    if not dummies:
        return _from_moments(M, shift, constant, standardise)
    n = M[0, 0]
    about_shift = M[0, 1:]
    of_shift = n * shift
    sums = about_shift + of_shift
    K = len(M) - 2
    keep = np.ones(K, dtype=bool)
    last_levels = []
    for levels in dummies:
        occurs = sums[levels] > 0.5  # sums of zeros and ones are whole numbers
        occurring = levels[occurs]
        last = occurring[-1]
        others = occurring[:-1]
        keep[levels] = False
        keep[others] = True
        last_levels.append((last, others))
    kept_columns = np.concatenate([[True], keep, [True]])
    columns = np.flatnonzero(kept_columns)
    M = M[np.ix_(columns, columns)]
    of_columns = columns[1:] - 1
    kept_shift = shift[of_columns]
    kept = _from_moments(M, kept_shift, constant, standardise)
    if kept is None:
        return None
    share = sums[:-1] / n
    return _with_last_levels(kept, keep, last_levels, share, standardise)


def _with_last_levels(
    kept: Reduced,
    keep: np.ndarray,
    last_levels: list[tuple[int, np.ndarray]],
    share: np.ndarray,
    standardise: bool,
) -> Reduced:
    """The columns `keep` (K,), and the last levels of groups as what the others leave.

    A level that does not occur has a column of zeros; `share` (K,) of the rows has each level.
    """
    K = len(keep)
    A = np.zeros((len(kept.A), K))
    A[:, keep] = kept.A * kept.scale
    mean = share.copy()
    mean[keep] = kept.mean
    scale = np.ones(K)
    scale[keep] = kept.scale
    for level, others in last_levels:
        of_others = A[:, others].sum(axis=1)
        A[:, level] = -of_others
        if standardise and len(others):
            p = share[level]
            other = 1.0 - p
            variance = p * other
            scale[level] = np.sqrt(variance)
    A = A / scale
    return Reduced(A, kept.z, mean, scale, kept.target_mean, kept.n)


@np.errstate(over="ignore", invalid="ignore")  # columns too large for products are refused later
def _from_moments(
    M: np.ndarray, shift: np.ndarray, constant: bool, standardise: bool
) -> Reduced | None:
    """Reduce moments (P, P) of columns without dummies; None where digits are lost.

    None too where only the rows can say which column is at fault: one that does not vary, or is
    outsized.
    """
    n = M[0, 0]
    K = len(M) - 2
    if n <= K + 1:
        return None
    mean = M[0, 1:] / n
    total = np.diagonal(M)[1:]
    squared_mean = np.outer(mean, mean)
    about_shift = M[1:, 1:]
    of_mean = n * squared_mean
    centred = about_shift - of_mean
    diagonal = np.diagonal(centred)
    variation = np.maximum(diagonal, 0.0)
    of_size = sized(total, n)
    least = KEPT_DIGITS * total
    varies = variation > least
    if not (of_size & varies).all():
        return None
    centre = mean + shift
    variance = variation / n
    spread = np.sqrt(variance)
    if near_rounding(spread, centre).any():
        return None
    products = centred if constant else about_shift
    diagonal = np.diagonal(products)
    length = np.sqrt(diagonal)
    lengths = np.outer(length, length)
    correlations = products / lengths
    eigen = np.linalg.eigvalsh(correlations)
    smallest = eigen[0]
    largest = eigen[-1]
    kept_share = variation / total
    kept = kept_share.min()
    if not smallest * kept > KEPT_DIGITS * largest:
        return None
    root = np.linalg.cholesky(correlations)
    triangle = root.T * length
    scale = np.ones(K)
    if standardise:
        scale = spread[:K]
    A = triangle[:, :K] / scale
    z = triangle[:, K]
    centre = centre * constant
    y_mean = float(centre[K])
    return Reduced(A, z, centre[:K], scale, y_mean, int(n))


def refuse(
    X: np.ndarray, y: np.ndarray, terms: Sequence[str], constant: bool, standardise: bool
) -> None:
    """Refuse rows that have no penalised regression.

    Raises:
        NotEstimable: fewer than 2 rows, a constant target, constant or outsized columns, which are
            named.
    """
    n = len(y)
    if n < 2:
        plural = "" if n == 1 else "s"
        raise NotEstimable(f"{n} row{plural}; needs at least 2")
    if flat(y):
        raise NotEstimable("the target is constant")
    still = flat(X) if constant or standardise else np.all(X == 0.0, axis=0)
    # a level that no row has, or every row, has no slope
    level = np.array([":" in term for term in terms], dtype=bool)
    still_terms = still & ~level
    constants = np.array(terms, dtype=object)[still_terms]
    if len(constants):
        verb = "is" if len(constants) == 1 else "are"
        listed = ", ".join(constants)
        raise NotEstimable(f"{listed} {verb} constant")
    names = ["the target", *(term for term in terms if ":" not in term)]
    columns = np.column_stack([y, X[:, ~level]])
    cell_sizes = np.abs(columns)
    sizes = cell_sizes.max(axis=0)
    smallest = 1.0 / LARGEST
    for name, size in zip(names, sizes, strict=True):
        if not smallest < size < LARGEST:
            allowed = f"{smallest:.0e} to {LARGEST:.0e}"
            raise NotEstimable(f"{name} is of size {size:.0e}; allowed: {allowed}")
