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

ALLOWED = "allowed: sums of terms and numbers such as 'SMB + 2*HML'"
# what Python's parser raises of a text that is no expression, or one too deep for it
NOT_PARSED = (SyntaxError, RecursionError, MemoryError)


class Restriction(NamedTuple):
    """R b = q: R (m, k) and q (m,), m equations on the k terms."""

    text: str
    terms: Sequence[str]
    R: np.ndarray
    q: np.ndarray

    def on(self, terms: Sequence[str]) -> Restriction | str:
        """The restriction on a regression with these terms, or why it does not have one."""
        own = list(self.terms)
        restricted = self.R.any(axis=0)
        positions = np.flatnonzero(restricted)
        needed = [own[j] for j in positions]
        absent = [term for term in needed if term not in terms]
        if absent:
            return f"{', '.join(absent)} not among the terms of the regression"
        columns = [own.index(term) for term in terms]
        R = self.R[:, columns]
        return self._replace(terms=terms, R=R)


class Hypothesis(NamedTuple):
    """Equations on the terms, and the horizon of the target that they hold for; None for any."""

    equations: str
    horizon: int | None

    def unsuited(self, horizon: int) -> str:
        """Why it is not tested with a target of this horizon, in rows; empty where it is."""
        if self.horizon is None or self.horizon == horizon:
            return ""
        ahead = count(horizon, "row")
        return f"it is stated for horizon {self.horizon}, and the target looks {ahead} ahead"


def hypothesis(text: str) -> Hypothesis:
    """Read equations, and after them perhaps a condition such as `if horizon = 0`.

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
    rows = int(horizon[1])
    return Hypothesis(equations.strip(), rows)


def all_slopes(terms: Sequence[str]) -> Restriction:
    """Every term but the constant is zero."""
    slopes = [term != "const" for term in terms]
    identity = np.eye(len(terms))
    R = identity[slopes]
    q = np.zeros(len(R))
    return Restriction("all slopes = 0", terms, R, q)


def restriction(text: str, terms: Sequence[str]) -> Restriction:
    """Equations separated by commas, each linear in the terms on both sides.

    Raises:
        ValueError: not an equation, not linear, an unknown term, equations that repeat or
            contradict.
    """
    equations = [_equation(part, terms) for part in text.split(",")]
    m = len(equations)
    R = np.zeros((m, len(terms)))
    q = np.zeros(m)
    for row, equation in enumerate(equations):
        R[row] = [equation.get(term, 0.0) for term in terms]
        constant = equation.get("", 0.0)
        q[row] = 0.0 - constant
    finite = np.isfinite(R).all() and np.isfinite(q).all()
    if not finite:
        raise ValueError(f"{text!r}: allowed: finite numbers")
    size = np.abs(R).max(axis=1, keepdims=True)
    independent = size.all() and np.linalg.matrix_rank(R / size) == m
    if not independent:
        raise ValueError(f"{text!r}: an equation is empty or follows from the others")
    return Restriction(text, terms, R, q)


def names_in(text: str) -> list[str]:
    """The terms that the equations name; none where a side is no expression."""
    names: list[str] = []
    sides = text.replace("=", ",").split(",")
    for side in sides:
        try:
            tree = ast.parse(side.strip(), mode="eval")
        except NOT_PARSED:
            return []
        for node in ast.walk(tree):
            if isinstance(node, ast.Name):
                names.append(node.id)
    return names


def terms_of(text: str) -> list[str]:
    """The terms that a hypothesis names, with or without its condition."""
    return names_in(text.partition(" if ")[0])


def _equation(text: str, terms: Sequence[str]) -> Linear:
    """The left side less the right side."""
    sides = text.split("=")
    if len(sides) != 2:
        raise ValueError(
            f"{text.strip()!r}: allowed: an equation such as 'SMB = 0' or 'SMB - 2*HML = 1'"
        )
    left_text, right_text = sides
    left = _parse(left_text, terms)
    right = _parse(right_text, terms)
    return _sum(left, right, -1.0)


def _parse(text: str, terms: Sequence[str]) -> Linear:
    """One side of an equation."""
    text = text.strip()
    refused = f"{text!r}: {ALLOWED}"
    if "#" in text:  # Python would drop the rest as a comment
        raise ValueError(refused)
    try:
        tree = ast.parse(text, mode="eval")
        return _linear(tree.body, terms)
    except (*NOT_PARSED, OverflowError):
        raise ValueError(refused) from None


def _linear(node: ast.expr, terms: Sequence[str]) -> Linear:
    """The linear form of an expression of +, -, *, /, numbers and terms; refuses anything else."""
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return {"": float(number)}
        case ast.Name(id=name):
            if name in terms:
                return {name: 1.0}
            leave_out = "model.hypotheses=[] tests none"
            raise ValueError(f"term {unknown(name, terms, leave_out)}")
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            negated = _linear(operand, terms)
            return _sum({}, negated, -1.0)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _sum(_linear(left, terms), _linear(right, terms), 1.0)
        case ast.BinOp(left=left, op=ast.Sub(), right=right):
            return _sum(_linear(left, terms), _linear(right, terms), -1.0)
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            return _product(_linear(left, terms), _linear(right, terms))
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            return _quotient(_linear(left, terms), _linear(right, terms))
    refused = ast.unparse(node)
    raise ValueError(f"{refused!r}: {ALLOWED}")


def _sum(left: Linear, right: Linear, sign: float) -> Linear:
    """left + sign * right."""
    names = {*left, *right}
    form = {}
    for name in names:
        of_left = left.get(name, 0.0)
        of_right = right.get(name, 0.0)
        form[name] = of_left + sign * of_right
    return form


def _product(left: Linear, right: Linear) -> Linear:
    """A number times a linear form, in either order."""
    if _is_number(left):
        left, right = right, left
    if not _is_number(right):
        raise _not_linear()
    factor = right.get("", 0.0)
    return {name: value * factor for name, value in left.items()}


def _quotient(left: Linear, right: Linear) -> Linear:
    """A linear form over a number."""
    divisor = right.get("", 0.0)
    if not _is_number(right) or divisor == 0.0:
        raise _not_linear()
    return {name: value / divisor for name, value in left.items()}


def _is_number(form: Linear) -> bool:
    """Whether a linear form has no term."""
    return set(form) <= {""}


def _not_linear() -> ValueError:
    return ValueError(
        "a product or quotient of terms is not linear; allowed: a number times a term"
    )
