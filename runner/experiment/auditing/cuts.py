"""Where the data are cut, and what stands behind a cut: nothing, or another future.

Look-ahead may be confined to a weekday, a month end, a few assets, some years, days of extreme
returns or every n-th row. Cuts are therefore placed at each of these, and the rest are drawn by the
seed of the audit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd

from runner.data.fields import Fields
from runner.data.labels import Labels
from runner.data.market import Market

SPARSE = 8  # times as many assets are drawn at most where each has few rows
SPREAD = 0.5  # of the logarithm of the factors that change the size of what is rearranged
PERSISTENT = 0.9  # first autocorrelation from which on a positive series is taken for a level
CALENDAR = ("W", "M", "Q")  # calendar weeks, months, quarters
Change = Callable[[str, np.ndarray], np.ndarray]  # of cells (T, c) of a field, given its name


class Density(NamedTuple):
    """How many cuts of each kind are made.

    Attributes:
        run: consecutive rows, which see every period up to so many rows.
        years: in each calendar year; at least `spread` in equal parts of the sample.
        spread: equal parts of the sample with at least one cut.
        ends: last rows of each kind of calendar period.
        weekday: rows of each weekday.
        extremes: assets whose extreme returns are cut at, and on the row before.
        futures: cuts behind which the future is rearranged too.
    """

    run: int
    years: int
    spread: int
    ends: int
    weekday: int
    extremes: int
    futures: int


QUICK = Density(run=11, years=0, spread=4, ends=0, weekday=0, extremes=1, futures=2)
THOROUGH = Density(run=31, years=2, spread=12, ends=120, weekday=6, extremes=24, futures=12)


class Cut(NamedTuple):
    """The last row that is kept: row `row` of the data, which is row `last` of the panel."""

    row: int
    last: int


def cuts_at(
    market: Market, rows: pd.DatetimeIndex, density: Density, rng: np.random.Generator
) -> list[Cut]:
    """Cuts at rows of the panel, in order of time; never at the last row of the data.

    Args:
        rows: (T',) dates of the panel, all of them dates of the market.
    """
    places = market.dates.get_indexer(rows)
    usable = np.flatnonzero(places < len(market.dates) - 1)
    if not len(usable):
        return []
    dates = rows[usable]
    run = _run(dates, density.run, rng)
    spread = _spread(len(dates), density.spread, rng)
    chosen = [run, spread]
    chosen += _by_year(dates, density.years, rng)
    chosen += _period_ends(dates, density.ends, rng)
    chosen += _weekdays(dates, density.weekday, rng)
    chosen.append(_extremes(market, places[usable], density.extremes, rng))
    positions = np.unique(np.concatenate(chosen).astype(int))
    last_rows = usable[positions]
    return [Cut(int(places[last]), int(last)) for last in last_rows]


def ended(market: Market, cut: Cut) -> Market:
    """The market as it was known at the cut."""
    rows = np.arange(cut.row + 1)
    return market.at(rows)


def futures(market: Market, cut: Cut) -> Iterator[Market]:
    """The market with another future behind the cut, on the same dates.

    First real moves in another order from the level of the cut on, which look like any other data;
    then the same rows of other sizes.
    """
    rng = np.random.default_rng(cut.row)
    later = len(market.dates) - cut.row - 1
    order = rng.permutation(later)

    def reorder(name: str, cells: np.ndarray) -> np.ndarray:
        return _reordered(name, cells, cut.row, order)

    def resize(_: str, cells: np.ndarray) -> np.ndarray:
        return _resized(cells, cut.row, order, rng)

    rows = np.arange(len(market.dates))
    first = cut.row + 1
    rows[cut.row + 1 :] = first + order
    labels = _labels_of(market, rows)
    yield replace(_with(market, reorder), labels=labels)
    yield replace(_with(market, resize), labels=labels)


def other_past(market: Market, row: int) -> Market:
    """The market with other rows before `row`, and another return of that row itself."""
    rng = np.random.default_rng(row)
    frames = {}
    for name, frame in market.fields.items():
        values = frame.to_numpy(dtype=float)
        cells = values.copy()
        end = row + 1 if name == "ret" else row
        noise = rng.standard_normal(cells[:end].shape)
        cells[:end] *= np.exp(SPREAD * noise)
        frames[name] = pd.DataFrame(cells, index=frame.index, columns=frame.columns)
    rows = np.arange(len(market.dates))
    rows[:row] = rng.permutation(row)
    fields = Fields.of_frames(frames)
    return replace(market, fields=fields, labels=_labels_of(market, rows))


def sample(
    market: Market, cells: int, fewest: int, longest: int, rng: np.random.Generator
) -> Market:
    """Assets drawn so that they have about so many cells, and at least `fewest`.

    Half of them come with another one of their label, where the data have labels: among assets of
    which each is alone with its label no rank within labels moves, whatever the data do. Of data
    with more than `longest` rows, a stretch of so many rows is drawn first, and of the assets that
    have a row there.
    """
    T = len(market.dates)
    start = int(rng.integers(T - longest + 1)) if longest < T else 0
    rows = np.arange(start, min(start + longest, T))
    listed = market.fields.rows_of_assets(slice(start, start + len(rows)))
    alive = np.flatnonzero(listed)  # others have nothing that could move
    if not len(alive):
        return market
    of_an_asset = max(int(listed.sum()) // len(alive), 1)
    of_few_rows = min(cells // of_an_asset, SPARSE * (cells // max(len(rows), 1)))
    most = max(of_few_rows, fewest)
    drawn = rng.choice(len(alive), size=min(most, len(alive)), replace=False)
    chosen = alive[np.sort(drawn)]
    if len(drawn) < len(alive):
        chosen = np.sort(_with_companions(market, rows, alive, drawn, rng))
    if len(chosen) < len(market.assets):
        market = market.of_positions(chosen)
    return market.at(rows) if len(rows) < T else market


# Positions among the rows that can be cut at


def _with_companions(
    market: Market,
    rows: np.ndarray,
    alive: np.ndarray,
    drawn: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """As many assets, the second half of them such as share a label with one of the first.

    Args:
        rows: positions of the dates.
        alive: positions of the assets that are drawn among; drawn: positions among these.
    """
    of_labels = [market.grouping.get(name) for name in market.grouping.names]
    if not of_labels:
        return alive[drawn]
    first_of_half = len(drawn) + 1
    half = first_of_half // 2
    chosen = list(drawn[:half])
    for k, asset in enumerate(drawn[:half]):
        labels = of_labels[k % len(of_labels)]
        dates = len(rows) if labels.by_date else 1
        date = rng.integers(dates)
        of_date = labels.at(rows[[date]]).codes[0, alive]
        is_alike = of_date == of_date[asset]
        alike = np.flatnonzero(is_alike)
        others = np.setdiff1d(alike, chosen)
        if len(others):
            chosen.append(rng.choice(others))
    chosen += [asset for asset in drawn[half:] if asset not in chosen]
    return alive[chosen[: len(drawn)]]


def _run(dates: pd.DatetimeIndex, length: int, rng: np.random.Generator) -> np.ndarray:
    """Rows that follow each other around a quarter end, else a month end, else anywhere."""
    n = len(dates)
    ends = np.empty(0, dtype=int)
    for period in ("Q", "M"):
        ends = _ends(dates, period)
        ends = ends[ends >= n // 3]
        if len(ends):
            break
    middle = int(rng.choice(ends)) if len(ends) else int(rng.integers(n // 3, n))
    latest = n - length
    start = max(min(middle - length // 2, latest), 0)
    stop = min(start + length, n)
    return np.arange(start, stop)


def _spread(n: int, parts: int, rng: np.random.Generator) -> np.ndarray:
    """A row of each of so many parts of equal length."""
    edges = np.linspace(0, n, parts + 1).astype(int)
    rows = [int(rng.integers(low, high)) for low, high in pairwise(edges) if high > low]
    return np.array(rows, dtype=int)


def _by_year(dates: pd.DatetimeIndex, each: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Rows of each calendar year."""
    if not each:
        return []
    years = np.unique(dates.year)
    return [_some(np.flatnonzero(dates.year == year), each, rng) for year in years]


def _period_ends(dates: pd.DatetimeIndex, each: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Last rows of calendar weeks, months and quarters."""
    return [_some(_ends(dates, period), each, rng) for period in CALENDAR]


def _weekdays(dates: pd.DatetimeIndex, each: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Rows of each weekday."""
    if not each:
        return []
    days = np.unique(dates.day_of_week)
    return [_some(np.flatnonzero(dates.day_of_week == day), each, rng) for day in days]


def _extremes(
    market: Market, places: np.ndarray, assets: int, rng: np.random.Generator
) -> np.ndarray:
    """Rows of extreme returns, and the rows before them.

    The largest loss of one asset; or, of several assets and the mean over all, the largest loss and
    the largest gain of each.
    """
    try:
        returns = market.returns().to_numpy(dtype=float)[places]
    except Exception:  # data without prices and returns, or a source that cannot give them
        return np.empty(0, dtype=int)
    N = returns.shape[1]
    mean = _mean_return(returns)
    drawn = rng.choice(N, size=min(assets, N), replace=False)
    series = [returns[:, i] for i in drawn]
    if assets > 1:
        series = [mean, *series]
    days = list[int]()
    for values in series:
        if not np.isfinite(values).any():
            continue
        days.append(int(np.nanargmin(values)))
        if assets > 1:
            days.append(int(np.nanargmax(values)))
    extremes = np.array(days, dtype=int)
    rows = np.concatenate([extremes, extremes - 1])
    return rows[rows >= 0]


def _mean_return(returns: np.ndarray) -> np.ndarray:
    """Mean (T,) over the assets with a return (T, N), NaN where there is none."""
    known = np.isfinite(returns)
    total = np.where(known, returns, 0.0).sum(axis=1)
    mean = np.full(len(returns), np.nan)
    counts = known.sum(axis=1)
    has_known = known.any(axis=1)
    return np.divide(total, counts, out=mean, where=has_known)


def _ends(dates: pd.DatetimeIndex, period: str) -> np.ndarray:
    """Positions of the last row of each calendar period, without the last, which is not over.

    None where every row is a period of its own.
    """
    number = dates.to_period(period).asi8
    differs = number[1:] != number[:-1]
    ends = np.flatnonzero(differs)
    if len(ends) == len(dates) - 1:
        return np.empty(0, dtype=int)
    return ends


def _some(positions: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    if len(positions) <= most:
        return positions
    return rng.choice(positions, size=most, replace=False)


# Other futures


def _with(market: Market, change: Change) -> Market:
    """The market with every field and series, and those of the market asset, changed."""

    def changed_frame(name: str, values: pd.DataFrame) -> pd.DataFrame:
        cells = change(name, values.to_numpy(dtype=float))
        return pd.DataFrame(cells, index=values.index, columns=values.columns)

    def changed_column(name: str, values: pd.Series | None) -> pd.Series | None:
        if values is None:
            return None
        changed = changed_frame(name, values.to_frame())
        column = changed.iloc[:, 0]
        return column.rename(values.name)

    series = market.series
    if series.shape[1]:
        parts = [changed_frame("series", series[[name]]) for name in series.columns]
        series = pd.concat(parts, axis=1)
    frames = {name: changed_frame(name, values) for name, values in market.fields.items()}
    return replace(
        market,
        fields=Fields.of_frames(frames),
        series=series,
        market_close=changed_column("close", market.market_close),
        market_ret=changed_column("ret", market.market_ret),
    )


def _labels_of(market: Market, rows: np.ndarray) -> dict[str, Labels]:
    """The labels of the date of these rows, in the place of its own."""
    return {name: labels.at(rows) for name, labels in market.labels.items()}


def _reordered(name: str, cells: np.ndarray, last: int, order: np.ndarray) -> np.ndarray:
    """Cells (T, c) with the moves behind row `last` in another order; gaps move along.

    A price, and a positive series with a first autocorrelation above .9, goes on from its last
    level; of anything else the rows themselves change places.
    """
    later = last + 1 + order
    if name == "close" or (name == "series" and _is_level(cells[:, 0])):
        return _continued(cells, last, later)
    changed = cells.copy()
    changed[last + 1 :] = cells[later]
    return changed


def _is_level(values: np.ndarray) -> bool:
    """Whether a series is positive and persistent, as levels are and changes are not."""
    known = values[np.isfinite(values)]
    if len(known) < 3 or (known <= 0.0).any() or np.ptp(known) == 0.0:
        return False
    deviations = known - known.mean()
    later_deviations = deviations[1:]
    earlier_deviations = deviations[:-1]
    covariance = later_deviations @ earlier_deviations
    variance = deviations @ deviations
    return bool(covariance > PERSISTENT * variance)


def _continued(cells: np.ndarray, last: int, later: np.ndarray) -> np.ndarray:
    """Levels (T, c) whose relative changes behind row `last` are those of the rows `later`."""
    above_zero = np.where(cells > 0.0, cells, np.nan)
    positive = pd.DataFrame(above_zero)
    logs = np.log(positive.ffill().bfill().to_numpy())
    moves = np.diff(logs, axis=0, prepend=logs[:1])[later]
    path = np.cumsum(moves, axis=0)
    log_levels = logs[last] + path
    levels = np.exp(log_levels)
    known = np.isfinite(cells[later])
    changed = cells.copy()
    changed[last + 1 :] = np.where(known, levels, np.nan)
    return changed


def _resized(
    cells: np.ndarray, last: int, order: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Cells (T, c) with the rows behind `last` in another order and of other sizes."""
    changed = cells.copy()
    later = cells[last + 1 + order]
    noise = rng.standard_normal(later.shape)
    factors = np.exp(SPREAD * noise)
    changed[last + 1 :] = later * factors
    return changed
