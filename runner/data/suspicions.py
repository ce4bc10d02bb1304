"""What looks wrong in data that breaks no rule: one sentence each, and the run goes on.

Returns in per cent, a factor on another scale than the returns, a split that no price was adjusted
for.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from runner.data.columns.column import Column
from runner.data.columns.sizes import (
    Moves,
    above,
    amounts,
    deviation,
    median_size,
    median_sizes,
    together,
)
from runner.data.columns.wide import WideColumn
from runner.data.market import Market
from runner.data.stored.columns import StoredColumn
from runner.text import count, number, percent

LARGE_SHARE = 0.05  # of returns above 100 % in size, from which on they look like per cent
APART = 20.0  # times that the standard deviations of returns and of a factor may differ
# a jump is a move above this size and above so many times the median move of its asset
JUMP = 0.5
TIMES = 50.0
MOST_JUMPS = 5  # reported one by one, the largest first
AHEAD = pd.Timedelta(days=2)  # from today on, where clocks of any zone are not yet
SOME = 64  # rows that are looked at together
FEW_ROWS = 20  # below which a series is not judged
FIRST = 4  # rows of which most fields differ between assets
# a series with so large a share of values of either sign, and less autocorrelation, is a return
EACH_SIGN = 0.1
MEMORY = 0.5


class Scale(NamedTuple):
    """Standard deviations a row of an input and of the returns, and how many times they differ."""

    of_input: float
    of_returns: float
    ratio: float


def suspicions(market: Market) -> list[str]:
    """A sentence for each."""
    lines = _future(market.dates)
    if not {"close", "ret"} & set(market.fields):
        return lines
    returns = returns_of(market)
    source = "ret" if "ret" in market.fields else "changes of close"
    lines += _per_cent(returns, source)
    lines += _scales(market, returns)
    lines += returns.found("jumps", lambda: _jumps(market, returns))
    return lines


def returns_of(market: Market) -> Column:
    """Returns of a row, decimals, as the data have them; changes of prices where they have none.

    Raises:
        DataError: the data has neither returns nor prices.
    """
    if "ret" in market.fields:
        return market.fields.columns["ret"]
    price = market.fields.columns["close"]
    if isinstance(price, StoredColumn):
        return price.changes()
    return WideColumn(market.returns())


def _future(dates: pd.DatetimeIndex) -> list[str]:
    """The sentence on dates (T,) that have not come: wrong ones, or forecasts and no data."""
    now = pd.Timestamp.now()
    today = now.normalize()
    later = dates[dates >= today + AHEAD]
    if not len(later):
        return []
    verb = "lies" if len(later) == 1 else "lie"
    return [
        f"{count(len(later), 'date')} {verb} after today, the last {stamp(later[-1])}: wrong, or "
        f"made up? data.end={today:%Y-%m-%d} leaves them out."
    ]


def above_one(returns: Column) -> bool:
    """Whether so many of the returns are above 100 % that they look like per cent."""
    return amounts(returns).share_above_one > LARGE_SHARE


def _per_cent(returns: Column, source: str) -> list[str]:
    """The sentence on returns too many of which are above 100 %."""
    share = amounts(returns).share_above_one
    if share <= LARGE_SHARE:
        return []
    median = percent(median_size(returns))
    return [
        f"{percent(share)} of the returns ({source}) are above 100 % in absolute value, the "
        f"median is {median}: are they in per cent, or not returns?"
    ]


def _scales(market: Market, returns: Column) -> list[str]:
    """The sentence on each input of another scale than the returns."""
    lines = []
    for name, scale in other_scales(market, returns).items():
        of_input = number(scale.of_input)
        of_returns = number(scale.of_returns)
        lines.append(
            f"The standard deviation of {name} is {of_input} per row, that of the returns "
            f"{of_returns}, a ratio of {number(scale.ratio, 3)}: is one of them in per cent?"
        )
    return lines


def other_scales(market: Market, returns: Column) -> dict[str, Scale]:
    """By name, inputs that look like returns, but have another scale than the returns."""
    inputs = _inputs(market)
    if not inputs:
        return {}
    columns = list(inputs.values())
    cells = np.column_stack(columns)
    judged = _like_returns(cells)
    names = np.array(list(inputs))[judged]
    of_returns = deviation(returns)
    apart = {}
    for name, column in zip(names, cells.T[judged], strict=True):
        of_input = _deviation(column[np.isfinite(column)])
        ratio = _times_apart(of_input, of_returns)
        if ratio > APART:
            apart[str(name)] = Scale(of_input, of_returns, ratio)
    return apart


def _times_apart(a: float, b: float) -> float:
    """How many times the larger deviation is the smaller; one where either is zero."""
    if a > 0.0 and b > 0.0:
        return max(a / b, b / a)
    return 1.0


def _inputs(market: Market) -> dict[str, np.ndarray]:
    """Series (T,) that all assets share, in a column of their own or repeated for each asset."""
    inputs: dict[str, np.ndarray] = {}
    for name in market.series.columns:
        inputs[str(name)] = market.series[name].to_numpy(dtype=float)
    for name, column in market.fields.columns.items():
        if name in ("close", "ret") or len(market.assets) < 2:
            continue
        # a look at a few dates first, for most fields differ between assets
        if not _same_for_all(next(column.blocks(FIRST))):
            continue
        series = _shared(column)
        if series is not None:
            inputs.setdefault(name, series)
    return inputs


def _shared(column: Column) -> np.ndarray | None:
    """The values (T,) of a field that are the same for every asset; None where they differ."""
    values = []
    for cells in column.blocks(SOME):
        if not _same_for_all(cells):
            return None
        is_finite = np.isfinite(cells)
        first_known = is_finite.argmax(axis=1)
        values.append(cells[np.arange(len(cells)), first_known])
    return np.concatenate(values)


def _same_for_all(cells: np.ndarray) -> bool:
    """Whether a field (T, N) has the same value for every asset of a date."""
    known = np.isfinite(cells)
    low = np.where(known, cells, np.inf).min(axis=1)
    high = np.where(known, cells, -np.inf).max(axis=1)
    varies = high > low
    return not varies.any()


def _like_returns(cells: np.ndarray) -> np.ndarray:
    """Mask (F,) of the columns (T, F) with values of both signs and little memory."""
    known = np.isfinite(cells)
    rows = known.sum(axis=0)
    is_positive = cells > 0.0
    positive = is_positive.sum(axis=0)
    is_negative = cells < 0.0
    negative = is_negative.sum(axis=0)
    rarer_sign = np.minimum(positive, negative)
    filled = np.where(known, cells, 0.0)
    sums = filled.sum(axis=0)
    at_least_one = np.maximum(rows, 1)
    mean = sums / at_least_one
    centred = filled - mean
    centred[~known] = 0.0
    squares = centred**2
    variation = squares.sum(axis=0)
    later = centred[1:]
    earlier = centred[:-1]
    products = later * earlier
    autocovariance = products.sum(axis=0)
    least = EACH_SIGN * rows
    both_signs = rarer_sign > least
    size = np.abs(autocovariance)
    most = MEMORY * variation
    short_memory = size < most
    return np.asarray((rows >= FEW_ROWS) & both_signs & short_memory)


def _deviation(values: np.ndarray) -> float:
    """Sample standard deviation; zero of a single value."""
    if len(values) < 2:
        return 0.0
    return float(values.std(ddof=1))


def _jumps(market: Market, returns: Column) -> list[str]:
    """Moves far beyond what their asset does."""
    medians = _usual_moves(returns, len(market.assets))
    jumps = together(_far(moves, medians) for moves in above(returns, JUMP))
    sizes = np.abs(jumps.values)
    order = np.argsort(-sizes, kind="stable")
    lines = []
    for jump in order[:MOST_JUMPS]:
        asset = jumps.assets[jump]
        name = market.assets[asset]
        date = market.dates[jumps.rows[jump]]
        lines.append(_jump(name, date, jumps.values[jump], medians[asset]))
    if len(order) > MOST_JUMPS:
        more = count(len(order) - MOST_JUMPS, "further return")
        times = f"{TIMES:g} times the median absolute return of the asset"
        lines.append(f"{more} above {percent(JUMP)} and above {times}.")
    return lines


def _usual_moves(returns: Column, N: int) -> np.ndarray:
    """Median size (N,) of the returns of each asset that may have jumped, NaN of the others.

    Most assets need no median: more than half of their returns are so large that none jumped.
    """
    largest = np.zeros(N)
    for moves in above(returns, JUMP):
        np.maximum.at(largest, moves.assets, np.abs(moves.values))
    medians = np.full(N, np.nan)
    if not largest.any():
        return medians
    small = np.zeros(N, dtype=np.int64)
    known = np.zeros(N, dtype=np.int64)
    has_moved = largest > 0.0
    for _, stretch in returns.stretches():
        position, values = stretch.cells()
        asset = position % N
        moved = np.flatnonzero(has_moved[asset])
        asset = asset[moved]
        sizes = np.abs(values[moved])
        known += np.bincount(asset[np.isfinite(sizes)], minlength=N)
        small += np.bincount(asset[TIMES * sizes <= largest[asset]], minlength=N)
    candidates = np.flatnonzero(has_moved & (2 * small >= known))
    medians[candidates] = median_sizes(returns, candidates)
    return medians


def _far(moves: Moves, medians: np.ndarray) -> Moves:
    """Those of the moves that are far beyond the median one of their asset."""
    far = np.abs(moves.values) > TIMES * medians[moves.assets]
    return Moves(*(part[far] for part in moves))


def _jump(name: str, date: pd.Timestamp, move: float, median: float) -> str:
    """The sentence on one move of an asset."""
    times = "against a"
    if median > 0.0:
        times = f"{number(abs(move) / median, 3)} times the"
    return (
        f"{name} has a return of {percent(move)} on {stamp(date)}, {times} median absolute return "
        f"of {percent(median)}: a split, or a wrong value?"
    )


def stamp(date: pd.Timestamp) -> str:
    """The date, with the time of day where it has one."""
    midnight = date.normalize()
    daily = date == midnight
    if daily:
        return f"{date:%Y-%m-%d}"
    return f"{date:%Y-%m-%d %H:%M}"
