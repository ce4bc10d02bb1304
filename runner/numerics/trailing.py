"""Sums over the last rows of each asset, and what else is made from the past of an asset alone.

A window is added up from sums of 1, 2, 4, 8, ... rows, which windows share: about 2 log2(n)
additions a cell. No sum is taken from another, so that the rounding of one huge value does not stay
in the windows after it. What is said of a window is the same to the last bit whatever rows come
before or after it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from runner.numerics.variation import FLAT, of_quotients, rounding_alone

CELLS = 16384  # at a time, which with what is made of them stay in the cache


State = tuple[np.ndarray, ...]  # arrays (T', c) whose row t is about the rows from t on
Merge = Callable[[State, State, int, int], State]  # of neighbours, and how many rows each is about


def by_asset(work: Callable[..., np.ndarray], *values: Any) -> Any:
    """A frame (T, N), or series (T,) where no value is a frame, of what `work` gives for some
    assets at a time.

    `work` takes the cells (T, c) of each value, (T, 1) of a series beside a frame, and gives those
    of the last rows (T', c); those before are NaN. It must not write to what it is given.
    """
    frames = [one for one in values if isinstance(one, pd.DataFrame)]
    like = frames[0] if frames else values[0]
    columns = [_columns(one) for one in values]
    T, N = len(like), frames[0].shape[1] if frames else 1
    result = np.empty((N, T)).T
    step = max(CELLS // max(T, 1), 1)
    with np.errstate(all="ignore"):
        for first in range(0, N, step):
            own = slice(first, first + step)
            made = work(*(cells[:, own] if cells.shape[1] == N else cells for cells in columns))
            result[: T - len(made), own] = np.nan
            result[T - len(made) :, own] = made
    if frames:
        return pd.DataFrame(result, like.index, like.columns, copy=False)
    return pd.Series(result[:, 0], like.index, name=like.name, copy=False)


def _columns(values: Any) -> np.ndarray:
    """Cells (T, N) of a frame, (T, 1) of a series, a column side by side in memory."""
    cells = np.asfortranarray(values.to_numpy(dtype=float))
    return cells if cells.ndim == 2 else cells[:, None]


def sums(cells: np.ndarray, window: int) -> np.ndarray:
    """Sums (T - window + 1, c) of `window` rows of the cells (T, c), the first over rows 0 to
    window - 1.

    NaN where one of them is missing or infinite.
    """
    if len(cells) < window:
        return cells[:0]
    return _over_windows((_known(cells),), window, lambda left, right, *_: (left[0] + right[0],))[0]


def _known(cells: np.ndarray) -> np.ndarray:
    """The cells with what is infinite missing."""
    known = np.isfinite(cells)
    return cells if known.all() else np.where(known, cells, np.nan)


def _over_windows(part: State, window: int, merge: Merge) -> State:
    """What is so of each row, merged into what is so of each `window` rows, at least one."""
    T, rows, width = len(part[0]), 0, 1  # `whole` is about `rows` rows, `part` about `width`
    whole = part
    while rows < window:
        if window & width:
            left = tuple(cells[: T - rows - width + 1] for cells in whole)
            right = tuple(cells[rows:] for cells in part)
            whole = merge(left, right, rows, width) if rows else part
            rows += width
        if rows < window:
            left = tuple(cells[:-width] for cells in part)
            right = tuple(cells[width:] for cells in part)
            part = merge(left, right, width, width)
            width *= 2
    return whole


def means(cells: np.ndarray, window: int) -> np.ndarray:
    """Means (T - window + 1, c) of `window` rows; exactly the value of a window of equal ones."""
    if len(cells) < window:
        return cells[:0]
    known = _known(cells)
    first, offset = _over_windows((known, known - known), window, _merged_means)
    return first + offset


def _step(left: State, right: State, mean: int) -> np.ndarray:
    """Mean on the right less mean on the left. States hold the first row and the mean less it, so
    that digits of the spread are kept beside a level far above it."""
    return (right[mean - 1] - left[mean - 1]) + (right[mean] - left[mean])


def _merged_means(left: State, right: State, a: int, b: int) -> State:
    return left[0], left[1] + _step(left, right, 1) * (b / (a + b))


def variances(cells: np.ndarray, window: int) -> tuple[np.ndarray, np.ndarray]:
    """Sample variances (ddof 1) of `window` rows, at least 2, and last value less mean, (T - window
    + 1, c) each.

    Sums of squares about the mean are merged by the formula of Chan, Golub and LeVeque (1983):
    nothing is subtracted from them. Exactly 0 where the rows differ by rounding alone.
    """
    if len(cells) < window:
        return cells[:0], cells[:0]
    known = _known(cells)
    zero = known - known
    first, offset, square = _over_windows((known, zero, zero), window, _merged_squares)
    away = (known[window - 1 :] - first) - offset
    return _beyond_rounding(square / (window - 1.0), known, window), away


def _merged_squares(left: State, right: State, a: int, b: int) -> State:
    step = _step(left, right, 1)
    shift = step * (b / (a + b))
    return left[0], left[1] + shift, left[2] + right[2] + step * shift * a


def covariances(
    x: np.ndarray, y: np.ndarray, window: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sample covariance of x and y over `window` rows, at least 2, and the variance of each (ddof
    1).

    (T - window + 1, c) each, as `variances`; x or y may have one column beside several.
    """
    if len(x) < window:
        return (np.broadcast_to(x[:0], np.broadcast_shapes(x[:0].shape, y[:0].shape)),) * 3
    x, y = _known(x), _known(y)
    zero, none = x - x, y - y
    start = (x, zero, zero, y, none, none, zero + none)
    *_, joint = merged = _over_windows(start, window, _merged_products)
    of_x = _beyond_rounding(merged[2] / (window - 1.0), x, window)
    of_y = _beyond_rounding(merged[5] / (window - 1.0), y, window)
    flat = (of_x == 0.0) | (of_y == 0.0)
    return np.where(flat, 0.0 * joint, joint / (window - 1.0)), of_x, of_y


def _merged_products(left: State, right: State, a: int, b: int) -> State:
    step_x, step_y = _step(left, right, 1), _step(left, right, 4)
    shift_x, shift_y = step_x * (b / (a + b)), step_y * (b / (a + b))
    of_x = left[0], left[1] + shift_x, left[2] + right[2] + step_x * shift_x * a
    of_y = left[3], left[4] + shift_y, left[5] + right[5] + step_y * shift_y * a
    return *of_x, *of_y, left[6] + right[6] + step_x * shift_y * a


def skewness(cells: np.ndarray, window: int) -> np.ndarray:
    """Sample skewness (T - window + 1, c) of `window` rows, at least 3, adjusted for bias; NaN
    where flat.
    """
    if len(cells) < window:
        return cells[:0]
    known = _known(cells)
    zero = known - known
    _, _, square, cube = _over_windows((known, zero, zero, zero), window, _merged_cubes)
    n = float(window)
    variance = _beyond_rounding(square / (n - 1.0), known, window)
    return cube / (variance * np.sqrt(variance)) * (n / ((n - 1.0) * (n - 2.0)))


def _merged_cubes(left: State, right: State, a: int, b: int) -> State:
    step = _step(left, right, 1)
    share = b / (a + b)
    first, offset, square = _merged_squares(left[:3], right[:3], a, b)
    skewed = step * step * step * (a * share * (a - b) / (a + b))
    turned = 3.0 * step * (right[2] * (1.0 - share) - left[2] * share)
    return first, offset, square, left[3] + right[3] + skewed + turned


def _beyond_rounding(variance: np.ndarray, cells: np.ndarray, window: int) -> np.ndarray:
    """The variances (T - window + 1, c) of windows of the cells (T, c), 0 where they are rounding
    alone.
    """

    def quotients() -> np.ndarray:
        return np.asarray(sums(of_quotients(cells).astype(float), window) == window)

    flat = rounding_alone(np.sqrt(variance), cells[: len(variance)], FLAT, quotients)
    return np.where(flat, 0.0, variance) if flat.any() else variance


def rolling_sum(values: Any, window: int) -> Any:
    """Sums of a frame or series over the `window` rows that end at t; NaN where a value is missing
    or infinite.
    """
    return by_asset(lambda cells: sums(cells, window), values)


def rolling_mean(values: Any, window: int) -> Any:
    """Means over the `window` rows that end at t, as `rolling_sum`."""
    return by_asset(lambda cells: means(cells, window), values)


def rolling_var(values: Any, window: int) -> Any:
    """Sample variances (ddof 1) over the `window` rows that end at t, as `rolling_sum`."""
    return by_asset(lambda cells: variances(cells, window)[0], values)


def rolling_std(values: Any, window: int) -> Any:
    """Sample standard deviations (ddof 1) over the `window` rows that end at t, as
    `rolling_sum`.
    """
    return by_asset(lambda cells: np.sqrt(variances(cells, window)[0]), values)


def rolling_skew(values: Any, window: int) -> Any:
    """Sample skewness over the `window` rows that end at t, as `rolling_sum`; NaN where the values
    are constant.
    """
    return by_asset(lambda cells: skewness(cells, window), values)


def rolling_zscore(values: Any, window: int) -> Any:
    """Value less mean over standard deviation (ddof 1) of the `window` rows that end at t; NaN
    where constant.
    """

    def cells(own: np.ndarray) -> np.ndarray:
        variance, away = variances(own, window)
        return np.where(variance > 0.0, away / np.sqrt(variance), np.nan)

    return by_asset(cells, values)


def rolling_cov(x: Any, y: Any, window: int) -> Any:
    """Sample covariances (ddof 1) over the `window` rows that end at t, as `rolling_sum`."""
    return by_asset(lambda left, right: covariances(left, right, window)[0], x, y)


def rolling_corr(x: Any, y: Any, window: int) -> Any:
    """Correlations over the `window` rows that end at t, within -1 and 1; NaN where x or y is
    constant.
    """

    def cells(left: np.ndarray, right: np.ndarray) -> np.ndarray:
        joint, of_left, of_right = covariances(left, right, window)
        return np.clip(joint / (np.sqrt(of_left) * np.sqrt(of_right)), -1.0, 1.0)

    return by_asset(cells, x, y)


def rolling_beta(y: Any, x: Any, window: int) -> Any:
    """Slopes of y on x over the `window` rows that end at t; NaN where x is constant."""

    def cells(left: np.ndarray, right: np.ndarray) -> np.ndarray:
        joint, _, of_right = covariances(left, right, window)
        return joint / of_right

    return by_asset(cells, y, x)
