"""p-values of one among many tests, adjusted for how many there were.

Every function takes p-values (n,) and the number m >= n of trials: those whose p-value is not known
(NaN, failed, abandoned) count as p = 1. An adjusted p-value is the least level at which the test is
still rejected; NaN stays NaN.
"""

from __future__ import annotations

import numpy as np


def holm(p: np.ndarray, m: int | None = None) -> np.ndarray:
    """Step-down of Holm (1979): the chance of any false rejection, however the tests depend on each
    other.

    Raises:
        ValueError: as `trials`.
    """
    order, known, m = _sorted(p, m)
    return _back(p, order, np.maximum.accumulate((m - np.arange(len(known))) * known))


def benjamini_hochberg(p: np.ndarray, m: int | None = None) -> np.ndarray:
    """Step-up of Benjamini and Hochberg (1995): the expected share of false ones among the
    rejections, for tests that are independent or positively dependent.

    Raises:
        ValueError: as `trials`.
    """
    order, known, m = _sorted(p, m)
    steps = known * m / np.arange(1, len(known) + 1)
    return _back(p, order, np.minimum.accumulate(steps[::-1])[::-1])


def benjamini_yekutieli(p: np.ndarray, m: int | None = None) -> np.ndarray:
    """Benjamini and Yekutieli (2001): the same under any dependence, dearer by `harmonic(m)`.

    Raises:
        ValueError: as `trials`.
    """
    m = trials(p, m)
    return np.minimum(benjamini_hochberg(p, m) * harmonic(m), 1.0) if len(p) else np.empty(0)


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
    if ((p < 0.0) | (p > 1.0)).any():
        raise ValueError(
            f"p: given {p[(p < 0.0) | (p > 1.0)][0]:g}; allowed: 0 to 1, or NaN where not known"
        )
    return len(p) if m is None else m


def _sorted(p: np.ndarray, m: int | None) -> tuple[np.ndarray, np.ndarray, int]:
    """Positions of the known p-values from the smallest on, these values, and the number of
    trials.
    """
    p, m = np.asarray(p, dtype=float), trials(p, m)
    order = np.argsort(p, kind="stable")[: np.isfinite(p).sum()]  # NaN are sorted last
    return order, p[order], m


def _back(p: np.ndarray, order: np.ndarray, adjusted: np.ndarray) -> np.ndarray:
    found = np.full(len(p), np.nan)
    found[order] = np.minimum(adjusted, 1.0)
    return found
