"""How forecasts order the assets of each date: correlations over a cross-section.

All dates are computed together. Values (n,) come with the number of their `date` (n,), from 0 to
`dates` less one.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from runner.numerics.covariance import default_cosines, default_lags, long_run, projected
from runner.numerics.variation import COMPUTED, flat, of_quotients, rounding_alone

FEWEST = 3  # assets of a date: two correlate by 1 or -1 whatever they do
MANY = 64  # assets of a date, on average, from which dates are sorted one by one
STRETCH = 250_000  # rows that are correlated at a time, which bounds the memory it takes
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
    new_among_all = _differs_from_last(sorted_values)
    new_value = new_date | new_among_all
    # positions in order of value: where each run of ties begins, and its middle
    first = np.flatnonzero(new_value)
    ends = np.append(first, n)
    length = np.diff(ends)
    half = (length - 1.0) / 2.0
    middle = first + half
    runs_so_far = np.cumsum(new_value)
    run = runs_so_far - 1
    date_starts = np.flatnonzero(new_date)
    dates_so_far = np.cumsum(new_date)
    date_number = dates_so_far - 1
    date_begins = date_starts[date_number]
    middles = middle[run]
    rank = np.empty(n)
    rank[order] = middles - date_begins + 1.0
    missing = np.isnan(values)
    return np.where(missing, NAN, rank)


def _differs_from_last(values: np.ndarray) -> np.ndarray:
    """(n,) whether each value differs from that before it; the first one does."""
    later = values[1:]
    earlier = values[:-1]
    changes = later != earlier
    return np.append(True, changes)


def _order(values: np.ndarray, date: np.ndarray) -> np.ndarray:
    """Positions (n,) of the values by date, and by size within it; equal ones in any order.

    Where dates lie together and have many values they are sorted one by one, which is several times
    sooner.
    """
    later = date[1:]
    earlier = date[:-1]
    new_date = later != earlier
    changes = np.flatnonzero(new_date)
    starts = changes + 1
    n = len(date)
    runs = len(starts) + 1
    few_a_date = n < MANY * runs
    if few_a_date or (later < earlier).any():
        return np.lexsort((values, date))
    order = np.empty(n, dtype=np.intp)
    edges = [0, *starts.tolist(), n]
    for start, stop in pairwise(edges):
        of_date = values[start:stop]
        within_date = np.argsort(of_date)
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
    variance = squares / n
    spread = np.sqrt(variance)
    sizes = sums(values**2, date, dates)
    mean_square = sizes / n
    size = np.sqrt(mean_square)

    def quotients() -> np.ndarray:
        has_quotient = of_quotients(values)
        quotient = has_quotient.astype(float)
        in_date = sums(quotient, date, dates)
        all_of_date = in_date == n
        return np.asarray(all_of_date)

    return ~rounding_alone(spread, size, COMPUTED, quotients)


def correlations(x: np.ndarray, y: np.ndarray, date: np.ndarray, dates: int) -> np.ndarray:
    """Correlation (dates,) of x and y (n,) over the assets of each date.

    NaN on dates with fewer than three assets, or on which one of the two does not vary.
    """
    return _by_stretch(_correlations, x, y, date, dates)


def rank_correlations(x: np.ndarray, y: np.ndarray, date: np.ndarray, dates: int) -> np.ndarray:
    """Spearman's correlation (dates,) of x and y (n,) over the assets of each date.

    NaN as `correlations`.
    """
    return _by_stretch(_rank_correlations, x, y, date, dates)


def _by_stretch(
    correlate: Callable[[np.ndarray, np.ndarray, np.ndarray, int], np.ndarray],
    x: np.ndarray,
    y: np.ndarray,
    date: np.ndarray,
    dates: int,
) -> np.ndarray:
    """What `correlate` gives of each date (dates,), called with some dates at a time."""
    correlation = np.full(dates, NAN)
    for rows in _stretches(date):
        own = date[rows]
        first = own.min()
        after = own.max() + 1
        correlation[first:after] = correlate(x[rows], y[rows], own - first, int(after - first))
    return correlation


def _stretches(date: np.ndarray) -> list[slice]:
    """Rows of whole dates, some `STRETCH` at a time; all at once where they are not in order."""
    n = len(date)
    in_order = (date[:-1] <= date[1:]).all()
    if n and not in_order:
        return [slice(0, n)]
    edges = [0]
    while edges[-1] < n:
        last_row = min(edges[-1] + STRETCH, n) - 1
        end_of_date = np.searchsorted(date, date[last_row], side="right")
        edges.append(int(end_of_date))
    return [slice(start, stop) for start, stop in pairwise(edges)]


def _correlations(x: np.ndarray, y: np.ndarray, date: np.ndarray, dates: int) -> np.ndarray:
    n = _counts(date, dates)
    most = n.max(initial=0.0)
    if most < FEWEST:
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
        product = xx * yy
        scale = np.sqrt(product)
        correlation = xy / scale
    correlation = np.clip(correlation, -1.0, 1.0)
    return np.where(known, correlation, NAN)


def _rank_correlations(x: np.ndarray, y: np.ndarray, date: np.ndarray, dates: int) -> np.ndarray:
    assets = _counts(date, dates)
    most = assets.max(initial=0.0)
    if most < FEWEST:
        return np.full(dates, NAN)
    # asked of the values: ranks of rounding noise would vary
    known = varies(x, date, dates)
    known &= varies(y, date, dates)
    x_ranks = ranks(x, date)
    y_ranks = ranks(y, date)
    correlation = _correlations(x_ranks, y_ranks, date, dates)
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
    known = np.isfinite(path)
    x = path[known]
    n = len(x)
    if n == 0:
        return Average()
    if n == 1:
        only = float(x[0])
        return Average(only, dates=1)
    mean = x.mean()
    if flat(x, relative=COMPUTED, returns=returns):
        return Average(float(mean), dates=n)
    deviation = x.std(ddof=1)
    ratio = mean / deviation
    root_dates = np.sqrt(n)
    t = ratio * root_dates
    lags = default_lags(n, horizon)
    centred = x - mean
    covariance = long_run(centred[:, None], lags)
    variance = covariance[0, 0]
    t_nw = NAN
    if variance > 0.0:
        deviation = np.sqrt(variance)
        total = mean * n
        t_nw = total / deviation
    degrees = n - 1
    p_value = _two_sided(t_nw, degrees)
    if horizon > 1:
        p_value = _p_value(x, horizon)
    return Average(float(mean), float(ratio), float(t), float(t_nw), p_value, n)


def _p_value(x: np.ndarray, horizon: int) -> float:
    """Two-sided p-value of the mean of x (n,) where targets overlap; NaN of too few dates."""
    n = len(x)
    if n <= 2 * horizon:
        return NAN
    cosines = default_cosines(n, horizon)
    mean = x.mean()
    centred = x - mean
    covariance = projected(centred[:, None], cosines)
    variance = covariance[0, 0]
    variance_of_mean = variance / n
    error = np.sqrt(variance_of_mean)
    t = mean / error
    return _two_sided(t, cosines)


def _two_sided(t: float, df: float) -> float:
    from scipy.special import stdtr

    distance = abs(t)
    below = stdtr(df, -distance)
    return float(2.0 * below)


def _centred(values: np.ndarray, date: np.ndarray, dates: int) -> np.ndarray:
    """Values (n,) less the mean of their date, exactly zero where they are equal.

    One of the values of the date is subtracted first.
    """
    reference = np.zeros(dates)
    reference[date] = values
    away = values - reference[date]
    total = sums(away, date, dates)
    counts = _counts(date, dates)
    mean = total / counts
    return np.asarray(away - mean[date])


def _counts(date: np.ndarray, dates: int) -> np.ndarray:
    """Rows (dates,) of each date; one where there are none, so that it may divide."""
    rows = np.bincount(date, minlength=dates)
    at_least_one = np.maximum(rows, 1)
    return at_least_one.astype(float)
