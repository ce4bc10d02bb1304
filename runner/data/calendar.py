"""The calendar of rows: how many make a year, parts cut by date, weeks and months."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from runner.errors import DataError, SettingError
from runner.schema.settings import Frequency, parse_date

if TYPE_CHECKING:
    import pandas as pd

PERIOD = {"week": "W-FRI", "month": "M"}
A_YEAR = {"week": 52.0, "month": 12.0}  # periods
OFF = 0.05  # share by which rows a year that are given may differ from those of the calendar

# Rows a year of a calendar, and the gaps in days, from and to, of two rows that follow each other:
# holidays and month ends move them.
SPACED = {
    "weekly": (52.0, 5, 9),
    "monthly": (12.0, 25, 36),
    "quarterly": (4.0, 85, 98),
    "yearly": (1.0, 350, 380),
}
# Rows of a calendar that may be missing (holidays included): so many, and this share of the gaps.
FEW_MISSING = 2
MOST_MISSING = 0.2
THURSDAY = 3  # Monday is 0; the day 0 since 1970 was a Thursday
MANY_MISSING = 0.1  # share of the gaps from which on the name of the calendar says so
DAYS_OF_YEAR = 365.25
WEEK = 7
TRADING_DAYS = 252.0  # of a year
EVERY_DAY = 365.0
# Monday is 0: Monday to Friday; Sunday to Thursday
TRADING_WEEKS = (
    frozenset({0, 1, 2, 3, 4}),
    frozenset({6, 0, 1, 2, 3}),
)
WHOLE_WEEK = frozenset(range(WEEK))
WEEKEND = frozenset({5, 6})
SHORT = 14  # rows; fewer days need not show every day of the week
RARE = 0.5 / WEEK  # share of the rows below which a day of the week is an exception
SAME_BARS = 0.05  # share by which the bars of a day may differ from those of a usual one


@dataclass(frozen=True)
class Calendar:
    """How often rows come.

    Attributes:
        dates: (T,) the rows.
        name: for people, such as `monthly calendar`.
        rows_per_year: the nominal number: 252 (five days a week), 365 (every day), 52, 12, 4, 1, or
            the bars of a usual day times 252 or 365; None where the rows follow none of these
            calendars.
        weekdays: days of the week (Monday 0) that usually have rows.
        bars: rows of a usual day.
    """

    dates: pd.DatetimeIndex
    name: str
    rows_per_year: float | None
    weekdays: frozenset[int]
    bars: int

    @property
    def words(self) -> str:
        """Such as `monthly, 12 rows a year`."""
        if self.rows_per_year is None:
            return self.name
        kind = self.name.replace(" calendar", "", 1)
        rows_text = _rows_a_year(self.rows_per_year)
        return f"{kind}, {rows_text}"


class Year(NamedTuple):
    """Rows of a year, and the calendar they come from."""

    rows: float
    calendar: str

    @property
    def words(self) -> str:
        """Such as `annualised with 12 rows a year (monthly calendar)`."""
        return f"annualised with {_rows_a_year(self.rows)} ({self.calendar})"


def _rows_a_year(rows: float) -> str:
    """Such as `12 rows a year`."""
    if rows == 1.0:
        return "1 row a year"
    return f"{rows:,.10g} rows a year"


def calendar_of(dates: pd.DatetimeIndex) -> Calendar:
    """The calendar of increasing dates (T,), judged by the gaps between rows.

    Long holes do not matter. A calendar may lack up to a fifth of its rows (holidays included); a
    day of the week with less than half of an even share of the rows is an exception. Rows within a
    day are bars; where at least half of the days have the bars of the usual (median) day within
    5 %, a year has that many times the 252 or 365 days. Rows every two weeks, every 20 days or at
    random follow no calendar, nor do six days a week: rows a year are then to be given.
    """
    midnights = dates.normalize().to_numpy()
    days = midnights.astype("datetime64[D]")
    ordinal = days.astype(np.int64)
    day, rows = np.unique(ordinal, return_counts=True)
    weekdays = _usual_weekdays(day, rows)
    if not len(day):
        return Calendar(dates, "calendar without rows", None, weekdays, 0)
    bars = int(np.sort(rows)[len(rows) // 2])
    days_a_year, week = _daily(day, weekdays)
    if bars > 1:
        alike = np.abs(rows - bars) <= SAME_BARS * bars
        if days_a_year is None or 2 * alike.sum() < len(rows):
            return Calendar(dates, "irregular calendar within the day", None, weekdays, bars)
        name = f"calendar of {bars:,} bars a day"
        return Calendar(dates, name, days_a_year * bars, week, bars)
    if days_a_year is not None and len(day) > 1:
        weekends = " with weekends" if days_a_year == EVERY_DAY else ""
        steps = _steps(day, week)
        gaps = _with_gaps(steps <= 1)
        return Calendar(dates, f"daily calendar{weekends}{gaps}", days_a_year, week, bars)
    name, nominal = _longer_than_days(day)
    return Calendar(dates, name, nominal, weekdays, bars)


def _longer_than_days(day: np.ndarray) -> tuple[str, float | None]:
    """The weekly to yearly calendar of days since 1970, and its rows a year; None if irregular."""
    days = np.diff(day)
    for name, (nominal, low, high) in SPACED.items():
        if _spaced(days, nominal, low, high):
            gaps = _with_gaps((days >= low) & (days <= high))
            return f"{name} calendar{gaps}", nominal
    return _irregular(day), None


def _usual_weekdays(day: np.ndarray, rows: np.ndarray) -> frozenset[int]:
    """Days of the week of days since 1970, without those that few rows fall on."""
    days_since_monday = day + THURSDAY
    weekday = days_since_monday % WEEK
    count = np.bincount(weekday, weights=rows, minlength=WEEK)
    share = count / max(rows.sum(), 1)
    is_usual = share >= RARE
    numbers = np.flatnonzero(is_usual)
    return frozenset(numbers.tolist())


def _daily(day: np.ndarray, weekdays: frozenset[int]) -> tuple[float | None, frozenset[int]]:
    """Days a year and trading week of days that follow each other; None for other days.

    252 and the five days of a trading week; 365 and all seven. `day` counts days since 1970.
    """
    weeks = [(TRADING_DAYS, week) for week in TRADING_WEEKS if weekdays <= week]
    few_seen = len(day) < SHORT and weekdays >= WEEKEND
    if few_seen or weekdays == WHOLE_WEEK:
        weeks = [(EVERY_DAY, WHOLE_WEEK)]
    for days_a_year, week in weeks:
        steps = _steps(day, week)
        if _mostly(steps <= 1):
            return days_a_year, week
    return None, weekdays


def _steps(day: np.ndarray, week: frozenset[int]) -> np.ndarray:
    """Days of this trading week from each day since 1970 to the next."""
    stamps = day.astype("datetime64[D]")
    traded = [weekday in week for weekday in range(WEEK)]
    return np.busday_count(stamps[:-1], stamps[1:], weekmask=traded)


def _mostly(follows: np.ndarray) -> bool:
    """Whether rows follow each other as they should in most gaps, or there is no gap."""
    is_gap = ~follows
    missing = int(is_gap.sum())
    few = missing <= FEW_MISSING + MOST_MISSING * len(follows)
    less_than_half = missing == 0 or 2 * missing < len(follows)
    return few and less_than_half


def _with_gaps(follows: np.ndarray) -> str:
    """What the name of the calendar says where many of its rows do not follow on the one before."""
    is_gap = ~follows
    missing = int(is_gap.sum())
    if missing <= max(FEW_MISSING, MANY_MISSING * len(follows)):
        return ""
    share = f"{100.0 * (missing / len(follows)):.0f} %"
    return f" with gaps before {share} of its rows"


def _spaced(gaps: np.ndarray, nominal: float, low: int, high: int) -> bool:
    """Whether the gaps in days are those of this calendar, over a year and more on average too."""
    follows = (gaps >= low) & (gaps <= high)
    if not len(gaps) or not _mostly(follows):
        return False
    days = float(gaps[follows].sum())
    a_year = DAYS_OF_YEAR * follows.sum() / days
    less_than_a_year = days < EVERY_DAY
    return less_than_a_year or abs(a_year - nominal) <= OFF * nominal


def _irregular(day: np.ndarray) -> str:
    """The name of a calendar that follows none of the known ones."""
    if len(day) < 2:
        return "calendar of a single date"
    days = float(day[-1] - day[0])
    steps = len(day) - 1
    days_in_all = DAYS_OF_YEAR * steps
    a_year = days_in_all / days
    return f"irregular calendar (about {a_year:,.0f} dates a year)"


def year_of(calendar: Calendar, given: float | None = None) -> Year:
    """Rows of a year by the calendar, or as given; the one place that every annual number asks.

    Raises:
        SettingError: a number more than 5 % off that of the calendar; none given where the rows
            follow no calendar.
    """
    nominal = calendar.rows_per_year
    if nominal is None:
        if given is None:
            raise SettingError("rows_per_year", _no_year(calendar), "NUMBER")
        return Year(given, f"as given; {calendar.name}")
    if given is None:
        return Year(nominal, calendar.name)
    distance = abs(given - nominal)
    if distance > OFF * nominal:
        raise SettingError("rows_per_year", _another_year(calendar.name, given, nominal), "null")
    if given == nominal:
        return Year(given, calendar.name)
    return Year(given, f"as given; {calendar.name}: {nominal:,.10g}")


def _no_year(calendar: Calendar) -> str:
    """What is wrong where rows a year are not given and the rows follow no calendar."""
    kinds = "daily, weekly, monthly, quarterly or yearly rows, nor bars of a day"
    return f"given null, and the {calendar.name} has no {kinds}; allowed: a number above 0"


def _another_year(name: str, given: float, nominal: float) -> str:
    """What is wrong with rows a year that the calendar contradicts."""
    lower = 1 - OFF
    least = lower * nominal
    upper = 1 + OFF
    most = upper * nominal
    allowed = f"allowed: {least:,.6g} to {most:,.6g}, or null for the calendar's own"
    has = f"the {name} has {nominal:,.10g} rows a year"
    return f"given {given:,.10g}; {has}; {allowed}"


def up_to(dates: pd.DatetimeIndex, end: str) -> np.ndarray:
    """Mask (T,) of the rows at or before `end`; a date without time includes its whole day."""
    text = str(end)
    moment = parse_date(text)
    longest_day = len("2021-12-31")
    whole_day = len(text) <= longest_day
    if whole_day:
        return np.asarray(dates < moment + timedelta(days=1))
    return np.asarray(dates <= moment)


def within(dates: pd.DatetimeIndex, start: str | None, end: str | None) -> np.ndarray:
    """Mask (T,) of the rows from `start` to `end`, both included; None leaves a side open.

    Raises:
        DataError: no row lies in the range.
    """
    keep = np.ones(len(dates), dtype=bool)
    if start is not None:
        begin = parse_date(str(start))
        is_after = dates >= begin
        keep &= np.asarray(is_after)
    if end is not None:
        keep &= up_to(dates, end)
    if not keep.any():
        runs = "is empty"
        if len(dates):
            runs = f"runs {span(dates)}"
        asked = f"{start or ''}..{end or ''}"
        raise DataError(f"data.start..data.end: {asked} holds no row; the data {runs}")
    return keep


def span(dates: pd.DatetimeIndex) -> str:
    """First and last date, for people; with the time of day where one of them has one."""
    if not len(dates):
        return "no dates"
    ends = dates[[0, -1]]
    daily = (ends == ends.normalize()).all()
    form = "%Y-%m-%d" if daily else "%Y-%m-%d %H:%M"
    first = f"{dates[0]:{form}}"
    last = f"{dates[-1]:{form}}"
    return f"{first}..{last}"


def session_numbers(dates: pd.DatetimeIndex) -> np.ndarray:
    """Number (T,) of the session that each row is in, from 0: a day is one."""
    return np.unique(dates.normalize().asi8, return_inverse=True)[1]


def period_ends(dates: pd.DatetimeIndex, frequency: Frequency) -> np.ndarray:
    """Positions of the last row of each week (to Friday) or month, also of an unfinished one."""
    periods = dates.to_period(PERIOD[frequency]).asi8
    later = periods[1:]
    earlier_ones = periods[:-1]
    another = later != earlier_ones
    ends = np.append(another, True)
    return np.flatnonzero(ends[: len(periods)])


def unfinished(dates: pd.DatetimeIndex, calendar: Calendar, frequency: Frequency) -> str:
    """Why the last week or month of rows on this calendar is not over; empty where it is.

    It is over when the data have rows of a later period, or a row on its last weekday: the Friday
    of a week, the last Monday to Friday of a month; with rows on weekends too, its last day; with
    bars, all bars of that day. Where that weekday is a holiday the data cannot show that the period
    is over: it counts as running, and `partial: keep` keeps it. Rows that are weeks or months
    already, one a period, are taken as their source closed them. `dates` are the rows of the
    calendar or a part of them.
    """
    if _one_a_period(calendar, frequency):
        return ""
    last_date = dates[-1]
    period = PERIOD[frequency]
    own = last_date.to_period(period)
    later = calendar.dates[calendar.dates > dates[-1]]
    if len(later):
        goes_on = later[0].to_period(PERIOD[frequency]) == own
        if not goes_on:
            return ""
        return f"the rows after {dates[-1]:%Y-%m-%d} belong to it too"
    ends = _last_day(own, calendar.weekdays)
    last = dates[-1].normalize()
    if last < ends:
        which = "weekday"
        if calendar.weekdays == WHOLE_WEEK:
            which = "day"
        due = f"its last {which}, {ends:%A} {ends:%Y-%m-%d}"
        return f"the data end on {last:%A} {last:%Y-%m-%d}, before {due}"
    bars = int((dates.normalize() == last).sum())
    if bars < calendar.bars:
        return f"its last day, {last:%Y-%m-%d}, has {bars:,} of {calendar.bars:,} bars"
    return ""


def begun(dates: pd.DatetimeIndex, calendar: Calendar, frequency: Frequency) -> bool:
    """Whether the first week or month of these rows is there from its first weekday on."""
    if _one_a_period(calendar, frequency):
        return True
    own = dates[0].to_period(PERIOD[frequency])
    first = dates[0]
    is_earlier = calendar.dates < first
    earlier = calendar.dates[is_earlier]
    if len(earlier):
        last_before = earlier[-1]
        period = PERIOD[frequency]
        before = last_before.to_period(period)
        return bool(before != own)
    return bool(dates[0].normalize() <= _first_day(own, calendar.weekdays))


def _one_a_period(calendar: Calendar, frequency: Frequency) -> bool:
    """Whether the rows are such periods, or longer ones, already."""
    if calendar.rows_per_year is not None:
        return calendar.rows_per_year <= A_YEAR[frequency]
    return len(period_ends(calendar.dates, frequency)) == len(calendar.dates)


def _last_day(period: pd.Period, weekdays: frozenset[int]) -> pd.Timestamp:
    """The last of these weekdays in the period."""
    day = period.end_time.normalize()
    while day.weekday() not in weekdays:
        day -= timedelta(days=1)
    return day


def _first_day(period: pd.Period, weekdays: frozenset[int]) -> pd.Timestamp:
    """The first of these weekdays in the period, or after its start."""
    day = period.start_time
    while day.weekday() not in weekdays:
        day += timedelta(days=1)
    return day
