"""Sums over windows of rows: of values, and of squares, products and cubes about the mean.

A window is added up from sums of 1, 2, 4, 8, ... rows, which windows share: about 2 log2(n)
additions a cell. No sum is taken from another, so that the rounding of one huge value does not stay
in the windows after it. Sums of squares are merged as Chan, Golub and LeVeque (1983) do. What is
about a window is the same to the last bit whatever rows come before or after it, and whether numpy
or compiled code merged it.

Cells are (T, c), finite or NaN, each column together in memory; results are (T - window + 1, c), at
least one row, NaN where a cell of the window is.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np

from runner.numerics.compiled.merges import DOUBLE, START, merges_of
from runner.numerics.compiled.rule import DONE

State = tuple[np.ndarray, ...]  # arrays (T', c) whose row t is about the rows from t on
Merge = Callable[[State, State, int, int], State]  # of neighbours, and how many rows each is about


def sums(cells: np.ndarray, window: int) -> np.ndarray:
    """Sums of the cells."""
    if DONE.wanted(cells.size):
        return _compiled().sums(cells, window)
    summed = _over_windows((cells,), window, _merged_sums)
    return summed[0]


def offsets(cells: np.ndarray, window: int) -> np.ndarray:
    """Means less the first cell of the window, which keeps the digits of values far from zero."""
    if DONE.wanted(cells.size):
        return _compiled().offsets(cells, window)
    start = (cells, _zeros(cells))
    _, offset = _over_windows(start, window, _merged_means)
    return offset


def squares(cells: np.ndarray, window: int) -> tuple[np.ndarray, np.ndarray]:
    """`offsets`, and sums of squares about the mean."""
    if DONE.wanted(cells.size):
        return _compiled().squares(cells, window)
    zero = _zeros(cells)
    _, offset, square = _over_windows((cells, zero, zero), window, _merged_squares)
    return offset, square


def products(
    x: np.ndarray, y: np.ndarray, window: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sums of squares of x and of y, and of their products, about the means.

    x or y may have one column beside several.
    """
    if DONE.wanted(x.size + y.size):
        return _compiled().products(x, y, window)
    zero_x = _zeros(x)
    zero_y = _zeros(y)
    start = (x, zero_x, zero_x, y, zero_y, zero_y, zero_x + zero_y)
    merged = _over_windows(start, window, _merged_products)
    _, _, square_x, _, _, square_y, product = merged
    return square_x, square_y, product


def cubes(cells: np.ndarray, window: int) -> tuple[np.ndarray, np.ndarray]:
    """Sums of squares and of cubes about the mean."""
    zero = _zeros(cells)
    _, _, square, cube = _over_windows((cells, zero, zero, zero), window, _merged_cubes)
    return square, cube


def _compiled() -> ModuleType:
    """The same merges compiled, imported where it is used."""
    from runner.numerics.compiled import windows

    return windows


def _zeros(cells: np.ndarray) -> np.ndarray:
    """Zero, NaN where missing."""
    return cells - cells


def _over_windows(part: State, window: int, merge: Merge) -> State:
    """Merge a state of each row into that of each `window` rows, at least one."""
    T = len(part[0])
    whole = part
    for kind, a, b in merges_of(window).tolist():
        if kind == START:
            whole = part
        elif kind == DOUBLE:
            left = tuple(cells[:-a] for cells in part)
            right = tuple(cells[a:] for cells in part)
            part = merge(left, right, a, b)
        else:
            end = T - a - b + 1
            left = tuple(cells[:end] for cells in whole)
            right = tuple(cells[a:] for cells in part)
            whole = merge(left, right, a, b)
    return whole


def _merged_sums(left: State, right: State, a: int, b: int) -> State:
    return (left[0] + right[0],)


def _merged_means(left: State, right: State, a: int, b: int) -> State:
    first, offset = left
    step = _step(left, right, 1)
    share = b / (a + b)
    return first, offset + step * share


def _step(left: State, right: State, mean: int) -> np.ndarray:
    """Mean on the right less mean on the left.

    States hold the first row and, at the place `mean`, the mean less it, so that digits of the
    spread are kept beside a level far above it.
    """
    last = mean - 1
    right_first = right[last]
    left_first = left[last]
    between_firsts = right_first - left_first
    right_offset = right[mean]
    left_offset = left[mean]
    between_offsets = right_offset - left_offset
    return between_firsts + between_offsets


def _merged_squares(left: State, right: State, a: int, b: int) -> State:
    first, offset, square = left
    step = _step(left, right, 1)
    share = b / (a + b)
    shift = step * share
    square = square + right[2] + step * shift * a
    return first, offset + shift, square


def _merged_products(left: State, right: State, a: int, b: int) -> State:
    first_x, offset_x, square_x, first_y, offset_y, square_y, product = left
    share = b / (a + b)
    step_x = _step(left, right, 1)
    step_y = _step(left, right, 4)
    shift_x = step_x * share
    shift_y = step_y * share
    offset_x = offset_x + shift_x
    offset_y = offset_y + shift_y
    square_x = square_x + right[2] + step_x * shift_x * a
    square_y = square_y + right[5] + step_y * shift_y * a
    product = product + right[6] + step_x * shift_y * a
    return first_x, offset_x, square_x, first_y, offset_y, square_y, product


def _merged_cubes(left: State, right: State, a: int, b: int) -> State:
    step = _step(left, right, 1)
    share = b / (a + b)
    first, offset, square = _merged_squares(left[:3], right[:3], a, b)
    lopsided = a * share * (a - b) / (a + b)
    skewed = step * step * step * lopsided
    of_right = right[2] * (1.0 - share)
    of_left = left[2] * share
    turned = 3.0 * step * (of_right - of_left)
    cubes = left[3] + right[3]
    return first, offset, square, cubes + skewed + turned
