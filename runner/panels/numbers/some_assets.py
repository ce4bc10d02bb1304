"""Columns of a panel for some assets at a time, where each asset is computed by itself.

No array of every cell (date x asset) is then made: of many assets that come and go it would be
larger than all that is known of them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from runner import targets
from runner.data.columns.listings import Listings
from runner.data.fields import Fields
from runner.data.market import Market
from runner.errors import DataError
from runner.features import alone
from runner.features.expressions import Expression

WHOLE = 8_000_000  # cells (date x asset) of a market that is taken whole, as a block of dates is
CELLS = 2_000_000  # at a time, of a larger one
TARGETS: tuple[object, ...] = (
    targets.same_period_return,
    targets.forward_return,
    targets.forward_volatility,
    targets.up,
)
FIELDS = frozenset({"close", "ret", "volume"})  # that our own features and targets read
Compute = Callable[[Market], np.ndarray]


class Known(NamedTuple):
    """A column of a panel where it has values.

    Attributes:
        position: (m,) positions of cells (T, N), increasing at least for some assets at a time.
        values: (m,) its numbers there; every other cell has none.
        listings: these cells, where they are all that a table lists.
        increasing: whether the positions increase.
    """

    position: np.ndarray
    values: np.ndarray
    listings: Listings | None = None
    increasing: bool = True


class Wide(NamedTuple):
    """A column of a panel in every cell.

    Attributes:
        by_asset: (N, T) its numbers, those of an asset side by side, perhaps with those of more
            dates in between; NaN where there is none.
    """

    by_asset: np.ndarray


class OfDates(NamedTuple):
    """A column that is the same for every asset, (T,)."""

    values: np.ndarray


Column = Known | Wide | OfDates


def listed(columns: Mapping[str, Column], dates: pd.DatetimeIndex, assets: pd.Index) -> Listings:
    """The cells in which some column has a value, in order of date, then asset."""
    N = len(assets)
    mask = np.zeros((len(dates), N), dtype=bool)
    seen: set[int] = set()
    for column in columns.values():
        if isinstance(column, Known) and id(column.position) not in seen:
            seen.add(id(column.position))
            mask.ravel()[column.position] = True
    wide = [column.by_asset for column in columns.values() if isinstance(column, Wide)]
    if wide:
        missing = np.isnan(wide[0])
        for by_asset in wide[1:]:
            missing &= np.isnan(by_asset)
        mask |= ~missing.T
    of_dates = np.count_nonzero(mask, axis=1)
    row = np.repeat(np.arange(len(dates), dtype=np.int32), of_dates)
    asset = np.flatnonzero(mask)
    asset -= np.repeat(np.arange(len(dates)) * N, of_dates)
    return Listings(dates, assets, row, asset.astype(np.int32))


def of_each_asset(column: object) -> bool:
    """Whether a feature or a target computes every asset by itself.

    That is known of our own and of expressions, not of a function of a user's own.
    """
    if alone.function_behind(column) in TARGETS:
        return True
    return alone.of_each_asset(column)


def fields_of(column: object) -> frozenset[str]:
    """The fields that such a feature or target may read."""
    if isinstance(column, Expression):
        return FIELDS | column.names
    return FIELDS


def in_parts(
    computes: Mapping[str, Compute],
    fields: Collection[str],
    market: Market,
    wrong: dict[str, Sequence[str]],
) -> dict[str, Column]:
    """Columns that compute every asset by itself, by name.

    Args:
        computes: name -> gives its cells on a market, (T, n assets), or (T, 1) where all assets
            share them.
        fields: those that they read.
        wrong: name -> what the data cannot give, one line each; this call adds to it.
    """
    N = len(market.assets)
    columns: dict[str, Column] = {}
    parts: dict[str, list[Known]] = {name: [] for name in computes}
    for first, part in _parts(market, fields):
        of_part = len(part.assets)
        for name, compute in computes.items():
            if name in wrong or name in columns:
                continue
            try:
                cells = compute(part)
            except DataError as error:
                wrong[name] = error.mistakes
                continue
            if cells.shape[1] < of_part or of_part == N:
                columns[name] = column_of(cells, of_part)
            else:
                parts[name].append(_known(cells, first, N))
    for name, of_name in parts.items():
        if of_name and name not in wrong:
            columns[name] = _together(of_name)
    return columns


def _together(parts: Sequence[Known]) -> Known:
    """The column of all assets from those of some, one after the other."""
    position = np.concatenate([part.position for part in parts])
    values = np.concatenate([part.values for part in parts])
    return Known(position, values, increasing=len(parts) == 1)


def column_of(cells: np.ndarray, assets: int) -> Column:
    """The column of an array (T, N), or (T, 1) of what is the same for every asset."""
    if cells.shape[1] < assets:
        return OfDates(cells[:, 0])
    if cells.size > WHOLE:
        return _known(cells, 0, assets)
    by_asset = cells.T
    if by_asset.strides[1] != by_asset.itemsize:  # as one date after the other
        by_asset = np.ascontiguousarray(by_asset)
    return Wide(by_asset)


def _parts(market: Market, names: Collection[str]) -> Iterator[tuple[int, Market]]:
    """The market with some of its assets at a time, and the position of the first of them.

    Args:
        names: the fields that are read.
    """
    columns = {name: market.fields.columns[name] for name in market.fields if name in names}
    of_names = replace(market, fields=Fields(columns), labels={})
    assets = np.arange(len(market.assets))
    cells = len(market.dates) * len(assets)
    count = -(-cells // CELLS)
    if cells <= WHOLE:
        yield 0, of_names
        return
    first = 0
    for some in np.array_split(assets, min(count, max(len(assets) // 2, 1))):
        yield first, of_names.of_positions(some)
        first += len(some)


def _known(cells: np.ndarray, first: int, assets: int) -> Known:
    """A column of some assets, (T, n), as part of that of all N assets.

    Args:
        first: position of the first of these assets among all.
        assets: N.
    """
    by_asset = ~np.isnan(cells.T)  # the order in which a frame of few fields lies in memory
    there = np.ascontiguousarray(by_asset.T)
    position = np.flatnonzero(there)
    of_part = there.shape[1]
    if of_part < assets:
        row, column = np.divmod(position, of_part)
        position = row * assets + (first + column)
    return Known(position, cells[there])
