"""From the market to the panel: target, features and weights lined up, preprocessed and counted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, get_args

import numpy as np
import pandas as pd

from runner.data.attribution import Compute
from runner.data.calendar import period_ends, session_numbers
from runner.data.labels import Labels
from runner.data.market import Market
from runner.data.notices import Dropped
from runner.errors import DataError
from runner.panels import memory
from runner.panels.evaluated import Checked, aligned, checked, evaluate
from runner.panels.panel import Panel
from runner.panels.periods import of_last_rows
from runner.panels.usable import WEIGHT, lost_to_rules, members_alone, outsiders, usable_cells
from runner.preprocessing.applying import Step, apply
from runner.schema.settings import MOST_LOST, Frequency
from runner.targets import UNKNOWN, Target

Feature = Callable[[Market], Any]


def build_panel(
    market: Market,
    features: Mapping[str, Feature],
    target: Callable[[Market], Target],
    steps: Sequence[Step] = (),
    weights: str | None = None,
    allow_loss: float = MOST_LOST,
) -> Panel:
    """Evaluate the target and the features on the market, line them up, and preprocess them.

    Row t of the weights is row t of the field of that name. `allow_loss` is the share of a series
    that may be zero or negative where a feature needs its relative change or logarithm.

    Raises:
        DataError: a feature or target that the data cannot give, one line each; less memory than a
            run on it takes.
    """
    mistakes: list[str] = []
    dates, y, horizon, unit = _target(target, market, mistakes)
    X = _features(features, market, dates, mistakes)
    on_periods = of_last_rows(features, market, dates, horizon, mistakes)
    w = _weights(weights, market, dates, mistakes)
    if mistakes:
        raise DataError(mistakes)
    names = list(features)
    labels = _labels_on(market, dates)
    computed = _computed(features, target, weights, dates)
    by_rule = lost_to_rules(market, computed, _numbers_of(y, X, w), allow_loss)
    inside = members_alone(X, market, dates)
    applied = apply(steps, X, names, market.groups, y, in_place=True, by_date=_codes(labels))
    keep = applied.keep & inside
    valid, unknown = usable_cells(applied.y, applied.X, names, w, weights, keep, by_rule)
    by_steps = [Dropped(*line) for line in applied.account]
    before_steps = [*market.dropped, *_running_period(market, dates), *outsiders(market, inside)]
    return Panel(
        dates=dates,
        assets=market.assets,
        names=names,
        y=applied.y,
        X=applied.X,
        valid=valid,
        horizon=horizon,
        groups=market.groups,
        dropped=(*before_steps, *by_steps, *unknown),
        weights=w,
        raw=None if applied.y is y else y,
        back=applied.back,
        sessions=session_numbers(dates) if market.sessions else None,
        notes=(*market.notes, *on_periods),
        by_rule=by_rule,
        unknown=unknown,
        kept=None if keep.all() else keep,
        labels=labels,
        unit=unit,
    )


def _target(target: Callable[[Market], Target], market: Market, mistakes: list[str]) -> Checked:
    """The target and its rows; what the data cannot give is added to the mistakes."""
    try:
        return checked(evaluate("target", target, market), market)
    except DataError as error:
        mistakes += error.mistakes
    nothing = np.empty((0, 0))
    return Checked(market.dates, nothing, 0, UNKNOWN)


def _numbers_of(y: np.ndarray, X: np.ndarray, weights: np.ndarray | None) -> list[np.ndarray]:
    """The target, every feature and the weights if there are any, (T, N) each."""
    columns = [y, *X.transpose(2, 0, 1)]
    if weights is not None:
        columns.append(weights)
    return columns


def _codes(labels: Mapping[str, Labels]) -> dict[str, np.ndarray]:
    """The codes (T, N) of labels of the date."""
    return {name: of_name.codes for name, of_name in labels.items()}


def _labels_on(market: Market, dates: pd.DatetimeIndex) -> dict[str, Labels]:
    """The labels of the date on the rows of the panel."""
    rows = market.dates.get_indexer(dates)
    return {name: labels.at(rows) for name, labels in market.labels.items()}


def _features(
    features: Mapping[str, Feature], market: Market, dates: pd.DatetimeIndex, mistakes: list[str]
) -> np.ndarray:
    """The features (T, N, K); what the data cannot give is added to the mistakes.

    Raises:
        DataError: less memory than a run on them takes.
    """
    T = len(dates)
    N = len(market.assets)
    few_cells = market.fields.are_long
    memory.check(T, N, len(features), few_cells)
    shape = (T, N, len(features))
    X = np.full(shape, np.nan) if few_cells else np.empty(shape)
    for k, (name, feature) in enumerate(features.items()):
        try:
            cells = _cells(name, feature, dates, market)
        except DataError as error:
            mistakes += error.mistakes
            continue
        if few_cells and cells.shape == (T, N):
            _write_known(X[:, :, k], cells)
        else:
            X[:, :, k] = cells
    return X


def _write_known(missing: np.ndarray, cells: np.ndarray) -> None:
    """Write the cells that have a value into an array (T, N) of NaN, in place."""
    asset, row = np.nonzero(~np.isnan(cells.T))  # in the order in which fields lie in memory
    missing[row, asset] = cells[row, asset]


def _cells(name: str, feature: Feature, dates: pd.DatetimeIndex, market: Market) -> np.ndarray:
    """The feature on the rows of the panel, (T, N) or (T, 1)."""
    where = f"features.{name}"
    return aligned(where, evaluate(where, feature, market), market, dates)


def _computed(
    features: Mapping[str, Feature],
    target: Callable[[Market], Target],
    weights: str | None,
    dates: pd.DatetimeIndex,
) -> dict[str, Compute]:
    """How each column of the panel is computed from a market, by the name of the column."""

    def target_cells(part: Market) -> np.ndarray:
        return checked(evaluate("target", target, part), part).y

    columns: dict[str, Compute] = {"target": target_cells}
    for name, feature in features.items():
        columns[name] = partial(_cells, name, feature, dates)
    if weights is not None:

        def weight_cells(part: Market) -> np.ndarray:
            return aligned(WEIGHT, part.get(weights), part, dates)

        columns[WEIGHT] = weight_cells
    return columns


def _running_period(market: Market, dates: pd.DatetimeIndex) -> tuple[Dropped, ...]:
    """The account of a last week or month, not over, that a target by week or month left out."""
    for frequency in get_args(Frequency):
        ends = period_ends(market.dates, frequency)
        complete = market.dates[ends[:-1]]
        if dates.equals(complete):
            return market.left_out(frequency)
    return ()


def _weights(
    field: str | None, market: Market, dates: pd.DatetimeIndex, mistakes: list[str]
) -> np.ndarray | None:
    """The field that weighs the rows; what the data cannot give is added to the mistakes."""
    if field is None:
        return None
    try:
        cells = aligned(WEIGHT, market.get(field), market, dates)
    except DataError as error:
        mistakes += [f"{WEIGHT}: {line}" for line in error.mistakes]
        return None
    return np.array(cells, order="C")
