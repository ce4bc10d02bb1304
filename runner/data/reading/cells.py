"""Cells of a table (date x asset) with numbers in them, as the fields of a market."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from runner.compute.pages import large_array
from runner.data import fields
from runner.data.columns.column import Column
from runner.data.columns.listings import Listings
from runner.data.columns.long import LongColumn
from runner.data.columns.order import in_order, increases
from runner.data.fields import Fields


def fields_of_cells(
    dates: pd.DatetimeIndex,
    assets: pd.Index,
    row: np.ndarray,
    column: np.ndarray,
    numbers: Mapping[str, np.ndarray],
    taken: np.ndarray | slice,
) -> Fields:
    """Fields from numbers (m,) by name, some of them in n cells, one in each.

    Args:
        row: (n,) positions of the dates of the cells.
        column: (n,) positions of their assets.
        taken: (n,) position of the number of each cell; `slice(None)` where they are in order.
    """
    T = len(dates)
    N = len(assets)
    known = _some_number(numbers, taken, len(row))
    if np.count_nonzero(known) < fields.FULL * T * N:
        if not known.all():
            row = row[known]
            column = column[known]
            taken = _among(taken, np.flatnonzero(known))
        listings, order = _listings(dates, assets, row, column)
        of_listings = _among(taken, order)
        columns: dict[str, Column] = {}
        for name, values in zip(numbers, _each(numbers, of_listings), strict=True):
            columns[name] = LongColumn(listings, values)
        return Fields(columns)
    frames = {}
    for name, values in numbers.items():
        cells = large_array((N, T))
        cells.fill(np.nan)
        cells[column, row] = values[taken]
        frames[name] = pd.DataFrame(cells.T, index=dates, columns=assets, copy=False)
    return Fields.of_frames(frames)


def _among(taken: np.ndarray | slice, chosen: np.ndarray | slice) -> np.ndarray | slice:
    """Those of the taken positions that are chosen; a slice is of all."""
    if isinstance(taken, slice):
        return chosen
    return taken[chosen]


def _some_number(
    numbers: Mapping[str, np.ndarray], taken: np.ndarray | slice, cells: int
) -> np.ndarray:
    """Mask (n,) of the cells with a number under some name, at these positions of the numbers."""
    known = np.zeros(cells, dtype=bool)
    for values in numbers.values():
        known |= ~np.isnan(values)[taken]
        if known.all():
            break
    return known


def _each(numbers: Mapping[str, np.ndarray], taken: np.ndarray | slice) -> Sequence[np.ndarray]:
    """The numbers at these positions, of each name and in its own type.

    Those of 64 bits lie one behind the other in memory, so that a panel of them needs no copy.
    """
    if isinstance(taken, slice):
        return [values[taken] for values in numbers.values()]
    doubles = [values.dtype == np.float64 for values in numbers.values()]
    room = iter(np.empty((sum(doubles), len(taken))))
    chosen = []
    for values, double in zip(numbers.values(), doubles, strict=True):
        into = next(room) if double else np.empty(len(taken), values.dtype)
        chosen.append(values.take(taken, out=into, mode="clip"))  # else it copies once more
    return chosen


def _listings(
    dates: pd.DatetimeIndex, assets: pd.Index, row: np.ndarray, column: np.ndarray
) -> tuple[Listings, np.ndarray | slice]:
    """The listings of these cells, and the order (n,) that the cells have in them."""
    rows = row.astype(np.int32, copy=False)
    columns = column.astype(np.int32, copy=False)
    as_given = Listings(dates, assets, rows, columns)
    if increases(as_given.position):
        return as_given, slice(None)
    del as_given  # its positions take memory beside those of the order
    by_asset = in_order(column, len(assets))
    order = by_asset[in_order(row[by_asset], len(dates))]
    return Listings(dates, assets, rows[order], columns[order]), order
