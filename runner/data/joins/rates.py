"""Rates a year, such as yields of bills, as rates of the rows of the assets."""

from __future__ import annotations

import numpy as np
import pandas as pd

from runner.data.calendar import calendar_of
from runner.data.factor_names import RISK_FREE, is_return
from runner.data.joins.reading import Rows
from runner.data.joins.settings import SeriesTable
from runner.errors import DataError, listed
from runner.text import number, percent

A_YEAR = 0.15  # a risk-free rate above this a year is rather one a year, taken for one of a row
RATE = "rate"  # the kind of numbers that may be rates a year


def of_rows(rows: Rows, settings: SeriesTable, calendar: pd.DatetimeIndex) -> None:
    """Divide rates a year by the rows of a year; those of rows stay.

    Raises:
        DataError: a risk-free rate that looks like one a year, where nothing is said of it; a
            calendar without a number of rows a year.
    """
    if settings.annual is None and settings.percent is not False:
        _check_of_rows(rows, settings, calendar)
    if not settings.annual:
        return
    a_year = _rows_a_year(calendar)
    if a_year is None:
        name = calendar_of(calendar).name
        odd = f"true, and the {name} of the assets has no number of rows a year"
        raise DataError(f"{rows.where}.annual: {odd}; allowed: false, with rates of the rows")
    names = [name for name in rows.numbers if _is_rate(name, settings)]
    for name in names:
        rows.numbers[name] = rows.numbers[name] / a_year
    rows.words.append(f"{listed(names)} divided by {a_year:g} rows a year (annual)")


def _is_rate(name: str, settings: SeriesTable) -> bool:
    """Whether a column may be a rate a year: by its kind, or without one unless it is a return."""
    kind = settings.kind_of(name)
    return kind == RATE or (kind is None and not is_return(name))


def _rows_a_year(calendar: pd.DatetimeIndex) -> float | None:
    """Rows of a year of the assets; None where their dates follow no calendar."""
    return calendar_of(calendar).rows_per_year


def _check_of_rows(rows: Rows, settings: SeriesTable, calendar: pd.DatetimeIndex) -> None:
    """Whether the risk-free rate can be one of rows.

    Raises:
        DataError: its median is above that of any a year.
    """
    rates = rows.numbers.get(RISK_FREE)
    a_year = _rows_a_year(calendar)
    if rates is None or a_year is None or not _is_rate(RISK_FREE, settings):
        return
    known = rates[~np.isnan(rates)]
    if not len(known):
        return
    median = float(np.median(known))
    if median * a_year <= A_YEAR:
        return
    units = [f"{rows.where}.annual=true where it is a rate a year (divided by {a_year:g})"]
    if settings.percent is None:
        units.insert(0, f"{rows.where}.percent=true where it is in per cent")
    units.append("annual=false takes it as it is")
    of_row = f"the median of {RISK_FREE} is {number(median, 3)} a row"
    size = f"{of_row}, {percent(median * a_year)} a year"
    raise DataError(f"{rows.where}: {size}; {', '.join(units)}")
