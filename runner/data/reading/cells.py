"""Cells of a table (date x asset) with numbers in them, as the fields of a market."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from runner.compute.pages import large_array
from runner.data import fields
from runner.data.columns.column import Column
from runner.data.columns.listings import Listings
from runner.data.columns.long import LongColumn
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
        listings, in_order = _listings(dates, assets, row, column)
        of_listings = _among(taken, in_order)
        columns: dict[str, Column] = {}
        for name, values in numbers.items():
            columns[name] = LongColumn(listings, values[of_listings])
        return Fields(columns)
    frames = {}
    for name, values in numbers.items():
        cells = large_array((N, T))
        cells.fill(np.nan)
        cells[column, row] = values[taken]
        frames[name] = pd.DataFrame(cells.T, index=dates, columns=assets, copy=False)
    return Fields.of_frames(frames)


def _increases(numbers: np.ndarray) -> bool:
    return bool((numbers[1:] > numbers[:-1]).all())


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


def _listings(
    dates: pd.DatetimeIndex, assets: pd.Index, row: np.ndarray, column: np.ndarray
) -> tuple[Listings, np.ndarray | slice]:
    """The listings of these cells, and the order (n,) that the cells have in them."""
    position = row.astype(np.int64) * len(assets) + column
    in_order: np.ndarray | slice = slice(None)
    if not _increases(position):
        in_order = np.argsort(position)
    del position
    rows = row[in_order].astype(np.int32, copy=False)
    columns = column[in_order].astype(np.int32, copy=False)
    return Listings(dates, assets, rows, columns), in_order
