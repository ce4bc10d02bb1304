"""The rows that a forecast of a model that refits at every row may use: a window just before it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from runner.errors import DataError
from runner.progress import tracked

if TYPE_CHECKING:
    from runner.panels.panel import Panel
    from runner.validation.splitters import Fold

# Forecasts (N,) from the rows of a window and the row t after it.
Forecast = Callable[[np.ndarray, int], np.ndarray]


def window_before(panel: Panel, t: int, length: int) -> np.ndarray | None:
    """The last `length` rows whose target is known at t; None of fewer in its session.

    They are those up to row t - horizon, whatever a fold purges before its first test row.
    """
    rows_ahead = max(panel.horizon, 1)
    last = t - rows_ahead
    first = last - length + 1
    if first < 0:
        return None
    if panel.sessions is not None and panel.sessions[first] != panel.sessions[t]:
        return None
    return np.arange(first, last + 1)


def last_window(panel: Panel, rows: np.ndarray, length: int) -> np.ndarray:
    """The last `length` of these rows with a valid cell; fewer of a shorter session.

    Raises:
        DataError: there is none.
    """
    has_cell = panel.valid[rows].any(axis=1)
    known = rows[has_cell]
    if not len(known):
        raise DataError("model: no observation of these rows has a target and every feature")
    if panel.sessions is not None:
        session = panel.sessions[known]
        own_session = session == session[-1]
        known = known[own_session]
    return known[-length:]


def walk(panel: Panel, fold: Fold, length: int, forecast: Forecast, what: str) -> np.ndarray:
    """Forecasts (len(test), N) of the test rows, each by its own window; NaN where it is not full.

    Args:
        panel, fold: the rows.
        length: rows of a window.
        forecast: gives the forecasts of one row.
        what: is counted, for the person who waits.

    Raises:
        DataError: the fold trains on rows after those it tests, or no test row has a full window.
    """
    if len(fold.train) and fold.train[-1] > fold.test[0]:
        raise DataError(
            "trains on rows after its test rows; "
            "a model that refits at every row uses those before only"
        )
    full = []
    for place, t in enumerate(fold.test.tolist()):
        rows = window_before(panel, t, length)
        if rows is not None:
            full.append((place, t, rows))
    if not full:
        within = "" if panel.sessions is None else " in its session"
        raise DataError(f"no test row has model.window={length} rows before it{within}")
    forecasts = np.full((len(fold.test), len(panel.assets)), np.nan)
    for place, t, rows in tracked(full, what):
        forecasts[place] = forecast(rows, t)
    return forecasts
