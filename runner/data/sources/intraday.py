"""Bars within a day: sessions with all their bars."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from runner.data.calendar import session_numbers
from runner.data.fields import Fields
from runner.data.market import Market
from runner.data.notices import Dropped
from runner.data.reading.long import PRICE, RETURN
from runner.data.rules import usable
from runner.errors import DataError
from runner.schema.settings import parse_hours


def in_sessions(market: Market, hours: str, bar: int, opening: bool) -> Market:
    """The market on every bar of its sessions, a day each.

    What lies outside the sessions or is missing in them is counted. A bar that is not in the data
    is a row without values, so that lags and windows count minutes. A return of the data (`ret`)
    that follows a missing bar is over more than a bar: it is left out. So is that of the first bar
    of a session, which is over the night, unless `opening` says that it is within the bar.

    Raises:
        DataError: no row of the data is a bar of a session.
    """
    first, last = parse_hours(hours)
    dates = market.dates
    midnights = dates.normalize()
    time_of_day = dates - midnights
    seconds = time_of_day.total_seconds().to_numpy()
    opening_seconds = 60 * first
    after_opening = seconds - opening_seconds
    inside = (after_opening >= 0) & (seconds <= 60 * last)
    whole = after_opening % (60 * bar) == 0
    bars = inside & whole
    if not bars.any():
        at_earliest = seconds.argmin()
        earliest = dates[at_earliest]
        at_latest = seconds.argmax()
        latest = dates[at_latest]
        times = f"times of day run {earliest:%H:%M}..{latest:%H:%M}"
        raise DataError(f"data.session: {hours} in bars of {bar} min holds no row; the {times}")
    off_session = _rows(market, ~inside)
    is_off_bar = inside & ~whole
    off_bar = _rows(market, is_off_bar)
    account = [
        Dropped("source row", f"outside the session {hours}", off_session),
        Dropped("source row", f"not on a whole bar of {bar} min", off_bar),
    ]
    minutes = np.arange(first, last + 1, bar)
    bar_rows = np.flatnonzero(bars)
    on_bars = market.at(bar_rows)
    kept = _on_every_bar(on_bars, minutes)
    return _without_gaps(kept, account, opening)


def _on_every_bar(market: Market, minutes: np.ndarray) -> Market:
    """The market on these minutes after midnight of each of its days, a session each."""
    all_days = market.dates.normalize()
    days = all_days.unique()
    times = pd.to_timedelta(minutes, unit="min")
    days_of_calendar = days.to_numpy()
    midnights = days_of_calendar[:, None]
    offsets = times.to_numpy()
    moments = midnights + offsets
    bars = pd.DatetimeIndex(moments.ravel(), name="date").as_unit("us")
    close = market.market_close
    if close is not None:
        close = close.reindex(bars)
    ret = market.market_ret
    if ret is not None:
        ret = ret.reindex(bars)
    frames = {name: frame.reindex(bars) for name, frame in market.fields.items()}
    # a bar that no asset has takes the labels of the one before
    latest = market.dates.searchsorted(bars, side="right") - 1
    before = np.maximum(latest, 0)
    return replace(
        market,
        labels={name: labels.at(before) for name, labels in market.labels.items()},
        fields=Fields.of_frames(frames),
        series=market.series.reindex(bars),
        market_close=close,
        market_ret=ret,
        sessions=True,
        part_of=None,
    )


def _rows(market: Market, rows: np.ndarray) -> int:
    """Rows (date x asset) with any value among these dates."""
    positions = np.flatnonzero(rows)
    part = market.at(positions)
    known = part.fields.known()
    return int(known.sum())


def _without_gaps(market: Market, account: list[Dropped], opening: bool) -> Market:
    """Returns of the data over more than a bar left out, and gaps counted."""
    name = PRICE if PRICE in market.fields else RETURN
    field = market.fields[name]
    number = session_numbers(market.dates)
    later = number[1:]
    earlier = number[:-1]
    another = later != earlier
    starts = np.append(True, another)
    observed = usable(name, field)
    gap, night = _over_more(observed, starts[:, None], opening)
    absent = field.isna().to_numpy()
    not_padded = "not in the data, and not padded"
    missing_bars = int(absent.sum())
    bars_not_padded = Dropped("missing bar", not_padded, missing_bars)
    account.append(bars_not_padded)
    after_gap = "follows a missing bar, over more than one"
    missing_after_gap = int(gap.sum())
    returns_after_gap = Dropped("missing return", after_gap, missing_after_gap)
    account.append(returns_after_gap)
    fields = market.fields
    if RETURN in fields:
        at_opening = "of the first bar of a session, over the night"
        missing_at_opening = int(night.sum())
        returns_at_opening = Dropped("missing return", at_opening, missing_at_opening)
        account.append(returns_at_opening)
        within_bars = fields[RETURN].mask(gap | night)
        frames = {RETURN: within_bars}
        fields = fields.with_frames(frames)
    ret = market.market_ret
    if ret is not None:
        observed = usable(PRICE, market.index_close)
        gap, night = _over_more(observed, starts, opening)
        ret = ret.mask(gap | night)
    counted = [line for line in account if line.rows]
    dropped = (*market.dropped, *counted)
    return replace(market, fields=fields, market_ret=ret, dropped=dropped)


def _over_more(
    observed: np.ndarray, starts: np.ndarray, opening: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Masks of the bars after a missing one, and of those whose return is over the night."""
    after_missing = np.zeros_like(observed)
    after_missing[1:] = ~observed[:-1]
    gap = observed & after_missing & ~starts
    night = observed & starts
    if opening:
        night = np.zeros_like(night)
    return gap, night
