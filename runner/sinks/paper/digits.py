"""How many decimals the numbers of a regression table have: one rule for all columns."""

from __future__ import annotations

import math
from collections.abc import Iterable

from runner.text import UNKNOWN

ERROR_DIGITS = 2  # significant digits of the smallest standard error of a row
OWN_DIGITS = 4  # of the largest estimate of a row without standard errors
MOST_DECIMALS = 8  # smaller numbers are scientific
MOST_PLAIN = 1e9  # larger ones too
SCIENTIFIC = -1  # stands for numbers that no decimals show


def decimals_of(estimates: Iterable[float], errors: Iterable[float]) -> int:
    """Decimals of a row, the same in all columns; SCIENTIFIC where that takes too many.

    They show two significant digits of the smallest standard error or, without any, four of the
    largest estimate.
    """
    positive = [error for error in errors if math.isfinite(error) and error > 0.0]
    if positive:
        return _decimals(min(positive), ERROR_DIGITS)
    sizes = [abs(value) for value in estimates if math.isfinite(value) and value != 0.0]
    if sizes:
        return _decimals(max(sizes), OWN_DIGITS)
    return OWN_DIGITS


def _decimals(value: float, digits: int) -> int:
    """Decimals that show so many significant digits of a positive number."""
    rounded = float(f"{value:.{digits - 1}e}")
    power = math.log10(rounded)
    exponent = math.floor(power)
    decimals = max(digits - 1 - exponent, 0)
    return SCIENTIFIC if decimals > MOST_DECIMALS else decimals


def figure(value: float, decimals: int) -> str:
    """A number with so many decimals, thousands separated."""
    if not math.isfinite(value):
        return UNKNOWN
    if decimals == SCIENTIFIC or abs(value) >= MOST_PLAIN:
        return f"{value:.{OWN_DIGITS - 1}e}"
    return f"{value:,.{decimals}f}"
