"""Rows of a year, parts of a calendar by date, and weeks and months, against one date at a time."""

from __future__ import annotations

import pickle
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import QUICK
from pandas.tseries.holiday import USFederalHolidayCalendar

from runner.data.calendar import (
    begun,
    calendar_of,
    period_ends,
    span,
    unfinished,
    up_to,
    within,
    year_of,
)
from runner.errors import DataError, placed

days = st.lists(st.integers(0, 400), min_size=1, max_size=60, unique=True).map(
    lambda offsets: pd.DatetimeIndex(
        [pd.Timestamp("2019-11-20") + pd.Timedelta(days=k) for k in sorted(offsets)]
    )
)


@given(days)
@QUICK
def test_weeks_end_with_their_last_row_up_to_friday(dates: pd.DatetimeIndex) -> None:
    def friday(day: datetime) -> datetime:
        return day + timedelta(days=(4 - day.weekday()) % 7)

    weeks = [friday(day) for day in dates]
    expected = [t for t in range(len(dates)) if t == len(dates) - 1 or weeks[t] != weeks[t + 1]]
    assert period_ends(dates, "week").tolist() == expected


@given(days)
@QUICK
def test_months_end_with_their_last_row(dates: pd.DatetimeIndex) -> None:
    last = {(day.year, day.month): t for t, day in enumerate(dates)}
    assert period_ends(dates, "month").tolist() == sorted(last.values())


def test_a_week_goes_over_the_end_of_the_year() -> None:
    dates = pd.DatetimeIndex(["2019-12-31", "2020-01-02", "2020-01-03", "2020-01-06"])
    assert period_ends(dates, "week").tolist() == [2, 3]
    assert period_ends(dates, "month").tolist() == [0, 3]


def test_the_last_minute_of_a_friday_belongs_to_its_week() -> None:
    dates = pd.DatetimeIndex(["2020-01-03 00:00", "2020-01-03 23:59:59.999999", "2020-01-04 00:00"])
    assert period_ends(dates, "week").tolist() == [1, 2]


def test_no_dates_have_no_ends() -> None:
    assert period_ends(pd.DatetimeIndex([]), "week").tolist() == []
    assert span(pd.DatetimeIndex([])) == "no dates"


@pytest.mark.parametrize(
    ("end", "rows"),
    [
        ("2020-01-01", 0),
        ("2020-01-02", 2),
        ("2020-01-02T09:30", 1),
        ("2020-01-02T00:00:00", 0),
        ("2020-01-03", 2),  # not a day of the calendar
        ("2020-01-06 00:00", 3),
        ("2021-01-01", 4),
    ],
)
def test_up_to_a_date_takes_its_whole_day(end: str, rows: int) -> None:
    dates = pd.DatetimeIndex(
        ["2020-01-02 09:30", "2020-01-02 16:00", "2020-01-06 00:00", "2020-01-06 16:00"]
    )
    assert up_to(dates, end).tolist() == [True] * rows + [False] * (4 - rows)


@given(days, st.integers(-20, 420), st.integers(-20, 420))
@QUICK
def test_within_includes_both_ends(dates: pd.DatetimeIndex, first: int, last: int) -> None:
    start, end = (pd.Timestamp("2019-11-20") + pd.Timedelta(days=k) for k in (first, last))
    expected = [start <= day <= end for day in dates]
    texts = f"{start:%Y-%m-%d}", f"{end:%Y-%m-%d}"
    if any(expected):
        assert within(dates, *texts).tolist() == expected
    else:
        with pytest.raises(DataError, match=f"holds no row; the data runs {span(dates)}"):
            within(dates, *texts)


def test_an_open_range_is_everything_and_of_nothing_an_error() -> None:
    dates = pd.date_range("2020-01-01", periods=3)
    assert np.array_equal(within(dates, None, None), [True] * 3)
    with pytest.raises(DataError, match="the data is empty"):
        within(dates[:0], None, None)


# Rows of a year


US_DAYS = pd.offsets.CustomBusinessDay(calendar=USFederalHolidayCalendar())
DRAWN = np.random.default_rng(0)


def us(start: str, end: str) -> pd.DatetimeIndex:
    return pd.date_range(start, end, freq=US_DAYS)


def bars(days: pd.DatetimeIndex, number: int) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(
        [day + pd.Timedelta(minutes=571 + k) for day in days for k in range(number)]
    )


def some(dates: pd.DatetimeIndex, share: float) -> pd.DatetimeIndex:
    return dates[DRAWN.random(len(dates)) < share]


def without(dates: pd.DatetimeIndex, start: str, end: str) -> pd.DatetimeIndex:
    return dates[(dates < start) | (dates > end)]


def with_thursdays(fridays: pd.DatetimeIndex) -> pd.DatetimeIndex:
    """Every ninth Friday is a holiday."""
    return pd.DatetimeIndex(
        [day - pd.Timedelta(days=int(k % 9 == 0)) for k, day in enumerate(fridays)]
    )


def every(frequency: str, rows: int = 60) -> pd.DatetimeIndex:
    return pd.date_range("2000-01-01", periods=rows, freq=frequency)


NOMINAL = {
    "five days a week": (every("B", 2_000), 252),
    "with holidays": (us("2010", "2020"), 252),
    "the end of a year": (us("2019-12-20", "2020-01-06"), 252),
    "two days over a weekend": (us("2020-01-10", "2020-01-13"), 252),
    "one in ten missing": (some(us("2010", "2020"), 0.9), 252),
    "a hole of three years": (without(us("2010", "2020"), "2013", "2016"), 252),
    "before 1900": (pd.bdate_range("1885-01-01", periods=500), 252),
    "Sunday to Thursday": (
        pd.bdate_range("2010", "2015", freq="C", weekmask="Sun Mon Tue Wed Thu"),
        252,
    ),
    "some Saturdays": (every("B", 2_000).union(every("W-SAT", 60)), 252),
    "every day": (every("D", 400), 365),
    "five of every day": (pd.date_range("2020-01-02", periods=5), 365),
    "weeks": (every("W-FRI"), 52),
    "weeks, some to Thursday": (with_thursdays(every("W-FRI", 300)), 52),
    "ten weeks, some to Thursday": (with_thursdays(every("W-FRI", 10)), 52),
    "weeks, a year missing": (without(every("W-WED", 300), "2002", "2003"), 52),
    "ends of months": (every("ME"), 12),
    "last business days of months": (every("BME"), 12),
    "first business days of months": (every("BMS"), 12),
    "two months": (every("BME", 2), 12),
    "last trading days": (us("2000", "2010")[period_ends(us("2000", "2010"), "month")], 12),
    "quarters": (every("BQE"), 4),
    "years": (every("YE", 20), 1),
    "minutes of a day": (bars(us("2019-12-18", "2019-12-18"), 390), 390 * 252),
    "minutes of two days": (bars(us("2019-12-18", "2019-12-19"), 356), 356 * 252),
    "a short day": (bars(us("2020-01-02", "2020-01-10"), 390)[:-200], 390 * 252),
    "hours of every day": (pd.date_range("2020-01-01", periods=24 * 60, freq="h"), 24 * 365),
    "nanoseconds": (pd.bdate_range("2020-01-01", periods=40).as_unit("ns"), 252),
    "closes at four": (us("2010", "2012") + pd.Timedelta(hours=16), 252),
}
IRREGULAR = {
    "one day": every("B", 1),
    "two weeks": every("2W"),
    "twice a month": every("SME"),
    "four weeks": every("28D"),
    "twenty business days": every("20B"),
    "half years": every("6ME"),
    "six days a week": pd.bdate_range("2010", "2015", freq="C", weekmask="Mon Tue Wed Thu Fri Sat"),
    "three in ten missing": some(us("2010", "2020"), 0.7),
    "at random": pd.DatetimeIndex(np.sort(DRAWN.choice(every("D", 5_000), 90, replace=False))),
    "bars that come and go": bars(every("B", 3), 500)[[*range(5), *range(500, 550), *range(1_000, 1_500)]],
}  # fmt: skip


@pytest.mark.parametrize("name", NOMINAL)
def test_rows_of_a_year_are_those_of_the_calendar(name: str) -> None:
    dates, nominal = NOMINAL[name]
    assert calendar_of(dates).rows_per_year == nominal
    assert year_of(calendar_of(dates)).rows == nominal
    assert year_of(calendar_of(dates), 1.049 * nominal).rows == 1.049 * nominal
    for off in (0.94 * nominal, 1.06 * nominal):
        with pytest.raises(DataError) as caught:
            year_of(calendar_of(dates), off)
        [line] = caught.value.mistakes
        assert (
            f"{off:,.10g}" in line
            and f"{nominal:,} rows a year" in line
            and "rows_per_year=null" in line
        )


@pytest.mark.parametrize("name", IRREGULAR)
def test_an_irregular_calendar_needs_the_number(name: str) -> None:
    calendar = calendar_of(IRREGULAR[name])
    assert calendar.rows_per_year is None
    with pytest.raises(
        DataError, match=r"rows_per_year: given null, and the .*; allowed: a number above 0"
    ):
        year_of(calendar)
    assert year_of(calendar, 26.0).rows == 26.0 and "as given" in year_of(calendar, 26.0).words


@pytest.mark.parametrize(
    ("dates", "words"),
    [
        (every("ME"), "annualised with 12 rows a year (monthly calendar)"),
        (every("D"), "annualised with 365 rows a year (daily calendar with weekends)"),
        (every("YE"), "annualised with 1 row a year (yearly calendar)"),
        (
            bars(every("B", 2), 390),
            "annualised with 98,280 rows a year (calendar of 390 bars a day)",
        ),
    ],
)
def test_the_number_is_said_with_its_calendar(dates: pd.DatetimeIndex, words: str) -> None:
    assert year_of(calendar_of(dates)).words == words


def test_a_calendar_with_many_gaps_says_so() -> None:
    dates = every("B", 1_000)[np.arange(1_000) % 7 != 0]  # one in seven rows is missing
    assert calendar_of(dates).words == "daily with gaps before 17 % of its rows, 252 rows a year"


def test_the_error_names_the_place_of_the_setting_in_the_spec() -> None:
    with pytest.raises(DataError) as caught:
        year_of(calendar_of(every("ME")), 252)
    assert placed("analyses.portfolio", caught.value) == [
        "analyses.portfolio.rows_per_year: given 252; the monthly calendar has 12 rows a year; allowed: 11.4 to "
        "12.6, or null for the calendar's own; use ++analyses.portfolio.rows_per_year=null"
    ]
    again = pickle.loads(pickle.dumps(caught.value))
    assert again.mistakes == caught.value.mistakes and placed("x", again) == placed(
        "x", caught.value
    )


# Whether the last week or month is over


def running(dates: pd.DatetimeIndex, frequency: Any) -> bool:
    return bool(unfinished(dates, calendar_of(dates), frequency))


@pytest.mark.parametrize(
    ("last", "week", "month"),
    [
        ("2025-05-14", True, True),  # a Wednesday
        ("2025-05-16", False, True),  # a Friday
        ("2025-05-29", True, True),
        ("2025-05-30", False, False),  # the last weekday of a month that ends on a Saturday
        ("2024-12-31", True, False),  # a Tuesday
        ("2024-12-30", True, True),  # where the 31st is a holiday the data cannot show it
        ("2024-03-28", True, True),  # before Good Friday, the last weekday of both
    ],
)
def test_a_period_is_over_on_its_last_weekday(last: str, week: bool, month: bool) -> None:
    dates = us("2023-01-02", last).drop("2024-03-29", errors="ignore")
    assert dates[-1] == pd.Timestamp(last)
    assert running(dates, "week") == week
    assert running(dates, "month") == month


def test_every_day_counts_where_rows_come_on_weekends_and_other_weeks_end_on_other_days() -> None:
    assert running(
        pd.date_range("2024-01-01", "2024-06-28"), "month"
    )  # a Friday; June ends on a Sunday
    assert not running(pd.date_range("2024-01-01", "2024-06-30"), "month")
    gulf = pd.bdate_range("2024-01-01", "2024-06-27", freq="C", weekmask="Sun Mon Tue Wed Thu")
    assert not running(gulf, "week") and running(gulf[:-1], "week")
    assert running(gulf, "month")  # the 30th is a Sunday


def test_rows_that_are_periods_already_are_taken_as_they_are() -> None:
    for frequency in ("ME", "BME", "MS", "QE"):
        assert not running(every(frequency, 13), "month")
        assert begun(every(frequency, 13), calendar_of(every(frequency, 13)), "month")
    assert not running(every("W-WED", 13), "week")
    fridays = pd.date_range("2024-01-05", "2024-05-24", freq="W-FRI")
    assert running(fridays, "month")  # May has one Friday more
    assert not running(fridays.append(pd.DatetimeIndex(["2024-05-31"])), "month")


def test_the_last_day_of_minutes_has_all_its_bars() -> None:
    whole = bars(pd.bdate_range("2020-01-06", "2020-01-17"), 390)  # to a Friday
    assert not running(whole, "week")
    assert running(whole[:-200], "week")


def test_a_part_of_the_data_knows_what_comes_after_it() -> None:
    dates = us("2024-01-02", "2024-06-28").drop("2024-03-29")  # Good Friday
    calendar = calendar_of(dates)
    thursday = dates[dates <= "2024-03-28"]  # the next row is of another week, and of another month
    assert not unfinished(thursday, calendar, "week") and not unfinished(
        thursday, calendar, "month"
    )
    amid = dates[dates <= "2024-05-31"][:-1]
    assert "the rows after 2024-05-30 belong to it too" in unfinished(amid, calendar, "month")
    assert not begun(dates[5:], calendar, "month") and begun(
        dates[dates >= "2024-02-01"], calendar, "month"
    )


def test_the_first_period_is_whole_from_its_first_weekday_on() -> None:
    for start, whole in (
        ("2024-01-01", True),
        ("2024-01-02", False),
        ("2024-06-03", True),
        ("2024-06-04", False),
    ):
        dates = pd.bdate_range(start, "2024-12-31")
        assert begun(dates, calendar_of(dates), "month") == whole
