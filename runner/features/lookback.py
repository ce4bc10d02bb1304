"""How many rows before t a feature uses: what a block of dates has to know of the dates before it.

Our own features and expressions know theirs. A function of a user's own says it:

    @looks_back(lambda window: window)
    def my_signal(market, *, window): ...
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from math import isfinite
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from runner.data.calendar import period_ends
from runner.features.expressions import Expression
from runner.features.functions import (
    beta,
    change,
    field,
    lagged_return,
    market_return,
    momentum,
    realised_volatility,
    shared,
    volatility,
    volume_surprise,
)
from runner.features.tree import lookback_of
from runner.schema.settings import Frequency

Function = TypeVar("Function", bound=Callable[..., Any])
Rows = Callable[..., int]  # of the settings of a feature

DECLARED = "lookback"  # attribute of a function that says its own


def looks_back(rows: int | Rows) -> Callable[[Function], Function]:
    """Declare how many rows before t a feature uses: a number, or a function of its settings.

    Row t then has to be the same whatever data before those rows is; a run in blocks of dates
    checks that on some of them.
    """

    def declare(function: Function) -> Function:
        setattr(function, DECLARED, rows)
        return function

    return declare


def _one_return(**settings: Any) -> int:
    """A return needs the price of the row before it."""
    return 1


def _window(window: int, **settings: Any) -> int:
    """So many returns, the first of which needs the price before it."""
    return window


OWN: Mapping[object, Callable[..., int]] = {
    field: lambda name: 0,
    shared: lambda series, **settings: 0,
    market_return: _one_return,
    change: _one_return,
    lagged_return: lambda lag: lag + 1,
    momentum: _window,
    volume_surprise: _window,
    volatility: _window,
    realised_volatility: _window,
    beta: _window,
}


def rows_before(feature: object, dates: pd.DatetimeIndex) -> int | None:
    """Rows before t that a feature uses; None where it says nothing, or uses all of them.

    Args:
        dates: all rows of the data, by which the longest week or month has so many of them.
    """
    if isinstance(feature, Expression):
        reach = lookback_of(feature.tree)
        return int(reach) if isfinite(reach) else None
    function = feature
    settings: Mapping[str, Any] = {}
    if isinstance(feature, partial):
        function = feature.func
        settings = feature.keywords
    if function in OWN:
        frequency = settings.get("frequency")
        of_a_period = 0 if frequency is None else _longest(dates, frequency)
        return OWN[function](**settings) + of_a_period
    declared = getattr(function, DECLARED, None)
    if callable(declared):
        return int(declared(**settings))
    return declared


def _longest(dates: pd.DatetimeIndex, frequency: Frequency) -> int:
    """Rows of the longest week or month."""
    return int(np.diff(period_ends(dates, frequency), prepend=-1).max(initial=0))
