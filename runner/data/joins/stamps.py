"""Dates of a joined table: the periods they stand for, and when their rows are known."""

from __future__ import annotations

import pandas as pd

from runner.data.calendar import calendar_of
from runner.data.joins.meeting import first_dates
from runner.errors import DataError
from runner.schema.settings import parse_span

# calendar -> the period that a date on it stands for, as pandas names it
PERIODS = {"monthly": "M", "quarterly": "Q", "yearly": "Y", "irregular": "M"}


def stamped(where: str, dates: pd.DatetimeIndex, rule: str) -> pd.DatetimeIndex:
    """Distinct, increasing dates moved to the ends (`end`) or starts of the periods they stand for.

    Raises:
        DataError: dates that are days or weeks, and stand for no longer period.
    """
    if rule == "as_is":
        return dates
    calendar = calendar_of(dates).name
    period = PERIODS.get(calendar.split()[0])
    if len(dates) < 2:
        period = "M"
    if period is None:
        given = f"given {rule}, but its dates follow a {calendar} ({first_dates(dates)})"
        allowed = "as_is, or dates of months, quarters or years"
        raise DataError(f"{where}.stamp: {given}; allowed: {allowed}")
    periods = dates.to_period(period)
    moved = periods.to_timestamp(how=rule)
    return pd.DatetimeIndex(moved.normalize().as_unit("us"))


def after(dates: pd.DatetimeIndex, span: str) -> pd.DatetimeIndex:
    """The dates so much time later, such as 3m: 2017-12-31 becomes 2018-03-31."""
    count, unit = parse_span(span)
    moved = dates + pd.DateOffset(**{unit: count})
    return pd.DatetimeIndex(moved).as_unit("us")


def before(dates: pd.DatetimeIndex, span: str) -> pd.DatetimeIndex:
    """The dates so much time earlier."""
    count, unit = parse_span(span)
    moved = dates - pd.DateOffset(**{unit: count})
    return pd.DatetimeIndex(moved).as_unit("us")
