"""Where the dates of a table meet the calendar of the assets."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from runner.errors import DataError, listed
from runner.text import count

MONTH_END = 4  # days before the end of a month from which on a trading day may be its last
SHOWN = 2  # dates that are shown of each side
A_DAY = 86_400_000_000  # microseconds
NEAR = 0.5  # share of the time to the next value within which a date of the calendar is its next


class Meeting(NamedTuple):
    """Where dates meet a calendar.

    Attributes:
        at: positions (n,) on the calendar, -1 where a date meets none.
        by_month: how many of them meet as ends of the same month, not on the same day.
    """

    at: np.ndarray
    by_month: int


def meeting(dates: pd.DatetimeIndex, calendar: pd.DatetimeIndex) -> Meeting:
    """Where distinct, increasing dates meet the rows of a calendar: on the same day and time.

    Where both have at most one date a month, the last trading day and the last calendar day of a
    month are the same month end.
    """
    at = calendar.get_indexer(dates)
    months = dates.to_period("M").asi8
    months_there = calendar.to_period("M").asi8
    once = len(np.unique(months)) == len(months)
    once_there = len(np.unique(months_there)) == len(months_there)
    if not (once and once_there) or (at >= 0).all():
        return Meeting(at, 0)
    index_there = pd.Index(months_there)
    index_here = pd.Index(months)
    same_month = index_there.get_indexer(index_here)
    ends_there = _ends_month(calendar)[same_month]
    both_end = (same_month >= 0) & _ends_month(dates) & ends_there
    is_unmatched = at < 0
    by_month = is_unmatched & both_end
    rows = np.where(by_month, same_month, at)
    matched_by_month = int(by_month.sum())
    return Meeting(rows, matched_by_month)


def _ends_month(dates: pd.DatetimeIndex) -> np.ndarray:
    """Mask (n,) of the dates on which a month may end, the last trading day of it included."""
    return np.asarray(dates.days_in_month - dates.day <= MONTH_END)


def in_span(dates: pd.DatetimeIndex, calendar: pd.DatetimeIndex) -> np.ndarray:
    """Mask (n,) of the dates from the first to the last month of the calendar."""
    months = dates.to_period("M")
    first, last = calendar[[0, -1]].to_period("M")
    return np.asarray((months >= first) & (months <= last))


def apart(dates: pd.DatetimeIndex, calendar: pd.DatetimeIndex, met: Meeting) -> bool:
    """Whether fewer than half of the dates meet the calendar, and fewer than half of it meets them.

    Judged where both sides have dates; true where there is no such time.
    """
    inside = in_span(dates, calendar)
    if not inside.any():
        return True
    common = in_span(calendar, dates)
    is_met = met.at[inside] >= 0
    meets = int(is_met.sum())
    number_inside = int(inside.sum())
    number_common = int(common.sum())
    fewer = min(number_inside, number_common)
    return 2 * meets < fewer


def side_by_side(
    name: str, dates: pd.DatetimeIndex, calendar: pd.DatetimeIndex, met: Meeting
) -> str:
    """The dates of both sides, for people, where they do not meet."""
    inside = in_span(dates, calendar)
    if not inside.any():
        first = _day(dates[0])
        last = _day(dates[-1])
        own = f"{first}..{last}"
        first_of_data = _day(calendar[0])
        last_of_data = _day(calendar[-1])
        theirs = f"{first_of_data}..{last_of_data}"
        return f"the dates of {name} are not those of the assets: assets {theirs}; {name} {own}"
    is_inside = in_span(calendar, dates)
    common = calendar[is_inside]
    own = first_dates(dates[inside])
    theirs = first_dates(common)
    both = f"the dates of {name} are not those of the assets: assets {theirs}; {name} {own}"
    is_met = met.at[inside] >= 0
    meets = int(is_met.sum())
    total = int(inside.sum())
    return f"{both}: {meets:,} of its {total:,} dates meet"


def first_dates(dates: pd.DatetimeIndex) -> str:
    """The first dates, for people."""
    shown = listed(_day(date) for date in dates[:SHOWN])
    if len(dates) > SHOWN:
        shown += ", ..."
    return shown


def _day(date: pd.Timestamp) -> str:
    """The date, with the time of day where it has one."""
    if date == date.normalize():
        return f"{date:%Y-%m-%d}"
    return f"{date:%Y-%m-%d %H:%M}"


def counts_from_next_day(dates: pd.DatetimeIndex, calendar: pd.DatetimeIndex) -> bool:
    """Whether dates without a time of day stand beside bars within the day.

    A value of such a date is known when the day is over, from the bars of the next day on.
    """
    bars = not (calendar == calendar.normalize()).all()
    days = bool((dates == dates.normalize()).all())
    return bars and days


def first_known(known: pd.DatetimeIndex, calendar: pd.DatetimeIndex, next_day: bool) -> np.ndarray:
    """Position (n,) of the first row of the calendar on which each stamp is known.

    The number of rows for a stamp after the last of them.
    """
    if next_day:
        return calendar.normalize().searchsorted(known.normalize(), side="right")
    return calendar.searchsorted(known, side="left")


class Reached(NamedTuple):
    """Which value of a series counts on each date of a calendar.

    Attributes:
        row: positions (T,) of the values, -1 where none counts.
        moved: values that count on another date than their own.
        words: half sentences on those.
    """

    row: np.ndarray
    moved: int
    words: list[str]


def on_calendar(name: str, dates: pd.DatetimeIndex, calendar: pd.DatetimeIndex) -> Reached:
    """The values of a series, whose dates increase, on the rows of a calendar.

    A value off the calendar counts on the next row of it, unless that has a later one or is no
    nearer than the half of the time to the next value: a series as frequent as the calendar is not
    moved by a period.

    Raises:
        DataError: fewer than half of the dates meet the calendar in any of these ways.
    """
    met = meeting(dates, calendar)
    next_day = counts_from_next_day(dates, calendar)
    following = first_known(dates, calendar, next_day)
    near = (met.at < 0) & _near(dates, calendar, following, next_day)
    at = np.where(near, following, met.at)
    if apart(dates, calendar, Meeting(at, 0)):
        line = side_by_side(name, dates, calendar, met)
        raise DataError(
            f"{line}; allowed: the same dates, or a table of its own that says how it joins: "
            "data.series.NAME.path=FILE with stamp=end or on=asof"
        )
    row = np.full(len(calendar), -1, dtype=np.intp)
    meets = at >= 0
    np.maximum.at(row, at[meets], np.flatnonzero(meets))
    moved = np.isin(np.flatnonzero(near), row)
    words = []
    if moved.any():
        moved_values = int(moved.sum())
        values = count(moved_values, "value")
        words.append(f"{values} of {name} on dates off the calendar count on the next date of it.")
    if met.by_month:
        values = count(met.by_month, "value")
        words.append(f"{values} of {name} meet the last row of the same month, not the same day.")
    moved_rows = int(moved.sum())
    return Reached(row, moved_rows + met.by_month, words)


def _near(
    dates: pd.DatetimeIndex, calendar: pd.DatetimeIndex, following: np.ndarray, next_day: bool
) -> np.ndarray:
    """Mask (n,) of the dates whose next row of the calendar comes well before the next date.

    Of the last date, well within the time since the one before.

    Args:
        following: position of that row.
        next_day: whether dates are over only when their day is.
    """
    never = np.iinfo(np.int64).max
    stamps = dates.as_unit("us").asi8
    rows = np.append(calendar.as_unit("us").asi8, never)
    wait = rows[following] - stamps
    if next_day:
        wait -= A_DAY
    steps = np.diff(stamps)
    last_step = never
    if len(steps):
        last_step = steps[-1]
    to_next = np.append(steps, last_step)
    is_near = wait <= NEAR * to_next
    return np.asarray((following < len(calendar)) & is_near)
