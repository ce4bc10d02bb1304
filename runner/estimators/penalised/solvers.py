"""Slopes of ridge, LASSO and elastic net, for a whole grid of penalties, on reduced rows.

The objective per row is |y - X b|^2 / (2n) + l1 |b|_1 + l2 |b|^2 / 2. Letters: n rows, K
regressors, L penalties.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np

from runner.estimators.penalised.shrinkage import Penalty, Reduced
from runner.numerics.least_squares import RANK_TOLERANCE, NotEstimable

NOISE = 1e-12  # size of a slope, relative to the largest, below which it is the rounding of a zero
# largest breach of the optimality conditions, relative to the penalty that leaves no regressor
OPTIMAL = 1e-9
CONVERGED = 1e-13  # of coordinate descent
FEW_SWEEPS, MOST_SWEEPS = 2_000, 100_000  # by which it knows the signs, and ends

Solver = Callable[[np.ndarray, np.ndarray, Penalty], np.ndarray]


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
    rows_kept = len(s)
    fewer_rows = rows_kept < K
    smallest = s[-1]
    largest = s[0]
    least = RANK_TOLERANCE * largest
    collinear = smallest <= least
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
    coordinates = shrunk * projected
    b = coordinates @ right
    varies = data.A.any(axis=0)
    return b * varies  # no rounding where a column has nothing


def _lasso(data: Reduced, penalty: Penalty) -> np.ndarray:
    """scikit-learn's solvers on columns and a target of size one, their answer checked.

    Raises:
        NotEstimable: no solver meets the conditions of a least value.
    """
    products = data.A.T @ data.z
    if not products.any():
        L = len(penalty.l1)
        return np.zeros((L, data.A.shape[1]))
    m = len(data.z)
    root = np.sqrt(data.n)
    lengths = np.linalg.norm(data.A, axis=0)
    longest = lengths.max()
    X_size = longest / root
    y_length = np.linalg.norm(data.z)
    y_size = y_length / root
    root_rows = np.sqrt(m)
    row_scale = root_rows / root
    X_factor = row_scale / X_size
    y_factor = row_scale / y_size
    A = data.A * X_factor
    z = data.z * y_factor
    sizes = X_size * y_size
    l1 = penalty.l1 / sizes
    square = X_size**2
    l2 = penalty.l2 / square
    unit = Penalty(l1, l2)
    if unit.l2.any():
        solvers: tuple[Solver, ...] = (_descent_to_signs, _least_angles, _descent)
    else:
        solvers = (_least_angle, _descent)
    b = np.zeros((len(l1), A.shape[1]))
    wrong = np.ones(len(l1), dtype=bool)
    for solver in solvers:
        b[wrong] = solver(A, z, Penalty(l1[wrong], l2[wrong]))
        wrong = _breach(A, z, unit, b) > OPTIMAL
        if not wrong.any():
            return b * (y_size / X_size)
    raise NotEstimable(
        "the penalised regression did not converge; allowed: larger penalties, better columns"
    )


def _least_angle(A: np.ndarray, z: np.ndarray, penalty: Penalty) -> np.ndarray:
    """The path of an absolute penalty, which is linear between its knots."""
    from sklearn.linear_model import lars_path

    rows_and_columns = sum(A.shape)
    most_steps = 8 * rows_and_columns
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of collinear columns: what comes out is checked
        least = penalty.l1.min()
        knots, _, path = lars_path(A, z, method="lasso", alpha_min=least, max_iter=most_steps)
    rising = knots[::-1]
    by_term = [np.interp(penalty.l1, rising, slopes[::-1]) for slopes in path]
    terms_first = np.array(by_term)
    b = terms_first.T
    return _without_noise(A, z, penalty.l1, b)


def _least_angles(A: np.ndarray, z: np.ndarray, penalty: Penalty) -> np.ndarray:
    """One path for every squared penalty, which is that of further rows (Zou and Hastie 2005)."""
    m, K = A.shape
    all_rows = m + K
    rows_added = all_rows / m
    factor = np.sqrt(rows_added)
    further = np.zeros(K)
    target = np.append(z, further) * factor
    by_penalty = []
    for l1, l2 in zip(*penalty, strict=True):
        ridge_rows = np.sqrt(m * l2) * np.eye(K)
        both = [A, ridge_rows]
        rows = np.vstack(both)
        rows = rows * factor
        l1_alone = np.array([l1])
        no_ridge = np.zeros(1)
        lasso = Penalty(l1_alone, no_ridge)
        b = _least_angle(rows, target, lasso)
        by_penalty.append(b[0])
    return np.array(by_penalty)


def _descent_to_signs(A: np.ndarray, z: np.ndarray, penalty: Penalty) -> np.ndarray:
    """Coordinate descent; where few sweeps leave a rest, the exact slopes of their signs.

    Of collinear columns it knows the signs soon, and their slopes only after 100,000 sweeps.
    """
    b = _descent(A, z, penalty, FEW_SWEEPS)
    n = len(z)
    for i in np.flatnonzero(_breach(A, z, penalty, b) > OPTIMAL):
        kept = np.flatnonzero(b[i])
        columns = A[:, kept]
        bread = columns.T @ columns / n + penalty.l2[i] * np.eye(len(kept))
        signed = columns.T @ z / n - penalty.l1[i] * np.sign(b[i, kept])
        b[i, kept] = np.linalg.lstsq(bread, signed, rcond=None)[0]
    return b


def _descent(
    A: np.ndarray, z: np.ndarray, penalty: Penalty, sweeps: int = MOST_SWEEPS
) -> np.ndarray:
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
            max_iter=sweeps,
        )
    return _without_noise(A, z, penalty.l1, path.T)


def _without_noise(A: np.ndarray, z: np.ndarray, l1: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Exact zeros where a slope is rounding, and where the penalty leaves no regressor."""
    size = np.abs(b)
    sizes = size.max(axis=1, keepdims=True)
    least = NOISE * sizes
    keep = size > least
    products = A.T @ z
    covariances = np.abs(products)
    largest = (1.0 - NOISE) * covariances.max()
    rows = len(z)
    least_without_terms = largest / rows
    drops_all = l1 >= least_without_terms
    keep[drops_all] = False
    return np.where(keep, b, 0.0)


def _breach(A: np.ndarray, z: np.ndarray, penalty: Penalty, b: np.ndarray) -> np.ndarray:
    """By how much (L,) slopes (L, K) miss the Karush-Kuhn-Tucker conditions of a least value."""
    l1 = penalty.l1[:, None]
    l2 = penalty.l2[:, None]
    n = len(z)
    fitted = b @ A.T
    residuals = z - fitted
    gradient = residuals @ A / n - l2 * b
    sign = np.sign(b)
    signed = l1 * sign
    difference = gradient - signed
    at_slope = np.abs(difference)
    size = np.abs(gradient)
    excess = size - l1
    at_zero = np.maximum(excess, 0.0)
    breach = np.where(b != 0.0, at_slope, at_zero)
    products = A.T @ z
    covariances = np.abs(products)
    largest_covariance = covariances.max()
    largest = largest_covariance / n
    worst = breach.max(axis=1)
    return worst / largest
