"""What varies, and what differs by rounding alone: the one place that every test of a spread asks.

A value judged by itself has rounding of some units in its last place, so that its spread is judged beside its
size. A simple return is a quotient of prices less one: its rounding is that of a number near one, however small
the return is. The index of an account that pays the same rate every day has returns that differ by some 1e-16,
and none of them tells anything.
"""

from __future__ import annotations

import numpy as np

EPS = float(np.finfo(float).eps)
# Spread relative to the largest size below which values are rounding noise: some units in the last place.
FLAT = 1e-15
# Spread of quotients of prices, relative to one plus the largest size, below which it is rounding noise: each price
# is rounded by half a unit, the quotient of two by another, and two such quotients are compared.
ROUNDING = 4.0 * EPS
# Share of a step between quotients that the rounding of what was subtracted from them may take or add.
SLOP = 1e-3


def of_quotients(values: np.ndarray) -> np.ndarray:
    """Whether each value is a quotient less one: it has no digit below those of a number near one."""
    return (1.0 + values) - 1.0 == values


def flat(values: np.ndarray, axis: int = 0, relative: float = FLAT, returns: bool = False) -> np.ndarray:
    """Whether the values differ by rounding alone, along an axis of which they have at least one.

    The spread is judged beside the largest size, and that of quotients of prices beside one: of what is known to
    be `returns` (or sums of them), and of values whose steps are those of numbers near one. NaN is not flat.

    Args:
        values: finite numbers of any shape.
        relative: share of the largest size that is rounding; larger where the values were computed from many.
        returns: whether these are simple returns, decimals.
    """
    peak = np.abs(values).max(axis=axis)
    spread = np.ptp(values, axis=axis)
    known = np.asarray(spread <= relative * peak)
    near = np.asarray(spread <= ROUNDING * (1.0 + peak)) & ~known
    if returns or not near.any():
        return known | near
    return known | (near & _steps_of_quotients(values, axis))


def _steps_of_quotients(values: np.ndarray, axis: int) -> np.ndarray:
    """Whether values differ by whole steps of numbers near one, as quotients less the same rate do."""
    steps = (values - values.take([0], axis)) / (EPS / 2.0)
    return np.asarray((np.abs(steps - np.round(steps)) <= SLOP).all(axis=axis))


def mean_over_spread(values: np.ndarray, relative: float = FLAT, returns: bool = False) -> float:
    """Mean over standard deviation (ddof 1) of the values (n,); NaN of fewer than two, or where they are flat."""
    if len(values) < 2 or flat(values, relative=relative, returns=returns):
        return float("nan")
    return float(values.mean() / values.std(ddof=1))
