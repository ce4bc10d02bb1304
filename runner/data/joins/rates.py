"""Rates a year, such as yields of bills, as rates of the rows of the assets."""

from __future__ import annotations

from collections.abc import Sequence

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


def of_rows(rows: Rows, settings: SeriesTable, calendar: pd.DatetimeIndex) -> dict[str, str]:
    """Divide rates a year by the rows of a year; those of rows stay.

    Returns:
        Of each column that may be a rate: what says in which unit it is; nothing where it is said.

    Raises:
        DataError: a risk-free rate that looks like one a year, where nothing is said of it; a
            calendar without a number of rows a year.
    """
    a_year = calendar_of(calendar).rows_per_year
    names = [name for name in rows.numbers if _is_rate(name, settings)]
    if settings.annual:
        _divide(rows, names, calendar)
    units = dict.fromkeys(names, _units(rows.where, settings, a_year))
    if RISK_FREE in units and a_year is not None:
        problem = rate_a_year(RISK_FREE, rows.numbers[RISK_FREE], a_year)
        if problem and units[RISK_FREE]:
            raise DataError(f"{rows.where}: {problem}; {units[RISK_FREE]}")
    return units


def rate_a_year(name: str, rates: np.ndarray, a_year: float) -> str:
    """How large a rate is, where its median is above that of any a year; else nothing.

    Args:
        rates: (T,) of the rows, decimals.
        a_year: rows of a year.
    """
    known = rates[~np.isnan(rates)]
    if not len(known):
        return ""
    median = float(np.median(known))
    if median * a_year <= A_YEAR:
        return ""
    return f"the median of {name} is {number(median, 3)} per row, {percent(median * a_year)} a year"


def _divide(rows: Rows, names: Sequence[str], calendar: pd.DatetimeIndex) -> None:
    """Make rates of the rows of rates a year.

    Raises:
        DataError: the dates of the assets follow no calendar.
    """
    kind = calendar_of(calendar)
    if kind.rows_per_year is None:
        odd = f"true, and the {kind.name} of the assets has no number of rows a year"
        raise DataError(f"{rows.where}.annual: {odd}; allowed: false, with rates of the rows")
    for name in names:
        rows.numbers[name] = rows.numbers[name] / kind.rows_per_year
    rows.words.append(f"{listed(names)} divided by {kind.rows_per_year:g} rows a year (annual)")


def _is_rate(name: str, settings: SeriesTable) -> bool:
    """Whether a column may be a rate a year: by its kind, or without one unless it is a return."""
    kind = settings.kind_of(name)
    return kind == RATE or (kind is None and not is_return(name))


def _units(where: str, settings: SeriesTable, a_year: float | None) -> str:
    """The settings that say in which unit the rates of a table are; none where they were given."""
    if settings.percent is False or settings.annual is False:
        return ""
    units = []
    if settings.percent is None:
        units.append(f"{where}.percent=true where it is in per cent")
    if settings.annual is None:
        rows = "" if a_year is None else f" (divided by {a_year:g})"
        units.append(f"{where}.annual=true where it is a rate a year{rows}")
        units.append("annual=false takes it as it is")
    elif units:
        units.append("percent=false takes it as it is")
    return ", ".join(units)
