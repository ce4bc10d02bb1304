"""Features that are a field of the data as it is."""

from __future__ import annotations

from functools import partial

from runner.data.market import Market
from runner.errors import DataError
from runner.features.expressions import Expression
from runner.features.functions import field
from runner.features.meaning import mistakes_of_name
from runner.features.operators import DERIVED
from runner.features.tree import Name


def field_alone(feature: object, market: Market) -> str | None:
    """The field that a feature takes as it is; None of any other feature."""
    if isinstance(feature, partial) and feature.func is field:
        return _known(feature.keywords.get("name"), market)
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


def _known(name: object, market: Market) -> str | None:
    """The name where it is that of a field."""
    if isinstance(name, str) and name in market.fields:
        return name
    return None
