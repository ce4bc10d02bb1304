"""Medians and quantiles of numbers that are read in parts, the same as of all at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import floor

import numpy as np

Parts = Callable[[], Iterator[np.ndarray]]  # reads the numbers anew, some at a time

DIGIT = 16  # bits that are looked at in one reading
BITS = 64
KEPT = 1 << 20  # numbers that are held at a time


def known_sizes(part: np.ndarray) -> np.ndarray:
    """Sizes (m,) of the numbers of a part that are finite."""
    sizes = np.abs(part)
    finite = np.isfinite(sizes)
    return sizes.ravel() if finite.all() else sizes[finite]


def quantile(parts: Parts, share: float) -> float:
    """The quantile of numbers that are not negative, linear between two of them; NaN of none.

    Args:
        parts: gives their known sizes.
    """
    count = sum(len(part) for part in parts())
    if not count:
        return float("nan")
    place = share * (count - 1)
    low = floor(place)
    high = min(low + 1, count - 1)
    [first, second] = _at_ranks(parts, [low, high])
    return float(np.quantile([first, second], place - low))


def median(parts: Parts) -> float:
    """The median of numbers that are not negative; NaN of none."""
    count = sum(len(part) for part in parts())
    if not count:
        return float("nan")
    return float(np.mean(_at_ranks(parts, [(count - 1) // 2, count // 2])))


def _at_ranks(parts: Parts, ranks: list[int]) -> list[float]:
    """The numbers at these places, which increase, once all are in order."""
    values: list[float] = []
    held = np.empty(0)
    before = 0
    for rank in ranks:
        if not before <= rank < before + len(held):
            held, before = _around(parts, rank)
        values.append(float(held[rank - before]))
    return values


def _around(parts: Parts, rank: int) -> tuple[np.ndarray, int]:
    """Numbers in order, among them the one at this place, and how many are below them.

    Numbers that are not negative are in the order of their bits: each reading counts the next
    digit of those that begin like the one that is looked for.
    """
    begins = np.uint64(0)
    before = 0
    counts = np.zeros(0, dtype=np.int64)
    chosen = shift = 0
    for shift in range(BITS - DIGIT, -1, -DIGIT):
        counts = np.zeros(1 << DIGIT, dtype=np.int64)
        for part in parts():
            bits = _bits(part)
            if shift < BITS - DIGIT:
                bits = bits[bits >> np.uint64(shift + DIGIT) == begins]
            digit = (bits >> np.uint64(shift)) & np.uint64((1 << DIGIT) - 1)
            counts += np.bincount(digit.astype(np.intp), minlength=1 << DIGIT)
        ends = before + np.cumsum(counts)
        chosen = int(np.searchsorted(ends, rank, side="right"))
        before = int(ends[chosen] - counts[chosen])
        begins = (begins << np.uint64(DIGIT)) | np.uint64(chosen)
        if counts[chosen] <= KEPT or not shift:
            break
    if counts[chosen] > KEPT:  # all are equal
        return np.array([begins]).view(np.float64), rank
    parts_of_it = []
    for part in parts():
        bits = _bits(part)
        parts_of_it.append(part[bits >> np.uint64(shift) == begins])
    return np.sort(np.concatenate(parts_of_it)), before


def _bits(part: np.ndarray) -> np.ndarray:
    return (part + 0.0).view(np.uint64)
