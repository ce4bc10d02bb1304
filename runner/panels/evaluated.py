"""A feature or a target as the market gives it, checked and lined up with its rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from runner.data.market import Market
from runner.errors import DataError, listed, placed
from runner.panels.numbers.selections import adjacent
from runner.targets import Target, Unit
from runner.text import one_line


def evaluate(where: str, function: Callable[[Market], Any], market: Market) -> Any:
    """The result of a function on its own copy of the market; session by session where it has them.

    Raises:
        DataError: whatever the function raises, as one line that says where.
    """
    try:
        return _on_own_copy(function, market)
    except DataError as error:
        raise DataError(placed(where, error)) from error
    except Exception as error:
        reason = one_line(error)
        raise DataError(f"{where}: raised {type(error).__name__}: {reason}") from error


class Checked(NamedTuple):
    """A target on the rows of the panel: dates (T,), values y (T, N), rows ahead, unit."""

    dates: pd.DatetimeIndex
    y: np.ndarray
    horizon: int
    unit: Unit

    def on(self, rows: slice) -> Checked:
        """The same on these rows alone."""
        return self._replace(dates=self.dates[rows], y=self.y[rows])


def checked(target: Any, market: Market) -> Checked:
    """The target of a user's function or of ours, lined up with the assets of the data.

    Raises:
        DataError: it gave something else, a horizon below zero, or rows that the data have not.
    """
    if not isinstance(target, Target) or not isinstance(target.values, pd.DataFrame):
        given = type(target).__name__
        raise DataError(f"target: gave {given}; allowed: a Target of a frame (T, N) and a horizon")
    horizon = target.horizon
    if not isinstance(horizon, int | np.integer) or horizon < 0:
        raise DataError(
            f"target: gave the horizon {horizon!r}; allowed: a whole number of rows from 0"
        )
    if not isinstance(target.unit, Unit):
        given = type(target.unit).__name__
        raise DataError(f"target: gave a unit of type {given}; allowed: runner.targets.Unit")
    rows = target.values.index
    of_the_data = rows.isin(market.dates).all()
    if not (of_the_data and rows.is_monotonic_increasing and rows.is_unique):
        raise DataError(f"target: its {len(rows)} rows are not rows of the data in their order")
    dates = pd.DatetimeIndex(rows)
    y = aligned("target", target.values, market, dates)
    return Checked(dates, y, int(horizon), target.unit)


def aligned(where: str, values: Any, market: Market, dates: pd.DatetimeIndex) -> np.ndarray:
    """Values on the rows of the panel, (T, N) or (T, 1).

    They may be the arrays of the data themselves: they are not to be written to.
    """
    if not isinstance(values, pd.DataFrame | pd.Series):
        given = type(values).__name__
        raise DataError(f"{where}: gave {given}; allowed: a frame (T, N) or a series (T,)")
    if isinstance(values, pd.DataFrame):
        values = _in_order(where, values, market)
    rows = values.index
    are_known = rows.equals(market.dates)
    if market.part_of is not None:  # whose weeks or months go beyond the rows of the panel
        are_known = rows.isin(market.dates).all()
    if are_known and not rows.equals(dates) and dates.isin(rows).all():
        values = values.iloc[adjacent(rows.get_indexer(dates))]
    if not values.index.equals(dates):
        raise DataError(
            f"{where}: its {len(values)} rows are not those of the data or of the target"
        )
    try:
        cells = values.to_numpy(dtype=float)
    except (TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{where}: not numbers: {reason}") from error
    if cells.ndim == 1:
        return cells[:, None]
    return cells


def _in_order(where: str, frame: pd.DataFrame, market: Market) -> pd.DataFrame:
    """The frame with one column per asset, in the order of the data.

    Raises:
        DataError: an asset without a column, or with several.
    """
    if frame.columns.equals(market.fields.assets):
        return frame
    assets = market.assets
    times = frame.columns.value_counts().reindex(assets, fill_value=0)
    kinds = {"no column": times == 0, "several columns": times > 1}
    for reason, wrong in kinds.items():
        if wrong.any():
            names = listed(times.index[wrong])
            raise DataError(f"{where}: its frame has {reason} for {names}")
    return frame[assets]


def _on_own_copy(function: Callable[[Market], Any], market: Market) -> Any:
    """The result of a function on its own copy of the market; session by session where it has them.

    The results of the sessions are joined: no row of one sees a row of another.
    """
    if not market.sessions:
        return function(_copy(market))
    return _joined([function(_copy(session)) for session in market.by_session()])


def _joined(parts: list[Any]) -> Any:
    """The results of the sessions, one after the other.

    Of results that are not all frames, all series or all targets, the first one as it is.
    """
    first = parts[0]
    if all(isinstance(part, Target) and isinstance(part.values, pd.DataFrame) for part in parts):
        return first._replace(values=pd.concat([part.values for part in parts]))
    same_kind = all(isinstance(part, type(first)) for part in parts)
    if same_kind and isinstance(first, pd.DataFrame | pd.Series):
        return pd.concat(parts)
    return first


def _copy(market: Market) -> Market:
    """The same market for one function: pandas copies only what that function writes to."""
    return replace(
        market,
        fields=market.fields.shallow(),
        series=market.series.copy(deep=False),
        market_close=_shallow(market.market_close),
        market_ret=_shallow(market.market_ret),
        groups=market.groups.copy(deep=False),
        labels=dict(market.labels),
    )


def _shallow(series: pd.Series | None) -> pd.Series | None:
    if series is None:
        return None
    return series.copy(deep=False)
