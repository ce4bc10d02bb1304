"""How forecasts order the assets of each date: correlations over a cross-section, without a loop
over dates.
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
    """Mean over dates, over its standard deviation (ratio), its t: plain, and Newey-West; and its
    p-value.
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
    """Rank (n,) from 1 of each value within its date, equal ones sharing their mean; NaN stays
    NaN.
    """
    n, order = len(values), _order(values, date)
    by_value, by_date = values[order], date[order]
    new_date = np.append(True, by_date[1:] != by_date[:-1])
    new_value = new_date | np.append(True, by_value[1:] != by_value[:-1])
    first, of = (
        np.flatnonzero(new_value),
        np.cumsum(new_value) - 1,
    )  # where each run of equal values begins
    middle = first + (np.diff(np.append(first, n)) - 1.0) / 2.0
    begins = np.flatnonzero(new_date)[np.cumsum(new_date) - 1]
    found = np.empty(n)
    found[order] = middle[of] - begins + 1.0
    return np.where(np.isnan(values), NAN, found)


def _order(values: np.ndarray, date: np.ndarray) -> np.ndarray:
    """Positions (n,) of the values by date, and by size within it; where dates lie together and
    have many values they are sorted one by one, which is several times sooner."""
    starts = np.flatnonzero(date[1:] != date[:-1]) + 1
    if len(date) < MANY * (len(starts) + 1) or (date[1:] < date[:-1]).any():
        return np.lexsort((values, date))
    order, edges = np.empty(len(date), dtype=np.intp), [0, *starts.tolist(), len(date)]
    for start, stop in pairwise(edges):
        order[start:stop] = np.argsort(values[start:stop], kind="stable") + start
    return order


def varies(values: np.ndarray, date: np.ndarray, dates: int) -> np.ndarray:
    """(dates,) whether the values (n,) of a date differ by more than rounding."""
    return _beyond_rounding(
        values, sums(_centred(values, date, dates) ** 2, date, dates), date, dates
    )


def _beyond_rounding(
    values: np.ndarray, squares: np.ndarray, date: np.ndarray, dates: int
) -> np.ndarray:
    """The same where the sums of squares (dates,) about the mean of the date are known."""
    n = np.maximum(_counts(date, dates), 1.0)
    spread, size = np.sqrt(squares / n), np.sqrt(sums(values**2, date, dates) / n)

    def quotients() -> np.ndarray:
        return np.asarray(sums(of_quotients(values).astype(float), date, dates) == n)

    return ~rounding_alone(spread, size, COMPUTED, quotients)


def correlations(x: np.ndarray, y: np.ndarray, date: np.ndarray, dates: int) -> np.ndarray:
    """Correlation (dates,) of x and y (n,) over the assets of each date.

    NaN on dates with fewer than three assets, or on which one of the two does not vary.
    """
    n = _counts(date, dates)
    if n.max(initial=0.0) < FEWEST:
        return np.full(dates, NAN)
    a, b = (_centred(values, date, dates) for values in (x, y))
    aa, bb = sums(a**2, date, dates), sums(b**2, date, dates)
    known = (
        (n >= FEWEST) & _beyond_rounding(x, aa, date, dates) & _beyond_rounding(y, bb, date, dates)
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        found = sums(a * b, date, dates) / np.sqrt(aa * bb)
    return np.where(known, np.clip(found, -1.0, 1.0), NAN)


def rank_correlations(x: np.ndarray, y: np.ndarray, date: np.ndarray, dates: int) -> np.ndarray:
    """Spearman's correlation (dates,) of x and y (n,) over the assets of each date; NaN as
    `correlations`.
    """
    if _counts(date, dates).max(initial=0.0) < FEWEST:
        return np.full(dates, NAN)
    known = varies(x, date, dates) & varies(y, date, dates)  # ranks of rounding noise would vary
    return np.where(known, correlations(ranks(x, date), ranks(y, date), date, dates), NAN)


def average(path: np.ndarray, horizon: int, returns: bool = False) -> Average:
    """Mean of the path (dates,) over the dates on which it is known, ratio and t with ddof 1.

    The Newey-West t has Bartlett weights, no small-sample factor, and the lags of `default_lags`,
    counted in known dates: at least horizon - 1, for the overlap of the target. The p-value is
    two-sided: of that t with n - 1 degrees where targets do not overlap; where they do, and it
    would reject too often, of the mean over its error by cosines (`runner.numerics.covariance.projected`),
    and there is none for dates up to twice the horizon. `returns` says that the path is of returns,
    which have no t where they differ by the rounding of prices.
    """
    x = path[np.isfinite(path)]
    n = len(x)
    if n < 2:
        return Average(float(x[0]), dates=1) if n else Average()
    mean, spread = x.mean(), x.std(ddof=1)
    if flat(x, relative=COMPUTED, returns=returns):
        return Average(float(mean), dates=n)
    long = long_run((x - mean)[:, None], default_lags(n, horizon))[0, 0]
    t_nw = mean * n / np.sqrt(long) if long > 0.0 else NAN
    p = _p_value(x, horizon) if horizon > 1 else _two_sided(t_nw, n - 1)
    return Average(
        float(mean), float(mean / spread), float(mean / spread * np.sqrt(n)), float(t_nw), p, n
    )


def _p_value(x: np.ndarray, horizon: int) -> float:
    """Of the mean of x (n,) where targets overlap."""
    n, cosines = len(x), default_cosines(len(x), horizon)
    if n <= 2 * horizon:
        return NAN
    error = np.sqrt(projected((x - x.mean())[:, None], cosines)[0, 0] / n)
    return _two_sided(x.mean() / error, cosines)


def _two_sided(t: float, df: float) -> float:
    from scipy.special import stdtr

    return float(2.0 * stdtr(df, -abs(t)))


def _centred(values: np.ndarray, date: np.ndarray, dates: int) -> np.ndarray:
    """Values (n,) less the mean of their date; less one of them first, so that equal ones give
    exact zeros.
    """
    one = np.zeros(dates)
    one[date] = values
    away = values - one[date]
    return np.asarray(away - (sums(away, date, dates) / _counts(date, dates))[date])


def _counts(date: np.ndarray, dates: int) -> np.ndarray:
    """Rows (dates,) of each date, one where there are none, which nobody asks for."""
    return np.maximum(np.bincount(date, minlength=dates), 1).astype(float)
