"""From estimates and their covariance to t, p, intervals and Wald tests."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import chdtrc, fdtrc, stdtr, stdtrit

from runner.numerics.least_squares import NotEstimable
from runner.numerics.restrictions import Restriction

# Variance of a tested sum, as a share of what its terms would give if none cancelled, below which
# it is rounding noise.
CANCELLED = 1e-14


class Inference(NamedTuple):
    """Per term (k,): standard error, t, two-sided p and the ends of the confidence interval."""

    std_error: np.ndarray
    t_stat: np.ndarray
    p_value: np.ndarray
    ci_low: np.ndarray
    ci_high: np.ndarray


class Wald(NamedTuple):
    """F statistic of m restrictions, its degrees of freedom (m, df) and p-value.

    df is infinite where m F ~ chi2(m).
    """

    f_stat: float
    df_num: int
    df_den: float
    p_value: float


def infer(b: np.ndarray, V: np.ndarray, df: int, confidence: float) -> Inference:
    """Student's t with `df` degrees of freedom for b (k,) with covariance V (k, k)."""
    variance = np.diag(V)
    error = np.sqrt(variance)
    return inference(b, error, df, confidence)


def inference(
    b: np.ndarray, error: np.ndarray, df: float | np.ndarray, confidence: float
) -> Inference:
    """Student's t with `df` degrees of freedom for estimates with these standard errors."""
    with np.errstate(divide="ignore", invalid="ignore"):  # estimates that do not spread have no t
        t = b / error
    upper_tail = 0.5 + confidence / 2.0
    quantile = stdtrit(df, upper_tail)
    half = quantile * error
    p_value = two_sided(t, df)
    low = b - half
    high = b + half
    return Inference(error, t, p_value, low, high)


def two_sided(t: np.ndarray, df: float | np.ndarray) -> np.ndarray:
    """Probability that Student's t with `df` degrees of freedom is further from zero than `t`."""
    distance = np.abs(t)
    below = stdtr(df, -distance)
    return 2.0 * below


def wald(b: np.ndarray, V: np.ndarray, df: float, restriction: Restriction) -> Wald:
    """F = (Rb - q)' (R V R')^-1 (Rb - q) / m (Wald; equals the classical F under nonrobust errors).

    Raises:
        NotEstimable: R V R' is singular, so that the restrictions cannot be tested together.
    """
    R = restriction.R
    of_estimates = R @ b
    gap = of_estimates - restriction.q
    m = len(gap)
    half = R @ V
    covariance = half @ R.T
    variance = np.diag(covariance)
    precision = np.finfo(float)
    tiny = precision.tiny
    positive = np.maximum(variance, tiny)
    scale = np.sqrt(positive)
    scales = np.outer(scale, scale)
    correlations = covariance / scales
    variances = np.diag(V)
    errors = np.sqrt(variances)
    sizes = np.abs(R)
    without_cancelling = sizes @ errors
    cancelled = variance <= CANCELLED * without_cancelling**2
    rank = np.linalg.matrix_rank(correlations)
    if cancelled.any() or rank < m:
        raise NotEstimable(f"{restriction.text}: the covariance of the tested terms is singular")
    t = gap / scale
    solution = np.linalg.solve(correlations, t)
    squared_length = t @ solution
    chi2 = float(squared_length)
    f = chi2 / m
    if np.isinf(df):
        p_value = float(chdtrc(m, m * f))
        return Wald(f, m, df, p_value)
    p_value = float(fdtrc(m, df, f))
    return Wald(f, m, int(df), p_value)
