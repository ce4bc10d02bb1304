"""Features written as text, such as `close / lag(close, 21) - 1`, without any Python.

The text is read by Python's own parser into a tree of numbers, names, operators and the functions
of `runner.features.operators`; it is never run as Python, and whatever else it holds is refused
before any data is read. Every function looks back from row t, so that no expression can look ahead,
and the look-back is known.
"""

from __future__ import annotations

import ast
import operator
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from math import isfinite
from typing import TYPE_CHECKING, Any

from runner.errors import DataError, unknown
from runner.features.meaning import mistakes_of_label, mistakes_of_name, read
from runner.features.operators import FUNCTIONS, OPERATORS
from runner.features.tree import (
    Call,
    Label,
    Name,
    Node,
    all_names,
    function_of,
    labels_of,
    lookback_of,
    names_of,
    parts,
)

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from runner.data.labels import Labels
    from runner.data.market import Market

LONGEST = 1000  # characters of a text
DEEPEST = 100  # levels of Python's syntax tree of a text
QUOTED = 42  # characters of a text that is quoted whole
QUOTED_START = 38  # characters of a longer text that are quoted
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


def _power(base: float, exponent: float) -> Any:
    """The power in floating point: 9 ** 9 ** 9 of whole numbers would not end."""
    return float(base) ** float(exponent)


ARITHMETIC: dict[str, Callable[..., Any]] = {
    "Add": operator.add,
    "Sub": operator.sub,
    "Mult": operator.mul,
    "Div": operator.truediv,
    "Pow": _power,
    "USub": operator.neg,
}


@dataclass(frozen=True)
class Expression:
    """A feature by its text: of a market it gives a frame (T, N), or a series (T,).

    It is a series where it is made of series that all assets share. A name is a field of the data,
    a series of the data, or `ret`, `market_ret`, `market_close`: the returns of the assets, the
    return and the price of the market asset. A name that could be two of these is refused; but
    `ret` may also be a field, it is what `Market.returns` gives. `rows_per_year` is a number: rows
    a year by the calendar of the data. The functions of the assets of a date take a label of the
    data too, such as rank(x, sector): row t groups by the labels of row t.

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
        parser = _Parser(self.text)
        tree = parser.tree()
        names = names_of(tree)
        if not names:
            given = _short(self.text)
            raise ValueError(f"given {given}, a number; allowed: an expression that names data")
        # a frozen dataclass sets its own attributes in this way
        reach = lookback_of(tree)
        object.__setattr__(self, "lookback", reach)
        object.__setattr__(self, "names", names)
        object.__setattr__(self, "tree", tree)

    def __call__(self, market: Market) -> pd.DataFrame | pd.Series:
        """The values on the rows of the market.

        Raises:
            DataError: a name that the data does not have, or a function that needs values by asset.
        """
        import numpy as np

        tree = self.checked(market)
        # log(-1) is NaN, 1 / 0 infinite: the panel counts both
        with np.errstate(all="ignore"):
            evaluation = _Evaluation(tree, partial(read, market), market.grouping.get)
            return evaluation.value(tree)

    def of_listed_cells(self, market: Market, fields: Mapping[str, pd.Series]) -> np.ndarray:
        """The values (n,) on n cells of the market, from those of its fields there.

        For an expression that takes each cell by itself: `runner.features.alone.of_each_cell`.
        """
        import numpy as np

        tree = self.on(market)
        with np.errstate(all="ignore"):
            evaluation = _Evaluation(tree, fields.__getitem__, market.grouping.get)
            return np.asarray(evaluation.value(tree))

    def checked(self, market: Market) -> Node:
        """Its tree on these data, which have all that it names.

        Raises:
            DataError: they have not, or a name may mean several things.
        """
        tree = self.on(market)
        mistakes: list[str] = []
        for name in sorted(all_names(tree)):
            mistakes += mistakes_of_name(market, name)
        for name in sorted(labels_of(tree)):
            mistakes += mistakes_of_label(market, name)
        if mistakes:
            raise DataError(mistakes)
        return tree

    def on(self, market: Market) -> Node:
        """Its tree on these data: the whole text is a name where they have a column called so.

        Raises:
            DataError: the text is the name of a column, such as B/M, and one of others, B and M.
        """
        text = self.text.strip()
        is_a_name = text in market.fields or text in market.series
        if not is_a_name or text.isidentifier():
            return self.tree
        if any(chain.from_iterable(mistakes_of_name(market, name) for name in self.names)):
            return Name(text)
        raise DataError(
            f"{text!r} is a column of the data, and computed of others; allowed: one of them, with "
            f"spaces around its signs what is computed, with data.columns.NAME={text!r} the column"
        )


# Reading the text


class _Parser:
    """From text to tree; every refusal says where."""

    def __init__(self, text: str) -> None:
        if not isinstance(text, str) or not text.strip():
            allowed = "an expression such as close / lag(close, 21) - 1"
            raise ValueError(f"given {_short(text)}; allowed: {allowed}")
        # line breaks and tabs count as spaces
        self.text = "".join(" " if char.isspace() else char for char in text.strip())
        if len(self.text) > LONGEST:
            raise ValueError(f"given {len(self.text)} characters; allowed: at most {LONGEST}")

    def tree(self) -> Node:
        """The tree of the text."""
        for position, char in enumerate(self.text, 1):
            # after # Python would drop the rest as a comment
            if char == "#" or not char.isprintable():
                raise ValueError(f"character {position}: given {char!r}; allowed: {ALLOWED}")
        body = self.body()
        if _levels(body) > DEEPEST:
            given = _short(self.text)
            allowed = f"at most {DEEPEST} levels"
            raise ValueError(f"given {given}, too deeply nested; allowed: {allowed}")
        return self.node(body)

    def body(self) -> ast.expr:
        """Python's syntax tree of the text."""
        try:
            with warnings.catch_warnings():
                # about `1if` and the like, which are refused anyway
                warnings.simplefilter("ignore")
                return ast.parse(self.text, mode="eval").body
        except SyntaxError as error:
            message = self.not_python(error)
            raise ValueError(message) from None
        except (ValueError, RecursionError, MemoryError):
            raise ValueError(f"given {_short(self.text)}; allowed: {ALLOWED}") from None

    def not_python(self, error: SyntaxError) -> str:
        """Where the text is no expression of Python, and what stands there."""
        characters = len(self.text)
        end = characters + 1
        at = min(error.offset or end, end)
        given = "the end of the text"
        if at < end:
            given = _short(self.text[at - 1 :])
        return f"character {at}: given {given}, {_line(error.msg)}; allowed: {ALLOWED}"

    def node(self, node: ast.expr) -> Node:
        """The tree of a part of Python's."""
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
        values = [self.node(operand) for operand in operands]
        if name == "Pow" and names_of(values[1]):
            raise self.wrong(operands[1], "an exponent without data; exp(y * log(x)) for x ** y")
        numbers = [value for value in values if isinstance(value, int | float)]
        if len(numbers) < len(values) or name not in ARITHMETIC:
            return Call(name, tuple(_as_float(value) for value in values))
        try:
            operate = ARITHMETIC[name]
            return self.number(node, operate(*numbers))
        except (ZeroDivisionError, OverflowError):
            raise self.wrong(node, "finite numbers") from None

    def call(self, node: ast.Call, name: str) -> Node:
        """The function on its arguments."""
        if name not in FUNCTIONS:
            stranger = unknown(name, FUNCTIONS)
            mistake = f"function {stranger}"
            raise self.error(node, mistake)
        given = self.bound(node, name)
        arguments = [self.argument(given, name, parameter) for parameter in FUNCTIONS[name].takes]
        return Call(name, tuple(arguments))

    def bound(self, node: ast.Call, name: str) -> dict[str, ast.expr]:
        """The arguments by the name of their parameter."""
        takes = FUNCTIONS[name].takes
        given = dict(zip(takes, node.args, strict=False))
        for keyword in node.keywords:
            word = keyword.arg or "**"
            if word not in takes:
                raise self.error(keyword.value, f"{name}: argument {unknown(word, takes)}")
            given[word] = keyword.value
        needed = {
            word
            for word, parameter in takes.items()
            if parameter.default is None and not parameter.label
        }
        positional = len(node.args)
        by_keyword = len(node.keywords)
        written = positional + by_keyword
        too_many_or_twice = len(given) < written
        if too_many_or_twice or needed - set(given):
            function = FUNCTIONS[name]
            raise self.wrong(node, function.usage(name))
        return given

    def argument(self, given: Mapping[str, ast.expr], function: str, name: str) -> Node:
        """The argument for one parameter, if it may be given there."""
        parameter = FUNCTIONS[function].takes[name]
        if parameter.label:
            return self.label(given.get(name), FUNCTIONS[function].usage(function), parameter.words)
        if name not in given:
            return parameter.default or 0
        value = self.node(given[name])
        takes_data = parameter.least is None
        fits = takes_data if names_of(value) else parameter.fits(value)
        if not fits:
            usage = FUNCTIONS[function].usage(function)
            allowed = f"for {name} of {usage}: {parameter.words}"
            raise self.wrong(given[name], allowed)
        if takes_data:
            return _as_float(value)
        return value

    def label(self, node: ast.expr | None, usage: str, words: str) -> Label:
        """The label that a node names; none without a node."""
        if node is None:
            return Label("")
        if isinstance(node, ast.Name) and "__" not in node.id:
            return Label(node.id)
        raise self.wrong(node, f"for group of {usage}: {words}")

    # What is refused

    def refused(self, node: ast.expr) -> ValueError:
        """The mistake of a kind of node, with what to write instead."""
        operator_of_node = getattr(node, "op", None)
        for part in (node, operator_of_node):
            kind = type(part).__name__
            if kind in INSTEAD:
                return self.wrong(node, INSTEAD[kind])
        return self.wrong(node, ALLOWED)

    def wrong(self, node: ast.expr, allowed: str) -> ValueError:
        """The mistake of a node, which is quoted."""
        # positions of Python's tree count bytes
        text = self.text.encode()
        given = text[node.col_offset : node.end_col_offset].decode()
        return self.error(node, f"given {_short(given)}; allowed: {allowed}")

    def error(self, node: ast.expr, reason: str) -> ValueError:
        """A mistake at the place of a node, characters counted from 1."""
        before = self.text.encode()[: node.col_offset].decode()
        return ValueError(f"character {len(before) + 1}: {reason}")


def _as_float(value: Node) -> Node:
    """Whole numbers as floating point ones: the arithmetic of data."""
    if isinstance(value, int):
        return float(value)
    return value


def _line(text: str) -> str:
    """The text on one line."""
    return " ".join(text.split())


def _short(text: object) -> str:
    """The text quoted, cut where it is long."""
    quoted = repr(text)
    if len(quoted) <= QUOTED:
        return quoted
    return repr(str(text)[:QUOTED_START] + " ...")


def _levels(tree: ast.AST) -> int:
    """How deep a syntax tree is."""
    level = [tree]
    count = 0
    while level:
        children = [ast.iter_child_nodes(node) for node in level]
        grandchildren = chain.from_iterable(children)
        level = list(grandchildren)
        count += 1
    return count


# Evaluating it


class _Evaluation:
    """One evaluation: what the tree holds more than once is computed once, and kept to its end."""

    def __init__(
        self, tree: Node, read: Callable[[str], Any], labels: Callable[[str], Labels]
    ) -> None:
        """Nothing is read yet.

        Args:
            read: gives the data of a name.
            labels: gives the labels of a name.
        """
        times = Counter(parts(tree))
        self.read = read
        self.labels = labels
        self.repeated = {node for node in times if times[node] > 1}
        self.kept: dict[Node, Any] = {}

    def value(self, node: Node) -> Any:
        """The value of a node: data as they were read or made of such, or a number."""
        if isinstance(node, int | float):
            return node
        if isinstance(node, Label):
            return self.labels(node.name) if node.name else None
        if node in self.kept:
            return self.kept[node]
        if isinstance(node, Name):
            value = self.read(node.name)
        else:
            arguments = [self.value(argument) for argument in node.arguments]
            value = function_of(node).run(*arguments)
        if node in self.repeated:
            self.kept[node] = value
        return value
