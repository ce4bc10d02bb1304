"""Features of single rows of the data beside targets of weeks or months."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from runner.data.factor_names import canonical, is_return
from runner.data.market import Market
from runner.errors import listed
from runner.features.expressions import Expression
from runner.features.functions import row_by_row
from runner.features.tree import Name

MARKET = "market_ret"  # the return of the market asset


def of_last_rows(
    features: Mapping[str, Any],
    market: Market,
    dates: pd.DatetimeIndex,
    horizon: int,
    mistakes: list[str],
) -> list[str]:
    """The sentence on series that have the value of the last row of a week or month, if any.

    A return of that row alone explains no return of the week or month: with horizon 0 it is a
    mistake, and added to them. A forecast may use whatever is known.

    Args:
        features: by name; those that take a series as it is are judged.
        dates: rows of the panel; as many as the data have where the target has no frequency.
    """
    if len(dates) == len(market.dates):
        return []
    of_last_row = []
    for name, feature in features.items():
        series = _series_of(feature, market)
        if series is None:
            continue
        if horizon == 0 and _is_return(series, market):
            remedy = f"++features.{name}.frequency=month"
            if isinstance(feature, Expression):
                remedy = _as_function(name, series)
            mistakes.append(
                f"features.{name}: {series} is the return of one row of the data, the target that "
                f"of a week or month; {remedy} (or week) compounds it as the target is"
            )
        else:
            of_last_row.append(name)
    if not of_last_row:
        return []
    return [
        f"{listed(of_last_row)}: the value of a week or month is that of its last row; a return is "
        "compounded with features.NAME.frequency."
    ]


def _series_of(feature: Any, market: Market) -> str | None:
    """The series that a feature is, whether a function names it or an expression."""
    if not isinstance(feature, Expression):
        return row_by_row(feature)
    tree = feature.on(market)
    if not isinstance(tree, Name):
        return None
    known = {*market.series, MARKET}
    if tree.name in known or is_return(canonical(tree.name)):
        return tree.name
    return None


def _is_return(series: str, market: Market) -> bool:
    """Whether a series is a return of each row, as the spec or the name of a factor says."""
    kind = market.kinds.get(series)
    if kind is not None:
        return kind == "return"
    return series == MARKET or is_return(canonical(series))


def _as_function(name: str, series: str) -> str:
    """The override that takes the return of the month, instead of an expression."""
    function = f"_target_: runner.features.shared, series: {series}"
    if series == MARKET:
        function = "_target_: runner.features.market_return"
    return f"features.{name}='{{{function}, frequency: month}}'"
