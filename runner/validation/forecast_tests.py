"""Is the gain of a forecast over its baseline more than chance? Diebold-Mariano and Clark-West."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from runner.numerics.covariance import long_run
from runner.numerics.variation import COMPUTED, flat

# dates below which neither test is made; nor where the dates are not more than twice the horizon
FEWEST = 10
NAN = float("nan")


class Comparison(NamedTuple):
    """A test statistic, above zero where the forecast is better, and its p-value.

    Both are NaN where there is no test.
    """

    stat: float = NAN
    p_value: float = NAN


def squared_error_gains(y: np.ndarray, forecast: np.ndarray, baseline: np.ndarray) -> np.ndarray:
    """(y - baseline)^2 - (y - forecast)^2, written so that it is zero where both are the same."""
    difference = forecast - baseline
    return np.asarray(difference * (2.0 * y - forecast - baseline))


def diebold_mariano(gains: np.ndarray, horizon: int) -> Comparison:
    """Diebold and Mariano (1995) on the loss differences of each date (n,), in order of time.

    The mean over its standard error, with the small-sample factor of Harvey, Leybourne and Newbold
    (1997), against Student's t with n - 1 degrees, two-sided. The null is equal accuracy of these
    forecasts, whatever their models; where one model contains the other it is conservative (then
    see `clark_west`).

    Args:
        horizon: rows that the target looks ahead: differences of overlapping targets correlate over
            horizon - 1 rows.
    """
    from scipy.special import stdtr

    ratio = _ratio(gains, horizon)
    if np.isnan(ratio):
        return Comparison()
    n = len(gains)
    h = max(horizon, 1)
    overlap = h * (h - 1) / n
    effective = n + 1 - 2 * h + overlap
    small_sample = np.sqrt(effective / n)
    stat = float(small_sample * ratio)
    degrees = max(n - 1, 1)
    below = stdtr(degrees, -abs(stat))
    p_value = float(2.0 * below)
    return Comparison(stat, p_value)


def clark_west(adjusted: np.ndarray, horizon: int) -> Comparison:
    """Clark and West (2007) on the adjusted loss differences of each date (n,), in order of time.

    Adjusted is (y - baseline)^2 - [(y - forecast)^2 - (baseline - forecast)^2]: a larger model adds
    noise to its forecast, and the last term takes that out. For a baseline that the model contains,
    such as the mean of an asset in a regression of it with a constant; else it rejects for the
    noise of the baseline. The null is that the rest of the model adds nothing in the population.
    Against the normal, one-sided: large values speak for the model. As in the paper the statistic
    is the t of a regression on a constant: with a horizon of one its error has n - 1 in the
    divisor, with a longer one it is robust to the overlap and has no small-sample factor.
    """
    from scipy.special import ndtr

    ratio = _ratio(adjusted, horizon)
    if np.isnan(ratio):
        return Comparison()
    n = len(adjusted)
    stat = float(ratio)
    if horizon <= 1:
        share = (n - 1.0) / n
        of_a_mean = np.sqrt(share)
        stat = float(of_a_mean * ratio)
    p_value = float(ndtr(-stat))
    return Comparison(stat, p_value)


def _ratio(d: np.ndarray, horizon: int) -> float:
    """Mean of d (n,) over its standard error (ddof 0).

    NaN where there are too few rows or none differs. Autocovariances of lags up to horizon - 1 have
    weight one, as in all three papers: overlap makes a moving average of that order. Where that
    gives no positive variance, Bartlett weights (Harvey, Leybourne and Whitehouse 2017).
    """
    n = len(d)
    h = max(horizon, 1)
    if n < FEWEST or n <= 2 * h:
        return NAN
    if flat(d, relative=COMPUTED):
        return NAN
    mean = d.mean()
    centred = d - mean
    autocovariances = 0.0
    for lag in range(1, h):
        later = centred[lag:]
        earlier = centred[:-lag]
        autocovariances += later @ earlier
    variance = centred @ centred + 2.0 * autocovariances
    if variance <= 0.0:
        covariance = long_run(centred[:, None], h - 1)
        variance = covariance[0, 0]
    deviation = np.sqrt(variance)
    return float(mean * n / deviation)
