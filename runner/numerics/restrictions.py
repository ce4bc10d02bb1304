"""Linear hypotheses written in the spec, such as `market_ret = 1` or `SMB = 0, HML = 0`."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from runner.errors import unknown
from runner.text import count

Linear = dict[str, float]  # term -> factor; the constant part under ""


class Restriction(NamedTuple):
    """R b = q: R (m, k) and q (m,), m equations on the k terms."""

    text: str
    terms: Sequence[str]
    R: np.ndarray
    q: np.ndarray

    def on(self, terms: Sequence[str]) -> Restriction | str:
        """The restriction on a regression with these terms, or why it does not have one."""
        absent = [
            term for j, term in enumerate(self.terms) if self.R[:, j].any() and term not in terms
        ]
        if absent:
            return f"{', '.join(absent)} not among the terms of the regression"
        return self._replace(
            terms=terms, R=self.R[:, [list(self.terms).index(term) for term in terms]]
        )


class Hypothesis(NamedTuple):
    """Equations on the terms, and the horizon of the target that they are stated for; None for
    any.
    """

    equations: str
    horizon: int | None

    def unsuited(self, horizon: int) -> str:
        """Why it is not tested with a target that looks so many rows ahead; empty where it is."""
        if self.horizon is None or self.horizon == horizon:
            return ""
        return f"it is stated for horizon {self.horizon}, and the target looks {count(horizon, 'row')} ahead"


def hypothesis(text: str) -> Hypothesis:
    """What the text states: equations, and after them perhaps `if horizon = 0`.

    A loading such as `market_ret = 1` is of the row of the return: beside a forward target it says
    nothing.

    Raises:
        ValueError: another condition.
    """
    equations, condition, stated = text.partition(" if ")
    if not condition:
        return Hypothesis(text, None)
    horizon = re.fullmatch(r"\s*horizon\s*=\s*(\d+)\s*", stated)
    if horizon is None:
        raise ValueError(
            f"{text!r}: allowed after the equations: a condition such as 'if horizon = 0'"
        )
    return Hypothesis(equations.strip(), int(horizon[1]))


def all_slopes(terms: Sequence[str]) -> Restriction:
    """Every term but the constant is zero."""
    rows = np.eye(len(terms))[[term != "const" for term in terms]]
    return Restriction("all slopes = 0", terms, rows, np.zeros(len(rows)))


def restriction(text: str, terms: Sequence[str]) -> Restriction:
    """Equations separated by commas, each linear in the terms on both sides.

    Raises:
        ValueError: not an equation, not linear, an unknown term, equations that repeat or
            contradict.
    """
    rows = [_equation(part, terms) for part in text.split(",")]
    R = np.array([[row.get(term, 0.0) for term in terms] for row in rows])
    q = np.array([0.0 - row.get("", 0.0) for row in rows])
    if not (np.isfinite(R).all() and np.isfinite(q).all()):
        raise ValueError(f"{text!r}: allowed: finite numbers")
    size = np.abs(R).max(axis=1, keepdims=True)
    if not size.all() or np.linalg.matrix_rank(R / size) < len(rows):
        raise ValueError(f"{text!r}: an equation is empty or follows from the others")
    return Restriction(text, terms, R, q)


def names_in(text: str) -> list[str]:
    """The terms that the equations name; none of what is no equation, which `restriction`
    refuses.
    """
    sides = text.replace("=", ",").split(",")
    try:
        trees = [ast.parse(side.strip(), mode="eval") for side in sides]
    except (SyntaxError, RecursionError, MemoryError):
        return []
    return [node.id for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Name)]


def _equation(text: str, terms: Sequence[str]) -> Linear:
    sides = text.split("=")
    if len(sides) != 2:
        raise ValueError(
            f"{text.strip()!r}: allowed: an equation such as 'SMB = 0' or 'SMB - 2*HML = 1'"
        )
    left, right = (_parse(side, terms) for side in sides)
    return _sum(left, right, -1.0)


def _parse(text: str, terms: Sequence[str]) -> Linear:
    refused = f"{text.strip()!r}: allowed: sums of terms and numbers such as 'SMB + 2*HML'"
    if "#" in text:  # Python would drop the rest as a comment
        raise ValueError(refused)
    try:
        return _linear(ast.parse(text.strip(), mode="eval").body, terms)
    except (SyntaxError, RecursionError, MemoryError, OverflowError):
        raise ValueError(refused) from None


def _linear(node: ast.expr, terms: Sequence[str]) -> Linear:
    """The linear form of an expression of +, -, *, /, numbers and terms; anything else is
    refused.
    """
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return {"": float(number)}
        case ast.Name(id=name):
            if name not in terms:
                raise ValueError(f"term {unknown(name, terms)}")
            return {name: 1.0}
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return _sum({}, _linear(operand, terms), -1.0)
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() as op, right=right):
            sign = 1.0 if isinstance(op, ast.Add) else -1.0
            return _sum(_linear(left, terms), _linear(right, terms), sign)
        case ast.BinOp(left=left, op=ast.Mult() | ast.Div() as op, right=right):
            return _product(_linear(left, terms), _linear(right, terms), isinstance(op, ast.Div))
    raise ValueError(
        f"{ast.unparse(node)!r}: allowed: sums of terms and numbers such as 'SMB + 2*HML'"
    )


def _sum(left: Linear, right: Linear, sign: float) -> Linear:
    names = {*left, *right}
    return {name: left.get(name, 0.0) + sign * right.get(name, 0.0) for name in names}


def _product(left: Linear, right: Linear, divide: bool) -> Linear:
    if set(left) <= {""} and not divide:
        left, right = right, left
    factor = right.get("", 0.0)
    if not set(right) <= {""} or (divide and factor == 0.0):
        raise ValueError(
            "a product or quotient of terms is not linear; allowed: a number times a term"
        )
    return {name: value / factor if divide else value * factor for name, value in left.items()}
