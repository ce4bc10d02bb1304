"""Functions of the market on their own copy of it, session by session."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pandas as pd

from runner.data.market import Market
from runner.targets import Target


def on_own_copy(function: Callable[[Market], Any], market: Market) -> Any:
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
        fields={name: frame.copy(deep=False) for name, frame in market.fields.items()},
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
