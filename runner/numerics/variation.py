"""What varies, and what differs by rounding alone: the one place that every test of a spread asks.

A value judged by itself has rounding of some units in its last place, so that its spread is judged
beside its size. A simple return is a quotient of prices less one: its rounding is that of a number
near one, however small the return is. The index of an account that pays the same rate every day has
returns that differ by some 1e-16, and none of them tells anything. Which values are such quotients
is seen in their digits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np

from runner.numerics.compiled.rule import DONE

EPS = float(np.finfo(float).eps)
# Spread relative to the largest size below which given values are rounding noise: some units in the
# last place.
FLAT = 1e-15
# The same of values that were computed from many.
COMPUTED = 1e-12
# Spread of quotients of prices, relative to one plus their size, below which it is rounding noise:
# each price is rounded by half a unit, their quotient by another, and two such quotients are
# compared.
ROUNDING = 4.0 * EPS
# Share of a step between quotients that the rounding of what was subtracted from them may take or
# add.
SLOP = 1e-3
# Sum of squared residuals, relative to what the terms add up to, below which it is rounding noise.
EXACT_FIT = 1e-26


def of_quotients(values: np.ndarray) -> np.ndarray:
    """Whether each value is a quotient less one: no digit is below those of a number near one."""
    rounded = (1.0 + values) - 1.0
    return np.asarray(rounded == values)


def near_rounding(spread: Any, size: Any) -> np.ndarray:
    """Whether a spread would be rounding alone if the values of this size were quotients."""
    largest = 1.0 + np.abs(size)
    return np.asarray(spread <= ROUNDING * largest)


def rounding_alone(
    spread: Any, size: Any, relative: float, quotients: Callable[[], Any]
) -> np.ndarray:
    """Whether a spread is rounding alone: relative to the size of the values, of quotients to one.

    Args:
        spread, size: of each set of values, in their unit: range and largest size, or deviation and
            mean.
        relative: share of the size that is rounding.
        quotients: says which sets (bool, of their shape) are of quotients of prices; asked only
            where it matters.
    """
    magnitude = np.abs(size)
    known = np.asarray(spread <= relative * magnitude)
    near = near_rounding(spread, size)
    near &= ~known
    if not near.any():
        return known
    rounding = near & quotients()
    return np.asarray(known | rounding)


def largest_rounding(size: np.ndarray, relative: float) -> float:
    """Spread above which no value of these sizes has a spread that is rounding alone.

    Args:
        size, relative: as of `rounding_alone`.
    """
    largest = 1.0 + np.fmax.reduce(np.abs(size), axis=None, initial=0.0)
    return float(max(relative, ROUNDING) * largest)


def flat(
    values: np.ndarray, axis: int = 0, relative: float = FLAT, returns: bool = False
) -> np.ndarray:
    """Whether finite values differ by rounding alone, along an axis with at least one of them.

    Args:
        values: numbers of any shape.
        relative: share of the largest size that is rounding; COMPUTED where the values were made
            from many.
        returns: whether these are simple returns or sums of them, whatever their digits.
    """
    size = np.abs(values).max(axis=axis)
    spread = np.ptp(values, axis=axis)

    def quotients() -> Any:
        return returns or _steps_of_quotients(values, axis)

    return rounding_alone(spread, size, relative, quotients)


def flat_where_known(values: np.ndarray, axis: int) -> np.ndarray:
    """Whether values made from many differ by rounding alone, NaN left out; the axis is kept."""
    missing = np.isnan(values)
    size = np.where(missing, 0.0, np.abs(values)).max(axis=axis, keepdims=True)
    least = np.where(missing, np.inf, values).min(axis=axis, keepdims=True)
    most = np.where(missing, -np.inf, values).max(axis=axis, keepdims=True)
    spread = most - least
    judged = of_quotients(values) | missing
    quotients = partial(np.all, judged, axis=axis, keepdims=True)
    return rounding_alone(spread, size, COMPUTED, quotients)


@np.errstate(over="ignore", invalid="ignore")  # steps without end are not whole
def _steps_of_quotients(values: np.ndarray, axis: int) -> np.ndarray:
    """Whether values differ by whole steps of numbers near one, as quotients less a rate do."""
    first = values.take([0], axis)
    away = values - first
    steps = away / (EPS / 2.0)
    whole = np.round(steps)
    distance = np.abs(steps - whole)
    near_whole = distance <= SLOP * np.abs(whole)
    return np.asarray(near_whole.all(axis=axis))


def _have_gaps(known: np.ndarray) -> bool:
    """Whether something is not known between known ones along the first axis of a mask."""
    begins = known[1:] & ~known[:-1]
    stretches = begins.sum(axis=0) + known[0]
    return bool((stretches > 1).any())


def steadied(returns: np.ndarray) -> np.ndarray:
    """Returns (T,) or (T, N) in which those of an account that pays the same rate are the same
    number.

    A return that differs from the known one before it by the rounding of quotients alone takes its
    value. Compounded, the rounding of returns adds up; of equal ones, as many rows compound to
    exactly the same number.
    """
    if DONE.wanted(returns.size):
        from runner.numerics.compiled import steadying  # numba, where it is used

        return steadying.steadied(returns, ROUNDING)
    finite = np.isfinite(returns)
    others = returns.ndim - 1
    other_axes = [1] * others
    rows = np.arange(len(returns)).reshape(-1, *other_axes)
    quotients = finite & of_quotients(returns)
    before = returns[:-1]
    quotients_before = quotients[:-1]
    if _have_gaps(finite):
        latest = np.maximum.accumulate(np.where(finite, rows, 0), axis=0)[:-1]
        before = np.take_along_axis(returns, latest, axis=0)
        quotients_before = np.take_along_axis(quotients, latest, axis=0)
    both = quotients[1:] & quotients_before
    change = np.abs(returns[1:] - before)
    same = both & near_rounding(change, before)
    if not same.any():
        return returns
    begins = finite.copy()
    begins[1:] &= ~same
    first = np.maximum.accumulate(np.where(begins, rows, 0), axis=0)
    first_returns = np.take_along_axis(returns, first, axis=0)
    return np.where(finite, first_returns, returns)


def explained(ssr: float, rows: int, size: float, y: np.ndarray) -> bool:
    """Whether the residuals of a fit are rounding alone: errors of estimates would be noise.

    Args:
        ssr: sum of squared residuals of so many rows.
        size: sum of squares of what the terms add up to.
        y: target (n,).
    """
    residual = np.sqrt(ssr / rows)
    level = np.sqrt(size / rows)
    relative = np.sqrt(EXACT_FIT)

    def quotients() -> Any:
        return of_quotients(y).all()

    return bool(rounding_alone(residual, level, relative, quotients))


def mean_over_spread(values: np.ndarray, returns: bool = False) -> float:
    """Mean over standard deviation (ddof 1) of values (n,); NaN of fewer than two, or flat."""
    if len(values) < 2:
        return float("nan")
    if flat(values, relative=COMPUTED, returns=returns):
        return float("nan")
    deviation = values.std(ddof=1)
    return float(values.mean() / deviation)


# of values, of their columns, and of which are in use
Parts = Iterable[tuple[np.ndarray, np.ndarray, np.ndarray]]

FEW = 10  # distinct values below which a column is odd
ENOUGH = 30  # rows from which on it is looked at
COLUMNS = 4096  # looked at together
VALUES = 250_000  # looked at together, which bounds the memory that it takes
SAMPLED = 100  # rows of a first look at all columns together
GLANCE = 16  # values in which most columns have many distinct ones


def few_values(values: np.ndarray, use: np.ndarray) -> dict[int, int]:
    """Columns of values (T, N) with few distinct ones among those in use, and how many these are.

    Columns that are constant, that hold 0 and 1 alone, or that have few rows are left out.
    """
    columns = {}
    rows = use.sum(axis=0)
    enough = rows >= ENOUGH
    odd = np.flatnonzero(enough & ~_many_in_a_sample(values, use))
    few_at_first = _distinct_of_each(_first_used(values, use, odd)) < FEW
    for i in odd[few_at_first]:
        used = use[:, i]
        own = values[used, i]
        distinct = _distinct(own)
        dummy = np.isin(own, (0.0, 1.0)).all()
        if 1 < distinct < FEW and not dummy:
            columns[int(i)] = distinct
    return columns


def few_values_of(parts: Callable[[], Parts], columns: int) -> dict[int, int]:
    """The same of values that come in parts, each value (n,) with its column (n,).

    Args:
        parts: gives them from the first one on, and which (n,) are in use; called again where a
            column may have few.
        columns: how many there are.
    """
    early = FirstValues(columns)
    for values, column, use in parts():
        early.add(values, column, use)
    candidate = np.zeros(columns, dtype=bool)
    candidate[early.few()] = True
    if not candidate.any():
        return {}
    some_values = []
    some_columns = []
    for values, column, use in parts():
        chosen = candidate[column] & use
        some_values.append(values[chosen])
        some_columns.append(column[chosen])
    column = np.concatenate(some_columns)
    order = np.argsort(column, kind="stable")
    sorted_values = np.concatenate(some_values)[order]
    candidates, first = np.unique(column[order], return_index=True)
    few = {}
    for i, own in zip(candidates.tolist(), np.split(sorted_values, first[1:]), strict=True):
        distinct = _distinct(own)
        dummy = np.isin(own, (0.0, 1.0)).all()
        if 1 < distinct < FEW and not dummy:
            few[i] = distinct
    return few


class FirstValues:
    """The first values of each column, 60 at most, of values that come in parts.

    Attributes:
        rows: (columns,) values that came, no longer counted where the first ones are there.
        lacking: (columns,) whether some of the first ones are still to come.
    """

    def __init__(self, columns: int) -> None:
        self.rows = np.zeros(columns, dtype=np.intp)
        self.lacking = np.ones(columns, dtype=bool)
        self.cells = np.full((2 * ENOUGH, columns), np.nan)

    def add(self, values: np.ndarray, column: np.ndarray, use: np.ndarray) -> None:
        """The next values (n,), each of a column (n,), and whether it is in use (n,)."""
        for start in range(0, len(values), VALUES):
            part = slice(start, start + VALUES)
            self._add_some(values[part], column[part], use[part])

    def _add_some(self, values: np.ndarray, column: np.ndarray, use: np.ndarray) -> None:
        """The same of few values, which bounds the memory that it takes."""
        wanted = self.lacking.take(column)
        wanted &= use
        place = np.flatnonzero(wanted)
        if not len(place):
            return
        of_column = column[place]
        order = np.argsort(of_column, kind="stable")
        place = place[order]
        of_column = of_column[order]
        count = np.bincount(of_column, minlength=len(self.rows))
        first = np.cumsum(count) - count
        rank = self.rows[of_column] + np.arange(len(of_column)) - first[of_column]
        early = rank < len(self.cells)
        self.cells[rank[early], of_column[early]] = values[place[early]]
        self.rows += count
        self.lacking = self.rows < len(self.cells)

    def few(self) -> np.ndarray:
        """Columns with enough rows and few distinct values among these."""
        few = np.flatnonzero(self.rows >= ENOUGH)
        for values in (self.cells[:GLANCE], self.cells):
            parts = [few[start : start + COLUMNS] for start in range(0, len(few), COLUMNS)]
            distinct = [_distinct_of_each(values[:, part]) for part in parts]
            few = few[np.concatenate([*distinct, []]) < FEW]
        return few


def _many_in_a_sample(values: np.ndarray, use: np.ndarray) -> np.ndarray:
    """Columns (N,) with enough distinct values in a sample of rows; most need no further look."""
    used_rows = np.flatnonzero(use.any(axis=1))
    step = max(len(used_rows) // SAMPLED, 1)
    sample = used_rows[::step]
    cells = np.where(use[sample], values[sample], np.nan)
    return _distinct_of_each(cells) >= FEW


def _first_used(values: np.ndarray, use: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """The first values in use of these columns, 60 at most of each and NaN after the last."""
    column, row = np.nonzero(use.T[columns])
    rows = np.bincount(column, minlength=len(columns))
    first = np.cumsum(rows) - rows
    rank = np.arange(len(row)) - first[column]  # of the value among those of its column
    early = rank < 2 * ENOUGH
    cells = np.full((2 * ENOUGH, len(columns)), np.nan)
    column = column[early]
    cells[rank[early], column] = values[row[early], columns[column]]
    return cells


def _distinct_of_each(cells: np.ndarray) -> np.ndarray:
    """How many distinct values each column (T, N) has; NaN is none, equal up to rounding is one."""
    ordered = np.sort(cells, axis=0)  # NaN comes last
    change = np.diff(ordered, axis=0)
    different = np.isfinite(change) & ~near_rounding(change, ordered[1:])
    return np.asarray(1 + different.sum(axis=0))


def _distinct(values: np.ndarray) -> int:
    """How many values (n,) there are; those that differ by rounding of a quotient count once."""
    ordered = np.sort(values)
    change = np.diff(ordered)
    same = near_rounding(change, ordered[1:])
    different = int((~same).sum())
    return 1 + different
