"""The columns of a panel as a market gives them: in every cell, or in the listed cells alone."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from runner.data.fields import Listings, LongColumn
from runner.data.market import Market
from runner.errors import DataError
from runner.features.alone import field_alone
from runner.features.functions import field
from runner.panels.evaluated import aligned, evaluate
from runner.panels.numbers.cells import Cells, Cube, Ragged
from runner.panels.numbers.usable import WEIGHT

Feature = Callable[[Market], Any]


class Gathered(NamedTuple):
    """Target, features and weights on the rows of a panel; no cell is marked as usable yet.

    Attributes:
        cells: of the panel.
        with_gaps: names of the columns that lack a value somewhere.
    """

    cells: Cells
    with_gaps: Collection[str]


def asked(features: Mapping[str, Feature], weights: str | None) -> dict[str, Feature]:
    """The columns of a panel beside its target: the features, and the field of the weights."""
    columns = dict(features)
    if weights is not None:
        columns[WEIGHT] = partial(field, name=weights)
    return columns


def column_cells(name: str, column: Feature, dates: pd.DatetimeIndex, market: Market) -> np.ndarray:
    """A column on the rows of the panel, (T, N) or (T, 1).

    Raises:
        DataError: the data cannot give it.
    """
    where = WEIGHT if name == WEIGHT else f"features.{name}"
    return aligned(where, evaluate(where, column, market), market, dates)


def every_cell(
    columns: Mapping[str, Feature],
    market: Market,
    dates: pd.DatetimeIndex,
    y: np.ndarray,
    mistakes: list[str],
) -> Gathered:
    """The columns as arrays; what the data cannot give is added to the mistakes.

    Args:
        columns: as `asked` gives them.
        dates, y: (T,) rows of the panel and the target (T, N) on them.
    """
    names = [name for name in columns if name != WEIGHT]
    X = np.empty((len(dates), len(market.assets), len(names)))
    weights = None
    with_gaps = [] if np.isfinite(y).all() else ["target"]
    for name, column in columns.items():
        try:
            cells = column_cells(name, column, dates, market)
        except DataError as error:
            mistakes += error.mistakes
            continue
        if name == WEIGHT:
            weights = np.array(cells, order="C")
        else:
            X[:, :, names.index(name)] = cells
        if np.isnan(cells).any():
            with_gaps.append(name)
    unmarked = np.zeros(y.shape, dtype=bool)
    target = np.array(y, order="C")
    return Gathered(Cube(target, X, unmarked, weights), with_gaps)


def listed_cells(
    columns: Mapping[str, Feature],
    market: Market,
    dates: pd.DatetimeIndex,
    y: np.ndarray,
    mistakes: list[str],
) -> Gathered:
    """The columns in the cells in which one of them has a value; arguments as of `every_cell`.

    A field as it is stays long; no more than one other column at a time is an array of every cell.
    """
    N = len(market.assets)
    reader = Reader(market, dates)
    read: dict[str, Column] = {"target": column_of(y, N)}
    for name, column in columns.items():
        try:
            long = reader.field(column)
            if long is None:
                read[name] = column_of(column_cells(name, column, dates, market), N)
            else:
                read[name] = long
        except DataError as error:
            mistakes += error.mistakes
    listings = listed(read, dates, market.fields.assets)
    writer = Writer(listings)
    features = [name for name in columns if name != WEIGHT]
    n = len(listings.row)
    X = np.full((n, len(features)), np.nan)
    for k, name in enumerate(features):
        if name in read:
            writer.write(read.pop(name), X[:, k])
    target = writer.column(read["target"])
    weights = writer.column(read[WEIGHT]) if WEIGHT in read else None
    unmarked = np.zeros(n, dtype=bool)
    return Gathered(Ragged(listings, target, X, unmarked, weights), ["target", *columns])


class Known(NamedTuple):
    """A column of a panel where it has values.

    Attributes:
        position: (m,) positions of cells (T, N), row by row, increasing.
        values: (m,) its numbers there; every other cell has none.
    """

    position: np.ndarray
    values: np.ndarray


class OfDates(NamedTuple):
    """A column that is the same for every asset, (T,)."""

    values: np.ndarray


Column = Known | OfDates


class Reader:
    """Reads columns of a market on the dates of a panel; what is listed there is found once."""

    def __init__(self, market: Market, dates: pd.DatetimeIndex) -> None:
        self.market = market
        self.dates = dates
        self.rows = market.dates.get_indexer(dates)
        self.taken: dict[int, tuple[np.ndarray, np.ndarray | slice]] = {}

    def field(self, feature: Feature) -> Known | None:
        """The column of a feature that is a long field as it is; None of any other."""
        name = field_alone(feature, self.market)
        if name is None:
            return None
        column = self.market.fields.columns[name]
        if not isinstance(column, LongColumn):
            return None
        position, kept = self._on_dates(column.listings)
        return Known(position, column.values[kept])

    def _on_dates(self, listings: Listings) -> tuple[np.ndarray, np.ndarray | slice]:
        """Positions of listings among the cells of the panel, and which listings these are."""
        key = id(listings)
        if key not in self.taken:
            if len(self.dates) == len(listings.dates):
                self.taken[key] = (listings.position, slice(None))
            else:
                part = listings.at(self.rows)
                self.taken[key] = (part.listings.position, part.kept)
        return self.taken[key]


def column_of(cells: np.ndarray, assets: int) -> Column:
    """The column of an array (T, N), or (T, 1) of what is the same for every asset."""
    if cells.shape[1] < assets:
        return OfDates(cells[:, 0])
    by_asset = cells.T  # the order in which a frame of few fields lies in memory
    known = ~np.isnan(by_asset)
    mask = np.ascontiguousarray(known.T)
    position = np.flatnonzero(mask)
    return Known(position, cells[np.unravel_index(position, cells.shape)])


def listed(columns: Mapping[str, Column], dates: pd.DatetimeIndex, assets: pd.Index) -> Listings:
    """The cells in which some column has a value, in order of date, then asset."""
    N = len(assets)
    mask = np.zeros(len(dates) * N, dtype=bool)
    seen: set[int] = set()
    for column in columns.values():
        if isinstance(column, Known) and id(column.position) not in seen:
            seen.add(id(column.position))
            mask[column.position] = True
    position = np.flatnonzero(mask)
    row, asset = np.divmod(position, N)
    return Listings(dates, assets, row.astype(np.int32), asset.astype(np.int32))


class Writer:
    """Writes columns into the rows of listings; where columns share cells, these are found once."""

    def __init__(self, listings: Listings) -> None:
        self.listings = listings
        self.places: dict[int, np.ndarray | slice] = {}

    def write(self, column: Column, into: np.ndarray) -> None:
        """Write a column into an array (n,) of NaN."""
        if isinstance(column, OfDates):
            into[:] = column.values[self.listings.row]
            return
        into[self._places(column.position)] = column.values

    def column(self, column: Column) -> np.ndarray:
        """A column (n,) of the rows; NaN where it has no value."""
        values = np.full(len(self.listings.row), np.nan)
        self.write(column, values)
        return values

    def _places(self, position: np.ndarray) -> np.ndarray | slice:
        """Rows of the cells at these positions."""
        key = id(position)
        if key not in self.places:
            if len(position) == len(self.listings.row):
                self.places[key] = slice(None)
            else:
                self.places[key] = np.searchsorted(self.listings.position, position)
        return self.places[key]
