"""The columns of a panel as a market gives them: in every cell, or in the listed cells alone."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from runner.compute.pages import large_array, large_copy
from runner.data.columns.listings import Listings
from runner.data.columns.long import LongColumn
from runner.data.market import Market
from runner.data.reading.parsing import pieces
from runner.errors import DataError, placed
from runner.features.alone import field_alone, of_each_cell
from runner.features.expressions import Expression
from runner.features.functions import field
from runner.features.lookback import rows_before
from runner.numerics.compiled.rule import DONE
from runner.panels import memory
from runner.panels.evaluated import Checked, aligned, checked, evaluate
from runner.panels.numbers.cells import Cube, InMemory, Ragged
from runner.panels.numbers.ragged import Lone
from runner.panels.numbers.selections import side_by_side, write_column
from runner.panels.numbers.some_assets import (
    Column,
    Known,
    OfDates,
    Wide,
    column_of,
    fields_of,
    in_parts,
    listed,
    of_each_asset,
)
from runner.panels.numbers.usable import WEIGHT
from runner.targets import UNKNOWN, Target, Unit, field_ahead

TARGET = "target"
EVERY = slice(None)  # row of the target; a part of them is a block, whose size is bounded

Feature = Callable[[Market], Any]


class Gathered(NamedTuple):
    """Target, features and weights on the rows of a panel; no cell is marked as usable yet.

    Attributes:
        cells: of the panel.
        with_gaps: names of the columns that lack a value somewhere.
        dates: (T,) rows of the panel.
        horizon: rows that the target looks ahead.
        unit: of the target.
    """

    cells: InMemory
    with_gaps: Collection[str]
    dates: pd.DatetimeIndex
    horizon: int
    unit: Unit


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
    where = _where(name)
    return aligned(where, evaluate(where, column, market), market, dates)


def _where(name: str) -> str:
    """What a column is called where it is wrong."""
    return WEIGHT if name == WEIGHT else f"features.{name}"


def every_cell(
    columns: Mapping[str, Feature],
    target: Callable[[Market], Target],
    market: Market,
    mistakes: list[str],
    own: slice,
) -> Gathered:
    """The columns as arrays; what the data cannot give is added to the mistakes.

    Args:
        columns: as `asked` gives them.
        own: rows of the panel, among those of the target.
    """
    of_target = _target(target, market, mistakes).on(own)
    dates = of_target.dates
    names = [name for name in columns if name != WEIGHT]
    if own == EVERY:
        memory.check(len(dates), len(market.assets), len(names), None)
    X = large_array((len(dates), len(market.assets), len(names)))
    weights = None
    with_gaps = [] if np.isfinite(of_target.y).all() else [TARGET]
    for name, column in columns.items():
        try:
            cells = column_cells(name, column, dates, market)
        except DataError as error:
            mistakes += error.mistakes
            continue
        if name == WEIGHT:
            weights = np.array(cells, order="C")
        else:
            write_column(X, names.index(name), cells)
        if np.isnan(cells).any():
            with_gaps.append(name)
    y = large_copy(of_target.y)
    cube = Cube(y, X, np.zeros(y.shape, dtype=bool), weights)
    return Gathered(cube, with_gaps, dates, of_target.horizon, of_target.unit)


def _target(target: Callable[[Market], Target], market: Market, mistakes: list[str]) -> Checked:
    """The target and its rows; what the data cannot give is added to the mistakes."""
    try:
        return checked(evaluate(TARGET, target, market), market)
    except DataError as error:
        mistakes += error.mistakes
    shape = (len(market.dates), len(market.assets))
    nothing = np.broadcast_to(np.nan, shape)
    return Checked(market.dates, nothing, 0, UNKNOWN)


def listed_cells(
    columns: Mapping[str, Feature],
    target: Callable[[Market], Target],
    market: Market,
    mistakes: list[str],
    own: slice,
    as_read: bool = False,
) -> Gathered:
    """The columns in the cells in which one of them has a value; arguments as of `every_cell`.

    A field as it is stays long, and so does what is computed of fields cell by cell; what computes
    every asset by itself is computed for some assets at a time; no more than one other column at a
    time is an array of every cell.

    Args:
        as_read: whether nothing changes the features, so that they may be those of the market.
    """
    reading = Reading(columns, target, market, mistakes, own)
    dates = reading.dates
    features = [name for name in columns if name != WEIGHT]
    wide = reading.wide
    if own == EVERY:
        N = len(market.assets)
        memory.check(len(dates), N, len(features), market.fields.listed, bool(wide))
    read = reading.columns(mistakes)
    market.fields.rest()  # all that is asked of it was read
    with_gaps = [TARGET, *columns]
    held = held_by_market(read, features) if as_read else None
    if held is not None:
        return Gathered(held, with_gaps, dates, reading.horizon, reading.unit)
    listings = listed(read, dates, market.fields.assets)
    writer = Writer(listings)
    n = len(listings.row)
    make = large_array if own == EVERY else np.empty  # a block is gone before it could be let go
    X = make((len(features), n)).T  # columns lie together, as they are written
    for k, name in enumerate(features):
        if name in read:
            writer.write(read.pop(name), X[:, k])
        else:
            X[:, k] = np.nan
    values = writer.column(read[TARGET])
    weights = writer.column(read[WEIGHT]) if WEIGHT in read else None
    rows = Ragged(listings, values, X, np.zeros(n, dtype=bool), weights)
    return Gathered(rows, with_gaps, dates, reading.horizon, reading.unit)


def held_by_market(columns: Mapping[str, Column], features: Sequence[str]) -> Ragged | None:
    """Rows whose features are those of the market, without a copy; None where these lie apart.

    Cells with a target and no feature are kept beside them.
    """
    known = {name: column for name, column in columns.items() if isinstance(column, Known)}
    if len(known) < len(columns) or not known.keys() >= set(features) or not features:
        return None
    target = known.pop(TARGET)
    listings = known[features[0]].listings
    X = side_by_side([known[name].values for name in features])
    of_one_table = all(column.listings is listings for column in known.values())
    if X is None or listings is None or not of_one_table:
        return None
    y = np.full(len(X), np.nan)
    is_listed = np.zeros(len(target.position), dtype=bool)
    for some in pieces(len(target.position)):
        place = listings.places(target.position[some])
        listed_here = place >= 0
        y[place[listed_here]] = target.values[some][listed_here]
        is_listed[some] = listed_here
    others = np.flatnonzero(~is_listed)
    others = others[np.argsort(target.position[others])]
    lone = Lone(target.position[others], target.values[others])
    weights = known[WEIGHT].values if WEIGHT in known else None
    return Ragged(listings, y, X, np.zeros(len(X), dtype=bool), weights, lone=lone)


class Reading:
    """Reads the target and the columns of a market where they have values.

    What is listed on the dates of the panel is found once.

    Attributes:
        dates: (T,) rows of the panel.
        horizon: rows that the target looks ahead.
        unit: of the target.
        long: columns that are a long field as it is, or one cell by cell, by name.
        by_itself: names of columns that compute every asset by itself.
        wide: names of others, arrays of every cell while they are computed.
    """

    def __init__(
        self,
        columns: Mapping[str, Feature],
        target: Callable[[Market], Target],
        market: Market,
        mistakes: list[str],
        own: slice,
    ) -> None:
        """Find the rows of the panel; what the data cannot give is added to the mistakes.

        Args:
            own: rows of the panel, among those of the target.
        """
        self.asked = columns
        self.target = target
        self.market = market
        self.own = own
        part = market
        if of_each_asset(target):
            first_and_last = np.unique([0, len(market.assets) - 1])
            part = market.of_positions(first_and_last)  # its rows are those of every asset
        self.of_target = _target(target, part, mistakes).on(own)
        self.dates = self.of_target.dates
        self.horizon = self.of_target.horizon
        self.unit = self.of_target.unit
        self.rows = market.dates.get_indexer(self.dates)
        self.taken: dict[int, tuple[np.ndarray, np.ndarray | slice]] = {}
        self.long: dict[str, Known] = {}
        self.by_itself: list[str] = []
        self.wide: list[str] = []
        for name, column in columns.items():
            long = self._field(column)
            if long is None:
                long = self._of_each_cell(column)
            if long is not None:
                self.long[name] = long
            elif of_each_asset(column):
                self.by_itself.append(name)
            else:
                self.wide.append(name)
        ahead = self._target_ahead()
        if ahead is not None:
            self.long[TARGET] = ahead
        elif of_each_asset(target):
            self.by_itself.append(TARGET)
        else:
            self.wide.append(TARGET)

    def columns(self, mistakes: list[str]) -> dict[str, Column]:
        """Target and columns by name; what the data cannot give is added to the mistakes."""
        wrong: dict[str, Sequence[str]] = {}
        read: dict[str, Column] = dict(self.long)
        self.long.clear()
        read |= self._of_each_asset(wrong)
        N = len(self.market.assets)
        if TARGET not in read:
            read[TARGET] = column_of(self.of_target.y, N)
        for name in self.wide:
            if name == TARGET:
                continue
            try:
                read[name] = column_of(self._cells(name, self.market), N)
            except DataError as error:
                wrong[name] = error.mistakes
        for name in (TARGET, *self.asked):
            mistakes += wrong.get(name, ())
        return read

    def _of_each_asset(self, wrong: dict[str, Sequence[str]]) -> dict[str, Column]:
        """What computes every asset by itself, for some assets at a time.

        Args:
            wrong: name -> what the data cannot give; this call adds to it.
        """
        computes: dict[str, Callable[[Market], np.ndarray]] = {}
        fields: set[str] = set()
        for name in self.by_itself:
            if name == TARGET:
                computes[name] = self._target_cells
                fields |= fields_of(self.target)
                continue
            column = self.asked[name]
            if isinstance(column, Expression):  # a part of the data would not know all names
                try:
                    column.checked(self.market)
                except DataError as error:
                    wrong[name] = placed(_where(name), error)
            computes[name] = partial(self._cells, name)
            fields |= fields_of(column)
        return in_parts(computes, fields, self.market, wrong) if computes else {}

    def _cells(self, name: str, part: Market) -> np.ndarray:
        """A column of these data, of the rows that it looks back to where the panel is a block."""
        column = self.asked[name]
        back = rows_before(column, part.calendar.dates)
        if self.own != EVERY and back is not None:
            first = max(int(self.rows[0]) - back, 0)
            part = part.at(np.arange(first, len(part.dates)))
        return column_cells(name, column, self.dates, part)

    def _target_cells(self, part: Market) -> np.ndarray:
        """The target of some assets."""
        return checked(evaluate(TARGET, self.target, part), part).on(self.own).y

    def _target_ahead(self) -> Known | None:
        """The target where it is a long field of a later row; None of any other."""
        ahead = field_ahead(self.target, self.market)
        if ahead is None or self.own != EVERY:
            return None
        column = self.market.fields.columns[ahead.field]
        if not isinstance(column, LongColumn):
            return None
        position, values = column.cells()
        before = ahead.rows * len(self.market.assets)
        first = np.searchsorted(position, before)
        return Known(position[first:] - before, values[first:])

    def _field(self, feature: Feature) -> Known | None:
        """The column of a feature that is a long field as it is; None of any other."""
        name = field_alone(feature, self.market)
        if name is None:
            return None
        column = self.market.fields.columns[name]
        if not isinstance(column, LongColumn):
            return None
        position, kept = self._on_dates(column.listings)
        listings = column.listings if isinstance(kept, slice) else None
        return Known(position, column.values[kept], listings)

    def _of_each_cell(self, feature: Feature) -> Known | None:
        """What is computed cell by cell of long fields of one table; None of any other.

        None too where it has a value without any of theirs: then every cell has one.
        """
        expression = of_each_cell(feature, self.market)
        if expression is None:
            return None
        columns = {name: self.market.fields.columns[name] for name in expression.names}
        listings = next(iter(columns.values())).listings
        of_one_table = all(column.listings is listings for column in columns.values())
        if not of_one_table or not isinstance(listings, Listings):
            return None
        unlisted = dict.fromkeys(columns, pd.Series([np.nan]))
        if not np.isnan(expression.of_listed_cells(self.market, unlisted)).all():
            return None
        position, kept = self._on_dates(listings)
        listed = {name: pd.Series(column.values[kept]) for name, column in columns.items()}
        return Known(position, expression.of_listed_cells(self.market, listed))

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


class Writer:
    """Writes columns into the rows of listings; where columns share cells, these are found once."""

    def __init__(self, listings: Listings) -> None:
        self.listings = listings
        self.places: dict[int, np.ndarray | slice] = {}

    def write(self, column: Column, into: np.ndarray) -> None:
        """Write a column into an array (n,); NaN where it has no value."""
        if isinstance(column, OfDates):
            into[:] = column.values[self.listings.row]
        elif isinstance(column, Wide):
            self._write_wide(column.by_asset, into)
        else:
            self._write_known(column, into)

    def _write_known(self, column: Known, into: np.ndarray) -> None:
        """Write the numbers that some cells have into an array (n,); NaN elsewhere."""
        listings = self.listings
        if DONE.has_begun and column.increasing:
            from runner.numerics.compiled import cells  # numba, where it is used

            where = (listings.starts, listings.column, len(listings.assets))
            cells.written(column.position, column.values, *where, into)
            return
        into[:] = np.nan
        into[self._places(column.position)] = column.values

    def _write_wide(self, by_asset: np.ndarray, into: np.ndarray) -> None:
        """Write numbers (N, T) of every cell into an array (n,)."""
        if DONE.has_begun:
            from runner.numerics.compiled import cells  # numba, where it is used

            cells.turned(by_asset, self.listings.starts, self.listings.column, into)
            return
        position = self.listings.position_by_asset
        by_asset.ravel().take(position, out=into, mode="clip")  # without a copy

    def column(self, column: Column) -> np.ndarray:
        """A column (n,) of the rows; NaN where it has no value."""
        values = np.empty(len(self.listings.row))
        self.write(column, values)
        return values

    def _places(self, position: np.ndarray) -> np.ndarray | slice:
        """Rows of the cells at these positions."""
        key = id(position)
        if key not in self.places:
            if np.array_equal(position, self.listings.position):
                self.places[key] = slice(None)
            else:
                self.places[key] = self.listings.places(position)
        return self.places[key]
