"""Where the data have values: gaps of the calendar, assets, dates."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from runner.data.calendar import DAYS_OF_YEAR, EVERY_DAY, TRADING_DAYS, WEEK, Calendar
from runner.data.columns.column import Column
from runner.data.columns.wide import WideColumn
from runner.data.market import Market

MOST_ASSETS = 200  # of the raster; of more, every so many
MOST_PERIODS = 500  # of the raster; rows of more dates are taken together


def values_known(market: Market) -> Column:
    """The field whose values returns are made of: `ret`, else `close`.

    Of data with neither, one with a value where any field has one.
    """
    for name in ("ret", "close"):
        if name in market.fields:
            return market.fields.columns[name]
    known = market.fields.known()
    cells = np.where(known, 1.0, np.nan)
    return WideColumn(pd.DataFrame(cells, index=market.dates, columns=market.fields.assets))


class Gaps(NamedTuple):
    """Rows (days of bars) that the calendar has and the data have not, the longest gap first.

    Holidays are among them: no calendar of an exchange is known here. Where rows follow no
    calendar, they are taken to come as far apart as half of them do.

    Attributes:
        after, before: the dates (G,) around each gap.
        days: (G,) from one to the other.
        missing: (G,) rows that are not there.
    """

    after: pd.DatetimeIndex
    before: pd.DatetimeIndex
    days: np.ndarray
    missing: np.ndarray


def gaps_of(calendar: Calendar) -> Gaps:
    """The gaps of a calendar."""
    midnights = calendar.dates.normalize()
    days = midnights.unique()
    moments = days.to_numpy()
    dates = moments.astype("datetime64[D]")
    distance = np.diff(dates).astype(int)
    missing = _missing_between(calendar, dates, distance)
    is_missing = missing > 0
    before_gap = np.flatnonzero(is_missing)  # positions of the last day before each gap
    shorter = -distance[before_gap]
    longest_first = np.lexsort((shorter, -missing[before_gap]))
    before_gap = before_gap[longest_first]
    after = days[before_gap]
    before = days[before_gap + 1]
    return Gaps(after, before, distance[before_gap], missing[before_gap])


def _missing_between(calendar: Calendar, dates: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """Rows missing between each date and the next, by the spacing of the calendar.

    Args:
        dates: (D,) days that have rows.
        distance: (D - 1,) days from each to the next.
    """
    if not len(distance):
        return np.zeros(0, dtype=int)
    if follows_weekdays(calendar):
        traded = [weekday in calendar.weekdays for weekday in range(WEEK)]
        first = dates[:-1]
        next_first = dates[1:]
        traded_days = np.busday_count(first, next_first, weekmask=traded)
        return traded_days - 1
    if calendar.rows_per_year is None:
        usual = np.median(distance)
        spacing = float(usual)
    else:
        spacing = DAYS_OF_YEAR / calendar.rows_per_year
    rows_apart = distance / spacing
    rows = np.rint(rows_apart)
    return rows.astype(int) - 1


def follows_weekdays(calendar: Calendar) -> bool:
    """Whether rows, or days of bars, follow the days of the week."""
    if calendar.rows_per_year is None:
        return False
    bars_per_day = max(calendar.bars, 1)
    days_per_year = calendar.rows_per_year / bars_per_day
    return days_per_year in (TRADING_DAYS, EVERY_DAY)


def coverage_of(market: Market, known: Column) -> pd.DataFrame:
    """A row per asset, the least covered first.

    Columns: asset, first, last (dates with a value), values, inside (missing from first to last),
    share (of all rows).

    Args:
        known: as of `values_known`.
    """
    T = len(market.dates)
    _, values, first, last = known.counts()
    dates = market.dates
    empty = values == 0
    listed_rows = last - first
    rows_listed = listed_rows + 1
    inside = rows_listed - values
    columns = {
        "asset": market.assets,
        "first": dates[first].where(~empty),
        "last": dates[last].where(~empty),
        "values": values,
        "inside": np.where(empty, 0, inside),
        "share": values / T,
    }
    table = pd.DataFrame(columns)
    return table.sort_values("values", kind="stable", ignore_index=True)


def assets_by_date(market: Market, known: Column) -> pd.DataFrame:
    """Columns date and assets: how many have a value."""
    return pd.DataFrame({"date": market.dates, "assets": known.counts().of_dates})


def raster_of(market: Market, known: Column) -> pd.DataFrame:
    """Share of rows with a value: assets by first date (at most 200) x periods (at most 500).

    The index names the assets, the columns the first date of each period.
    """
    T = len(market.dates)
    N = len(market.assets)
    counts = known.counts()
    values = counts.of_assets
    first = np.where(values > 0, counts.first, T)
    order = np.lexsort((-values, first))
    if N > MOST_ASSETS:
        evenly = np.linspace(0, N - 1, MOST_ASSETS).astype(int)
        order = order[evenly]
    periods = min(T, MOST_PERIODS)
    bounds = np.linspace(0, T, periods, endpoint=False)
    positions = bounds.astype(int)
    starts = np.unique(positions)
    has_value = ~np.isnan(known.of(order))
    shown = np.ascontiguousarray(has_value, dtype=float)
    sums = np.add.reduceat(shown, starts, axis=0)
    ends = np.append(starts, T)
    rows = np.diff(ends)
    assets = market.assets
    names = [assets[position] for position in order]
    shares = sums / rows[:, None]
    return pd.DataFrame(shares.T, index=names, columns=market.dates[starts])
