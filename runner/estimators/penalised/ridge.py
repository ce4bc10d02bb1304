"""Ridge of many units at once from their moments, and whether moments keep the digits.

The objective and its letters are those of `runner.estimators.penalised.shrinkage`: U units, K
regressors, P columns of moments, the constant among them.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import lapack

from runner.numerics.least_squares import LARGEST
from runner.numerics.moments import products_summed
from runner.numerics.variation import near_rounding

# Rounding of moments grows by the inverse of (variation kept after centring) x (conditioning of the
# correlations, that with the target among them); below this bound fewer than ten digits would be
# left.
KEPT_DIGITS = 1e-5
FEW = 8  # units that are solved sooner one after the other


# units that lose digits divide by zero and are not sound
@np.errstate(divide="ignore", invalid="ignore", over="ignore")
def ridge_of_units(
    M: np.ndarray, shift: np.ndarray, penalty: float, standardise: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Ridge with a constant of U units at once, from their moments.

    Args:
        M: (U, P, P) moments about `shift` (1 or U, P - 1).
        penalty: scikit-learn's alpha.

    Returns:
        b (U, K + 1), the constant first; sums of squares (U,) of the residuals and of the centred
        target; and which units (U,) are sound, where moments keep the digits.
    """
    K = M.shape[1] - 2
    n = M[:, 0, 0]
    rows = n[:, None]
    mean = M[:, 0, 1:] / rows
    centre = mean + shift
    total = np.einsum("ujj->uj", M)[:, 1:]
    outer = rows[:, :, None] * mean[:, :, None] * mean[:, None, :]
    centred = M[:, 1:, 1:] - outer
    squares = np.einsum("ujj->uj", centred)
    variation = np.maximum(squares, 0.0)
    sound = keep_digits(n, centre, total, variation)
    # correlations: columns of all sizes keep their digits
    length = np.sqrt(variation)
    correlations = centred / (length[:, :, None] * length[:, None, :])
    shares = variation / total
    kept = shares.min(axis=1)
    sound &= well_conditioned(correlations, kept, sound)

    XX = correlations[:, :K, :K]
    Xy = correlations[:, :K, K]
    added = penalty / variation[:, :K]
    if standardise:
        added = penalty / rows * np.ones(K)
    b = _penalised_slopes(XX, Xy, added)
    tss = variation[:, K]
    with_target = products_summed(b, Xy)
    explained = 2.0 * with_target
    fitted = np.einsum("uj,ujk,uk->u", b, XX, b)
    left_by_all = 1.0 - explained
    unexplained = left_by_all + fitted
    ssr = tss * unexplained
    y_length = length[:, K:]
    x_length = length[:, :K]
    scaled = b * y_length
    slopes = scaled / x_length
    x_centre = centre[:, :K]
    of_means = products_summed(slopes, x_centre)
    constant = centre[:, K] - of_means
    estimates = np.concatenate([constant[:, None], slopes], axis=1)
    return estimates, ssr, tss, sound


def _penalised_slopes(XX: np.ndarray, Xy: np.ndarray, added: np.ndarray) -> np.ndarray:
    """Slopes (U, K) on standardised columns; those of units that are not sound mean nothing.

    Args:
        XX, Xy: (U, K, K) and (U, K) correlations.
        added: (U, K) or (U, 1), the penalty on the diagonal.
    """
    penalised = XX.copy()
    diagonal = np.einsum("ujj->uj", penalised)
    diagonal += added
    W = half_inverse(penalised)
    half = np.einsum("jku,uk->ju", W, Xy)
    return np.einsum("jku,ju->uk", W, half)


def sized(total: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Whether columns with these sums of squares over n rows are neither outsized nor tiny."""
    least = n / LARGEST**2
    most = n * LARGEST**2
    fits = (total > least) & (total < most)
    return np.asarray(fits)


def keep_digits(
    n: np.ndarray, centre: np.ndarray, total: np.ndarray, variation: np.ndarray
) -> np.ndarray:
    """Which units (U,) have enough rows, and columns that vary and are not outsized.

    Args:
        n: (U,) rows.
        centre, total, variation: (U, P - 1) means, sums of squares about the shift and about the
            means.
    """
    rows = n[:, None]
    of_size = sized(total, rows)
    least = KEPT_DIGITS * total
    varies = variation > least
    variance = variation / rows
    spread = np.sqrt(variance)
    rounding = near_rounding(spread, centre)
    enough = n > total.shape[1]
    keeps = of_size & varies & ~rounding
    return enough & keeps.all(axis=1)


def well_conditioned(correlations: np.ndarray, kept: np.ndarray, sound: np.ndarray) -> np.ndarray:
    """Which units (U,) have correlations (U, P - 1, P - 1) that keep the digits.

    Args:
        kept: (U,) least share of the variation of a column that is left after centring.
        sound: (U,) the units to judge.
    """
    columns = correlations.shape[1]
    # no eigenvalue is less than this, and none above their sum
    W = half_inverse(correlations)
    trace_of_inverse = np.einsum("jku,jku->u", W, W)
    least = kept / trace_of_inverse
    bound = KEPT_DIGITS * columns
    well = least > bound
    unsure = sound & ~well
    if not unsure.any():
        return well
    eigen = np.linalg.eigvalsh(correlations[unsure])
    smallest = eigen[:, 0]
    largest = eigen[:, -1]
    smallest_kept = smallest * kept[unsure]
    well[unsure] = smallest_kept > KEPT_DIGITS * largest
    return well


def half_inverse(A: np.ndarray) -> np.ndarray:
    """Lower triangles W (K, K, U) with W'W the inverse of positive definite A (U, K, K), else NaN.

    By Cholesky of all units at once, several times faster than one after the other; a few units
    are solved by LAPACK.
    """
    U, K, _ = A.shape
    shape = (K, K, U)
    if U <= FEW:
        W = np.empty(shape).swapaxes(0, 1)  # columns lie together, as those of LAPACK
        for u in range(U):
            W[:, :, u] = _half_inverse_of_one(A[u])
        return W
    W = np.zeros(shape)
    L = np.moveaxis(A, 0, 2).copy()
    for j in range(K):
        row = L[j, :j]
        below = L[j:, :j]
        L[j:, j] -= np.einsum("iku,ku->iu", below, row)
        L[j:, j] /= np.sqrt(L[j, j])
        W[j, j] = 1.0 / L[j, j]
        before = W[:j, :j]
        above = np.einsum("ku,kiu->iu", row, before)
        W[j, :j] = -W[j, j] * above
    return W


def _half_inverse_of_one(A: np.ndarray) -> np.ndarray:
    """The same (K, K) of one matrix A (K, K)."""
    L, not_definite = lapack.dpotrf(A, lower=True, clean=True)
    if not_definite:
        return np.full(A.shape, np.nan)
    inverse, _ = lapack.dtrtri(L, lower=True)
    return inverse
