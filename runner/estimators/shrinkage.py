"""Ridge, LASSO and elastic net of one regression: pure functions of arrays, for a whole grid of
penalties.

The objective per row is |y - X b|^2 / (2n) + l1 |b|_1 + l2 |b|^2 / 2, the constant free;
scikit-learn's alpha is l1 + l2 of its Lasso and ElasticNet, and n l2 of its Ridge. Rows are
replaced by a triangle with the same sums of squares, so that no solver sees more rows than columns.
Letters: n rows, K regressors, L penalties.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from runner.numerics.least_squares import LARGEST, RANK_TOLERANCE, NotEstimable
from runner.numerics.variation import flat, near_rounding

# Rounding of moments grows by the inverse of (variation kept after centring) x (conditioning of the
# correlations, that with the target among them); below this bound fewer than ten digits would be
# left.
KEPT_DIGITS = 1e-5
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
        return np.linalg.norm(self.A, axis=0) / np.sqrt(self.n) * self.scale

    def line(self, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Constants (L,) and slopes (L, K) in units of the data, of the slopes on the scaled
        regressors.
        """
        slopes = b / self.scale
        return self.target_mean - slopes @ self.mean, slopes

    def ssr(self, b: np.ndarray) -> float:
        """Sum of squared residuals of slopes (K,) on the scaled regressors."""
        return float(np.sum((self.z - self.A @ b) ** 2))


def from_rows(X: np.ndarray, y: np.ndarray, constant: bool, standardise: bool) -> Reduced:
    """Reduce rows (n, K) and (n,). A column that does not vary has the scale 1 and, with a
    constant, no slope.
    """
    n, K = X.shape
    mean = X.mean(axis=0)
    about = X - mean
    still = flat(X)
    about[:, still] = 0.0
    spread = np.sqrt(np.mean(about**2, axis=0))
    scale = np.where(still, 1.0, spread) if standardise else np.ones(K)
    Z, z = (about if constant else X) / scale, y - y.mean() if constant else y
    if n > K + 1:
        triangle = np.asarray(np.linalg.qr(np.column_stack([Z, z]), mode="r"))
        Z, z = triangle[:, :K], triangle[:, K]
    return Reduced(Z, z, mean * constant, scale, float(y.mean()) * constant, n)


def dummies_of(names: Sequence[str]) -> list[np.ndarray]:
    """Positions of the levels of each group among the regressors, `group:level`."""
    groups = [name.partition(":")[0] if ":" in name else "" for name in names]
    return [np.flatnonzero(np.array(groups) == one) for one in dict.fromkeys(groups) if one]


def from_moments(
    M: np.ndarray,
    shift: np.ndarray,
    constant: bool,
    standardise: bool,
    dummies: Sequence[np.ndarray] = (),
) -> Reduced | None:
    """Reduce moments (P, P) about `shift` (P - 1,), which is zero without a constant; None where
    digits are lost.

    Of `dummies`, positions of the levels of a group, the last one that occurs is one less the
    others: it is put together from them, and levels that do not occur have no slope.
    """
    if not dummies:
        return _from_moments(M, shift, constant, standardise)
    n = M[0, 0]
    times = M[0, 1:] + n * shift
    keep = np.ones(len(M) - 2, dtype=bool)
    last = []
    for own in dummies:
        there = own[times[own] > 0.5]
        keep[own], keep[there[:-1]] = False, True
        last.append((there[-1], there[:-1]))
    at = np.flatnonzero(np.concatenate([[True], keep, [True]]))
    found = _from_moments(M[np.ix_(at, at)], shift[at[1:] - 1], constant, standardise)
    return None if found is None else _with_last(found, keep, last, times[:-1] / n, standardise)


def _with_last(
    found: Reduced,
    keep: np.ndarray,
    last: list[tuple[int, np.ndarray]],
    share: np.ndarray,
    standardise: bool,
) -> Reduced:
    """The columns `keep` (K,), and the last levels of groups as what the others leave; zeros where
    a level is not.
    """
    A = np.zeros((len(found.A), len(keep)))
    A[:, keep] = found.A * found.scale
    mean, scale = share.copy(), np.ones(len(keep))
    mean[keep], scale[keep] = found.mean, found.scale
    for level, others in last:
        A[:, level] = -A[:, others].sum(axis=1)
        if standardise and len(others):
            scale[level] = np.sqrt(share[level] * (1.0 - share[level]))
    return Reduced(A / scale, found.z, mean, scale, found.target_mean, found.n)


def _from_moments(
    M: np.ndarray, shift: np.ndarray, constant: bool, standardise: bool
) -> Reduced | None:
    n, K = M[0, 0], len(M) - 2
    if n <= K + 1:
        return None
    mean, total = M[0, 1:] / n, np.diagonal(M)[1:]
    about = M[1:, 1:] - n * np.outer(mean, mean)
    variation = np.maximum(np.diagonal(about), 0.0)
    sized = (total > n / LARGEST**2) & (total < n * LARGEST**2)  # else rows say which column is not
    if not (sized & (variation > KEPT_DIGITS * total)).all():
        return None
    if near_rounding(
        np.sqrt(variation / n), mean + shift
    ).any():  # rows say whether a column varies
        return None
    inner = about if constant else M[1:, 1:]
    length = np.sqrt(np.diagonal(inner))
    unit = inner / np.outer(length, length)
    eigen = np.linalg.eigvalsh(unit)
    if not eigen[0] * (variation / total).min() > KEPT_DIGITS * eigen[-1]:
        return None
    triangle = np.linalg.cholesky(unit).T * length
    scale = np.sqrt(variation[:K] / n) if standardise else np.ones(K)
    centre = (mean + shift) * constant
    return Reduced(
        triangle[:, :K] / scale, triangle[:, K], centre[:K], scale, float(centre[K]), int(n)
    )


@np.errstate(
    divide="ignore", invalid="ignore", over="ignore"
)  # units that lose digits are not sound
def ridge_of_units(
    M: np.ndarray, shift: np.ndarray, penalty: float, standardise: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Ridge with a constant of U units at once, from moments (U, P, P) about `shift` (1 or U, P -
    1).

    Returns:
        b (U, K + 1), the constant first; sums of squares (U,) of the residuals and of the centred
        target; and which units (U,) are sound, where moments keep the digits as in `from_moments`.
    """
    n, K = M[:, 0, 0], M.shape[1] - 2
    mean, total = M[:, 0, 1:] / n[:, None], np.einsum("ujj->uj", M)[:, 1:]
    about = M[:, 1:, 1:] - n[:, None, None] * mean[:, :, None] * mean[:, None, :]
    variation = np.maximum(np.einsum("ujj->uj", about), 0.0)
    sized = (total > n[:, None] / LARGEST**2) & (total < n[:, None] * LARGEST**2)
    sound = (n > K + 1) & (sized & (variation > KEPT_DIGITS * total)).all(axis=1)
    sound &= ~near_rounding(np.sqrt(variation / n[:, None]), mean + shift).any(axis=1)
    about, variation = (
        np.where(sound[:, None, None], about, np.eye(K + 1)),
        np.where(sound[:, None], variation, 1.0),
    )
    length = np.sqrt(variation)
    unit = about / (
        length[:, :, None] * length[:, None, :]
    )  # correlations: columns of all sizes keep their digits
    kept = np.where(sound[:, None], variation / total, 1.0).min(axis=1)
    least = kept / np.sum(
        _half_inverse(unit) ** 2, axis=(0, 1)
    )  # no eigenvalue is less, and none above their sum
    near = np.flatnonzero(sound & ~(least > KEPT_DIGITS * (K + 1)))
    eigen = np.linalg.eigvalsh(unit[near])
    sound[near] = eigen[:, 0] * kept[near] > KEPT_DIGITS * eigen[:, -1]
    added = penalty / n[:, None] * np.ones(K) if standardise else penalty / variation[:, :K]
    inner, across = unit[:, :K, :K], unit[:, :K, K]
    grown = np.where(sound[:, None, None], inner + np.eye(K) * added[:, None, :], np.eye(K))
    half = _half_inverse(grown)
    b = np.einsum("jku,ju->uk", half, np.einsum("jku,uk->ju", half, across))
    tss = variation[:, K]
    ssr = tss * (
        1.0 - 2.0 * np.einsum("uk,uk->u", b, across) + np.einsum("uj,ujk,uk->u", b, inner, b)
    )
    b, centre = b * length[:, K:] / length[:, :K], mean + shift
    return (
        np.column_stack([centre[:, K] - np.einsum("uk,uk->u", b, centre[:, :K]), b]),
        ssr,
        tss,
        sound,
    )


def _half_inverse(A: np.ndarray) -> np.ndarray:
    """Lower triangles W (K, K, U) with W'W the inverse of positive definite A (U, K, K), NaN where
    it is not: by Cholesky of all at once, several times sooner than one after the other."""
    K = A.shape[1]
    L, W = np.moveaxis(A, 0, 2).copy(), np.zeros((K, K, len(A)))
    for j in range(K):
        L[j:, j] -= np.einsum("iku,ku->iu", L[j:, :j], L[j, :j])
        L[j:, j] /= np.sqrt(L[j, j])
        W[j, j] = 1.0 / L[j, j]
        W[j, :j] = -W[j, j] * np.einsum("ku,kiu->iu", L[j, :j], W[:j, :j])
    return W


def refuse(
    X: np.ndarray, y: np.ndarray, terms: Sequence[str], constant: bool, standardise: bool
) -> None:
    """Refuse rows that have no penalised regression.

    Raises:
        NotEstimable: fewer than 2 rows, a constant target, constant or outsized columns, which are
            named.
    """
    if len(y) < 2:
        raise NotEstimable(f"{len(y)} row{'s' * (len(y) != 1)}; needs at least 2")
    if flat(y):
        raise NotEstimable("the target is constant")
    still = flat(X) if constant or standardise else np.all(X == 0.0, axis=0)
    level = np.array(
        [":" in term for term in terms], dtype=bool
    )  # one without rows, or with all, has no slope
    still &= ~level
    if still.any():
        names = [term for term, one in zip(terms, still, strict=True) if one]
        raise NotEstimable(f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} constant")
    sizes = np.abs(np.column_stack([y, X[:, ~level]])).max(axis=0)
    for name, size in zip(
        ["the target", *(one for one in terms if ":" not in one)], sizes, strict=True
    ):
        if not 1.0 / LARGEST < size < LARGEST:
            raise NotEstimable(
                f"{name} is of size {size:.0e}; allowed: {1.0 / LARGEST:.0e} to {LARGEST:.0e}"
            )


def solve(data: Reduced, penalty: Penalty) -> np.ndarray:
    """Slopes (L, K) on the scaled regressors for every penalty.

    Raises:
        NotEstimable: no penalty at all on collinear columns, or a solver that did not converge.
    """
    if not data.A.shape[1] or not data.z.any():
        return np.zeros((len(penalty.l1), data.A.shape[1]))
    return _ridge(data, penalty.l2) if not penalty.l1.any() else _lasso(data, penalty)


def _ridge(data: Reduced, l2: np.ndarray) -> np.ndarray:
    """From the singular values, for every penalty at once."""
    left, s, right = np.linalg.svd(data.A, full_matrices=False)
    short = len(s) < data.A.shape[1] or s[-1] <= RANK_TOLERANCE * s[0]
    if short and not l2.all():
        raise NotEstimable(
            "penalty 0 with collinear columns, or with no more rows than columns, has no one answer"
        )
    shrunk = s / (s**2 + data.n * l2[:, None]) if s[0] else np.zeros((len(l2), len(s)))
    return (
        (shrunk * (left.T @ data.z)) @ right * data.A.any(axis=0)
    )  # no rounding where a column has nothing


def _lasso(data: Reduced, penalty: Penalty) -> np.ndarray:
    """scikit-learn's solvers on columns and a target of size one, their answer checked."""
    m, root = len(data.z), np.sqrt(data.n)
    across = np.linalg.norm(data.A, axis=0).max() / root
    along = np.linalg.norm(data.z) / root
    if not (data.A.T @ data.z).any():
        return np.zeros((len(penalty.l1), data.A.shape[1]))
    A, z = data.A * (np.sqrt(m) / root / across), data.z * (np.sqrt(m) / root / along)
    unit = Penalty(penalty.l1 / (across * along), penalty.l2 / across**2)
    first, second = (_descent, _least_angles) if unit.l2.any() else (_least_angle, _descent)
    b = first(A, z, unit)
    bad = _breach(A, z, unit, b) > OPTIMAL
    if bad.any():
        b[bad] = second(A, z, Penalty(unit.l1[bad], unit.l2[bad]))
    if (_breach(A, z, unit, b) > OPTIMAL).any():
        raise NotEstimable(
            "the penalised regression did not converge; allowed: larger penalties, better columns"
        )
    return b * (along / across)


def _least_angle(A: np.ndarray, z: np.ndarray, penalty: Penalty) -> np.ndarray:
    """The path of an absolute penalty, which is linear between its knots."""
    from sklearn.linear_model import lars_path

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of collinear columns: what comes out is checked
        knots, _, path = lars_path(
            A, z, method="lasso", alpha_min=penalty.l1.min(), max_iter=8 * sum(A.shape)
        )
    b = np.array([np.interp(penalty.l1, knots[::-1], slopes[::-1]) for slopes in path]).T
    return _without_noise(A, z, penalty.l1, b)


def _least_angles(A: np.ndarray, z: np.ndarray, penalty: Penalty) -> np.ndarray:
    """One path for every squared penalty, which is that of further rows (Zou and Hastie 2005)."""
    m, K = A.shape
    grown, found = np.sqrt((m + K) / m), []
    for l1, l2 in zip(*penalty, strict=True):
        rows = np.vstack([A, np.sqrt(m * l2) * np.eye(K)]) * grown
        one = Penalty(np.array([l1]), np.zeros(1))
        found.append(_least_angle(rows, np.append(z, np.zeros(K)) * grown, one)[0])
    return np.array(found)


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
    keep = np.abs(b) > NOISE * np.abs(b).max(axis=1, keepdims=True)
    keep[l1 >= (1.0 - NOISE) * np.abs(A.T @ z).max() / len(z)] = False
    return np.where(keep, b, 0.0)


def _breach(A: np.ndarray, z: np.ndarray, penalty: Penalty, b: np.ndarray) -> np.ndarray:
    """By how much slopes (L, K) miss the conditions of a least value (Karush, Kuhn and Tucker),
    (L,).
    """
    l1, l2 = penalty.l1[:, None], penalty.l2[:, None]
    slope = (z - b @ A.T) @ A / len(z) - l2 * b
    breach = np.where(
        b != 0.0, np.abs(slope - l1 * np.sign(b)), np.maximum(np.abs(slope) - l1, 0.0)
    )
    return breach.max(axis=1) / (np.abs(A.T @ z).max() / len(z))
