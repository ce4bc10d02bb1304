"""Ridge, LASSO and elastic net of one regression, by pure functions of arrays.

The objective per row is |y - X b|^2 / (2n) + l1 |b|_1 + l2 |b|^2 / 2, the constant free;
scikit-learn's alpha is l1 + l2 of its Lasso and ElasticNet, and n l2 of its Ridge. Rows are
replaced by a triangle with the same sums of squares, so that no solver sees more rows than columns.
Every function takes a whole grid of penalties. Letters: n rows, K regressors, L penalties.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from runner.estimators.penalised.ridge import KEPT_DIGITS, sized
from runner.numerics.least_squares import LARGEST, RANK_TOLERANCE, NotEstimable
from runner.numerics.variation import flat, near_rounding

NOISE = 1e-12  # size of a slope, relative to the largest, below which it is the rounding of a zero
# largest breach of the optimality conditions, relative to the penalty that leaves no regressor
OPTIMAL = 1e-9
CONVERGED, MOST_SWEEPS = 1e-13, 100_000  # of coordinate descent


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
        return length / root * self.scale

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
        return float(np.sum(residuals**2))


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
        columns = np.column_stack([A, z])
        triangle = np.asarray(np.linalg.qr(columns, mode="r"))
        A = triangle[:, :K]
        z = triangle[:, K]
    x_mean = mean * constant
    y_mean = float(y.mean())
    y_mean = y_mean * constant
    return Reduced(A, z, x_mean, scale, y_mean, n)


def dummies_of(names: Sequence[str]) -> list[np.ndarray]:
    """Positions of the levels of each group among the regressors, `group:level`."""
    groups = [name.partition(":")[0] if ":" in name else "" for name in names]
    distinct = [group for group in dict.fromkeys(groups) if group]
    group_of = np.array(groups)
    return [np.flatnonzero(group_of == group) for group in distinct]


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
    sums = about_shift + n * shift
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
            variance = p * (1.0 - p)
            scale[level] = np.sqrt(variance)
    A = A / scale
    return Reduced(A, kept.z, mean, scale, kept.target_mean, kept.n)


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
    centred = about_shift - n * squared_mean
    diagonal = np.diagonal(centred)
    variation = np.maximum(diagonal, 0.0)
    of_size = sized(total, n)
    varies = variation > KEPT_DIGITS * total
    if not (of_size & varies).all():
        return None
    centre = mean + shift
    spread = np.sqrt(variation / n)
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
    kept = (variation / total).min()
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
    sizes = np.abs(columns).max(axis=0)
    smallest = 1.0 / LARGEST
    for name, size in zip(names, sizes, strict=True):
        if not smallest < size < LARGEST:
            allowed = f"{smallest:.0e} to {LARGEST:.0e}"
            raise NotEstimable(f"{name} is of size {size:.0e}; allowed: {allowed}")


def solve(data: Reduced, penalty: Penalty) -> np.ndarray:
    """Slopes (L, K) on the scaled regressors for every penalty.

    Raises:
        NotEstimable: no penalty at all on collinear columns, or a solver that did not converge.
    """
    K = data.A.shape[1]
    if not K or not data.z.any():
        L = len(penalty.l1)
        return np.zeros((L, K))
    if penalty.l1.any():
        return _lasso(data, penalty)
    return _ridge(data, penalty.l2)


def _ridge(data: Reduced, l2: np.ndarray) -> np.ndarray:
    """From the singular values, for every penalty at once."""
    left, s, right = np.linalg.svd(data.A, full_matrices=False)
    K = data.A.shape[1]
    fewer_rows = len(s) < K
    smallest = s[-1]
    largest = s[0]
    collinear = smallest <= RANK_TOLERANCE * largest
    if (fewer_rows or collinear) and not l2.all():
        raise NotEstimable(
            "penalty 0 with collinear columns, or with no more rows than columns, has no one answer"
        )
    shape = (len(l2), len(s))
    shrunk = np.zeros(shape)
    if s[0]:
        added = data.n * l2[:, None]
        shrunk = s / (s**2 + added)
    projected = left.T @ data.z
    b = (shrunk * projected) @ right
    varies = data.A.any(axis=0)
    return b * varies  # no rounding where a column has nothing


def _lasso(data: Reduced, penalty: Penalty) -> np.ndarray:
    """scikit-learn's solvers on columns and a target of size one, their answer checked.

    Raises:
        NotEstimable: neither solver meets the conditions of a least value.
    """
    products = data.A.T @ data.z
    if not products.any():
        L = len(penalty.l1)
        return np.zeros((L, data.A.shape[1]))
    m = len(data.z)
    root = np.sqrt(data.n)
    lengths = np.linalg.norm(data.A, axis=0)
    X_size = lengths.max() / root
    y_length = np.linalg.norm(data.z)
    y_size = y_length / root
    row_scale = np.sqrt(m) / root
    X_factor = row_scale / X_size
    y_factor = row_scale / y_size
    A = data.A * X_factor
    z = data.z * y_factor
    sizes = X_size * y_size
    l1 = penalty.l1 / sizes
    l2 = penalty.l2 / X_size**2
    unit = Penalty(l1, l2)
    if unit.l2.any():
        first = _descent
        second = _least_angles
    else:
        first = _least_angle
        second = _descent
    b = first(A, z, unit)
    breach = _breach(A, z, unit, b)
    wrong = breach > OPTIMAL
    if wrong.any():
        failed = Penalty(l1[wrong], l2[wrong])
        b[wrong] = second(A, z, failed)
    breach = _breach(A, z, unit, b)
    if (breach > OPTIMAL).any():
        raise NotEstimable(
            "the penalised regression did not converge; allowed: larger penalties, better columns"
        )
    return b * (y_size / X_size)


def _least_angle(A: np.ndarray, z: np.ndarray, penalty: Penalty) -> np.ndarray:
    """The path of an absolute penalty, which is linear between its knots."""
    from sklearn.linear_model import lars_path

    most_steps = 8 * sum(A.shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of collinear columns: what comes out is checked
        least = penalty.l1.min()
        knots, _, path = lars_path(A, z, method="lasso", alpha_min=least, max_iter=most_steps)
    rising = knots[::-1]
    by_term = [np.interp(penalty.l1, rising, slopes[::-1]) for slopes in path]
    b = np.array(by_term).T
    return _without_noise(A, z, penalty.l1, b)


def _least_angles(A: np.ndarray, z: np.ndarray, penalty: Penalty) -> np.ndarray:
    """One path for every squared penalty, which is that of further rows (Zou and Hastie 2005)."""
    m, K = A.shape
    rows_added = (m + K) / m
    factor = np.sqrt(rows_added)
    further = np.zeros(K)
    target = np.append(z, further) * factor
    by_penalty = []
    for l1, l2 in zip(*penalty, strict=True):
        ridge_rows = np.sqrt(m * l2) * np.eye(K)
        rows = np.vstack([A, ridge_rows])
        rows = rows * factor
        l1_alone = np.array([l1])
        lasso = Penalty(l1_alone, np.zeros(1))
        b = _least_angle(rows, target, lasso)
        by_penalty.append(b[0])
    return np.array(by_penalty)


def _descent(A: np.ndarray, z: np.ndarray, penalty: Penalty) -> np.ndarray:
    """Coordinate descent from the largest penalty to the least."""
    from sklearn.linear_model import enet_path

    alphas = penalty.l1 + penalty.l2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of convergence: what comes out is checked
        _, path, _ = enet_path(
            np.asfortranarray(A),
            z,
            l1_ratio=float(penalty.l1[0] / alphas[0]),
            alphas=alphas,
            tol=CONVERGED,
            max_iter=MOST_SWEEPS,
        )
    return _without_noise(A, z, penalty.l1, path.T)


def _without_noise(A: np.ndarray, z: np.ndarray, l1: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Exact zeros where a slope is rounding, and where the penalty leaves no regressor."""
    size = np.abs(b)
    sizes = size.max(axis=1, keepdims=True)
    keep = size > NOISE * sizes
    products = A.T @ z
    covariances = np.abs(products)
    largest = (1.0 - NOISE) * covariances.max()
    least_without_terms = largest / len(z)
    keep[l1 >= least_without_terms] = False
    return np.where(keep, b, 0.0)


def _breach(A: np.ndarray, z: np.ndarray, penalty: Penalty, b: np.ndarray) -> np.ndarray:
    """By how much (L,) slopes (L, K) miss the Karush-Kuhn-Tucker conditions of a least value."""
    l1 = penalty.l1[:, None]
    l2 = penalty.l2[:, None]
    n = len(z)
    fitted = b @ A.T
    residuals = z - fitted
    gradient = residuals @ A / n - l2 * b
    signed = l1 * np.sign(b)
    at_slope = np.abs(gradient - signed)
    excess = np.abs(gradient) - l1
    at_zero = np.maximum(excess, 0.0)
    breach = np.where(b != 0.0, at_slope, at_zero)
    products = A.T @ z
    covariances = np.abs(products)
    largest = covariances.max() / n
    return breach.max(axis=1) / largest
