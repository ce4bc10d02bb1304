"""`runner.numerics.variation.steadied`, compiled: the same numbers."""

from __future__ import annotations

import numpy as np

from runner.numerics.compiled.compiling import compiled, series_of


def steadied(returns: np.ndarray, rounding: float) -> np.ndarray:
    """Returns (T,) or (T, N), equal ones as the same number.

    Args:
        rounding: how far equal ones near zero may be apart.
    """
    alone = returns.ndim == 1
    series = series_of(returns[:, None] if alone else returns)
    result = np.empty_like(series)
    _steady(series, rounding, result)
    return result[0] if alone else result.T


@compiled
def _steady(series: np.ndarray, rounding: float, result: np.ndarray) -> None:
    """Write the steadied series (c, T) into `result`."""
    c, T = series.shape
    for i in range(c):
        before = np.nan  # the known return before
        before_is_quotient = False
        first = np.nan  # of the equal ones
        for t in range(T):
            value = series[i, t]
            if not np.isfinite(value):
                result[i, t] = value
                continue
            is_quotient = (1.0 + value) - 1.0 == value
            apart = abs(value - before)
            near = apart <= rounding * (1.0 + abs(before))
            if not (near and is_quotient and before_is_quotient):
                first = value
            result[i, t] = first
            before = value
            before_is_quotient = is_quotient
