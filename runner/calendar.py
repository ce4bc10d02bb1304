"""Positions of rows on a calendar: parts cut by date, ends of weeks and months."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

from runner.errors import DataError
from runner.settings import Frequency, parse_date

if TYPE_CHECKING:
    import pandas as pd

PERIOD = {"week": "W-FRI", "month": "M"}


def up_to(dates: pd.DatetimeIndex, end: str) -> np.ndarray:
    """Mask (T,) of the rows at or before `end`; a date without time includes its whole day."""
    moment = parse_date(str(end))
    if len(str(end)) <= len("2021-12-31"):
        return np.asarray(dates < moment + timedelta(days=1))
    return np.asarray(dates <= moment)


def within(dates: pd.DatetimeIndex, start: str | None, end: str | None) -> np.ndarray:
    """Mask (T,) of the rows from `start` to `end`, both included; None leaves a side open.

    Raises:
        DataError: no row lies in the range.
    """
    keep = np.ones(len(dates), dtype=bool)
    if start is not None:
        keep &= np.asarray(dates >= parse_date(str(start)))
    if end is not None:
        keep &= up_to(dates, end)
    if not keep.any():
        runs = f"runs {span(dates)}" if len(dates) else "is empty"
        raise DataError(f"data.start..data.end: {start or ''}..{end or ''} holds no row; the data {runs}")
    return keep


def span(dates: pd.DatetimeIndex) -> str:
    """First and last date, for people; with the time of day where one of them has one."""
    if not len(dates):
        return "no dates"
    ends = dates[[0, -1]]
    form = "%Y-%m-%d" if (ends == ends.normalize()).all() else "%Y-%m-%d %H:%M"
    return f"{dates[0]:{form}}..{dates[-1]:{form}}"


def session_numbers(dates: pd.DatetimeIndex) -> np.ndarray:
    """Number (T,) of the session that each row is in, from 0: a day is one."""
    return np.unique(dates.normalize().asi8, return_inverse=True)[1]


def period_ends(dates: pd.DatetimeIndex, frequency: Frequency) -> np.ndarray:
    """Positions of the last row of each week (to Friday) or month, the unfinished last one included."""
    periods = dates.to_period(PERIOD[frequency]).asi8
    return np.flatnonzero(np.append(periods[1:] != periods[:-1], True)[: len(periods)])
