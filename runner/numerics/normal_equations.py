"""Least squares of many units at once, solved from their moments.

A unit is solved from its moments (see `runner.numerics.moments`) only where they keep the digits;
`sound` says where. U units, K regressors, k = K + 1 terms, P = K + 2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from runner.numerics.least_squares import LARGEST
from runner.numerics.moments import products_summed
from runner.numerics.variation import near_rounding

# Bounds within which the solution from moments has at least eleven correct digits (they lose as
# many as the logarithm of these says): variation kept after centring, conditioning of the
# correlations, unexplained share.
KEPT = 1e-4
CONDITION = 1e-4
UNEXPLAINED = 1e-4


@dataclass(frozen=True)
class Solved:
    """Estimates of U units.

    Attributes:
        b: (U, k) estimates, the constant first.
        bread: (U, k, k) inverse of X'X.
        n, ssr, tss: (U,) rows and sums of squares of the residuals and of the centred target.
        sound: (U,) whether the moments kept the digits; the other entries of an unsound unit mean
            nothing.
    """

    b: np.ndarray
    bread: np.ndarray
    n: np.ndarray
    ssr: np.ndarray
    tss: np.ndarray
    sound: np.ndarray


def solve_moments(M: np.ndarray, shift: np.ndarray, rows: np.ndarray | None = None) -> Solved:
    """Least squares with a constant from moments.

    Args:
        M: (U, P, P) moments.
        shift: the point that they are about, one for all or one per unit.
        rows: (U,) cells, where weights make the first moment something else.
    """
    K = M.shape[1] - 2
    w = M[:, 0, 0]
    n = w if rows is None else rows
    point = shift.reshape(-1, K + 1)
    mean, length, correlations = _standardised(M, w)
    of_columns = M[:, 1:, 1:]
    squares = np.einsum("ujj->uj", of_columns)
    parameters = K + 1
    enough_rows = n > parameters
    keeps_digits = _kept(length, squares)
    sound = enough_rows & keeps_digits
    finite = np.isfinite(correlations)
    sound &= finite.all(axis=(1, 2))
    mean_from_zero = mean + point
    sound &= ~_perhaps_flat(length, w, mean_from_zero)
    sound_rows = sound[:, None]
    of_regressors = correlations[:, :K, :K]
    identity = np.eye(K)
    by_unit = sound_rows[:, None]
    Rxx = np.where(by_unit, of_regressors, identity)
    if K:
        sound &= _conditioned(Rxx)
        Rxx[~sound] = identity
    sound_rows = sound[:, None]
    with_target = correlations[:, :K, K]
    rxy = np.where(sound_rows, with_target, 0.0)
    inverse = np.linalg.inv(Rxx)
    beta = np.einsum("ujl,ul->uj", inverse, rxy)
    explained_share = products_summed(beta, rxy)
    unexplained = 1.0 - explained_share
    sound &= unexplained > UNEXPLAINED
    sound_rows = sound[:, None]
    scale = np.where(sound_rows, length, 1.0)
    x_scale = scale[:, :K]
    y_scale = scale[:, K:]
    slopes = beta * (y_scale / x_scale)
    mean = np.where(sound_rows, mean, 0.0) + point
    x_mean = mean[:, :K]
    explained = products_summed(slopes, x_mean)
    constant = mean[:, K] - explained
    tss = scale[:, K] ** 2
    ssr = tss * unexplained
    scales = x_scale[:, :, None] * x_scale[:, None, :]
    inner = inverse / scales
    positive_w = np.where(w > 0.0, w, 1.0)
    bread = _with_constant(inner, x_mean, positive_w)
    b = np.column_stack([constant, slopes])
    n = n.astype(int)
    return Solved(b, bread, n, ssr, tss, sound)


@np.errstate(divide="ignore", invalid="ignore", over="ignore")
def _standardised(M: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means and lengths about them (U, P - 1) of the columns; correlations (U, P - 1, P - 1)."""
    w_column = w[:, None]
    mean = M[:, 0, 1:] / w_column
    total = w_column * mean
    squared_mean = total[:, :, None] * mean[:, None, :]
    centred = M[:, 1:, 1:] - squared_mean
    variation = np.einsum("ujj->uj", centred)
    positive = np.maximum(variation, 0.0)
    length = np.sqrt(positive)
    lengths = length[:, :, None] * length[:, None, :]
    correlations = centred / lengths
    return mean, length, correlations


def _kept(length: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """(U,) whether every column keeps its digits when centred, and is of a size that has squares.

    Length (U, P - 1) of the centred columns, and their sums of squares (U, P - 1) before.
    """
    varies = length**2 > KEPT * squares
    least = LARGEST**-2
    not_small = squares > least
    most = LARGEST**2
    not_large = squares < most
    varies_enough = varies & not_small
    kept = varies_enough & not_large
    kept_in_all = kept.all(axis=1)
    return np.asarray(kept_in_all)


def _perhaps_flat(length: np.ndarray, n: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """(U,) whether a column may vary by rounding alone, which only its rows can tell.

    Length (U, P - 1) of the centred columns, sums of weights n (U,).
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        root = np.sqrt(n)
        spread = length / root[:, None]
    rounding = near_rounding(spread, mean)
    any_rounding = rounding.any(axis=1)
    return np.asarray(any_rounding)


def _conditioned(R: np.ndarray) -> np.ndarray:
    """(U,) whether correlations (U, K, K) are far enough from singular.

    By norms, which are enough for most and known at once; by eigenvalues for the rest.
    """
    try:
        with np.errstate(all="ignore"):
            inverse = np.linalg.inv(R)
            condition = _norm(R) * _norm(inverse)
            least = 1.0 / CONDITION
            far = condition < least
    except np.linalg.LinAlgError:
        far = np.zeros(len(R), dtype=bool)
    near = np.flatnonzero(~far)
    eigenvalues = np.linalg.eigvalsh(R[near])
    smallest = eigenvalues[:, 0]
    largest = eigenvalues[:, -1]
    far[near] = smallest > CONDITION * largest
    return far


def _norm(R: np.ndarray) -> np.ndarray:
    """(U,) largest absolute column sum of matrices (U, K, K)."""
    sizes = np.abs(R)
    column_sums = sizes.sum(axis=1)
    return column_sums.max(axis=1)


def _with_constant(inner: np.ndarray, mean: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Inverse of X'X (U, k, k), the constant first, from that of the centred regressors (U, K, K).

    Means (U, K) of the regressors; n (U,) is the sum of the weights.
    """
    U, K = mean.shape
    k = K + 1
    bread = np.empty((U, k, k))
    across = -np.einsum("ujl,ul->uj", inner, mean)
    of_means = products_summed(across, mean)
    bread[:, 0, 0] = 1.0 / n - of_means
    bread[:, 0, 1:] = across
    bread[:, 1:, 0] = across
    bread[:, 1:, 1:] = inner
    return bread
