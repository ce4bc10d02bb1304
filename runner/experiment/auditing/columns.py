"""Features, steps and the target, computed again on data that end at a cut or go on otherwise
behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from runner.data.market import Market
from runner.errors import DataError
from runner.experiment.auditing.cuts import SPREAD, Cut, ended, futures, other_past
from runner.experiment.auditing.outside import opened_files
from runner.experiment.auditing.tally import Tally, moved_rows, size_of
from runner.panels.panel import aligned, checked, evaluate
from runner.preprocessing.steps import BY_DATE, Step, apply
from runner.progress import tracked
from runner.targets import Target
from runner.text import count

ENDED, OTHER_FUTURE = "data end at the cut", "other data after the cut"
Column = Callable[[Market], Any]
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
    """Two tallies a feature, the values (T', N, K) of all of them on the whole data, and the files
    that each opened.

    Raises:
        DataError: a feature that the data, whole as they are, cannot give.
    """
    market, dates = ground.market, ground.dates
    N = len(market.assets)
    X = np.empty((len(dates), N, len(features)))
    opened = {}
    for k, (name, feature) in enumerate(features.items()):
        where = f"features.{name}"
        with opened_files() as opened[where]:
            X[:, :, k] = _values(where, feature, market, dates)
    whole = {name: X[:, :, k] for k, name in enumerate(features)}
    sizes = {name: size_of(values) for name, values in whole.items()}
    by_end = {name: Tally(f"features.{name}", ENDED) for name in features}
    by_future = {name: Tally(f"features.{name}", OTHER_FUTURE) for name in features}
    for cut in tracked(ground.cuts, "cuts of the data"):
        known = ended(market, cut)
        for name, feature in features.items():
            _compare_ended(
                by_end[name], feature, known, dates[: cut.last + 1], whole[name], sizes[name]
            )
    for cut in ground.some:
        for changed in futures(market, cut):
            for name, feature in features.items():
                _compare_changed(
                    by_future[name], feature, changed, cut, dates, whole[name], sizes[name]
                )
    tallies = [tally for name in features for tally in (by_end[name], by_future[name])]
    return tallies, X, opened


def _compare_ended(
    tally: Tally,
    feature: Column,
    known: Market,
    kept: pd.DatetimeIndex,
    whole: np.ndarray,
    size: float,
) -> None:
    try:
        values = _values(tally.what, feature, known, kept)
    except DataError as error:
        tally.fail(error.mistakes[0])
        return
    values = np.broadcast_to(values, (len(values), whole.shape[1]))
    tally.compare(whole[: len(values)], values, size, len(kept) - 1)


def _compare_changed(
    tally: Tally,
    feature: Column,
    changed: Market,
    cut: Cut,
    dates: pd.DatetimeIndex,
    whole: np.ndarray,
    size: float,
) -> None:
    try:
        values = _values(tally.what, feature, changed, dates)
    except DataError as error:
        tally.fail(error.mistakes[0])
        return
    values = np.broadcast_to(values, whole.shape)
    first = cut.last + 1
    tally.compare(whole[:first], values[:first], size, cut.last)
    if not np.isfinite(whole[first:]).any():
        return
    later = moved_rows(whole[first:], values[first:], size)
    tally.answers = bool(tally.answers) or bool(later.any())
    if np.isfinite(whole[first]).any():
        tally.own_row = bool(tally.own_row) or bool(later[0])


def _values(where: str, function: Column, market: Market, kept: pd.DatetimeIndex) -> np.ndarray:
    """Values of the function on the rows `kept`, or on all but the last: a week or month that is
    not over at the end of the data has none."""
    values = evaluate(where, function, market)
    index = getattr(values, "index", kept)
    if len(index) == len(kept) - 1 and index.equals(kept[:-1]):
        kept = kept[:-1]
    return aligned(where, values, market, kept)


def steps_tried(
    steps: Sequence[Step], features: Mapping[str, Column], X: np.ndarray, ground: Ground
) -> list[Tally]:
    """Two tallies a step, each after those before it, on the features (T', N, K).

    A step that is given single dates (`preprocessing.BY_DATE`) cannot see others, and is tried at a
    few cuts only.
    """
    names = list(features)
    groups = ground.market.groups
    tallies = []
    for number, step in enumerate(steps):
        where = f"preprocess[{number}] ({step.name})"
        whole = apply([step], X, names, groups).X
        by_date = getattr(step.function, "func", step.function) in BY_DATE
        flat = whole.reshape(len(whole), -1)
        size = size_of(flat)
        for check, cuts, change in (
            (ENDED, ground.some if by_date else ground.cuts, _ended),
            (OTHER_FUTURE, ground.some, _mixed),
        ):
            tally = Tally(where, check)
            for cut in cuts:
                kept = cut.last + 1
                try:
                    after = apply([step], change(X, cut.last), names, groups).X[:kept]
                except DataError as error:
                    tally.fail(error.mistakes[0])
                    continue
                tally.compare(flat[:kept], after.reshape(kept, -1), size, cut.last)
            tallies.append(tally)
        X = whole
    return tallies


def _ended(X: np.ndarray, last: int) -> np.ndarray:
    return X[: last + 1]


def _mixed(X: np.ndarray, last: int) -> np.ndarray:
    """The columns with the rows after `last` in another order and of other sizes."""
    rng = np.random.default_rng(last)
    later = X[last + 1 :]
    mixed = later[rng.permutation(len(later))] * np.exp(SPREAD * rng.standard_normal(later.shape))
    return np.concatenate([X[: last + 1], mixed])


def target_tried(
    target: Callable[[Market], Target], y: np.ndarray, horizon: int, ground: Ground
) -> tuple[list[Row], bool | None]:
    """How far ahead the target (T', N) looks beside its horizon, and whether it looks back; one row
    a check.

    The row t is known at row t + horizon: the data end there, so that a target of month ends only
    that looks a row further is seen at the month end.

    Returns:
        The rows of the table, and whether later rows move the target; None where that was not seen.
    """
    size = size_of(y)
    places = ground.market.dates.get_indexer(ground.dates)
    shifted = [_later(cut, horizon, places) for cut in ground.cuts]
    known_later = [
        cut for cut in shifted if cut is not None and cut.row < len(ground.market.dates) - 1
    ]
    by_end = _target_ended(target, y, size, horizon, known_later, ground)
    by_future, reach = _target_reach(target, y, size, horizon, ground)
    rows = [_target_row(by_end, by_end.rows_ahead, horizon, ground.dates)]
    rows.append(_target_row(by_future, reach, horizon, ground.dates))
    if horizon:
        overlap = _target_overlap(target, y, size, ground)
        start = overlap.first_date(ground.dates)
        text = f"target: depends on rows before its own, which features know; from {_day(start)}"
        rows.append(overlap.row(ground.dates, text))
    return rows, reach > 0 if by_future.values else None


def _later(cut: Cut, horizon: int, places: np.ndarray) -> Cut | None:
    """The cut so many rows of the panel later."""
    last = cut.last + horizon
    return Cut(int(places[last]), last) if last < len(places) else None


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
            dates, values, _ = checked(evaluate("target", target, known), known)
        except DataError as error:
            tally.fail(error.mistakes[0])
            continue
        rows = cut.last - horizon + 1
        if len(dates) and dates[-1] < ground.dates[rows - 1]:
            rows = int(ground.dates.searchsorted(dates[-1], side="right"))
        at = dates.get_indexer(ground.dates[:rows])
        after = np.where((at >= 0)[:, None], values[at], np.nan)
        tally.compare(y[:rows], after, size, cut.last)
    return tally


def _target_reach(
    target: Callable[[Market], Target], y: np.ndarray, size: float, horizon: int, ground: Ground
) -> tuple[Tally, int]:
    """Rows that move with data more than the horizon ahead, and how far ahead any row looks."""
    tally = Tally("target", OTHER_FUTURE)
    reach = 0
    for cut in ground.some:
        kept = cut.last + 1
        for changed in futures(ground.market, cut):
            try:
                _, values, _ = checked(evaluate("target", target, changed), changed)
            except DataError as error:
                tally.fail(error.mistakes[0])
                continue
            tally.compare(y[:kept], values[:kept], size, cut.last)
    reach = tally.rows_ahead
    tally.moved = [pair for pair in tally.moved if pair[1] > horizon]
    return tally, reach


def _target_overlap(
    target: Callable[[Market], Target], y: np.ndarray, size: float, ground: Ground
) -> Tally:
    """Rows that move with data of their own row or before."""
    tally = Tally("target", "other data up to the cut")
    for cut in ground.some:
        changed = other_past(ground.market, cut.row)
        try:
            _, values, _ = checked(evaluate("target", target, changed), changed)
        except DataError as error:
            tally.fail(error.mistakes[0])
            continue
        later = slice(cut.last, None)
        tally.tried += 1
        tally.values += int(np.isfinite(y[later]).sum())
        rows = np.flatnonzero(moved_rows(y[later], values[later], size))
        tally.moved += [(cut.last + int(row), int(row)) for row in rows]
    return tally


def _target_row(tally: Tally, reach: int, horizon: int, dates: pd.DatetimeIndex) -> Row:
    start = tally.first_date(dates)
    text = f"target: looks {count(tally.rows_ahead, 'row')} ahead, its horizon says {horizon}; from {_day(start)}"
    return tally.row(dates, text) | {"rows_ahead": max(reach, tally.rows_ahead)}


def feature_finding(tally: Tally, dates: pd.DatetimeIndex) -> str:
    """The sentence on a feature or step that looks ahead."""
    ahead = f"at least {tally.rows_ahead} rows" if tally.rows_ahead > 1 else "1 row"
    first = tally.first_date(dates)
    return f"{tally.what}: looks ahead by {ahead}; first value that moves: {_day(first)} ({tally.check})"


def _day(date: pd.Timestamp | None) -> str:
    return "" if date is None else f"{date:%Y-%m-%d}"
