"""Is a factor model the right one: tests of a line, of constancy, and of common residuals.

Letters: X (n, k) regressors with a constant, y (n,) target, u residuals. Rows are in order of time.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from runner.estimators.standard_errors import own
from runner.numerics.covariance import long_run
from runner.numerics.inference import Wald, wald
from runner.numerics.least_squares import NotEstimable, solve
from runner.numerics.restrictions import Restriction
from runner.numerics.variation import COMPUTED, flat

MOST_STEPS = 1000  # rows of a simulated path
CHUNK = 2_000_000  # numbers simulated at a time


class Broken(NamedTuple):
    """The largest statistic over dates of a break.

    Attributes:
        statistic: the largest.
        row: the first row after its date.
        p_value: of the largest over all dates.
    """

    statistic: float
    row: int
    p_value: float


class Shared(NamedTuple):
    """What residuals share, beside what they would if they shared nothing.

    Attributes:
        mean_correlation: mean absolute correlation of the pairs; largest: eigenvalue of the
            correlations.
        expected_correlation, expected_largest: means of these over permutations.
        p_correlation, p_largest: chance of as much without anything shared.
    """

    mean_correlation: float
    largest: float
    expected_correlation: float
    expected_largest: float
    p_correlation: float
    p_largest: float


def added(
    X: np.ndarray, Z: np.ndarray, names: Sequence[str], y: np.ndarray, cov: str, lags: int = 0
) -> Wald:
    """F test that the columns Z (n, q) add nothing to a regression on X, under these errors.

    Args:
        X, y: (n, k) and (n,), the regression.
        Z, names: (n, q) and (q,), the columns added.
        cov, lags: the covariance of the estimates.

    Raises:
        NotEstimable: the regression on both has no answer, or fits exactly.
    """
    k = X.shape[1]
    q = Z.shape[1]
    regressors = [f"regressor {j}" for j in range(1, k)]
    terms = ["const", *regressors, *names]
    fit = solve(np.column_stack([X, Z]), y, terms, constant=True)
    if fit.exact:
        raise NotEstimable("fits exactly: no tests")
    columns = k + q
    identity = np.eye(columns)
    R = identity[k:]
    restriction = Restriction("added = 0", terms, R, np.zeros(q))
    covariance = own(cov)
    V = covariance(fit, lags)
    return wald(fit.b, V, fit.df, restriction)


def reset(X: np.ndarray, y: np.ndarray, combination: np.ndarray, cov: str, lags: int = 0) -> Wald:
    """RESET (Ramsey 1969): the square and the cube of a combination add nothing to the line.

    `combination` (n,) is linear in X: the fitted values, or one factor alone. It is standardised
    before it is raised, which spans the same columns.

    Raises:
        NotEstimable: it does not vary, or as `added`.
    """
    if flat(combination, relative=COMPUTED):
        raise NotEstimable("what is to be raised to powers does not vary")
    z = (combination - combination.mean()) / combination.std()
    square = z**2
    cube = z**3
    columns = [square, cube]
    powers = np.column_stack(columns)
    return added(X, powers, ["the square", "the cube"], y, cov, lags)


def chow(X: np.ndarray, y: np.ndarray, split: int, cov: str, lags: int = 0) -> Wald:
    """Chow (1960): every coefficient is the same before row `split` and from it on.

    Under nonrobust errors the classical F with (k, n - 2k) degrees of freedom.

    Raises:
        NotEstimable: as `added`.
    """
    n, k = X.shape
    rows = np.arange(n)
    after = rows >= split
    names = [f"regressor {j} after the split" for j in range(k)]
    X_after = X * after[:, None]
    return added(X, X_after, names, y, cov, lags)


def largest_break(X: np.ndarray, u: np.ndarray, trim: float, lags: int, draws: int) -> Broken:
    """Quandt-Andrews test of one break at an unknown date, as a Lagrange multiplier (Andrews 1993).

    The largest over dates of S' V^-1 S / (s (1 - s)), s the share of the rows before, S the sum of
    the scores x u until then over the root of n, V their long-run variance (Bartlett, `lags`):
    variances may differ between rows and cluster. Dates in the first and last share `trim` are left
    out. The p-value comes from `draws` simulated paths of the limit, a tied-down Bessel process.

    Raises:
        NotEstimable: too few rows for a date between, or scores without variance.
    """
    n, k = X.shape
    rows = _untrimmed(n, trim)
    one_date = len(rows) < 2
    few_rows = n <= 2 * k
    if one_date or few_rows:
        raise NotEstimable(f"{n} rows for {k} terms; needs more for a date of a break")
    scores = X * u[:, None]
    scores = scores / np.linalg.norm(scores, axis=0)  # the statistic is the same in any scale
    longest = n - 1
    lags = min(lags, longest)
    long_run_sum = long_run(scores, lags)
    V = long_run_sum / n
    if np.linalg.matrix_rank(V, hermitian=True) < k:
        raise NotEstimable("the scores are collinear")
    sums = np.cumsum(scores, axis=0)
    S = sums[rows - 1] / np.sqrt(n)
    s = rows / n
    V_inverse_S = np.linalg.solve(V, S.T).T
    squared = np.einsum("tk,tk->t", S, V_inverse_S)
    left_share = 1.0 - s
    variance = s * left_share
    path = squared / variance
    position = path.argmax()
    statistic = path[position]
    row = rows[position]
    steps = min(n, MOST_STEPS)
    limit = _tied_down(k, steps, trim, draws)
    exceeds = limit >= statistic
    as_large = exceeds.sum()
    p_value = (1.0 + as_large) / (draws + 1.0)
    return Broken(float(statistic), int(row), float(p_value))


def _untrimmed(n: int, trim: float) -> np.ndarray:
    """Numbers of rows before a break in n rows, without the first and last share `trim`."""
    trimmed = int(np.ceil(trim * n))
    stop = n - trimmed + 1
    return np.arange(trimmed, stop)


@cache
def _tied_down(k: int, steps: int, trim: float, draws: int) -> np.ndarray:
    """Largest values (draws,) of |bridge of k dimensions|^2 / (s (1 - s)), trim <= s <= 1 - trim.

    A Brownian bridge W(s) - s W(1) of so many steps.
    """
    generator = np.random.default_rng(0)
    rows = _untrimmed(steps, trim)
    s = rows / steps
    left_share = 1.0 - s
    variance = s * left_share
    largest = np.zeros(draws)
    path_size = steps * k
    paths_of_chunk = CHUNK // path_size
    size = max(1, paths_of_chunk)
    for start in range(0, draws, size):
        draws_left = draws - start
        paths = min(size, draws_left)
        increments = generator.standard_normal((paths, steps, k))
        sums = increments.cumsum(axis=1)
        root_steps = np.sqrt(steps)
        walk = sums / root_steps
        end = walk[:, -1:]
        bridge = walk[:, rows - 1] - s[:, None] * end
        squared = np.sum(bridge**2, axis=2)
        bessel = squared / variance
        largest[start : start + size] = bessel.max(axis=1)
    return largest


def shared(u: np.ndarray, permutations: int, seed: int) -> Shared:
    """What residuals u (T, n) of n assets share, against permutations of the rows of each asset.

    Permutations keep the distribution of each asset, fat tails too, and break what assets share on
    a row; they also break clusters of volatility common to all, which widen correlations without a
    factor (Buja, Eyuboglu 1992).
    """
    generator = np.random.default_rng(seed)
    common = _common(u)
    observed = np.array(common)
    permuted = []
    for _ in range(permutations):
        u_permuted = generator.permuted(u, axis=0)
        permuted.append(_common(u_permuted))
    draws = np.array(permuted)
    exceeds = draws >= observed
    as_large = exceeds.sum(axis=0)
    p_value = (1.0 + as_large) / (permutations + 1.0)
    mean_correlation, largest = observed.tolist()
    expected_correlation, expected_largest = draws.mean(axis=0).tolist()
    p_correlation, p_largest = p_value.tolist()
    return Shared(
        mean_correlation,
        largest,
        expected_correlation,
        expected_largest,
        p_correlation,
        p_largest,
    )


def _common(u: np.ndarray) -> tuple[float, float]:
    """Mean absolute correlation of the pairs, and the largest eigenvalue of the correlations."""
    R = np.corrcoef(u, rowvar=False)
    pairs = R[np.triu_indices(len(R), 1)]
    absolute = np.abs(pairs)
    mean_absolute = absolute.mean()
    eigenvalues = np.linalg.eigvalsh(R)
    largest = eigenvalues[-1]
    return float(mean_absolute), float(largest)


def relation(slope_p: float, shape_p: float, level: float) -> str:
    """How a return goes with a factor: "non-linear", "linear", "none", or "" where not tested.

    Non-linear where RESET rejects, else linear where the slope is not zero.
    """
    if np.isnan(slope_p) or np.isnan(shape_p):
        return ""
    if shape_p < level:
        return "non-linear"
    if slope_p < level:
        return "linear"
    return "none"


def windows(rows: int, window: int, step: int) -> Sequence[np.ndarray]:
    """Positions of the rows of each window, the last one ending with the last row."""
    after_first = rows - window
    left_out = after_first % step
    first_end = window + left_out
    ends = range(first_end, rows + 1, step)
    return [np.arange(end - window, end) for end in ends]
