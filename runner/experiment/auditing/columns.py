"""Features, steps and the target, computed again on data that end at a cut or differ behind it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from runner.data.market import Market
from runner.errors import DataError
from runner.experiment.auditing.cuts import SPREAD, Cut, ended, futures, other_past
from runner.experiment.auditing.outside import opened_files
from runner.experiment.auditing.tally import Tally, moved_rows, size_of
from runner.panels.evaluated import aligned, checked, evaluate
from runner.preprocessing.applying import Step, apply
from runner.progress import tracked
from runner.targets import Target
from runner.text import count

ENDED = "without later data"
OTHER_FUTURE = "with other later data"
Column = Callable[[Market], Any]
Change = Callable[[np.ndarray, int], np.ndarray]  # of columns (T', N, K) behind a row
Row = dict[str, Any]


@dataclass(frozen=True)
class Ground:
    """What every column is tried on.

    Attributes:
        market: all of it.
        dates: (T',) rows of the panel.
        cuts: where the data end; `some` of them are those behind which the future is changed.
    """

    market: Market
    dates: pd.DatetimeIndex
    cuts: list[Cut]
    some: list[Cut]


def features_tried(
    features: Mapping[str, Column], ground: Ground
) -> tuple[list[Tally], np.ndarray, dict[str, list[str]]]:
    """Two tallies a feature, values (T', N, K) on the whole data, and the files that each opened.

    Raises:
        DataError: a feature that the data, whole as they are, cannot give.
    """
    dates = ground.dates
    N = len(ground.market.assets)
    X = np.empty((len(features), N, len(dates))).T  # in the order in which frames lie in memory
    opened = {}
    columns = []
    for k, (name, feature) in enumerate(features.items()):
        where = f"features.{name}"
        with opened_files() as opened[where]:
            X[:, :, k] = _values(where, feature, ground.market, dates)
        whole = X[:, :, k]
        by_end = Tally(where, ENDED)
        by_future = Tally(where, OTHER_FUTURE)
        columns.append(_Feature(feature, whole, size_of(whole), by_end, by_future))
    for cut in tracked(ground.cuts, "cuts of the data"):
        known = ended(ground.market, cut)
        for column in columns:
            kept_dates = dates[: cut.last + 1]
            _compare_ended(column, known, kept_dates)
    for cut in ground.some:
        for changed in futures(ground.market, cut):
            for column in columns:
                _compare_changed(column, changed, cut, dates)
    tallies = []
    for column in columns:
        tallies += [column.by_end, column.by_future]
    return tallies, X, opened


class _Feature(NamedTuple):
    """A feature while it is tried.

    Attributes:
        compute: gives its values of a market.
        whole: (T', N) values on the whole data; size: of them.
        by_end, by_future: what moved where the data ended, and where their future was changed.
    """

    compute: Column
    whole: np.ndarray
    size: float
    by_end: Tally
    by_future: Tally


def _compare_ended(feature: _Feature, known: Market, kept: pd.DatetimeIndex) -> None:
    """Add the rows `kept` of a feature on data that end with them."""
    tally = feature.by_end
    try:
        values = _values(tally.what, feature.compute, known, kept)
    except DataError as error:
        tally.fail(error.mistakes[0])
        return
    n = len(values)
    values = np.broadcast_to(values, (n, feature.whole.shape[1]))
    before = feature.whole[:n]
    cut_row = len(kept) - 1
    tally.compare(before, values, feature.size, cut_row)


def _compare_changed(feature: _Feature, changed: Market, cut: Cut, dates: pd.DatetimeIndex) -> None:
    """Add the rows up to the cut of a feature on data changed behind it.

    Also notes whether any later row moves, and whether the first of them does.
    """
    tally = feature.by_future
    whole = feature.whole
    try:
        values = _values(tally.what, feature.compute, changed, dates)
    except DataError as error:
        tally.fail(error.mistakes[0])
        return
    values = np.broadcast_to(values, whole.shape)
    first = cut.last + 1
    before = whole[:first]
    after = values[:first]
    tally.compare(before, after, feature.size, cut.last)
    whole_later = whole[first:]
    is_known = np.isfinite(whole_later)
    if not is_known.any():
        return
    later = moved_rows(whole[first:], values[first:], feature.size)
    tally.answers = bool(tally.answers) or bool(later.any())
    if np.isfinite(whole[first]).any():
        tally.own_row = bool(tally.own_row) or bool(later[0])


def _values(where: str, function: Column, market: Market, kept: pd.DatetimeIndex) -> np.ndarray:
    """Values of the function on the rows `kept`, or on all but the last.

    A week or month that is not over at the end of the data has no value.
    """
    values = evaluate(where, function, market)
    index = getattr(values, "index", kept)
    if len(index) == len(kept) - 1 and index.equals(kept[:-1]):
        kept = kept[:-1]
    return aligned(where, values, market, kept)


def steps_tried(
    steps: Sequence[Step], features: Mapping[str, Column], X: np.ndarray, ground: Ground
) -> list[Tally]:
    """Two tallies a step, each after those before it, on the features (T', N, K).

    A step that is given single dates (`Traits.by_date`) cannot see others, and is tried at a
    few cuts only.
    """
    names = list(features)
    tallies = []
    for number, step in enumerate(steps):
        where = f"preprocess[{number}] ({step.name})"
        of_step, X = _step_tried(where, step, X, names, ground)
        tallies += of_step
    return tallies


def _step_tried(
    where: str, step: Step, X: np.ndarray, names: list[str], ground: Ground
) -> tuple[list[Tally], np.ndarray]:
    """Two tallies of one step, and the features (T', N, K) after it on the whole data."""
    groups = ground.market.groups
    places = ground.market.dates.get_indexer(ground.dates)
    codes = {}
    for name, labels in ground.market.labels.items():
        codes[name] = labels.at(places).codes

    def applied(columns: np.ndarray) -> np.ndarray:
        known = {name: of_rows[: len(columns)] for name, of_rows in codes.items()}
        return apply([step], columns, names, groups, by_date=known).X

    whole = applied(X)
    flat = whole.reshape(len(whole), -1)
    size = size_of(flat)

    def compare(tally: Tally, cuts: Sequence[Cut], change: Change) -> None:
        for cut in cuts:
            kept = cut.last + 1
            try:
                after = applied(change(X, cut.last))[:kept]
            except DataError as error:
                tally.fail(error.mistakes[0])
                continue
            before = flat[:kept]
            flat_after = after.reshape(kept, -1)
            tally.compare(before, flat_after, size, cut.last)

    by_end = Tally(where, ENDED)
    compare(by_end, ground.some if step.traits.by_date else ground.cuts, _ended)
    by_future = Tally(where, OTHER_FUTURE)
    compare(by_future, ground.some, _mixed)
    return [by_end, by_future], whole


def _ended(X: np.ndarray, last: int) -> np.ndarray:
    """The columns up to row `last`."""
    return X[: last + 1]


def _mixed(X: np.ndarray, last: int) -> np.ndarray:
    """The columns with the rows after `last` in another order and of other sizes."""
    rng = np.random.default_rng(last)
    later = X[last + 1 :]
    order = rng.permutation(len(later))
    factors = np.exp(SPREAD * rng.standard_normal(later.shape))
    unchanged = X[: last + 1]
    mixed = later[order] * factors
    return np.concatenate([unchanged, mixed])


def target_tried(
    target: Callable[[Market], Target], y: np.ndarray, horizon: int, ground: Ground
) -> tuple[list[Row], bool | None]:
    """How far ahead the target (T', N) looks beside its horizon, and whether it looks back.

    The row t is known at row t + horizon: the data end there, so that a target of month ends only
    that looks a row further is seen at the month end.

    Returns:
        One row of the table a check; whether later rows move the target, None where that was not
        seen.
    """
    size = size_of(y)
    dates = ground.dates
    market_dates = ground.market.dates
    places = market_dates.get_indexer(dates)
    known_later = []
    for cut in ground.cuts:
        later = _later(cut, horizon, places)
        if later is not None and later.row < len(market_dates) - 1:
            known_later.append(later)
    by_end = _target_ended(target, y, size, horizon, known_later, ground)
    by_future, reach = _target_reach(target, y, size, horizon, ground)
    row_by_end = _target_row(by_end, by_end.rows_ahead, horizon, dates)
    row_by_future = _target_row(by_future, reach, horizon, dates)
    rows = [
        row_by_end,
        row_by_future,
    ]
    if horizon:
        overlap = _target_overlap(target, y, size, ground)
        start = _day(overlap.first_date(dates))
        text = f"target: depends on rows before its own, which features know; from {start}"
        rows.append(overlap.row(dates, text) | {"rows_ahead": 0})  # it looks back
    looks_ahead: bool | None = reach > 0
    if not (reach or (by_future.values and _could_move(y, horizon, ground))):
        looks_ahead = None
    return rows, looks_ahead


def _could_move(y: np.ndarray, horizon: int, ground: Ground) -> bool:
    """Whether targets (T', N) are known that reach over a cut, so that later data could move them.

    Of a target that says that it does not look ahead, any before a cut.
    """
    for cut in ground.some:
        kept = cut.last + 1
        first = max(kept - horizon, 0) if horizon else 0
        if np.isfinite(y[first:kept]).any():
            return True
    return False


def _later(cut: Cut, horizon: int, places: np.ndarray) -> Cut | None:
    """The cut so many rows of the panel later, None behind its end."""
    last = cut.last + horizon
    if last >= len(places):
        return None
    return Cut(int(places[last]), last)


def _target_ended(
    target: Callable[[Market], Target],
    y: np.ndarray,
    size: float,
    horizon: int,
    cuts: Sequence[Cut],
    ground: Ground,
) -> Tally:
    """Rows whose target is known at the cut, on data that end there."""
    tally = Tally("target", ENDED)
    for cut in tracked(cuts, "cuts of the data, target"):
        known = ended(ground.market, cut)
        try:
            recomputed = evaluate("target", target, known)
            dates, values, *_ = checked(recomputed, known)
        except DataError as error:
            tally.fail(error.mistakes[0])
            continue
        before_cut = cut.last - horizon
        rows = before_cut + 1
        if len(dates) and dates[-1] < ground.dates[rows - 1]:
            rows = int(ground.dates.searchsorted(dates[-1], side="right"))
        position = dates.get_indexer(ground.dates[:rows])
        is_within = position >= 0
        is_there = is_within[:, None]
        after = np.where(is_there, values[position], np.nan)
        tally.compare(y[:rows], after, size, cut.last)
    return tally


def _target_reach(
    target: Callable[[Market], Target], y: np.ndarray, size: float, horizon: int, ground: Ground
) -> tuple[Tally, int]:
    """Rows that move with data more than the horizon ahead, and how far ahead any row looks."""
    tally = Tally("target", OTHER_FUTURE)
    for cut in ground.some:
        kept = cut.last + 1
        for changed in futures(ground.market, cut):
            try:
                values = _target_values(target, changed)
            except DataError as error:
                tally.fail(error.mistakes[0])
                continue
            before = y[:kept]
            after = values[:kept]
            tally.compare(before, after, size, cut.last)
    reach = tally.rows_ahead
    tally.moved = [pair for pair in tally.moved if pair[1] > horizon]
    return tally, reach


def _target_values(target: Callable[[Market], Target], market: Market) -> np.ndarray:
    """The target (T, N) of another market, checked as that of the run is.

    Raises:
        DataError: it cannot be computed there.
    """
    recomputed = evaluate("target", target, market)
    return checked(recomputed, market).y


def _target_overlap(
    target: Callable[[Market], Target], y: np.ndarray, size: float, ground: Ground
) -> Tally:
    """Rows that move with data of their own row or before."""
    tally = Tally("target", "other data up to the cut")
    for cut in ground.some:
        changed = other_past(ground.market, cut.row)
        try:
            values = _target_values(target, changed)
        except DataError as error:
            tally.fail(error.mistakes[0])
            continue
        later = slice(cut.last, None)
        tally.tried += 1
        tally.values += int(np.isfinite(y[later]).sum())
        y_later = y[later]
        values_later = values[later]
        is_moved = moved_rows(y_later, values_later, size)
        moved = np.flatnonzero(is_moved)
        tally.moved += [(cut.last + int(row), int(row)) for row in moved]
    return tally


def _target_row(tally: Tally, reach: int, horizon: int, dates: pd.DatetimeIndex) -> Row:
    """The row of the table; `reach` is how far ahead any row looks."""
    start = _day(tally.first_date(dates))
    ahead = count(tally.rows_ahead, "row")
    text = f"target: looks {ahead} ahead, its horizon says {horizon}; from {start}"
    return tally.row(dates, text) | {"rows_ahead": max(reach, tally.rows_ahead)}


def feature_finding(tally: Tally, dates: pd.DatetimeIndex) -> str:
    """The sentence on a feature or step that looks ahead."""
    ahead = f"at least {tally.rows_ahead} rows" if tally.rows_ahead > 1 else "1 row"
    first = _day(tally.first_date(dates))
    return f"{tally.what}: looks ahead by {ahead}: its value on {first} differs {tally.check}"


def _day(date: pd.Timestamp | None) -> str:
    """The date as text, empty where there is none."""
    return "" if date is None else f"{date:%Y-%m-%d}"
