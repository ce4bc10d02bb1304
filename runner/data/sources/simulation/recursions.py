"""Rows of simulated arrays that follow from the rows before them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from runner.errors import DataError

FIRST_CLOSE = 100.0
LEAST_PRICE, LARGEST_PRICE = 1e-200, 1e200  # their products stay numbers


def persistent(shocks: np.ndarray, memory: float) -> np.ndarray:
    """First-order autoregression (T, N) of variance 1 from independent shocks, in place."""
    innovation_variance = 1.0 - memory**2
    fresh = np.sqrt(innovation_variance)
    for before, row in pairwise(shocks):
        row *= fresh
        row += memory * before
    return shocks


def priced(returns: np.ndarray) -> np.ndarray:
    """Prices (T, N) from simple returns, in place; the row before the first is at 100.

    Raises:
        DataError: a price that is zero or infinite as a number.
    """
    before = np.full(returns.shape[1], FIRST_CLOSE)
    with np.errstate(over="ignore"):
        for row in returns:
            row += 1.0
            row *= before
            before = row
    lowest = returns.min()
    highest = returns.max()
    if not LEAST_PRICE < lowest <= highest < LARGEST_PRICE:
        raise DataError(
            "data: prices leave the range of numbers; lower the volatilities, premia or rows"
        )
    return returns
