"""The rows that each forecast of a model that refits at every row may use: a window of those just
before it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from runner.errors import DataError
from runner.progress import tracked

if TYPE_CHECKING:
    from runner.panels.panel import Panel
    from runner.validation.splitters import Fold

Forecast = Callable[
    [np.ndarray, int], np.ndarray
]  # of the rows of a window and the row t after it, (N,)


def window_before(panel: Panel, t: int, length: int) -> np.ndarray | None:
    """The last `length` rows before row t whose target is known at t, None where there are fewer in
    its session.

    They are those up to row t - horizon, whatever a fold purges before its first test row.
    """
    last = t - max(panel.horizon, 1)
    first = last - length + 1
    if first < 0 or (panel.sessions is not None and panel.sessions[first] != panel.sessions[t]):
        return None
    return np.arange(first, last + 1)


def last_window(panel: Panel, rows: np.ndarray, length: int) -> np.ndarray:
    """The last `length` of these rows with a valid cell, fewer where there are fewer in their
    session.

    Raises:
        DataError: there is none.
    """
    known = rows[panel.valid[rows].any(axis=1)]
    if not len(known):
        raise DataError("model: no cell of these rows has a target and every feature")
    if panel.sessions is not None:
        known = known[panel.sessions[known] == panel.sessions[known[-1]]]
    return known[-length:]


def walk(panel: Panel, fold: Fold, length: int, forecast: Forecast, what: str) -> np.ndarray:
    """Forecasts (len(test), N) of the test rows, each by its own window; NaN where that is not
    full.

    Raises:
        DataError: the fold trains on rows after those it tests, or no test row has a full window.
    """
    if len(fold.train) and fold.train[-1] > fold.test[0]:
        raise DataError(
            "trains on rows after its test rows; a model that refits at every row uses those before only"
        )
    found = np.full((len(fold.test), len(panel.assets)), np.nan)
    windows = [(at, t, window_before(panel, t, length)) for at, t in enumerate(fold.test.tolist())]
    full = [one for one in windows if one[2] is not None]
    if not full:
        within = "" if panel.sessions is None else " in its session"
        raise DataError(f"no test row has model.window={length} rows before it{within}")
    for at, t, rows in tracked(full, what):
        if rows is not None:
            found[at] = forecast(rows, t)
    return found
