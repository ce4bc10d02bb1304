"""Statistics of the last rows of each asset, and what else is made from the past of an asset alone.

A statistic of a window is the same to the last bit whatever rows come before or after it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from runner.numerics import windows
from runner.numerics.variation import (
    FLAT,
    largest_rounding,
    of_quotients,
    rounding_alone,
    steadied,
)

CELLS = 65536  # at a time, half a megabyte: few calls, and the caches still hold most of it


def by_asset(work: Callable[..., np.ndarray], *values: Any) -> Any:
    """A frame (T, N) of the results of `work` on some assets at a time.

    A series (T,) where no value is a frame.

    Args:
        work: takes the cells (T, c) of each value, (T, 1) of a series beside a frame, and gives
            those of the last rows (T', c); those before are NaN. It must not write to its
            arguments.
        values: frames and series of the same rows.
    """
    frames = [value for value in values if isinstance(value, pd.DataFrame)]
    like = frames[0] if frames else values[0]
    columns = [_columns(value) for value in values]
    T = len(like)
    N = like.shape[1] if frames else 1
    result = np.empty((N, T)).T
    rows = max(T, 1)
    step = max(CELLS // rows, 1)
    with np.errstate(all="ignore"):
        for first in range(0, N if T else 0, step):
            own = slice(first, first + step)
            arguments = []
            for cells in columns:
                common = cells.shape[1] != N  # a series beside frames
                arguments.append(cells if common else cells[:, own])
            last_rows = work(*arguments)
            missing = T - len(last_rows)
            result[:missing, own] = np.nan
            result[missing:, own] = last_rows
    if frames:
        return pd.DataFrame(result, like.index, like.columns, copy=False)
    only = result[:, 0]
    return pd.Series(only, like.index, name=like.name, copy=False)


def _columns(values: Any) -> np.ndarray:
    """Cells (T, N) of a frame, (T, 1) of a series, a column side by side in memory."""
    numbers = values.to_numpy(dtype=float)
    cells = numbers[:, None] if numbers.ndim == 1 else numbers
    if cells.strides[0] == cells.itemsize:  # rows of a longer frame too
        return np.asarray(cells)
    return np.asfortranarray(cells)


def sums(cells: np.ndarray, window: int) -> np.ndarray:
    """Sums (T - window + 1, c) of `window` rows of the cells (T, c).

    The first is over rows 0 to window - 1. NaN where one of them is missing or infinite.
    """
    if len(cells) < window:
        return cells[:0]
    known = _known(cells)
    return windows.sums(known, window)


def _known(cells: np.ndarray) -> np.ndarray:
    """The cells with what is infinite missing."""
    infinite = np.isinf(cells)
    if not infinite.any():
        return cells
    return np.where(infinite, np.nan, cells)


def means(cells: np.ndarray, window: int) -> np.ndarray:
    """Means (T - window + 1, c) of `window` rows; exactly the value of a window of equal ones."""
    if len(cells) < window:
        return cells[:0]
    known = _known(cells)
    offset = windows.offsets(known, window)
    first = known[: len(offset)]
    return first + offset


def variances(cells: np.ndarray, window: int) -> tuple[np.ndarray, np.ndarray]:
    """Sample variances (ddof 1) of `window` rows, at least 2, and last value less mean.

    (T - window + 1, c) each. Exactly 0 where the rows differ by rounding alone.
    """
    if len(cells) < window:
        none = cells[:0]
        return none, none
    known = _known(cells)
    offset, square = windows.squares(known, window)
    variance = square / (window - 1.0)
    first = known[: len(offset)]
    last = known[window - 1 :]
    away = (last - first) - offset
    variance = _beyond_rounding(variance, known, window)
    return variance, away


def covariances(
    x: np.ndarray, y: np.ndarray, window: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sample covariance of x and y over `window` rows, at least 2, and the variance of each.

    ddof 1; (T - window + 1, c) each, as `variances`. x or y may have one column beside several.
    """
    if len(x) < window:
        no_x = x[:0]
        shape = np.broadcast_shapes(no_x.shape, y[:0].shape)
        none = np.broadcast_to(no_x, shape)
        return none, none, none
    x = _known(x)
    y = _known(y)
    square_x, square_y, product = windows.products(x, y, window)
    degrees = window - 1.0
    variance_x = _beyond_rounding(square_x / degrees, x, window)
    variance_y = _beyond_rounding(square_y / degrees, y, window)
    x_flat = variance_x == 0.0
    y_flat = variance_y == 0.0
    flat = x_flat | y_flat
    covariance = np.where(flat, 0.0 * product, product / degrees)  # 0 times NaN stays NaN
    return covariance, variance_x, variance_y


def skewness(cells: np.ndarray, window: int) -> np.ndarray:
    """Sample skewness (T - window + 1, c) of `window` rows, at least 3, adjusted for bias.

    NaN where flat.
    """
    if len(cells) < window:
        return cells[:0]
    known = _known(cells)
    square, cube = windows.cubes(known, window)
    n = float(window)
    degrees = n - 1.0
    variance = _beyond_rounding(square / degrees, known, window)
    adjustment = n / (degrees * (n - 2.0))
    deviation = np.sqrt(variance)
    return cube / (variance * deviation) * adjustment


def _beyond_rounding(variance: np.ndarray, cells: np.ndarray, window: int) -> np.ndarray:
    """The variances (T - window + 1, c) of windows, 0 where they are rounding alone."""

    def quotients() -> np.ndarray:
        quotient = of_quotients(cells).astype(float)
        in_window = sums(quotient, window)
        return np.asarray(in_window == window)

    size = cells[: len(variance)]
    least = np.fmin.reduce(variance, axis=None, initial=np.inf)
    if np.sqrt(least) > largest_rounding(size, FLAT):
        return variance
    deviation = np.sqrt(variance)
    flat = rounding_alone(deviation, size, FLAT, quotients)
    if not flat.any():
        return variance
    return np.where(flat, 0.0, variance)


def rolling_sum(values: Any, window: int) -> Any:
    """Sums of a frame or series over the `window` rows that end at t.

    NaN where a value is missing or infinite.
    """
    return by_asset(lambda cells: sums(cells, window), values)


def rolling_mean(values: Any, window: int) -> Any:
    """Means over the `window` rows that end at t, as `rolling_sum`."""
    return by_asset(lambda cells: means(cells, window), values)


def rolling_var(values: Any, window: int) -> Any:
    """Sample variances (ddof 1) over the `window` rows that end at t, as `rolling_sum`."""
    return by_asset(lambda cells: variances(cells, window)[0], values)


def rolling_std(values: Any, window: int) -> Any:
    """Standard deviations (ddof 1) over the `window` rows that end at t, as `rolling_sum`."""

    def deviations(cells: np.ndarray) -> np.ndarray:
        variance, _ = variances(cells, window)
        return np.sqrt(variance)

    return by_asset(deviations, values)


def rolling_skew(values: Any, window: int) -> Any:
    """Skewness over the `window` rows that end at t, as `rolling_sum`; NaN where constant."""
    return by_asset(lambda cells: skewness(cells, window), values)


def rolling_zscore(values: Any, window: int) -> Any:
    """Value less mean over standard deviation (ddof 1) of the `window` rows that end at t.

    NaN where constant.
    """

    def zscores(cells: np.ndarray) -> np.ndarray:
        variance, away = variances(cells, window)
        ratio = away / np.sqrt(variance)
        return np.where(variance > 0.0, ratio, np.nan)

    return by_asset(zscores, values)


def rolling_cov(x: Any, y: Any, window: int) -> Any:
    """Sample covariances (ddof 1) over the `window` rows that end at t, as `rolling_sum`."""

    def of_cells(left: np.ndarray, right: np.ndarray) -> np.ndarray:
        covariance, _, _ = covariances(left, right, window)
        return covariance

    return by_asset(of_cells, x, y)


def rolling_corr(x: Any, y: Any, window: int) -> Any:
    """Correlations over the `window` rows that end at t, within -1 and 1; NaN where constant."""

    def correlations(left: np.ndarray, right: np.ndarray) -> np.ndarray:
        covariance, left_variance, right_variance = covariances(left, right, window)
        left_deviation = np.sqrt(left_variance)
        right_deviation = np.sqrt(right_variance)
        correlation = covariance / (left_deviation * right_deviation)
        return np.clip(correlation, -1.0, 1.0)

    return by_asset(correlations, x, y)


def compound(returns: Any, rows: int) -> Any:
    """Return over the `rows` rows that end at t, from the returns of the rows.

    A total loss (-1) stays one; below it there is no return, NaN. Equal returns compound to equal
    ones, see `runner.numerics.variation.steadied`.
    """

    def over_rows(cells: np.ndarray) -> np.ndarray:
        steady = steadied(cells)
        if not (steady <= -1.0).any():
            return _of_growth(steady, rows)
        lost = steady == -1.0
        growth = np.where(lost, 0.0, steady)
        growth[growth < -1.0] = np.nan
        total = _of_growth(growth, rows)
        ruined = sums(lost.astype(float), rows) > 0.0
        return np.where(ruined & ~np.isnan(total), -1.0, total)

    return by_asset(over_rows, returns)


def _of_growth(returns: np.ndarray, rows: int) -> np.ndarray:
    """Returns (T, c) above -1 compounded over `rows` rows, (T - rows + 1, c)."""
    return np.asarray(np.expm1(sums(np.log1p(returns), rows)))


def rolling_beta(y: Any, x: Any, window: int) -> Any:
    """Slopes of y on x over the `window` rows that end at t; NaN where x is constant."""

    def slopes(left: np.ndarray, right: np.ndarray) -> np.ndarray:
        covariance, _, right_variance = covariances(left, right, window)
        return covariance / right_variance

    return by_asset(slopes, y, x)
