"""Whether moments keep the digits of the regressions that are made of them.

Letters: U units, P columns of moments, the constant among them.
"""

from __future__ import annotations

import numpy as np

from runner.numerics.least_squares import LARGEST
from runner.numerics.variation import near_rounding

# Rounding of moments grows by the inverse of (variation kept after centring) x (conditioning of the
# correlations, that with the target among them); below this bound fewer than ten digits would be
# left.
KEPT_DIGITS = 1e-5


def sized(total: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Whether columns with these sums of squares over n rows are neither outsized nor tiny."""
    least = n / LARGEST**2
    most = n * LARGEST**2
    large_enough = total > least
    small_enough = total < most
    return np.asarray(large_enough & small_enough)


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
    varies = variation > KEPT_DIGITS * total
    spread = np.sqrt(variation / rows)
    rounding = near_rounding(spread, centre)
    enough = n > total.shape[1]
    columns_keep = (of_size & varies).all(axis=1)
    return enough & columns_keep & ~rounding.any(axis=1)


def well_conditioned(correlations: np.ndarray, kept: np.ndarray, sound: np.ndarray) -> np.ndarray:
    """Which units (U,) have correlations (U, P - 1, P - 1) that keep the digits.

    Args:
        kept: (U,) least share of the variation of a column that is left after centring.
        sound: (U,) the units to judge.
    """
    columns = correlations.shape[1]
    # no eigenvalue is less than this, and none above their sum
    trace_of_inverse = np.sum(half_inverse(correlations) ** 2, axis=(0, 1))
    least = kept / trace_of_inverse
    bound = KEPT_DIGITS * columns
    well = np.ones(len(kept), dtype=bool)
    unsure = np.flatnonzero(sound & ~(least > bound))
    eigen = np.linalg.eigvalsh(correlations[unsure])
    smallest = eigen[:, 0]
    largest = eigen[:, -1]
    smallest_kept = smallest * kept[unsure]
    well[unsure] = smallest_kept > KEPT_DIGITS * largest
    return well


def half_inverse(A: np.ndarray) -> np.ndarray:
    """Lower triangles W (K, K, U) with W'W the inverse of positive definite A (U, K, K), else NaN.

    By Cholesky of all units at once, several times faster than one after the other.
    """
    K = A.shape[1]
    L = np.moveaxis(A, 0, 2).copy()
    U = len(A)
    W = np.zeros((K, K, U))
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
