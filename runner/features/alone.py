"""Features that are a field of the data as it is, and those that take each asset by itself."""

from __future__ import annotations

from functools import partial

from runner.data.market import Market
from runner.errors import DataError
from runner.features.expressions import Expression
from runner.features.functions import (
    beta,
    field,
    lagged_return,
    market_return,
    momentum,
    realised_volatility,
    shared,
    volatility,
    volume_surprise,
)
from runner.features.meaning import mistakes_of_name
from runner.features.operators import DERIVED
from runner.features.tree import Call, Name, function_of, parts

OF_EACH_ASSET: tuple[object, ...] = (
    momentum,
    lagged_return,
    volume_surprise,
    volatility,
    realised_volatility,
    beta,
    shared,
    market_return,
)


def field_alone(feature: object, market: Market) -> str | None:
    """The field that a feature takes as it is; None of any other feature."""
    if isinstance(feature, partial) and feature.func is field:
        name = feature.keywords.get("name")
        return _known(name, market)
    if not isinstance(feature, Expression):
        return None
    try:
        tree = feature.on(market)
    except DataError:
        return None  # what is wrong is said when it is evaluated
    if not isinstance(tree, Name) or tree.name in DERIVED:
        return None
    if any(mistakes_of_name(market, tree.name)):
        return None
    return _known(tree.name, market)


def of_each_asset(feature: object) -> bool:
    """Whether a feature computes every asset by itself, with the series that all share at most.

    That is known of our own and of expressions, not of a function of a user's own.
    """
    if isinstance(feature, Expression):
        calls = [node for node in parts(feature.tree) if isinstance(node, Call)]
        return not any(function_of(call).across for call in calls)
    return function_behind(feature) in OF_EACH_ASSET


def function_behind(column: object) -> object:
    """The function of a feature or a target, whose settings may be given already."""
    return column.func if isinstance(column, partial) else column


def _known(name: object, market: Market) -> str | None:
    """The name where it is that of a field."""
    if isinstance(name, str) and name in market.fields:
        return name
    return None
