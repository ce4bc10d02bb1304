"""Features written as text, such as `close / lag(close, 21) - 1`, for those who do not want to
write Python.

The text is read by Python's own parser into a tree of numbers, names, operators and the functions
of `runner.features.operators`; it is never run as Python, and whatever else it holds is refused before any
data is read. Every function looks back from row t, so that no expression can look ahead, and the
look-back is known.
"""

from __future__ import annotations

import ast
import operator
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple

from runner.errors import DataError, unknown
from runner.features.operators import DERIVED, FUNCTIONS, NUMBERS, OPERATORS, Function

if TYPE_CHECKING:
    import pandas as pd

    from runner.data.market import Market

LONGEST, DEEPEST = 1000, 100  # characters of a text; levels of Python's tree of it
ALLOWED = "numbers, names of data, + - * / **, comparisons and functions such as mean(x, 20)"
INSTEAD = {
    "BoolOp": "a product of conditions, such as (a > 0) * (b > 0)",
    "BitAnd": "a product of conditions, such as (a > 0) * (b > 0)",
    "BitOr": "the greater of two conditions, maximum(a > 0, b > 0)",
    "Not": "1 - condition",
    "Compare": "one of < <= > >= == != at a time, such as (a < b) * (b < c)",
    "Name": "names without __",
    "IfExp": "where(condition, a, b)",
    "Subscript": "the past of a name, such as lag(x, 21) or mean(x, 21)",
    "Attribute": "functions, such as lag(x, 21) for x.shift(21)",
}
ARITHMETIC: dict[str, Callable[..., Any]] = {
    "Add": operator.add,
    "Sub": operator.sub,
    "Mult": operator.mul,
    "Div": operator.truediv,
    "Pow": lambda base, exponent: (
        float(base) ** float(exponent)
    ),  # 9 ** 9 ** 9 of whole numbers would not end
    "USub": operator.neg,
}


class Name(NamedTuple):
    """Data by its name."""

    name: str


class Call(NamedTuple):
    """A function or operator on its arguments, all of them, in the order of its parameters."""

    function: str
    arguments: tuple[Any, ...]  # of Node


Node = Name | Call | int | float


@dataclass(frozen=True)
class Expression:
    """A feature by its text: of a market it gives a frame (T, N) or, of shared series only, a
    series (T,).

    A name is a field of the data, a series of the data, or `ret`, `market_ret`, `market_close`: the
    returns of the assets, the return and the price of the market asset. A name that could be two of
    these is refused; but `ret` may also be a field, it is what `Market.returns` gives.
    `rows_per_year` is a number: rows a year by the calendar of the data.

    Attributes:
        text: what was written.
        lookback: rows before t that row t uses at most; `math.inf` with `ewma`, which uses every
            row up to t.
        names: the data that it needs.

    Raises:
        ValueError: one line: where in the text, what was given, what is allowed, the nearest name.
    """

    text: str
    lookback: float = field(init=False, repr=False, compare=False)
    names: frozenset[str] = field(init=False, repr=False, compare=False)
    tree: Node = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        tree = _Parser(self.text).tree()
        names = _names(tree)
        if not names:
            raise ValueError(
                f"given {_short(self.text)}, a number; allowed: an expression that names data"
            )
        for name, value in {"lookback": _lookback(tree), "names": names, "tree": tree}.items():
            object.__setattr__(self, name, value)

    def __call__(self, market: Market) -> pd.DataFrame | pd.Series:
        """The values on the rows of the market.

        Raises:
            DataError: a name that the data does not have, or a function that needs values by asset.
        """
        import numpy as np

        if mistakes := [
            line for name in sorted(_all_names(self.tree)) for line in _mistakes(market, name)
        ]:
            raise DataError(mistakes)
        with np.errstate(all="ignore"):  # log(-1) is NaN, 1 / 0 infinite: the panel counts both
            return _Run(market, self.tree).value(self.tree)


# Reading the text


class _Parser:
    """From text to tree; every refusal says where."""

    def __init__(self, text: str) -> None:
        if not isinstance(text, str) or not text.strip():
            raise ValueError(
                f"given {_short(text)}; allowed: an expression such as close / lag(close, 21) - 1"
            )
        self.text = "".join(" " if one.isspace() else one for one in text.strip())
        if len(self.text) > LONGEST:
            raise ValueError(f"given {len(self.text)} characters; allowed: at most {LONGEST}")

    def tree(self) -> Node:
        for at, one in enumerate(self.text):
            if (
                one == "#" or not one.isprintable()
            ):  # after # Python would drop the rest as a comment
                raise ValueError(f"character {at + 1}: given {one!r}; allowed: {ALLOWED}")
        body = self.body()
        if _levels(body) > DEEPEST:
            raise ValueError(
                f"given {_short(self.text)}, too deeply nested; allowed: at most {DEEPEST} levels"
            )
        return self.node(body)

    def body(self) -> ast.expr:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter(
                    "ignore"
                )  # about `1if` and the like, which are refused anyway
                return ast.parse(self.text, mode="eval").body
        except SyntaxError as error:
            at = min(error.offset or len(self.text) + 1, len(self.text) + 1)
            given = _short(self.text[at - 1 :]) if at <= len(self.text) else "the end of the text"
            raise ValueError(
                f"character {at}: given {given}, {_line(error.msg)}; allowed: {ALLOWED}"
            ) from None
        except (ValueError, RecursionError, MemoryError):
            raise ValueError(f"given {_short(self.text)}; allowed: {ALLOWED}") from None

    def node(self, node: ast.expr) -> Node:
        match node:
            case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
                return self.number(node, number)
            case ast.Name(id=name) if "__" not in name:
                return Name(name)
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self.node(operand)
            case ast.UnaryOp(op=ast.USub() as op, operand=operand):
                return self.operation(node, op, operand)
            case (
                ast.BinOp(left=left, op=op, right=right)
                | ast.Compare(left=left, ops=[op], comparators=[right])
            ):
                return self.operation(node, op, left, right)
            case ast.Call(func=ast.Name(id=name)):
                return self.call(node, name)
            case ast.Call(func=other):
                raise self.refused(other)
        raise self.refused(node)

    def number(self, node: ast.expr, value: int | float | complex) -> int | float:
        """Itself, if it is one that data can be computed with; a zero has no sign."""
        try:
            if not isinstance(value, complex) and isfinite(value):
                return value + 0
        except OverflowError:
            pass
        raise self.wrong(node, "finite numbers")

    def operation(self, node: ast.expr, op: ast.AST, *operands: ast.expr) -> Node:
        """The operator on its operands; worked out here where they are numbers."""
        name = type(op).__name__
        if name not in OPERATORS:
            raise self.refused(node)
        values = [self.node(one) for one in operands]
        if name == "Pow" and _names(values[1]):
            raise self.wrong(operands[1], "an exponent without data; exp(y * log(x)) for x ** y")
        numbers = [one for one in values if isinstance(one, int | float)]
        if len(numbers) < len(values) or name not in ARITHMETIC:
            return Call(name, tuple(float(one) if isinstance(one, int) else one for one in values))
        try:
            return self.number(node, ARITHMETIC[name](*numbers))
        except (ZeroDivisionError, OverflowError):
            raise self.wrong(node, "finite numbers") from None

    def call(self, node: ast.Call, name: str) -> Node:
        if name not in FUNCTIONS:
            raise self.error(node, f"function {unknown(name, FUNCTIONS)}")
        given = self.bound(node, name)
        return Call(name, tuple(self.argument(given, name, one) for one in FUNCTIONS[name].takes))

    def bound(self, node: ast.Call, name: str) -> dict[str, ast.expr]:
        """The arguments by the name of their parameter."""
        takes = FUNCTIONS[name].takes
        given = dict(zip(takes, node.args, strict=False))
        for keyword in node.keywords:
            word = keyword.arg or "**"
            if word not in takes:
                raise self.error(keyword.value, f"{name}: argument {unknown(word, takes)}")
            given[word] = keyword.value
        needed = {one for one, parameter in takes.items() if parameter.default is None}
        if len(given) < len(node.args) + len(node.keywords) or needed - set(given):
            raise self.wrong(node, FUNCTIONS[name].usage(name))
        return given

    def argument(self, given: Mapping[str, ast.expr], function: str, name: str) -> Node:
        """The argument for one parameter, if it may be given there."""
        parameter = FUNCTIONS[function].takes[name]
        if name not in given:
            return parameter.default or 0
        value = self.node(given[name])
        if not (parameter.least is None if _names(value) else parameter.fits(value)):
            usage = FUNCTIONS[function].usage(function)
            raise self.wrong(given[name], f"for {name} of {usage}: {parameter.words}")
        return float(value) if parameter.least is None and isinstance(value, int) else value

    # What is refused

    def refused(self, node: ast.expr) -> ValueError:
        kinds = [type(node).__name__, type(getattr(node, "op", None)).__name__]
        return self.wrong(node, next((INSTEAD[kind] for kind in kinds if kind in INSTEAD), ALLOWED))

    def wrong(self, node: ast.expr, allowed: str) -> ValueError:
        given = self.text.encode()[node.col_offset : node.end_col_offset].decode()
        return self.error(node, f"given {_short(given)}; allowed: {allowed}")

    def error(self, node: ast.expr, reason: str) -> ValueError:
        return ValueError(
            f"character {len(self.text.encode()[: node.col_offset].decode()) + 1}: {reason}"
        )


def _line(text: str) -> str:
    return " ".join(text.split())


def _short(text: object) -> str:
    return repr(text) if len(repr(text)) <= 42 else repr(str(text)[:38] + " ...")


def _levels(tree: ast.AST) -> int:
    level, count = [tree], 0
    while level:
        level, count = [child for node in level for child in ast.iter_child_nodes(node)], count + 1
    return count


# What a tree says by itself


def _parts(node: Node) -> Iterator[Node]:
    """The node and all below it."""
    yield node
    for argument in node.arguments if isinstance(node, Call) else ():
        yield from _parts(argument)


def _all_names(tree: Node) -> frozenset[str]:
    return frozenset(node.name for node in _parts(tree) if isinstance(node, Name))


def _names(tree: Node) -> frozenset[str]:
    """The names of data, without those of numbers."""
    return _all_names(tree) - frozenset(NUMBERS)


def _lookback(node: Node) -> float:
    """Rows before t: those of the function and those of the furthest argument, one after the
    other.
    """
    if isinstance(node, Name):
        return DERIVED[node.name].reach if node.name in DERIVED else 0
    if not isinstance(node, Call):
        return 0
    function = _function(node)
    own = function.reach(dict(zip(function.takes, node.arguments, strict=True)))
    return own + max(_lookback(argument) for argument in node.arguments)


def _function(call: Call) -> Function:
    return FUNCTIONS.get(call.function) or OPERATORS[call.function]


# Evaluating it


class _Run:
    """One evaluation: what occurs more than once in the tree is computed once and kept until the
    end.
    """

    def __init__(self, market: Market, tree: Node) -> None:
        self.market = market
        self.again = {node for node, times in Counter(_parts(tree)).items() if times > 1}
        self.kept: dict[Node, Any] = {}

    def value(self, node: Node) -> Any:
        if isinstance(node, int | float):
            return node
        if node in self.kept:
            return self.kept[node]
        if isinstance(node, Name):
            value = _read(self.market, node.name)
        else:
            value = _function(node).run(*[self.value(argument) for argument in node.arguments])
        if node in self.again:
            self.kept[node] = value
        return value


def _mistakes(market: Market, name: str) -> Iterator[str]:
    """Why the name does not say which data it means."""
    kinds = {
        "a field": market.fields,
        "a series": market.series,
        "what is computed": [*DERIVED, *NUMBERS],
    }
    found = [kind for kind, names in kinds.items() if name in names]
    if not found:
        hint = (
            f"; {name} is a function: write {FUNCTIONS[name].usage(name)}"
            if name in FUNCTIONS
            else ""
        )
        yield f"{unknown(name, [*market.fields, *market.series, *DERIVED, *NUMBERS])}{hint}"
    if len(found) > 1 and (name, found) != ("ret", ["a field", "what is computed"]):
        yield f"{name!r} names {' and '.join(found)}; allowed: a name for one thing"


def _read(market: Market, name: str) -> Any:
    if name in NUMBERS:
        return NUMBERS[name](market)
    if name in DERIVED:
        return _numbers(market, name, DERIVED[name].read(market))
    return _numbers(
        market, name, market.get(name) if name in market.fields else market.shared(name)
    )


def _numbers(market: Market, name: str, values: Any) -> Any:
    """The values as numbers on the rows and assets of the market, which functions of arrays rely
    on.
    """
    columns = next(iter(market.fields.values())).columns if values.ndim == 2 else None
    if not values.index.equals(market.dates) or (
        columns is not None and not values.columns.equals(columns)
    ):
        raise DataError(f"{name!r} lies on other rows or assets than the rest of the data")
    try:
        return values.astype(float)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name!r}: not numbers: {_line(str(error))}") from error
