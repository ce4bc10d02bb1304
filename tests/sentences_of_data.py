"""Reads the sentences on the data of a run back, each against the frames of its market."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sentences import Said, n, pattern, text


def base(report: Any) -> pd.DataFrame:
    """What returns are made of, dates x assets."""
    fields = report.study.market.fields
    return fields["ret"] if "ret" in fields else fields["close"]


def returns(report: Any) -> pd.DataFrame:
    fields = report.study.market.fields
    return fields["ret"] if "ret" in fields else fields["close"].pct_change(fill_method=None)


def weekdays_without_a_row(report: Any) -> pd.DatetimeIndex:
    dates = base(report).index
    return pd.bdate_range(dates[0], dates[-1]).difference(dates)


@pattern("Data", rf"{n('dates')} dates?, none missing in between\.")
def no_date_missing(report: Any, said: Said) -> None:
    dates = base(report).index
    said.number("dates", len(dates))
    months = (dates[-1].year - dates[0].year) * 12 + dates[-1].month - dates[0].month + 1
    assert len(dates) == months or not len(weekdays_without_a_row(report))


@pattern(
    "Data",
    rf"{n('dates')} dates; {n('missing')} weekdays? without a row in between "
    rf"\(holidays among them\), (?:never two in a row|at most {n('most')} in a row, between "
    rf"{text('after')} and {text('before')})\.",
)
def weekdays_missing(report: Any, said: Said) -> None:
    said.number("dates", len(base(report)))
    missing = weekdays_without_a_row(report)
    said.number("missing", len(missing))
    number = np.searchsorted(base(report).index, missing)  # the gap that each lies in
    longest = int(np.bincount(number).max())
    if longest > 1:
        said.number("most", longest)
        gap = int(np.bincount(number).argmax())
        said.word("after", f"{base(report).index[gap - 1]:%Y-%m-%d}")
        said.word("before", f"{base(report).index[gap]:%Y-%m-%d}")
    else:
        said.word("most", None)


@pattern("Data", rf"{n('assets')} assets?: {n('cells')} asset-dates?, none missing\.")
def every_cell(report: Any, said: Said) -> None:
    frame = base(report)
    said.number("assets", frame.shape[1])
    said.number("cells", frame.size)
    assert frame.notna().all(axis=None)


@pattern(
    "Data",
    rf"Risk-free rate {text('name')}: median {n('row')} % per row \({n('year')} % a year\)\.",
)
def risk_free_rate(report: Any, said: Said) -> None:
    market = report.study.market
    series = market.series["RF"]
    said.word("name", "RF")
    said.number("row", series.median(), 100.0)
    said.number("year", series.median() * market.calendar.rows_per_year, 100.0)


@pattern(
    "Data",
    rf"{n('assets')} assets?: {n('share')} % of the {n('cells')} asset-dates have a value; "
    rf"(?:{n('whole')} assets?|none) on every date, fewest in {text('least')} "
    rf"\({n('fewest')} of {n('dates')}\)\.",
)
def some_cells(report: Any, said: Said) -> None:
    known = base(report).notna()
    said.number("assets", known.shape[1])
    said.number("cells", known.size)
    said.number("share", known.to_numpy().mean(), 100.0)
    said.number("dates", len(known))
    whole = int(known.all().sum())
    if whole:
        said.number("whole", whole)
    else:
        said.word("whole", None)
    said.number("fewest", known.sum().min())
    assert known[said["least"]].sum() == known.sum().min()


@pattern(
    "Data",
    rf"Median absolute return {n('size')} % per row; largest {n('largest')} % "
    rf"\({text('asset')}, {text('date')}\)(?:; {n('zero')} % of returns are zero)?\.",
)
def sizes_of_returns(report: Any, said: Said) -> None:
    table = returns(report).stack()
    said.number("size", table.abs().median(), 100.0)
    date, asset = table.abs().idxmax()
    said.number("largest", table[date, asset], 100.0)
    said.word("asset", str(asset))
    said.word("date", f"{date:%Y-%m-%d}")
    zero = float((table == 0.0).mean())
    if zero > 0.1:
        said.number("zero", zero, 100.0)
    else:
        said.word("zero", None)
