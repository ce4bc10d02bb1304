"""Bars within a day: dates from a day and a time of day, and sessions with all their bars."""

from __future__ import annotations

from dataclasses import replace
from datetime import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from runner.data.calendar import session_numbers
from runner.data.market import Dropped, Market
from runner.data.rules import usable
from runner.data.sources.long import PRICE, RETURN, Coded
from runner.errors import DataError
from runner.schema.settings import parse_hours

if TYPE_CHECKING:
    from collections.abc import Sequence

DAY = 24 * 60  # minutes


def clock(values: Sequence[Any]) -> list[int | None]:
    """Seconds after midnight of times of day: 09:31, 09:31:00, or numbers such as 931 and 93100.

    Numbers are hours, minutes and seconds where any has more than four digits, else hours and
    minutes. None where there is no such time of day.
    """
    digits = [_digits(one) for one in values]
    seconds = any(one is not None and one > 9999 for one in digits)
    return [
        _of_number(number, seconds) if number is not None else _of_text(one)
        for number, one in zip(digits, values, strict=True)
    ]


def _digits(value: Any) -> int | None:
    text = str(value).strip().removesuffix(".0")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 6 else None


def _of_number(number: int, seconds: bool) -> int | None:
    hours, rest = divmod(number, 10_000 if seconds else 100)
    minutes, second = divmod(rest, 100) if seconds else (rest, 0)
    return (
        hours * 3600 + minutes * 60 + second
        if hours < 24 and minutes < 60 and second < 60
        else None
    )


def _of_text(value: Any) -> int | None:
    try:
        moment = value if isinstance(value, time) else time.fromisoformat(str(value).strip())
    except ValueError:
        return None
    return None if moment.tzinfo else moment.hour * 3600 + moment.minute * 60 + moment.second


def joined(day: Coded, at: Coded) -> Coded:
    """Dates with a time of day from a column of days and one of seconds after midnight.

    Raises:
        DataError: a day that has a time of day by itself.
    """
    days = pd.DatetimeIndex(day.values)
    if not (days == days.normalize()).all():
        raise DataError(
            "data.columns.time: given beside dates that have a time of day; allowed: null"
        )
    span = len(at.values) + 1
    code = np.where(
        (day.codes < 0) | (at.codes < 0), -1, day.codes.astype(np.int64) * span + at.codes
    )
    found, codes = np.unique(code, return_inverse=True)
    missing = int(len(found) > 0 and found[0] < 0)
    moments = days[found[missing:] // span] + pd.to_timedelta(
        at.values[found[missing:] % span], unit="s"
    )
    return Coded((codes - missing).astype(np.int32), pd.DatetimeIndex(moments).as_unit("us"))


def in_sessions(market: Market, hours: str, bar: int, opening: bool) -> Market:
    """The market on every bar of its sessions, a day each; what lies outside them or is missing in
    them is counted.

    A bar that is not in the data is a row without values, so that lags and windows count minutes. A
    return of the data (`ret`) that follows a missing bar is over more than a bar: it is left out.
    So is that of the first bar of a session, which is over the night, unless `opening` says that it
    is within the bar.

    Raises:
        DataError: no row of the data is a bar of a session.
    """
    first, last = parse_hours(hours)
    dates = market.dates
    seconds = (dates - dates.normalize()).total_seconds().to_numpy()
    inside = (seconds >= 60 * first) & (seconds <= 60 * last)
    whole = (seconds - 60 * first) % (60 * bar) == 0
    if not (inside & whole).any():
        times = f"times of day run {dates[seconds.argmin()]:%H:%M}..{dates[seconds.argmax()]:%H:%M}"
        raise DataError(f"data.session: {hours} in bars of {bar} min holds no row; the {times}")
    account = [
        Dropped("source row", f"outside the session {hours}", _rows(market, ~inside)),
        Dropped("source row", f"not on a whole bar of {bar} min", _rows(market, inside & ~whole)),
    ]
    kept = market.at(np.flatnonzero(inside & whole))
    days = kept.dates.normalize().unique()
    minutes = pd.to_timedelta(np.arange(first, last + 1, bar), unit="min")
    full = pd.DatetimeIndex(
        (days.to_numpy()[:, None] + minutes.to_numpy()).ravel(), name="date"
    ).as_unit("us")
    close, ret = kept.market_close, kept.market_ret
    kept = replace(
        kept,
        fields={name: frame.reindex(full) for name, frame in kept.fields.items()},
        series=kept.series.reindex(full),
        market_close=None if close is None else close.reindex(full),
        market_ret=None if ret is None else ret.reindex(full),
        sessions=True,
        part_of=None,
    )
    return _without_gaps(kept, account, opening)


def _rows(market: Market, rows: np.ndarray) -> int:
    """Rows (date x asset) with any value among these dates."""
    part = market.at(np.flatnonzero(rows))
    return int(
        np.logical_or.reduce([frame.notna().to_numpy() for frame in part.fields.values()]).sum()
    )


def _without_gaps(market: Market, account: list[Dropped], opening: bool) -> Market:
    """Returns of the data over more than a bar left out, and gaps counted."""
    name = PRICE if PRICE in market.fields else RETURN
    number = session_numbers(market.dates)
    starts = np.append(True, number[1:] != number[:-1])
    gap, night = _over_more(usable(name, market.fields[name]), starts[:, None], opening)
    account += [
        Dropped(
            "missing bar",
            "not in the data, and not padded",
            int(market.fields[name].isna().to_numpy().sum()),
        ),
        Dropped("missing return", "follows a missing bar, over more than one", int(gap.sum())),
    ]
    fields, ret = dict(market.fields), market.market_ret
    if RETURN in fields:
        account.append(
            Dropped(
                "missing return", "of the first bar of a session, over the night", int(night.sum())
            )
        )
        fields[RETURN] = fields[RETURN].mask(gap | night)
    if ret is not None:
        gap, night = _over_more(usable(PRICE, market.index_close), starts, opening)
        ret = ret.mask(gap | night)
    dropped = (*market.dropped, *(one for one in account if one.rows))
    return replace(market, fields=fields, market_ret=ret, dropped=dropped)


def _over_more(
    there: np.ndarray, starts: np.ndarray, opening: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Masks of the bars that are there after one that is not, and of those whose return is over
    the night.
    """
    after = np.zeros_like(there)
    after[1:] = ~there[:-1]
    return there & after & ~starts, there & starts & (not opening)
