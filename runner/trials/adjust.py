"""p-values of one among many tests, adjusted for how many there were.

Every function takes p-values (n,) and the number m >= n of trials: those whose p-value is not known
(NaN, failed, abandoned) count as p = 1. An adjusted p-value is the least level at which the test is
still rejected; NaN stays NaN.
"""

from __future__ import annotations

import numpy as np


def holm(p: np.ndarray, m: int | None = None) -> np.ndarray:
    """Holm (1979), step-down: the chance of any false rejection, under any dependence of the tests.

    Raises:
        ValueError: as `trials`.
    """
    order, known, m = _sorted(p, m)
    left = m - np.arange(len(known))  # tests that are not rejected yet
    return _back(p, order, np.maximum.accumulate(left * known))


def benjamini_hochberg(p: np.ndarray, m: int | None = None) -> np.ndarray:
    """Benjamini and Hochberg (1995), step-up: the expected share of false rejections.

    For tests that are independent or positively dependent.

    Raises:
        ValueError: as `trials`.
    """
    order, known, m = _sorted(p, m)
    ranks = len(known) + 1
    rank = np.arange(1, ranks)
    steps = known * m / rank
    from_largest = np.minimum.accumulate(steps[::-1])
    return _back(p, order, from_largest[::-1])


def benjamini_yekutieli(p: np.ndarray, m: int | None = None) -> np.ndarray:
    """Benjamini and Yekutieli (2001): the same under any dependence, times `harmonic(m)`.

    Raises:
        ValueError: as `trials`.
    """
    m = trials(p, m)
    if not len(p):
        return np.empty(0)
    return np.minimum(benjamini_hochberg(p, m) * harmonic(m), 1.0)


def harmonic(m: int) -> float:
    """Sum of 1 / k for k = 1 to m."""
    return float(np.sum(1.0 / np.arange(1, m + 1)))


def trials(p: np.ndarray, m: int | None) -> int:
    """The number of trials, the p-values given where none is named.

    Raises:
        ValueError: fewer trials than p-values; a p-value outside 0 to 1.
    """
    p = np.asarray(p, dtype=float)
    if m is not None and m < len(p):
        raise ValueError(
            f"m: given {m} trials with {len(p)} p-values; allowed: at least as many as p-values"
        )
    outside = p[(p < 0.0) | (p > 1.0)]
    if len(outside):
        raise ValueError(f"p: given {outside[0]:g}; allowed: 0 to 1, or NaN where not known")
    return len(p) if m is None else m


def _sorted(p: np.ndarray, m: int | None) -> tuple[np.ndarray, np.ndarray, int]:
    """Positions of the known p-values, the smallest first; these values; the number of trials."""
    p = np.asarray(p, dtype=float)
    m = trials(p, m)
    has_p = np.isfinite(p)
    known = int(has_p.sum())
    order = np.argsort(p, kind="stable")[:known]  # NaN are sorted last
    return order, p[order], m


def _back(p: np.ndarray, order: np.ndarray, adjusted: np.ndarray) -> np.ndarray:
    """The adjusted p-values in the places of p, at most 1."""
    p_adjusted = np.full(len(p), np.nan)
    p_adjusted[order] = np.minimum(adjusted, 1.0)
    return p_adjusted
