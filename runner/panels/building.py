"""From the market to the panel: target, features and weights lined up, preprocessed and counted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import get_args

import numpy as np
import pandas as pd

from runner.data.attribution import Compute
from runner.data.calendar import period_ends, session_numbers
from runner.data.labels import Labels
from runner.data.market import Market
from runner.data.notices import Dropped
from runner.errors import DataError
from runner.panels import memory
from runner.panels.evaluated import checked, evaluate
from runner.panels.numbers.cells import Cube, InMemory, Ragged, rest
from runner.panels.numbers.gathering import (
    EVERY,
    Feature,
    asked,
    column_cells,
    every_cell,
    listed_cells,
)
from runner.panels.numbers.usable import (
    blank_outsiders,
    lost_to_rules,
    members_on,
    outsiders,
    usable_cells,
)
from runner.panels.panel import Panel
from runner.panels.periods import of_last_rows
from runner.preprocessing.applying import Cubes, Rows, Step, applied
from runner.preprocessing.labelled import Labelled
from runner.schema.settings import MOST_LOST, Frequency
from runner.targets import Target


def build_panel(
    market: Market,
    features: Mapping[str, Feature],
    target: Callable[[Market], Target],
    steps: Sequence[Step] = (),
    weights: str | None = None,
    allow_loss: float = MOST_LOST,
    own: slice = EVERY,
) -> Panel:
    """Evaluate the target and the features on the market, line them up, and preprocess them.

    Row t of the weights is row t of the field of that name. `allow_loss` is the share of a series
    that may be zero or negative where a feature needs its relative change or logarithm. `own` are
    the rows of the panel, of those of the target.

    Raises:
        DataError: a feature or target that the data cannot give, one line each; less memory than a
            run on it takes.
    """
    mistakes: list[str] = []
    columns = asked(features, weights)
    unchanged = own == EVERY and not steps and market.members is None
    wide = market.fields.listed is None
    gather = every_cell if wide else partial(listed_cells, as_read=unchanged)
    cells, with_gaps, dates, horizon, unit = gather(columns, target, market, mistakes, own)
    on_periods = of_last_rows(features if own == EVERY else {}, market, dates, horizon, mistakes)
    if mistakes:
        raise DataError(mistakes)
    computed = _computed(columns, target, dates, own)
    by_rule = lost_to_rules(market, computed, with_gaps, allow_loss)
    labels = _labels_on(market, dates)
    inside = members_on(market, dates)
    blank_outsiders(cells, inside)
    names = list(features)
    if isinstance(cells, Ragged) and not all(step.traits.by_date for step in steps):
        memory.refuse_cube(*cells.shape, len(names))
    stepped = applied(steps, _for_steps(cells, market, labels), names, cells.y)
    keep = _kept(cells, stepped.keep, inside)
    of_steps = replace(cells, y=stepped.y, raw=None if stepped.y is cells.y else cells.y)
    usable, unknown = usable_cells(of_steps, names, weights, keep, by_rule)
    rest(usable)
    by_steps = [Dropped(*line) for line in stepped.account]
    before_steps = [*market.dropped, *_running_period(market, dates, own)]
    return Panel(
        dates=dates,
        assets=market.assets,
        names=names,
        cells=usable,
        horizon=horizon,
        groups=market.groups,
        dropped=(*before_steps, *outsiders(market, inside), *by_steps, *unknown),
        back=stepped.back,
        sessions=session_numbers(dates) if market.sessions else None,
        notes=(*market.notes, *on_periods),
        by_rule=by_rule,
        unknown=unknown,
        kept=keep,
        labels=labels,
        unit=unit,
    )


def _for_steps(cells: InMemory, market: Market, labels: Mapping[str, Labels]) -> Cubes | Rows:
    """The features as steps of preprocessing change them, in place."""
    of_assets = Labelled(market.groups, _codes(labels))
    keep = np.ones(cells.y.shape, dtype=bool)
    if isinstance(cells, Cube):
        return Cubes(cells.X, keep, of_assets)
    return Rows(cells.X, keep, of_assets, cells.listings.row, cells.listings.column)


def _kept(cells: InMemory, by_steps: np.ndarray, inside: np.ndarray | None) -> np.ndarray | None:
    """Mask (T, N) of the cells that steps kept and that members have; None where it is all."""
    keep = inside
    if not by_steps.all():
        keep = cells.spread(by_steps, absent=True)
        if inside is not None:
            keep = keep & inside
    return keep


def _codes(labels: Mapping[str, Labels]) -> dict[str, np.ndarray]:
    """The codes (T, N) of labels of the date."""
    return {name: of_name.codes for name, of_name in labels.items()}


def _labels_on(market: Market, dates: pd.DatetimeIndex) -> dict[str, Labels]:
    """The labels of the date on the rows of the panel."""
    rows = market.dates.get_indexer(dates)
    return {name: labels.at(rows) for name, labels in market.labels.items()}


def _computed(
    columns: Mapping[str, Feature],
    target: Callable[[Market], Target],
    dates: pd.DatetimeIndex,
    own: slice,
) -> dict[str, Compute]:
    """How each column of the panel is computed from a market, by the name of the column."""

    def target_cells(part: Market) -> np.ndarray:
        return checked(evaluate("target", target, part), part).on(own).y

    computed: dict[str, Compute] = {"target": target_cells}
    for name, column in columns.items():
        computed[name] = partial(column_cells, name, column, dates)
    return computed


def _running_period(market: Market, dates: pd.DatetimeIndex, own: slice) -> tuple[Dropped, ...]:
    """The account of a last week or month, not over, that a target by week or month left out."""
    if own != EVERY:  # a stretch of rows, whatever periods they end
        return ()
    for frequency in get_args(Frequency):
        ends = period_ends(market.dates, frequency)
        complete = market.dates[ends[:-1]]
        if dates.equals(complete):
            return market.left_out(frequency)
    return ()
