"""How forecasts order the assets of each date: correlations over a cross-section.

All dates are computed together. Values (n,) come with the number of their `date` (n,), from 0 to
`dates` less one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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


class Dates(NamedTuple):
    """Rows by date.

    Attributes:
        order: what puts rows in order of date; all of them where they are in it.
        begins: (D,) positions of the first row of each date that has rows, in that order.
        rows: (D,) how many it has.
        number: (D,) of the date.
    """

    order: slice | np.ndarray
    begins: np.ndarray
    rows: np.ndarray
    number: np.ndarray

    @classmethod
    def of(cls, date: np.ndarray) -> Dates:
        """The dates of rows, given the number (n,) of the date of each."""
        order: slice | np.ndarray = slice(None)
        if (date[1:] < date[:-1]).any():
            order = np.argsort(date, kind="stable")
            date = date[order]
        begins = np.flatnonzero(_differs_from_last(date))
        rows = np.diff(begins, append=len(date))
        return cls(order, begins, rows, date[begins])

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Sum (D,) of the values (n,) of each date, which are in order of date."""
        return np.add.reduceat(values, self.begins)

    def spread(self, values: np.ndarray) -> np.ndarray:
        """The value (D,) of the date of each row (n,)."""
        return np.repeat(values, self.rows)

    def stretches(self) -> list[slice]:
        """Rows of whole dates, some `STRETCH` at a time."""
        ends = self.begins + self.rows
        edges = [0]
        while edges[-1] < ends[-1]:
            last = np.searchsorted(ends, edges[-1] + STRETCH, side="right") - 1
            following = np.searchsorted(ends, edges[-1], side="right")
            edges.append(int(ends[max(last, following)]))
        return [slice(start, stop) for start, stop in pairwise(edges)]


class Deviations(NamedTuple):
    """Values less the mean of their date.

    Attributes:
        values: (n,) exactly zero where the values of a date are equal.
        squares: (D,) their sum of squares by date.
        vary: (D,) whether the values of a date differ by more than rounding.
    """

    values: np.ndarray
    squares: np.ndarray
    vary: np.ndarray


def sums(values: np.ndarray, date: np.ndarray, dates: int) -> np.ndarray:
    """Sum (dates,) of the values (n,) of each date, given by its number."""
    return np.bincount(date, weights=values, minlength=dates)


def ranks(values: np.ndarray, date: np.ndarray) -> np.ndarray:
    """Rank (n,) from 1 of each value within its date, ties sharing their mean; NaN stays NaN."""
    if not len(values):
        return np.empty(0)
    by_date = Dates.of(date)
    rank = np.empty(len(values))
    rank[by_date.order] = _ranks(values[by_date.order], by_date)
    rank[np.isnan(values)] = NAN
    return rank


def _ranks(values: np.ndarray, by_date: Dates) -> np.ndarray:
    """The same of values in order of date, none of them missing."""
    n = len(values)
    order = _order(values, by_date)
    new_value = _differs_from_last(values[order])
    new_value[by_date.begins] = True
    place = np.arange(n, dtype=float)
    if not new_value.all():
        # positions in order of value: where each run of ties begins, and its middle
        first = np.flatnonzero(new_value)
        length = np.diff(first, append=n)
        half = (length - 1.0) / 2.0
        place = np.repeat(first + half, length)
    place -= by_date.spread(by_date.begins - 1.0)
    rank = np.empty(n)
    rank[order] = place
    return rank


def _differs_from_last(values: np.ndarray) -> np.ndarray:
    """(n,) whether each value differs from that before it; the first one does."""
    differs = np.empty(len(values), dtype=bool)
    differs[:1] = True
    np.not_equal(values[1:], values[:-1], out=differs[1:])
    return differs


def _order(values: np.ndarray, by_date: Dates) -> np.ndarray:
    """Positions (n,) of the values by date, and by size within it; equal ones in any order.

    Dates of many values are sorted one by one, which is several times sooner.
    """
    n = len(values)
    dates = len(by_date.begins)
    if n < MANY * dates:
        return np.lexsort((values, by_date.spread(np.arange(dates))))
    order = np.empty(n, dtype=np.intp)
    edges = [*by_date.begins.tolist(), n]
    for start, stop in pairwise(edges):
        within_date = np.argsort(values[start:stop])
        np.add(within_date, start, out=order[start:stop])
    return order


def varies(values: np.ndarray, date: np.ndarray, dates: int) -> np.ndarray:
    """(dates,) whether the values (n,) of a date differ by more than rounding."""
    by_date = Dates.of(date)
    vary = np.zeros(dates, dtype=bool)
    vary[by_date.number] = _deviations(values[by_date.order], by_date).vary
    return vary


def _deviations(values: np.ndarray, by_date: Dates) -> Deviations:
    """Values (n,) in order of date less the mean of their date.

    The first value of the date is subtracted before, so that equal ones give zero.
    """
    away = values - by_date.spread(values[by_date.begins])
    away -= by_date.spread(by_date.sums(away) / by_date.rows)
    squares = by_date.sums(away * away)
    spread = np.sqrt(squares / by_date.rows)
    size = np.sqrt(by_date.sums(values * values) / by_date.rows)

    def quotients() -> np.ndarray:
        return np.logical_and.reduceat(of_quotients(values), by_date.begins)

    return Deviations(away, squares, ~rounding_alone(spread, size, COMPUTED, quotients))


def correlations(
    x: np.ndarray | Sequence[np.ndarray], y: np.ndarray, date: np.ndarray, dates: int
) -> np.ndarray:
    """Correlation of x (n,) and y (n,) over the assets of each date (dates,), of m x (m, dates).

    NaN on dates with fewer than three assets, or on which one of the two does not vary.
    """
    return _by_stretch(_correlations, x, y, date, dates)


def rank_correlations(
    x: np.ndarray | Sequence[np.ndarray], y: np.ndarray, date: np.ndarray, dates: int
) -> np.ndarray:
    """Spearman's correlation of x and y over the assets of each date; all as `correlations`."""
    return _by_stretch(_rank_correlations, x, y, date, dates)


def _by_stretch(
    correlate: Callable[[Sequence[np.ndarray], np.ndarray, Dates], np.ndarray],
    x: np.ndarray | Sequence[np.ndarray],
    y: np.ndarray,
    date: np.ndarray,
    dates: int,
) -> np.ndarray:
    """What `correlate` gives of each x and date, called with some dates at a time."""
    alone = isinstance(x, np.ndarray) and x.ndim == 1
    several = list(np.atleast_2d(x)) if isinstance(x, np.ndarray) else list(x)
    correlation = np.full((len(several), dates), NAN)
    if len(y):
        by_date = Dates.of(date)
        several = [values[by_date.order] for values in several]
        y = y[by_date.order]
        date = date[by_date.order]
        for rows in by_date.stretches():
            some = Dates.of(date[rows])
            parts = [values[rows] for values in several]
            correlation[:, some.number] = correlate(parts, y[rows], some)
    return correlation[0] if alone else correlation


def _correlations(xs: Sequence[np.ndarray], y: np.ndarray, by_date: Dates) -> np.ndarray:
    """Correlations (m, D) of each x and y, all in order of date."""
    of_y = _deviations(y, by_date)
    correlation = np.full((len(xs), len(by_date.rows)), NAN)
    for of_x, x in zip(correlation, xs, strict=True):
        deviations = _deviations(x, by_date)
        known = (by_date.rows >= FEWEST) & of_y.vary & deviations.vary
        with np.errstate(invalid="ignore", divide="ignore"):
            scale = np.sqrt(deviations.squares * of_y.squares)
            ratio = by_date.sums(deviations.values * of_y.values) / scale
        of_x[known] = np.clip(ratio, -1.0, 1.0)[known]
    return correlation


def _rank_correlations(xs: Sequence[np.ndarray], y: np.ndarray, by_date: Dates) -> np.ndarray:
    """Rank correlations (m, D) of each x and y, all in order of date."""
    # asked of the values: ranks of rounding noise would vary
    vary = [_deviations(values, by_date).vary for values in (*xs, y)]
    x_ranks = [_ranks(x, by_date) for x in xs]
    correlation = _correlations(x_ranks, _ranks(y, by_date), by_date)
    correlation[~(np.array(vary[:-1]) & vary[-1])] = NAN
    return correlation


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
