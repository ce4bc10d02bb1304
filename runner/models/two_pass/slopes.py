"""Least squares of many targets on the same regressors, each over its own rows.

Letters: T rows, N targets, K factors; F (T, K) factors, y (T, N) targets, use (T, N) cells to use.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from runner.numerics.least_squares import RANK_TOLERANCE, NotEstimable

# smallest eigenvalue of sums of products, relative to the largest, that leaves eleven digits or
# more
WELL = 1e-4
# share of the largest weight in a collinear combination, above which a term is named as part of it
COLLINEAR_PART = 1e-3


def slopes(F: np.ndarray, y: np.ndarray, use: np.ndarray, least: int) -> np.ndarray:
    """Slopes (N, K) of least squares with a constant.

    At once for the targets with every row; the others from sums of products, or from their rows
    where sums lose digits. NaN with fewer than `least` rows, or where factors are collinear.
    """
    b = np.full((y.shape[1], F.shape[1]), np.nan)
    n = use.sum(axis=0)
    complete = n == len(F)
    groups = []
    if complete.any():
        groups.append(np.flatnonzero(complete))
    enough = n >= least
    incomplete = ~complete & enough
    others = np.flatnonzero(incomplete)
    if len(others):
        y_of_others = y[:, others]
        use_of_others = use[:, others]
        b[others], sound = _from_sums(F, y_of_others, use_of_others)
        groups += [others[i : i + 1] for i in np.flatnonzero(~sound)]
    for targets in groups:
        rows = use[:, targets[0]]
        X = with_constant(F[rows], True)
        Y = y[np.ix_(rows, targets)]
        try:
            with_level = solve(X, Y, [""] * X.shape[1])
        except NotEstimable:
            b[targets] = np.nan
            continue
        b[targets] = with_level[1:].T
    return b


def _from_sums(F: np.ndarray, y: np.ndarray, use: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Slopes (N, K) of targets that have different rows, from sums of products.

    Also which targets (N,) kept their digits.
    """
    known = use.any(axis=1)
    F = F[known]
    y = y[known]
    use = use[known]
    mean = F.mean(axis=0)
    centred = F - mean
    spread = np.sqrt(np.mean(centred**2, axis=0))
    scale = np.maximum(spread, np.finfo(float).tiny)
    Z = with_constant(centred / scale, True)
    T, k = Z.shape
    products = Z[:, :, None] * Z[:, None, :]
    ZZ = (use.T @ products.reshape(T, -1)).reshape(-1, k, k)
    eigen = np.linalg.eigvalsh(ZZ)
    smallest = eigen[:, 0]
    largest = eigen[:, -1]
    sound = smallest > WELL * largest
    ZZ[~sound] = np.eye(k)
    sums = np.where(use, y, 0.0).sum(axis=0)
    rows = use.sum(axis=0)
    level = sums / rows
    Zy = np.where(use, y - level, 0.0).T @ Z
    b = np.linalg.solve(ZZ, Zy[:, :, None])
    return b[:, 1:, 0] / scale, sound


def solve(X: np.ndarray, Y: np.ndarray, terms: Sequence[str]) -> np.ndarray:
    """Least squares (k, m) of m targets Y (n, m) on the same regressors X (n, k).

    Raises:
        NotEstimable: regressors that are collinear, or constant beside a constant.
    """
    length = np.linalg.norm(X, axis=0)
    length[length == 0.0] = 1.0
    Q, R = np.linalg.qr(X / length)
    _, singular, right = np.linalg.svd(R)
    smallest = RANK_TOLERANCE * singular[0]
    if singular[-1] <= smallest:
        weights = np.abs(right[-1])
        largest = weights.max()
        least = COLLINEAR_PART * largest
        names = [term for term, weight in zip(terms, weights, strict=True) if weight > least]
        names_text = ", ".join(names)
        raise NotEstimable(f"collinear betas: {names_text}")
    solution = np.linalg.solve(R, Q.T @ Y)
    length_of_term = length[:, None]
    return solution / length_of_term


def with_constant(X: np.ndarray, constant: bool) -> np.ndarray:
    """Regressors (n, k), after a column of ones where there is a constant."""
    if not constant:
        return X
    return np.column_stack([np.ones(len(X)), X])
