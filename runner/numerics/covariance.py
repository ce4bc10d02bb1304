"""Covariance of least-squares estimates under what the errors may be.

`bread @ meat @ bread`, where the meat sums products of the scores x*u. Each kind is one function of
the solution and the number of lags; `runner.estimators.standard_errors` names them. Inference uses
Student's t with n - k degrees.
"""

from __future__ import annotations

import numpy as np

from runner.numerics.least_squares import NotEstimable, Solution

# Robust variance, relative to the nonrobust one, below which it rests on exact rows alone.
NO_VARIANCE = 1e-20
ROUNDING = 1e-9  # added to the rule of the lags: 51200 rows give 16 lags, not 15.999... -> 15


def nonrobust(fit: Solution, lags: int) -> np.ndarray:
    """s^2 (X'X)^-1 with s^2 = ssr / (n - k): equal variances, no correlation."""
    variance = fit.ssr / fit.df
    return fit.bread * variance


def hc0(fit: Solution, lags: int) -> np.ndarray:
    """White (1980): unequal variances, no small-sample factor."""
    return _sandwich(fit, fit.u)


def hc1(fit: Solution, lags: int) -> np.ndarray:
    """HC0 times n / (n - k) (Hinkley 1977)."""
    small_sample = fit.n / fit.df
    robust = hc0(fit, lags)
    return robust * small_sample


def hc2(fit: Solution, lags: int) -> np.ndarray:
    """u^2 / (1 - h): unbiased under equal variances (MacKinnon and White 1985)."""
    slack = _slack(fit)
    root = np.sqrt(slack)
    scaled = fit.u / root
    return _sandwich(fit, scaled)


def hc3(fit: Solution, lags: int) -> np.ndarray:
    """u^2 / (1 - h)^2, close to the jackknife (MacKinnon and White 1985)."""
    slack = _slack(fit)
    scaled = fit.u / slack
    return _sandwich(fit, scaled)


def hac(fit: Solution, lags: int) -> np.ndarray:
    """Newey and West (1987): Bartlett weights 1 - l / (lags + 1), no small-sample factor.

    Lags count the rows of the regression in order of time.

    Raises:
        NotEstimable: as many lags as rows.
    """
    if lags >= fit.n:
        raise NotEstimable(f"cov_lags={lags} with {fit.n} rows; allowed: less than the rows")
    u = fit.u[:, None]
    scores = fit.X * u
    meat = long_run(scores, lags)
    return _between(fit, meat)


def default_lags(n: int, horizon: int) -> int:
    """Lags of HAC where the spec has none: the larger of horizon - 1 and floor(4 (n / 100)^(2/9)).

    The first covers the overlap of the target; the second is the rule of Newey and West (1994).
    """
    rule = 4.0 * (n / 100.0) ** (2.0 / 9.0)
    overlap = horizon - 1
    with_rounding = rule + ROUNDING
    rule_lags = int(with_rounding)
    lags = max(overlap, rule_lags)
    return min(lags, n - 1)


def default_cosines(n: int, horizon: int) -> int:
    """Cosines for the mean over n dates where targets overlap, at least 2.

    The lesser of .4 n^(2/3) (Lazarus et al. 2018) and n / (2 horizon), beyond which they would be
    faster than the overlap.
    """
    power = n ** (2.0 / 3.0)
    rule = int(0.4 * power)
    two_horizons = 2 * horizon
    slower_than_overlap = n // two_horizons
    cosines = min(rule, slower_than_overlap)
    return max(cosines, 2)


def projected(path: np.ndarray, cosines: int) -> np.ndarray:
    """Long-run covariance (k, k) of a path (T, k): mean product of its projections on cosines.

    Lazarus, Lewis, Stock and Watson (2018), equal weights: sqrt(2 / T) sum_t path_t cos(pi j (t -
    1/2) / T), j = 1 to `cosines`.
    """
    T = len(path)
    after_last = cosines + 1
    j = np.arange(1, after_last)
    after_last_row = T + 1
    t = np.arange(1, after_last_row)
    products = np.outer(j, t - 0.5)
    half_turns = np.pi * products
    angle = half_turns / T
    cosine = np.cos(angle)
    mean_square = 2.0 / T
    scale = np.sqrt(mean_square)
    cosine = scale * cosine
    projections = cosine @ path
    total = projections.T @ projections
    mean = total / cosines
    return np.asarray(mean)


def _sandwich(fit: Solution, u: np.ndarray) -> np.ndarray:
    scores = fit.X * u[:, None]
    meat = scores.T @ scores
    return _between(fit, meat)


def _between(fit: Solution, meat: np.ndarray) -> np.ndarray:
    """bread @ meat @ bread; no error, rather than one of zero, for an estimate on exact rows alone.

    Raises:
        NotEstimable: an estimate rests on rows of leverage 1.
    """
    half_sandwich = fit.bread @ meat
    V = half_sandwich @ fit.bread
    variance = np.diag(V)
    covariance = nonrobust(fit, 0)
    nonrobust_variance = np.diag(covariance)
    least = NO_VARIANCE * nonrobust_variance
    none = variance < least
    if none.any():
        raise NotEstimable(
            "robust errors do not exist: an estimate rests on rows of leverage 1 alone"
        )
    return V


def _slack(fit: Solution) -> np.ndarray:
    """1 - leverage (n,); a row that the fit passes through exactly is refused."""
    slack = 1.0 - fit.leverage
    refuse_full_leverage(slack)
    return slack


def long_run(scores: np.ndarray, lags: int) -> np.ndarray:
    """Sum (k, k) of products of scores (T, k) with themselves and their lags, Bartlett weights.

    It is the sum of squares of sums over lags + 1 rows that follow each other, divided by lags + 1:
    two rows that are l apart are both in lags + 1 - l of these.
    """
    length = lags + 1
    sums = _overlapping_sums(scores.T, length)
    squares = sums @ sums.T
    return np.asarray(squares / length)


def _overlapping_sums(lines: np.ndarray, length: int) -> np.ndarray:
    """Sums (k, T + length - 1) over so many numbers of lines (k, T) that follow each other.

    Zeros stand before and after a line. As powers are made of squares: each further binary digit of
    the length doubles how many are summed, and where it is a one, adds one.
    """
    k, T = lines.shape
    single, sums, spare = np.zeros((3, k, T + length - 1))
    single[:, :T] = lines
    sums[:, :T] = lines
    summed = 1
    for digit in f"{length:b}"[1:]:
        _add_later(sums, sums, summed, into=spare)
        sums, spare = spare, sums
        summed *= 2
        if digit == "1":
            _add_later(single, sums, 1, into=spare)
            sums, spare = spare, sums
            summed += 1
    return np.asarray(sums)


def _add_later(sums: np.ndarray, others: np.ndarray, places: int, into: np.ndarray) -> None:
    """Write the sums (k, T) plus the others, moved by so many places."""
    into[:, :places] = sums[:, :places]
    np.add(sums[:, places:], others[:, :-places], out=into[:, places:])


FULL_LEVERAGE = 1e-10  # 1 - leverage below which a fit passes through a row exactly


def refuse_full_leverage(slack: np.ndarray) -> None:
    """Refuse HC2 and HC3 of rows that the fit passes through exactly.

    Args:
        slack: 1 - leverage of each row.

    Raises:
        NotEstimable: there are such rows.
    """
    full = slack < FULL_LEVERAGE
    if full.any():
        rows = int(full.sum())
        raise NotEstimable(f"HC2 and HC3 do not exist: {rows} rows have leverage 1")
