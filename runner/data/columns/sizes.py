"""What the numbers of a field are, read in parts: how many, how large, and the largest of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from runner.data.columns.column import Column
from runner.data.columns.order import finite, known_sizes, median, quantile

ROWS = 1 << 23  # cells of assets that are held at a time, for their medians
SOME = 4096  # values whose largest is looked at first


class Amounts(NamedTuple):
    """Counts and range of numbers.

    Attributes:
        present: numbers that are there, infinite ones too; known: those that are finite.
        zero: those that are zero; above_one: those above one in size.
        least, greatest: of those that are finite; NaN of none.
    """

    present: int
    known: int
    zero: int
    above_one: int
    least: float
    greatest: float

    @property
    def share_above_one(self) -> float:
        """Share of the finite ones that are above one in size; zero of none."""
        return self.above_one / max(self.known, 1)

    @property
    def share_zero(self) -> float:
        """Share of the finite ones that are zero; zero of none."""
        return self.zero / max(self.known, 1)


def amounts(column: Column) -> Amounts:
    """Counts and range of the numbers of a field."""
    return Amounts(*column.found("amounts", lambda: _amounts(column)))


def _amounts(column: Column) -> Amounts:
    """The same, all numbers of which are read."""
    present = known = zero = above_one = 0
    least = np.inf
    greatest = -np.inf
    for part in column.parts():
        finite = np.isfinite(part)
        numbers = part if finite.all() else part[finite]
        present += int(np.count_nonzero(~np.isnan(part)))
        known += numbers.size
        zero += int(np.count_nonzero(numbers == 0.0))
        above_one += int(np.count_nonzero(np.abs(part) > 1.0))
        if numbers.size:
            least = min(least, float(numbers.min()))
            greatest = max(greatest, float(numbers.max()))
    if not known:
        least = greatest = float("nan")
    return Amounts(present, known, zero, above_one, least, greatest)


def any_value(column: Column) -> bool:
    """Whether a field has a value."""
    return any(not np.isnan(part).all() for part in column.parts())


def median_size(column: Column) -> float:
    """Median absolute value of the numbers that are finite; NaN of none."""

    def sizes() -> Iterator[np.ndarray]:
        return map(known_sizes, column.parts())

    return median(sizes)


def quantile_of_sizes(column: Column, share: float) -> float:
    """A quantile of the absolute values of the numbers that are finite; NaN of none."""

    def sizes() -> Iterator[np.ndarray]:
        return map(known_sizes, column.parts())

    return quantile(sizes, share)


def median_of(column: Column) -> float:
    """Median of the numbers that are finite; NaN of none."""

    def numbers() -> Iterator[np.ndarray]:
        return map(finite, column.parts())

    return median(numbers)


def deviation(column: Column) -> float:
    """Sample standard deviation of the numbers that are finite; zero of a single one."""
    count = 0
    total = 0.0
    for part in column.parts():
        numbers = finite(part)
        count += len(numbers)
        total += float(numbers.sum())
    if count < 2:
        return 0.0
    mean = total / count
    variation = 0.0
    for part in column.parts():
        centred = finite(part) - mean
        variation += float((centred * centred).sum())
    return float(np.sqrt(variation / (count - 1)))


class Moves(NamedTuple):
    """Numbers (m,) of a field with the positions of their rows and assets."""

    rows: np.ndarray
    assets: np.ndarray
    values: np.ndarray


def above(column: Column, size: float) -> Iterator[Moves]:
    """The finite numbers that are above a size, some dates at a time, in order of date, asset."""
    for first, stretch in column.stretches():
        values = stretch.values
        at = np.flatnonzero((values > size) | (values < -size))
        at = at[np.isfinite(values.ravel()[at])]
        rows, assets = stretch.places(at)
        yield Moves(rows.astype(np.intp) + first, assets, values.ravel()[at])


def together(parts: Iterable[Moves]) -> Moves:
    """Numbers of some dates after the other as one."""
    nothing = np.empty(0, dtype=np.intp)
    every = [Moves(nothing, nothing, np.empty(0)), *parts]
    rows, assets, values = zip(*every, strict=True)
    return Moves(np.concatenate(rows), np.concatenate(assets), np.concatenate(values))


def largest_values(column: Column, most: int) -> Moves:
    """The largest finite numbers by size, so many; of equal ones the first by date, asset."""
    held = together([])
    for first, stretch in column.stretches():
        values = stretch.values
        sizes = np.abs(values)
        finite = np.isfinite(sizes)
        sizes[~finite] = -1.0
        at = np.flatnonzero(sizes >= max(_among_largest(sizes, most), 0.0))
        rows, assets = stretch.places(at)
        moves = Moves(rows.astype(np.intp) + first, assets, values.ravel()[at])
        held = together([held, moves])
        by_size = np.argsort(-np.abs(held.values), kind="stable")[:most]
        held = Moves(*(part[by_size] for part in held))
    return held


def _among_largest(sizes: np.ndarray, most: int) -> float:
    """A size that so many values reach at least, where there are so many, and few values pass."""
    flat = sizes.ravel(order="K")
    if len(flat) <= most * SOME:
        return 0.0
    starts = np.arange(0, len(flat), SOME)
    largest_of_each = np.maximum.reduceat(flat, starts)
    place = len(largest_of_each) - most
    return float(np.partition(largest_of_each, place)[place])


def median_sizes(column: Column, assets: np.ndarray) -> np.ndarray:
    """Median absolute value (m,) of the finite numbers of some assets, NaN of one without any.

    Args:
        assets: their positions, which increase.
    """
    medians = np.full(len(assets), np.nan)
    before = np.cumsum(column.rows_of_assets(slice(None))[assets])
    part = before // ROWS
    for number in np.unique(part):
        some = np.flatnonzero(part == number)
        medians[some] = _median_sizes(column.of_assets(assets[some], {}))
    return medians


def _median_sizes(column: Column) -> np.ndarray:
    """Median absolute value (N,) of the finite numbers of every asset of a field in memory."""
    N = len(column.assets)
    position, values = column.cells()
    finite = np.isfinite(values)
    asset = position[finite] % N
    sizes = np.abs(values[finite])
    order = np.lexsort((sizes, asset))
    sizes = sizes[order]
    counts = np.bincount(asset, minlength=N)
    starts = np.cumsum(counts) - counts
    medians = np.full(N, np.nan)
    there = np.flatnonzero(counts)
    lower = starts[there] + (counts[there] - 1) // 2
    upper = starts[there] + counts[there] // 2
    medians[there] = (sizes[lower] + sizes[upper]) / 2.0
    return medians
