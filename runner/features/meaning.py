"""What a name of an expression means: a field, a series, a label or what is computed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from runner.errors import DataError, unknown
from runner.features.operators import DERIVED, FUNCTIONS, NUMBERS
from runner.text import one_line

if TYPE_CHECKING:
    from runner.data.market import Market


def mistakes_of_name(market: Market, name: str) -> Iterator[str]:
    """Why the name does not say which numbers it means."""
    kinds = {
        "a field": market.fields,
        "a series": market.series,
        "what is computed": [*DERIVED, *NUMBERS],
    }
    meanings = [kind for kind, names in kinds.items() if name in names]
    if not meanings:
        yield _no_numbers(market, name)
    elif name in market.unread and meanings == ["what is computed"]:
        yield (
            f"{name!r} names a column of the data that is not read and what is computed; "
            f"data.columns.{name}={name} reads it, data.columns.{name}=null takes what is computed"
        )
    # the field ret is what is computed by that name
    same = name == "ret" and meanings == ["a field", "what is computed"]
    if len(meanings) > 1 and not same:
        yield f"{name!r} names {' and '.join(meanings)}; allowed: a name for one thing"


def _no_numbers(market: Market, name: str) -> str:
    """The line on a name that is neither a field, nor a series, nor computed."""
    if name in market.unread:
        column = f"{name} is a column of the data that is not read"
        return f"{column}; data.columns.{name}={name} reads it"
    if name in market.grouping:
        label = f"{name} is a label of the data"
        return f"{label}; allowed: numbers, or the label as a group, such as rank(x, {name})"
    known = [*market.fields, *market.series, *DERIVED, *NUMBERS, *market.unread]
    line = unknown(name, dict.fromkeys(known))
    if name in FUNCTIONS:
        line += f"; {name} is a function: write {FUNCTIONS[name].usage(name)}"
    return line


def mistakes_of_label(market: Market, name: str) -> Iterator[str]:
    """Why the name is no label of the data."""
    known = market.grouping
    if name in known:
        return
    if name in market.unread:
        reads = f"data.groups.{name}={name} reads the column"
        yield f"label {unknown(name, known.names, reads)}"
    else:
        yield f"label {unknown(name, [*known.names, *market.unread])}"


def read(market: Market, name: str) -> Any:
    """The data of this name: a frame (T, N), a series (T,) or a number."""
    if name in NUMBERS:
        return NUMBERS[name](market)
    if name in DERIVED:
        values = DERIVED[name].read(market)
    elif name in market.fields:
        values = market.get(name)
    else:
        values = market.shared(name)
    return _numbers(market, name, values)


def _numbers(market: Market, name: str, values: Any) -> Any:
    """The values as numbers, on the rows and assets of the market.

    Functions of arrays rely on these.

    Raises:
        DataError: other rows or assets, or values that are not numbers.
    """
    placed = values.index.equals(market.dates)
    if values.ndim == 2:
        placed = placed and values.columns.equals(market.fields.assets)
    if not placed:
        raise DataError(f"{name!r} lies on other rows or assets than the rest of the data")
    try:
        return values.astype(float)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name!r}: not numbers: {one_line(error)}") from error
