"""The merges of `runner.numerics.trailing`, compiled: the same operations, the same bits.

One series at a time, whose numbers stay in the cache nearest to the processor, from its first known
number to its last: an asset that comes or goes has no window before or after. Imported only where
it is used, as numba is. Each loop writes one array, so that the compiler can take several numbers
at a time; nothing is reordered and no product fuses with a sum.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from runner.numerics.compiled.compiling import compiled, series_of
from runner.numerics.compiled.merges import DOUBLE, START, merges_of


def sums(cells: np.ndarray, window: int) -> np.ndarray:
    """Sums (T - window + 1, c) of the windows of cells (T, c)."""
    series = series_of(cells)
    result = _room(series, window)
    _sums(series, merges_of(window), result)
    return result.T


def offsets(cells: np.ndarray, window: int) -> np.ndarray:
    """Means (T - window + 1, c) of the windows of cells (T, c) less their first row."""
    series = series_of(cells)
    offset = _room(series, window)
    _means(series, merges_of(window), offset)
    return offset.T


def squares(cells: np.ndarray, window: int) -> tuple[np.ndarray, np.ndarray]:
    """`offsets`, and sums of squares about the means (T - window + 1, c)."""
    series = series_of(cells)
    offset = _room(series, window)
    square = np.empty_like(offset)
    _squares(series, merges_of(window), offset, square)
    return offset.T, square.T


def products(
    x: np.ndarray, y: np.ndarray, window: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sums of squares of x, of y and of their products about the means of windows.

    x or y may have one column beside several.
    """
    series_x = series_of(x)
    series_y = series_of(y)
    square_x = _room(series_x, window)
    square_y = _room(series_y, window)
    product = np.empty_like(square_x if len(x.T) >= len(y.T) else square_y)
    _cross_products(series_x, series_y, merges_of(window), square_x, square_y, product)
    return square_x.T, square_y.T, product.T


def _room(series: np.ndarray, window: int) -> np.ndarray:
    c, T = series.shape
    return np.empty((c, T - window + 1))


@compiled
def _add_up(left: Any, right: Any, n: int, into: Any) -> None:
    for t in range(n):
        into[t] = left[t] + right[t]


@compiled
def _copy(of: Any, n: int, into: Any) -> None:
    for t in range(n):
        into[t] = of[t]


@compiled
def _known(series: np.ndarray) -> tuple[int, int]:
    """The first known number of a series (T,), and the one after the last."""
    start = 0
    stop = len(series)
    while start < stop and np.isnan(series[start]):
        start += 1
    while start < stop and np.isnan(series[stop - 1]):
        stop -= 1
    return start, stop


@compiled
def _of_known(result: np.ndarray, start: int, stop: int, known: int) -> np.ndarray:
    """The windows of a result of a series (known,) that lie within its rows from start to stop.

    Every other one is set to missing.
    """
    window = known - len(result) + 1
    end = max(stop - window + 1, start)
    result[:start] = np.nan
    result[end:] = np.nan
    return result[start:end]


@compiled
def _step(
    left_first: Any, right_first: Any, left_offset: Any, right_offset: Any, n: int, into: Any
) -> None:
    for t in range(n):
        between_firsts = right_first[t] - left_first[t]
        between_offsets = right_offset[t] - left_offset[t]
        into[t] = between_firsts + between_offsets


@compiled
def _move(offset: Any, step: Any, share: float, n: int) -> None:
    for t in range(n):
        offset[t] = offset[t] + step[t] * share


@compiled
def _merge(
    left: Any, right: Any, step_x: Any, step_y: Any, share: float, a: float, n: int, into: Any
) -> None:
    for t in range(n):
        shift_y = step_y[t] * share
        into[t] = left[t] + right[t] + step_x[t] * shift_y * a


@compiled
def _sums(series: np.ndarray, merges: np.ndarray, result: np.ndarray) -> None:
    """Write sums (c, T - window + 1) of the windows of series (c, T) into `result`.

    Args:
        merges: (M, 3) of the window, as `runner.numerics.compiled.merges` gives them.
    """
    c, T = series.shape
    part = np.empty(T)
    other = np.empty(T)
    whole = np.empty(T)
    for i in range(c):
        start, stop = _known(series[i])
        own = _of_known(result[i], start, stop, T)
        if not len(own):
            continue
        rows = stop - start
        _copy(series[i, start:], rows, part)
        n = rows
        for kind, a, b in merges:
            if kind == DOUBLE:
                n -= a
                _add_up(part, part[a:], n, other)
                part, other = other, part
            elif kind == START:
                _copy(part, n, whole)
            else:
                _add_up(whole, part[a:], rows - a - b + 1, whole)
        _copy(whole, len(own), own)


@compiled
def _offsets(first: np.ndarray, merges: np.ndarray, steps: np.ndarray, whole: np.ndarray) -> None:
    """Write means of windows of a series (T,) less their first row, and all steps between means.

    Args:
        merges: as of `_sums`.
        steps: (M, T) mean on the right less mean on the left, of each merge.
        whole: (T,) the means less the first rows.
    """
    T = len(first)
    part = np.empty(T)
    for t in range(T):
        part[t] = first[t] - first[t]  # NaN where missing
    n = T
    for m in range(len(merges)):
        kind, a, b = merges[m]
        share = b / (a + b)
        step = steps[m]
        if kind == DOUBLE:
            n -= a
            _step(first, first[a:], part, part[a:], n, step)
            _move(part, step, share, n)
        elif kind == START:
            _copy(part, n, whole)
        else:
            rows = T - a - b + 1
            _step(first, first[a:], whole, part[a:], rows, step)
            _move(whole, step, share, rows)


@compiled
def _products(
    start: np.ndarray,
    merges: np.ndarray,
    steps_x: np.ndarray,
    first_x: int,
    steps_y: np.ndarray,
    first_y: int,
    room: np.ndarray,
    result: np.ndarray,
) -> None:
    """Write sums of products about the means of the windows of two series into `result`.

    Args:
        start: (T,) those of windows of one row: zero, NaN where missing.
        merges: as of `_sums`.
        steps_x, steps_y: as `_offsets` gives them, of as many rows at least, from the rows
            `first_x` and `first_y` on.
        room: (3, T or more) to work in.
    """
    T = len(start)
    part, other, whole = room[0], room[1], room[2]
    _copy(start, T, part)
    n = T
    for m in range(len(merges)):
        kind, a, b = merges[m]
        share = b / (a + b)
        left_rows = float(a)
        step_x = steps_x[m][first_x:]
        step_y = steps_y[m][first_y:]
        if kind == DOUBLE:
            n -= a
            _merge(part, part[a:], step_x, step_y, share, left_rows, n, other)
            part, other = other, part
        elif kind == START:
            _copy(part, n, whole)
        else:
            rows = T - a - b + 1
            _merge(whole, part[a:], step_x, step_y, share, left_rows, rows, whole)
    _copy(whole, len(result), result)


@compiled
def _means(series: np.ndarray, merges: np.ndarray, offset: np.ndarray) -> None:
    """Write means of windows of series (c, T) less their first row into `offset` (c, windows)."""
    c, T = series.shape
    steps = np.empty((len(merges), T))
    whole = np.empty(T)
    for i in range(c):
        start, stop = _known(series[i])
        own = _of_known(offset[i], start, stop, T)
        if len(own):
            _offsets(series[i, start:stop], merges, steps, whole)
            _copy(whole, len(own), own)


@compiled
def _squares(
    series: np.ndarray, merges: np.ndarray, offset: np.ndarray, square: np.ndarray
) -> None:
    """Write `_means`, and sums of squares about the means (c, windows)."""
    c, T = series.shape
    steps = np.empty((len(merges), T))
    whole = np.empty(T)
    room = np.empty((3, T))
    for i in range(c):
        start, stop = _known(series[i])
        own = _of_known(offset[i], start, stop, T)
        _variation(series[i], start, stop, merges, steps, whole, room, square[i])
        _copy(whole, len(own), own)


@compiled
def _variation(
    series: np.ndarray,
    start: int,
    stop: int,
    merges: np.ndarray,
    steps: np.ndarray,
    whole: np.ndarray,
    room: np.ndarray,
    square: np.ndarray,
) -> None:
    """Write sums of squares about the means of windows of a series (T,), known from start to stop.

    With `steps` and `whole` of these rows, as `_offsets` writes them.
    """
    own = _of_known(square, start, stop, len(series))
    if len(own):
        known = series[start:stop]
        _offsets(known, merges, steps, whole)
        _products(known - known, merges, steps, 0, steps, 0, room, own)


@compiled
def _cross_products(
    x: np.ndarray,
    y: np.ndarray,
    merges: np.ndarray,
    square_x: np.ndarray,
    square_y: np.ndarray,
    product: np.ndarray,
) -> None:
    """Write sums of squares and products about the means of windows of x and y.

    Args:
        x, y: series (c, T), or one (1, T) beside several.
        merges: as of `_sums`.
        square_x, square_y: as many as there are series of x, and of y.
        product: (c, windows).
    """
    T = x.shape[1]
    steps_x = np.empty((len(merges), T))
    steps_y = np.empty((len(merges), T))
    whole = np.empty(T)
    room = np.empty((3, T))
    start_x, stop_x, start_y, stop_y = 0, 0, 0, 0
    for i in range(len(product)):
        if i < len(x):
            start_x, stop_x = _known(x[i])
            _variation(x[i], start_x, stop_x, merges, steps_x, whole, room, square_x[i])
        if i < len(y):
            start_y, stop_y = _known(y[i])
            _variation(y[i], start_y, stop_y, merges, steps_y, whole, room, square_y[i])
        start = max(start_x, start_y)
        stop = min(stop_x, stop_y)
        own = _of_known(product[i], start, stop, T)
        if len(own):
            of_x = x[min(i, len(x) - 1), start:stop]
            of_y = y[min(i, len(y) - 1), start:stop]
            zero = (of_x - of_x) + (of_y - of_y)
            first_x = start - start_x
            first_y = start - start_y
            _products(zero, merges, steps_x, first_x, steps_y, first_y, room, own)
