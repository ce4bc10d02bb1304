"""Medians and quantiles of numbers that are read in parts, as of all at once; rows in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import floor

import numpy as np

Parts = Callable[[], Iterator[np.ndarray]]  # reads the numbers anew, some at a time

DIGIT = 16  # bits that are looked at in one reading
BITS = 64
KEPT = 1 << 20  # numbers that are held at a time
PIECE = 1 << 16  # numbers whose bits are looked at at a time, so that they stay in the cache
SIGN = np.uint64(1 << 63)


def finite(part: np.ndarray) -> np.ndarray:
    """The numbers (m,) of a part that are finite."""
    is_finite = np.isfinite(part)
    return part.ravel() if is_finite.all() else part[is_finite]


def known_sizes(part: np.ndarray) -> np.ndarray:
    """Sizes (m,) of the numbers of a part that are finite."""
    return np.abs(finite(part))


def quantile(parts: Parts, share: float) -> float:
    """The quantile of numbers that are finite, linear between two of them; NaN of none."""
    count = sum(len(part) for part in parts())
    if not count:
        return float("nan")
    place = share * (count - 1)
    low = floor(place)
    high = min(low + 1, count - 1)
    [first, second] = _at_ranks(parts, [low, high])
    return float(np.quantile([first, second], place - low))


def median(parts: Parts) -> float:
    """The median of numbers that are finite; NaN of none."""
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

    Each reading counts the next digit of the bits of those that begin like the one that is looked
    for.
    """
    begins = np.uint64(0)
    before = 0
    counts = np.zeros(0, dtype=np.int64)
    chosen = shift = 0
    for shift in range(BITS - DIGIT, -1, -DIGIT):
        counts = np.zeros(1 << DIGIT, dtype=np.int64)
        for piece in _pieces(parts):
            bits = _bits(piece)
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
        return np.array([_number(int(begins))]), rank
    parts_of_it = []
    for piece in _pieces(parts):
        bits = _bits(piece)
        parts_of_it.append(piece[bits >> np.uint64(shift) == begins])
    return np.sort(np.concatenate(parts_of_it)), before


def _pieces(parts: Parts) -> Iterator[np.ndarray]:
    """The same numbers, a few at a time."""
    for part in parts():
        for start in range(0, len(part), PIECE):
            yield part[start : start + PIECE]


def _bits(part: np.ndarray) -> np.ndarray:
    """Bits (n,) of numbers, in whose order the numbers are: those of negative ones turned."""
    bits = (part + 0.0).view(np.uint64)
    negative = bits >= SIGN
    return np.where(negative, ~bits, bits | SIGN)


def _number(bits: int) -> float:
    """The number with these bits."""
    turned = np.array([bits], dtype=np.uint64)
    plain = np.where(turned >= SIGN, turned ^ SIGN, ~turned)
    return float(plain.view(np.float64)[0])


def increases(numbers: np.ndarray) -> bool:
    """Whether each number is above the one before it."""
    return bool((numbers[1:] > numbers[:-1]).all())


def in_order(codes: np.ndarray, count: int) -> np.ndarray:
    """Positions (n,) of codes below `count`, increasing; equal ones stay in their order."""
    if (codes[1:] >= codes[:-1]).all():
        return np.arange(len(codes))
    if count <= np.iinfo(np.uint16).max:
        codes = codes.astype(np.uint16)  # numpy sorts them several times sooner
    return np.argsort(codes, kind="stable")
