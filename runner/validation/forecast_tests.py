"""Is the gain of a forecast over its baseline more than chance? Diebold-Mariano and Clark-West."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from runner.numerics.covariance import long_run
from runner.numerics.variation import COMPUTED, flat

# dates below which neither test is made; nor where the dates are not more than twice the horizon
FEWEST = 10
NAN = float("nan")


class Comparison(NamedTuple):
    """A test statistic, above zero where the forecast is better, and its p-value.

    Both are NaN where there is no test; arrays where several forecasts are tested at once.
    """

    stat: Any = NAN
    p_value: Any = NAN


def squared_error_gains(y: np.ndarray, forecast: np.ndarray, baseline: np.ndarray) -> np.ndarray:
    """(y - baseline)^2 - (y - forecast)^2, written so that it is zero where both are the same."""
    difference = forecast - baseline
    return np.asarray(difference * (2.0 * y - forecast - baseline))


def diebold_mariano(gains: np.ndarray, horizon: int) -> Comparison:
    """Diebold and Mariano (1995) on the loss differences of each date (..., n), in order of time.

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
    if np.isnan(ratio).all():
        return Comparison(ratio, ratio)
    n = gains.shape[-1]
    h = max(horizon, 1)
    overlap = h * (h - 1) / n
    effective = n + 1 - 2 * h + overlap
    share = effective / n
    small_sample = np.sqrt(share)
    stat = small_sample * ratio
    less_one = n - 1
    degrees = max(less_one, 1)
    below = stdtr(degrees, -np.abs(stat))
    return Comparison(stat, 2.0 * below)


def clark_west(adjusted: np.ndarray, horizon: int) -> Comparison:
    """Clark and West (2007) on adjusted loss differences of each date (..., n), in order of time.

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
    if np.isnan(ratio).all():
        return Comparison(ratio, ratio)
    n = adjusted.shape[-1]
    stat = ratio
    if horizon <= 1:
        degrees = n - 1.0
        share = degrees / n
        of_a_mean = np.sqrt(share)
        stat = of_a_mean * ratio
    p_value = ndtr(-stat)
    return Comparison(stat, p_value)


def _ratio(d: np.ndarray, horizon: int) -> Any:
    """Mean of d (..., n) over its standard error (ddof 0).

    NaN where there are too few rows or none differs. Autocovariances of lags up to horizon - 1 have
    weight one, as in all three papers: overlap makes a moving average of that order. Where that
    gives no positive variance, Bartlett weights (Harvey, Leybourne and Whitehouse 2017).
    """
    n = d.shape[-1]
    h = max(horizon, 1)
    if n < FEWEST or n <= 2 * h:
        return np.full(d.shape[:-1], NAN)[()]
    mean = d.mean(axis=-1)
    centred = d - mean[..., None]
    autocovariances = np.zeros(d.shape[:-1])
    for lag in range(1, h):
        later = centred[..., lag:]
        earlier = centred[..., :-lag]
        autocovariances += np.vecdot(later, earlier)
    variance = np.asarray(np.vecdot(centred, centred) + 2.0 * autocovariances)
    for at in zip(*np.nonzero(np.atleast_1d(variance <= 0.0)), strict=True):
        own = at if d.ndim > 1 else ()
        covariance = long_run(centred[own][:, None], h - 1)
        variance[own] = covariance[0, 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        total = mean * n
        deviation = np.sqrt(variance)
        ratio = total / deviation
    return np.where(flat(d, axis=-1, relative=COMPUTED), NAN, ratio)[()]
