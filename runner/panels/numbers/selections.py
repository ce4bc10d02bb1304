"""Which dates, assets and columns of an array, taken without a copy where that is possible."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from runner.compute.pages import large_array, let_go

COPIED = 2**21  # numbers at a time
MARKED = 2**16  # places of a mask that are counted at a time
Numbers = Literal["y", "X", "valid", "weights", "raw"]


def are_all(assets: np.ndarray, count: int) -> bool:
    """Whether these positions are those of all of so many assets, in their order."""
    return len(assets) == count and bool((np.diff(assets) > 0).all())


def are_alike(slopes: np.ndarray) -> bool:
    """Whether every asset has the same slopes (N, k)."""
    one_line_for_all = slopes.strides[0] == 0  # no copy of it for each asset
    return len(slopes) > 0 and (one_line_for_all or bool((slopes == slopes[:1]).all()))


def marked(positions: np.ndarray, count: int) -> np.ndarray:
    """Mask of so many places, True at these positions."""
    mask = np.zeros(count, dtype=bool)
    mask[positions] = True
    return mask


def marked_at(mask: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """Positions, of any shape, of the places of a mask that are True and come at these ranks."""
    starts = np.arange(0, len(mask), MARKED)
    counts = [np.count_nonzero(mask[start : start + MARKED]) for start in starts.tolist()]
    ends = np.cumsum(counts)
    before = ends - counts
    part = np.searchsorted(ends, ranks, side="right")
    positions = np.empty(ranks.shape, dtype=np.intp)
    for number in np.unique(part).tolist():
        of_part = part == number
        start = int(starts[number])
        places = np.flatnonzero(mask[start : start + MARKED])
        positions[of_part] = start + places[ranks[of_part] - before[number]]
    return positions


def adjacent(rows: np.ndarray) -> slice | np.ndarray:
    """Positions as a slice where they follow each other."""
    if len(rows) and (np.diff(rows) == 1).all():
        return slice(int(rows[0]), int(rows[-1]) + 1)
    return rows


def adjacent_columns(positions: Sequence[int]) -> slice | None:
    """Positions of columns as a slice where they follow each other, else None."""
    if not len(positions):
        return None
    first = positions[0]
    last = positions[-1]
    if list(positions) == list(range(first, last + 1)):
        return slice(first, last + 1)
    return None


def kept_columns(X: np.ndarray, positions: Sequence[int]) -> np.ndarray:
    """Columns of X (..., K), to be kept; those that do not follow each other are copied."""
    together = adjacent_columns(positions)
    if together is not None:
        return X[..., together]
    chosen = large_array((*X.shape[:-1], len(positions)))
    of_a_row = max(chosen[:1].size, 1)
    length = max(COPIED // of_a_row, 1)
    for first in range(0, len(X), length):
        rows = slice(first, first + length)
        chosen[rows] = X[rows][..., positions]
        let_go(X)
        let_go(chosen)
    return chosen


def all_finite(X: np.ndarray) -> np.ndarray:
    """(T, N) whether every number of X (T, N, K) is finite.

    A number times zero is zero if it is finite, and else missing; a sum of these is several times
    sooner than a question for every number.
    """
    K = X.shape[2]
    if not K:
        return np.ones(X.shape[:2], dtype=bool)
    with np.errstate(invalid="ignore"):
        zeros = np.einsum("tnk,k->tn", X, np.zeros(K))
    return zeros == 0.0


def write_column(X: np.ndarray, k: int, values: np.ndarray) -> None:
    """Write a column, (T, N) or (T, 1), into X (T, N, K); some dates at a time, as it is large."""
    of_a_row = max(X[:1].size, 1)
    length = max(COPIED // of_a_row, 1)
    for first in range(0, len(X), length):
        rows = slice(first, first + length)
        X[rows, :, k] = values[rows]
        let_go(X)


def selected(values: np.ndarray | None, selection: Any) -> Any:
    """These cells of values that a panel may not have; None where it has none."""
    if values is None:
        return None
    return values[selection]


class _SideBySide:
    """Arrays that lie one behind the other in memory, and live as long as an array of them all."""

    def __init__(self, columns: Sequence[np.ndarray]) -> None:
        self.columns = columns
        first = columns[0]
        shape = (len(columns), len(first))
        address = (first.ctypes.data, True)  # not to be written to
        self.__array_interface__ = {
            "shape": shape,
            "typestr": first.dtype.str,
            "data": address,
            "version": 3,
        }


def side_by_side(columns: Sequence[np.ndarray]) -> np.ndarray | None:
    """Arrays (n,) of floats as one (n, K) without a copy; None where they do not lie side by side.

    It is not to be written to.
    """
    if not len(columns):
        return None
    start = columns[0].ctypes.data
    for k, column in enumerate(columns):
        follows = column.ctypes.data == start + k * columns[0].nbytes
        plain = column.dtype == np.float64 and column.flags.c_contiguous
        if not (follows and plain and column.shape == columns[0].shape):
            return None
    return np.asarray(_SideBySide(columns)).T


def centre(X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Means (1, 1, K + 1) of features (n, K) and target (n,), the same bits in any layout."""
    columns = np.ascontiguousarray(X.T)
    return np.append(columns.mean(axis=1), y.mean())[None, None]


def runs(rows: np.ndarray) -> list[slice]:
    """Positions that increase as slices, each of those that follow each other; one of none."""
    if not len(rows):
        return [slice(0, 0)]
    before_gaps = np.flatnonzero(rows[1:] != rows[:-1] + 1).tolist()
    firsts = [0, *(at + 1 for at in before_gaps)]
    lasts = [*before_gaps, len(rows) - 1]
    spans = []
    for first, last in zip(firsts, lasts, strict=True):
        spans.append(slice(int(rows[first]), int(rows[last]) + 1))
    return spans
