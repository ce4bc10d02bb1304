"""How high the bar is after many trials: for a t, and for a Sharpe ratio.

Sharpe ratios are per period, mean over standard deviation (ddof 1), never annualised; kurtosis is 3
for a normal.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from runner.numerics.variation import mean_over_spread
from runner.trials.adjust import benjamini_yekutieli, harmonic, holm, trials

EULER = 0.5772156649015329


class Hurdles(NamedTuple):
    """The |t| from which on a test is significant at a level, under the normal distribution."""

    single: float
    bonferroni: float
    holm: float
    bhy: float


class Track(NamedTuple):
    """Of n returns: Sharpe ratio, skewness and kurtosis (3 for a normal), by plain moments."""

    n: int
    sharpe: float
    skew: float
    kurtosis: float


def hurdles(p: np.ndarray, level: float = 0.05, m: int | None = None) -> Hurdles:
    """The cut-offs of Harvey, Liu and Zhu (2016) for m trials with p-values (n,).

    A p-value that is not known is NaN.

    Bonferroni's is the |t| of p = level / m. That of Holm is what the first trial that it does not
    reject would have needed, the highest of its rejections having been dearer; that of BHY
    (Benjamini and Yekutieli 2001, a level of the false discovery rate) is at its last rejection, or
    at the first step where it rejects none.

    Raises:
        ValueError: no trial; as `runner.trials.adjust.trials`.
    """
    m = trials(p, m)
    if m < 1:
        raise ValueError("m: given 0 trials; allowed: at least one")
    p_holm = holm(p, m)
    is_rejected = p_holm < level
    rejected_by_holm = int(is_rejected.sum())
    p_bhy = benjamini_yekutieli(p, m)
    rejected_by_bhy = int((p_bhy < level).sum())
    holm_step = max(m - rejected_by_holm, 1)
    bhy_step = m * harmonic(m) / max(rejected_by_bhy, 1)
    return Hurdles(
        single=_critical(level),
        bonferroni=_critical(level / m),
        holm=_critical(level / holm_step),
        bhy=_critical(level / bhy_step),
    )


def _critical(p: float) -> float:
    """The |t| of a two-sided p-value."""
    return _normal(1.0 - p / 2.0)


def track(returns: np.ndarray) -> Track:
    """Moments of returns (n,), known ones only; NaN where they do not vary.

    Raises:
        ValueError: fewer than two returns.
    """
    from scipy.stats import kurtosis, skew

    x = np.asarray(returns, dtype=float)
    is_known = np.isfinite(x)
    x = x[is_known]
    n = len(x)
    if n < 2:
        raise ValueError(f"returns: given {n}; allowed: at least 2")
    ratio = mean_over_spread(x, returns=True)
    if np.isnan(ratio):
        return Track(n, ratio, np.nan, np.nan)
    skewness = float(skew(x))
    tails = float(kurtosis(x, fisher=False))
    return Track(n, ratio, skewness, tails)


def expected_maximum(trials: float, variance: float) -> float:
    """Expected largest Sharpe ratio of independent trials without skill, of this variance.

    sqrt(V) ((1 - g) Z(1 - 1/N) + g Z(1 - 1/(N e))), g of Euler and Mascheroni (Bailey and Lopez de
    Prado 2014), an approximation for N from about 5 on; zero for one trial.

    Raises:
        ValueError: fewer than one trial, a negative variance.
    """
    if trials < 1 or variance < 0.0:
        raise ValueError(
            f"trials, variance: given {trials:g}, {variance:g}; allowed: from 1 on, from 0 on"
        )
    if trials == 1:
        return 0.0
    low_quantile = 1.0 - 1.0 / trials
    high = _normal(low_quantile)
    share = 1.0 / (trials * np.e)
    higher = _normal(1.0 - share)
    standard = (1.0 - EULER) * high + EULER * higher
    deviation = np.sqrt(variance)
    return float(deviation * standard)


def probabilistic_sharpe(of: Track, benchmark: float = 0.0) -> float:
    """Confidence that the true Sharpe ratio is above the benchmark.

    Z((S - S*) sqrt(n - 1) / sqrt(1 - skew S + (kurtosis - 1) / 4 S^2)), for returns without serial
    correlation (Bailey and Lopez de Prado 2012).
    """
    from scipy.special import ndtr

    spread = _spread(of)
    if not spread > 0.0:
        return float("nan")
    excess = of.sharpe - benchmark
    degrees = of.n - 1.0
    distance = excess * np.sqrt(degrees)
    return float(ndtr(distance / spread))


def deflated_sharpe(of: Track, trials: float, variance: float) -> float:
    """Confidence that the true ratio is above zero, given that it is the best of many trials.

    `probabilistic_sharpe` against `expected_maximum` (Bailey and Lopez de Prado 2014). Trials that
    resemble each other count as fewer; counted whole, as here, the bar is too high rather than too
    low.

    Raises:
        ValueError: as `expected_maximum`.
    """
    luckiest = expected_maximum(trials, variance)
    return probabilistic_sharpe(of, luckiest)


def _spread(of: Track) -> float:
    """Standard deviation of the estimated ratio, times sqrt(n - 1)."""
    asymmetry = of.skew * of.sharpe
    tails = (of.kurtosis - 1.0) / 4.0 * of.sharpe**2
    squared = 1.0 - asymmetry + tails
    return float(np.sqrt(squared)) if squared > 0.0 else float("nan")


def _normal(share: float) -> float:
    """The quantile of the standard normal distribution."""
    from scipy.special import ndtri

    return float(ndtri(share))
