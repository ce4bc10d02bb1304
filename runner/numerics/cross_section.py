"""How forecasts order the assets of each date: correlations over a cross-section.

All dates are computed together. Values (n,) come with the number of their `date` (n,), from 0 to
`dates` less one.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from runner.numerics.covariance import default_cosines, default_lags, long_run, projected
from runner.numerics.variation import COMPUTED, flat, of_quotients, rounding_alone

FEWEST = 3  # assets of a date: two correlate by 1 or -1 whatever they do
MANY = 64  # assets of a date, on average, from which dates are sorted one by one
NAN = float("nan")


class Average(NamedTuple):
    """Mean of a path over dates.

    Attributes:
        mean: of the known dates.
        ratio: mean over standard deviation (ddof 1).
        t, t_nw: of the mean, plain and Newey-West.
        p_value: two-sided, of the mean.
        dates: known ones.
    """

    mean: float = NAN
    ratio: float = NAN
    t: float = NAN
    t_nw: float = NAN
    p_value: float = NAN
    dates: int = 0


def sums(values: np.ndarray, date: np.ndarray, dates: int) -> np.ndarray:
    """Sum (dates,) of the values (n,) of each date, given by its number."""
    return np.bincount(date, weights=values, minlength=dates)


def ranks(values: np.ndarray, date: np.ndarray) -> np.ndarray:
    """Rank (n,) from 1 of each value within its date, ties sharing their mean; NaN stays NaN."""
    n = len(values)
    order = _order(values, date)
    sorted_values = values[order]
    sorted_dates = date[order]
    new_date = _differs_from_last(sorted_dates)
    new_value = new_date | _differs_from_last(sorted_values)
    # positions in order of value: where each run of ties begins, and its middle
    first = np.flatnonzero(new_value)
    length = np.diff(np.append(first, n))
    middle = first + (length - 1.0) / 2.0
    run = np.cumsum(new_value) - 1
    date_begins = np.flatnonzero(new_date)[np.cumsum(new_date) - 1]
    rank = np.empty(n)
    rank[order] = middle[run] - date_begins + 1.0
    return np.where(np.isnan(values), NAN, rank)


def _differs_from_last(values: np.ndarray) -> np.ndarray:
    """(n,) whether each value differs from that before it; the first one does."""
    return np.append(True, values[1:] != values[:-1])


def _order(values: np.ndarray, date: np.ndarray) -> np.ndarray:
    """Positions (n,) of the values by date, and by size within it.

    Where dates lie together and have many values they are sorted one by one, which is several times
    sooner.
    """
    later = date[1:]
    earlier = date[:-1]
    starts = np.flatnonzero(later != earlier) + 1
    few_a_date = len(date) < MANY * (len(starts) + 1)
    if few_a_date or (later < earlier).any():
        return np.lexsort((values, date))
    order = np.empty(len(date), dtype=np.intp)
    edges = [0, *starts.tolist(), len(date)]
    for start, stop in pairwise(edges):
        within_date = np.argsort(values[start:stop], kind="stable")
        order[start:stop] = within_date + start
    return order


def varies(values: np.ndarray, date: np.ndarray, dates: int) -> np.ndarray:
    """(dates,) whether the values (n,) of a date differ by more than rounding."""
    centred = _centred(values, date, dates)
    squares = sums(centred**2, date, dates)
    return _beyond_rounding(values, squares, date, dates)


def _beyond_rounding(
    values: np.ndarray, squares: np.ndarray, date: np.ndarray, dates: int
) -> np.ndarray:
    """The same from the sums of squares (dates,) of the values about the mean of their date."""
    n = _counts(date, dates)
    spread = np.sqrt(squares / n)
    sizes = sums(values**2, date, dates)
    size = np.sqrt(sizes / n)

    def quotients() -> np.ndarray:
        quotient = of_quotients(values).astype(float)
        return np.asarray(sums(quotient, date, dates) == n)

    return ~rounding_alone(spread, size, COMPUTED, quotients)


def correlations(x: np.ndarray, y: np.ndarray, date: np.ndarray, dates: int) -> np.ndarray:
    """Correlation (dates,) of x and y (n,) over the assets of each date.

    NaN on dates with fewer than three assets, or on which one of the two does not vary.
    """
    n = _counts(date, dates)
    if n.max(initial=0.0) < FEWEST:
        return np.full(dates, NAN)
    dx = _centred(x, date, dates)
    dy = _centred(y, date, dates)
    xx = sums(dx**2, date, dates)
    yy = sums(dy**2, date, dates)
    known = n >= FEWEST
    known &= _beyond_rounding(x, xx, date, dates)
    known &= _beyond_rounding(y, yy, date, dates)
    with np.errstate(invalid="ignore", divide="ignore"):
        xy = sums(dx * dy, date, dates)
        correlation = xy / np.sqrt(xx * yy)
    return np.where(known, np.clip(correlation, -1.0, 1.0), NAN)


def rank_correlations(x: np.ndarray, y: np.ndarray, date: np.ndarray, dates: int) -> np.ndarray:
    """Spearman's correlation (dates,) of x and y (n,) over the assets of each date.

    NaN as `correlations`.
    """
    if _counts(date, dates).max(initial=0.0) < FEWEST:
        return np.full(dates, NAN)
    # asked of the values: ranks of rounding noise would vary
    known = varies(x, date, dates) & varies(y, date, dates)
    x_ranks = ranks(x, date)
    y_ranks = ranks(y, date)
    correlation = correlations(x_ranks, y_ranks, date, dates)
    return np.where(known, correlation, NAN)


def average(path: np.ndarray, horizon: int, returns: bool = False) -> Average:
    """Mean of the path (dates,) over the dates on which it is known, ratio and t with ddof 1.

    The Newey-West t has Bartlett weights, no small-sample factor, and the lags of `default_lags`,
    counted in known dates: at least horizon - 1, for the overlap of the target. The p-value is
    two-sided: of that t with n - 1 degrees where targets do not overlap; where they do, and it
    would reject too often, of the mean over its error by cosines
    (`runner.numerics.covariance.projected`), and there is none for dates up to twice the horizon.
    `returns` says that the path is of returns, which have no t where they differ by the rounding of
    prices.
    """
    x = path[np.isfinite(path)]
    n = len(x)
    if n == 0:
        return Average()
    if n == 1:
        return Average(float(x[0]), dates=1)
    mean = x.mean()
    if flat(x, relative=COMPUTED, returns=returns):
        return Average(float(mean), dates=n)
    ratio = mean / x.std(ddof=1)
    t = ratio * np.sqrt(n)
    lags = default_lags(n, horizon)
    centred = x - mean
    variance = long_run(centred[:, None], lags)[0, 0]
    t_nw = NAN
    if variance > 0.0:
        t_nw = mean * n / np.sqrt(variance)
    overlap = horizon > 1
    p_value = _p_value(x, horizon) if overlap else _two_sided(t_nw, n - 1)
    return Average(float(mean), float(ratio), float(t), float(t_nw), p_value, n)


def _p_value(x: np.ndarray, horizon: int) -> float:
    """Two-sided p-value of the mean of x (n,) where targets overlap; NaN of too few dates."""
    n = len(x)
    if n <= 2 * horizon:
        return NAN
    cosines = default_cosines(n, horizon)
    mean = x.mean()
    centred = x - mean
    variance = projected(centred[:, None], cosines)[0, 0]
    error = np.sqrt(variance / n)
    return _two_sided(mean / error, cosines)


def _two_sided(t: float, df: float) -> float:
    from scipy.special import stdtr

    return float(2.0 * stdtr(df, -abs(t)))


def _centred(values: np.ndarray, date: np.ndarray, dates: int) -> np.ndarray:
    """Values (n,) less the mean of their date, exactly zero where they are equal.

    One of the values of the date is subtracted first.
    """
    reference = np.zeros(dates)
    reference[date] = values
    away = values - reference[date]
    mean = sums(away, date, dates) / _counts(date, dates)
    return np.asarray(away - mean[date])


def _counts(date: np.ndarray, dates: int) -> np.ndarray:
    """Rows (dates,) of each date; one where there are none, so that it may divide."""
    return np.maximum(np.bincount(date, minlength=dates), 1).astype(float)
