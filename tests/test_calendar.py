"""Parts of a calendar by date, ends of weeks and months, against one date at a time."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import QUICK

from runner.calendar import period_ends, span, up_to, within
from runner.errors import DataError

days = st.lists(st.integers(0, 400), min_size=1, max_size=60, unique=True).map(
    lambda offsets: pd.DatetimeIndex([pd.Timestamp("2019-11-20") + pd.Timedelta(days=k) for k in sorted(offsets)])
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
    dates = pd.DatetimeIndex(["2020-01-02 09:30", "2020-01-02 16:00", "2020-01-06 00:00", "2020-01-06 16:00"])
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
