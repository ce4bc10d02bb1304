"""Features that are a field as it is, that take each cell or each asset by itself."""

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
from runner.features.operators import DERIVED
from runner.features.tree import Call, Name, Node, all_names, function_of, parts

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
    tree = _tree(feature, market)
    if not isinstance(tree, Name) or tree.name in DERIVED:
        return None
    return _known(tree.name, market)


def of_each_cell(feature: object, market: Market) -> Expression | None:
    """The expression, where it takes each cell of fields of the data by itself, such as log(me).

    None of any other feature, and where a name does not say which numbers it means.
    """
    if not isinstance(feature, Expression):
        return None
    tree = _tree(feature, market)
    if tree is None:
        return None
    calls = [node for node in parts(tree) if isinstance(node, Call)]
    of_cells = all(function_of(call).of_each_cell for call in calls)
    are_fields = all_names(tree) <= market.fields.keys() - DERIVED.keys()
    return feature if of_cells and are_fields else None


def _tree(expression: Expression, market: Market) -> Node | None:
    """Its tree on these data; None where it is wrong, which is said when it is evaluated."""
    try:
        return expression.checked(market)
    except DataError:
        return None


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
