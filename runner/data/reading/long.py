"""From a long table (a row per date and asset) to wide frames, with every left-out row counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd

from runner.data.columns.order import increases
from runner.data.columns.sizes import median_size
from runner.data.fields import Fields
from runner.data.joins.meeting import on_calendar
from runner.data.labels import UNKNOWN, Labels
from runner.data.market import Market
from runner.data.notices import Dropped, Reading
from runner.data.reading.cells import fields_of_cells
from runner.data.reading.checks import choose, conflicting, in_range, on_names, on_per_cent, repeats
from runner.data.reading.parsing import Coded, pieces
from runner.errors import DataError, placed

PRICE = "close"
RETURN = "ret"
OF_THE_DATE = "labels are those of the date."
FILLED = (
    "their other rows say it for these; a label of its own there, such as none, makes it one of "
    "the date."
)


class Cells(NamedTuple):
    """Where the rows in use go, one row a cell.

    Attributes:
        rows: positions of the rows in the table, `slice(None)` for all.
        at: positions (n,) of their cells in a flat cube (N, T).
        N, T: lines and dates of the cube.
    """

    rows: np.ndarray | slice
    at: np.ndarray
    N: int
    T: int

    def there(self, lines: int) -> np.ndarray:
        """Mask (lines, T) of the cells of the first lines that have a row."""
        mask = np.zeros((lines, self.T), dtype=bool)
        mask.reshape(-1)[self.at[self.at < mask.size]] = True
        return mask

    def by_date(self, lines: int) -> np.ndarray:
        """Rows (T,) of the first lines on each date."""
        rows = np.zeros(self.T, dtype=np.intp)
        for some in pieces(len(self.at)):
            at = self.at[some]
            date = at[at < lines * self.T] % self.T
            rows += np.bincount(date, minlength=self.T)
        return rows

    def are_alone(self) -> bool:
        """Whether no two rows are of one cell."""
        if increases(self.at) or self._in_order_of_date():
            return True
        mask = np.zeros(self.N * self.T, dtype=bool)
        mask[self.at] = True
        return np.count_nonzero(mask) == len(self.at)

    def _in_order_of_date(self) -> bool:
        """Whether the rows are in order of date, then line, no two of one cell."""
        before = -1
        for some in pieces(len(self.at)):
            line, date = np.divmod(self.at[some], self.T)
            place = date * np.int64(self.N) + line
            if place[0] <= before or not increases(place):
                return False
            before = place[-1]
        return True


class MacroSeries(NamedTuple):
    """Series (T, F) that all assets share.

    Attributes:
        moved: values from dates off the calendar that are on it now.
        notes: sentences on those dates.
    """

    frame: pd.DataFrame
    moved: int
    notes: list[str]


@dataclass(frozen=True)
class Long:
    """A long table of n rows and how to read it.

    Attributes:
        date, asset: the keys of the rows; the values of `date` are a DatetimeIndex.
        fields: name -> numbers (n,) to widen.
        groups: name -> what groups the assets.
        market: the market asset, whose dates are the calendar; None takes every date of the assets.
        macro: name here -> asset in the table, of the series shared by all assets.
        codes: name of a field -> mask (n,) of the letters in it that say why there is no number.
        readings: what each column was taken for.
        percent: whether returns were in per cent, and have been divided by 100.
        notes: sentences on how the table was read.
        unread: columns of the table that the spec does not name.
    """

    source: str
    date: Coded
    asset: Coded
    fields: Mapping[str, np.ndarray]
    groups: Mapping[str, Coded]
    market: str | None
    macro: Mapping[str, str]
    codes: Mapping[str, np.ndarray] = field(default_factory=dict)
    readings: tuple[Reading, ...] = ()
    percent: bool = False
    notes: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()

    def widen(
        self, wanted: Sequence[str] | None, start: str | None = None, end: str | None = None
    ) -> Market:
        """The market of the wanted assets, with every number as the table has it.

        What is left out is counted among the rows of those assets and series from `start` to `end`.

        Args:
            wanted: None takes all but the market asset and the macro series.

        Raises:
            DataError: unknown assets, conflicting duplicate rows, no row from `start` to `end` or
                none with a price of the market asset.
        """
        keyless = int((~self._keyed).sum())
        present = self.asset.used(self._keyed)
        assets = choose(present, self.special, wanted)
        N = len(assets)
        special = self.special.values()
        names = list(dict.fromkeys([*assets, *special]))
        cells, repeated = self.place(names, self._in_range(start, end))
        on, outside = self.calendar(cells, N, names)
        series = self.shared(cells, on, names)
        outside -= series.moved
        owner = self.market or "the assets"
        account = [Dropped("source row", "no date or no asset", keyless)]
        account.append(Dropped("source row", "repeats another row", repeated))
        account += self._coded(cells)
        account.append(Dropped("source row", f"date on which {owner} did not trade", outside))
        fixed, changing, said = self._groups(cells, assets)
        labels = {name: self._labels_of_dates(name, cells, on, assets) for name in changing}
        if changing:
            there = cells.there(N)[:, on].T
            account += [labels[name].lacking(name, there) for name in changing]
        fields = self._fields(cells, on, assets)
        usual = median_size(fields.columns[RETURN]) if self.percent else np.nan
        return Market(
            source=self.source,
            fields=fields,
            series=series.frame,
            market_close=self.of_market(PRICE, cells, on, names),
            groups=fixed,
            dropped=tuple(line for line in account if line.rows),
            market_ret=self.of_market(RETURN, cells, on, names),
            notes=(
                *self.notes,
                *on_per_cent(usual),
                *on_names(self.asset.spaced, names),
                *series.notes,
                *said,
            ),
            labels=labels,
            readings=self.readings,
            unread=self.unread,
        )

    def shared(self, cells: Cells, on: np.ndarray, names: Sequence[str]) -> MacroSeries:
        """The macro series (T, F): the price of an asset, or its return where it has none.

        Args:
            on: mask over the distinct dates of those on the calendar.
        """
        dates = pd.DatetimeIndex(self.date.values, name="date")
        columns = {}
        notes = []
        moved = 0
        for name, ticker in self.macro.items():
            values = self._first_with_values(cells, names.index(ticker))
            columns[name] = values[on]
            known = ~np.isnan(values)
            if not (known & ~on).any():
                continue
            owner = f"data.macro.{name}"
            try:
                reached = on_calendar(ticker, dates[known], dates[on])
            except DataError as error:
                raise DataError(placed(owner, error)) from error
            with_none = np.append(values[known], np.nan)  # row -1 of a date that has no value
            columns[name] = with_none[reached.row]
            moved += reached.moved
            notes += [f"{owner}: {words}" for words in reached.words]
        return MacroSeries(pd.DataFrame(columns, index=dates[on]), moved, notes)

    def of_market(
        self, field: str, cells: Cells, on: np.ndarray, names: Sequence[str]
    ) -> pd.Series | None:
        """The price or the return (T,) of the market asset, None where there is none."""
        if not self.market or field not in self.fields:
            return None
        values = self._of_asset(field, cells, names.index(self.market))[on]
        index = pd.DatetimeIndex(self.date.values[on], name="date")
        series = pd.Series(values, index=index, name=self.market)
        return None if np.isnan(values).all() else series

    def _of_asset(self, field: str, cells: Cells, line: int) -> np.ndarray:
        """The numbers (dates,) of a field of the asset in this line of the cube."""
        numbers = self.fields[field][cells.rows]
        date = cells.at - line * cells.T
        of_asset = (date >= 0) & (date < cells.T)
        values = np.full(cells.T, np.nan)
        values[date[of_asset]] = numbers[of_asset]
        return values

    def _first_with_values(self, cells: Cells, line: int) -> np.ndarray:
        """Prices (dates,) of an asset, or its returns where it has no price."""
        fields = [name for name in (PRICE, RETURN) if name in self.fields]
        known = [self._of_asset(name, cells, line) for name in fields]
        for values in known:
            if not np.isnan(values).all():
                return values
        return known[0]

    def _fields(self, cells: Cells, on: np.ndarray, assets: Sequence[str]) -> Fields:
        """Every field of the assets on the dates of the calendar."""
        names = pd.Index(list(assets))
        # the last of each, which the code -1 falls on, is that of no date and of no asset
        row_of_date = np.append(np.where(on, np.cumsum(on) - 1, -1), -1).astype(np.int32)
        column_of_asset = np.append(names.get_indexer(self.asset.values), -1).astype(np.int32)
        row = _looked_up(row_of_date, self.date.codes[cells.rows])
        column = _looked_up(column_of_asset, self.asset.codes[cells.rows])
        in_use = (row >= 0) & (column >= 0)
        taken = cells.rows
        if not in_use.all():
            taken = np.arange(len(self.date.codes))[cells.rows][in_use]
            row = row[in_use]
            column = column[in_use]
        dates = pd.DatetimeIndex(self.date.values[on], name="date")
        return fields_of_cells(dates, names, row, column, self.fields, taken)

    @cached_property
    def _keyed(self) -> np.ndarray:
        """Mask (n,) of the rows with a date and an asset."""
        return (self.date.codes >= 0) & (self.asset.codes >= 0)

    @property
    def special(self) -> dict[str, str]:
        """Where in the spec -> the market asset and the assets of the macro series."""
        special = {}
        if self.market:
            special["data.market"] = self.market
        for name, ticker in self.macro.items():
            special[f"data.macro.{name}"] = ticker
        return special

    def _in_range(self, start: str | None, end: str | None) -> np.ndarray:
        """Mask over the distinct dates of those from start to end."""
        return in_range(self.date.values, self.date.used(self._keyed), start, end)

    def place(self, names: Sequence[str], in_range: np.ndarray) -> tuple[Cells, int]:
        """The cell of each row in use, and how many rows repeat another one whole."""
        at = self._positions(names, in_range)
        inside = np.asarray(at >= 0)
        rows: np.ndarray | slice = slice(None)
        if not inside.all():
            rows = np.flatnonzero(inside)
        at = at[rows]
        cells = Cells(rows, at, len(names), len(in_range))
        if cells.are_alone():
            return cells, 0
        rows = np.flatnonzero(inside)
        first = self._first_of_each(rows, pd.Series(at))
        repeated = int(np.count_nonzero(~first))
        return cells._replace(rows=rows[first], at=at[first]), repeated

    def _positions(self, names: Sequence[str], in_range: np.ndarray) -> np.ndarray:
        """Position (n,) of each row in a flat cube (names, dates); -1 where it is not in use."""
        # of each asset its line in the cube, -1 without one; the last is that of no asset
        line = np.full(len(self.asset.values) + 1, -1)
        position = self.asset.values.get_indexer(pd.Index(names))
        line[position] = np.arange(len(names))
        start_of_line = np.where(line < 0, -1, line * len(in_range))
        in_use = np.append(in_range, False)
        fits = len(names) * len(in_range) <= np.iinfo(np.int32).max
        at = np.empty(len(self.date.codes), dtype=np.int32 if fits else np.int64)
        for some in pieces(len(at)):
            start = start_of_line[self.asset.codes[some]]
            date = self.date.codes[some]
            used = in_use[date] & (start >= 0)
            at[some] = np.where(used, start + date, -1)
        return at

    def _first_of_each(self, rows: np.ndarray, at: pd.Series) -> np.ndarray:
        """Mask of the rows that come first in their cell; the others repeat them whole.

        Raises:
            DataError: rows of one cell with different values.
        """
        several = at.duplicated(keep=False).to_numpy()
        double = rows[several]
        values = [numbers[double] for numbers in self.fields.values()]
        values += [group.codes[double] for group in self.groups.values()]
        columns = {str(k): column for k, column in enumerate(values)}
        table = pd.DataFrame({"cell": at[several].to_numpy(), **columns})
        again, conflict = repeats(table)
        if conflict.any():
            row = double[conflict.argmax()]
            asset = self.asset.values[self.asset.codes[row]]
            date = self.date.values[self.date.codes[row]]
            alone = len(self.asset.values) == 1
            raise DataError(conflicting(int(conflict.sum()), asset, date, self.unread, alone))
        first = np.ones(len(rows), dtype=bool)
        first[several] = ~again
        return first

    def _coded(self, cells: Cells) -> list[Dropped]:
        """The account of the values in use that are letters."""
        account = []
        for name, mask in self.codes.items():
            letters = int(mask[cells.rows].sum())
            reason = f"{name} is a letter: a code of a missing value"
            account.append(Dropped("source value", reason, letters))
        return account

    def calendar(self, cells: Cells, count: int, names: Sequence[str]) -> tuple[np.ndarray, int]:
        """Mask over the distinct dates of those on the calendar, and the number of rows off it."""
        if self.market:
            on = ~np.isnan(self._first_with_values(cells, names.index(self.market)))
            lacks = f"data.market: {self.market} has no price and no return"
            if RETURN not in self.fields:
                lacks = f"data.market: {self.market} has no price"
        else:
            on = cells.by_date(count) > 0
            lacks = "data.assets: no row of theirs"
        if not on.any():
            raise DataError(f"{lacks} on the dates from data.start to data.end")
        outside = int(cells.by_date(cells.N)[~on].sum())
        return on, outside

    def _groups(
        self, cells: Cells, assets: Sequence[str]
    ) -> tuple[pd.DataFrame, list[str], list[str]]:
        """Labels that no asset changes, as a frame (N, G); the names of the others; notes on both.

        An asset of which the data never says a label is `unknown`.
        """
        columns = {}
        changing = []
        notes = []
        lines = self.asset.values.get_indexer(pd.Index(assets))
        for name, group in self.groups.items():
            occurs = self._labels(cells, group)[lines]
            of_assets = label_of_each(name, occurs, group.values)
            notes += of_assets.notes
            if of_assets.labels is None:
                changing.append(name)
            else:
                columns[name] = of_assets.labels
        return pd.DataFrame(columns, index=pd.Index(assets, name="asset")), changing, notes

    def _labels_of_dates(
        self, name: str, cells: Cells, on: np.ndarray, assets: Sequence[str]
    ) -> Labels:
        """The labels (T, N) of a group on the dates of the calendar."""
        group = self.groups[name]
        codes = np.full((cells.N, cells.T), -1, dtype=np.int32)
        codes.reshape(-1)[cells.at] = group.codes[cells.rows]
        of_assets = codes[: len(assets), on]
        return Labels.of(of_assets.T, [str(value) for value in group.values])

    def _labels(self, cells: Cells, group: Coded) -> np.ndarray:
        """Which labels of a group occur with each asset of the table, (assets, 1 + labels).

        The first column is that of rows without a label.
        """
        shape = (len(self.asset.values), len(group.values) + 1)
        occurs = np.zeros(shape, dtype=bool)
        flat = occurs.reshape(-1)
        width = np.intp(shape[1])
        asset = self.asset.codes[cells.rows]
        label = group.codes[cells.rows]
        for some in pieces(len(label)):
            position = asset[some] * width + label[some] + 1
            flat[position] = True
        return occurs


def _looked_up(table: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """What a table has for each code (n,); some at a time, as numpy copies codes of 32 bits."""
    found = np.empty(len(codes), table.dtype)
    for some in pieces(len(codes)):
        found[some] = table[codes[some]]
    return found


class OfAssets(NamedTuple):
    """The labels of a group that no asset changes.

    Attributes:
        labels: (N,) of each asset; None where some asset changes it.
        notes: sentences on assets that change it, or lack it in some rows.
    """

    labels: np.ndarray | str | None
    notes: list[str]


def label_of_each(name: str, occurs: np.ndarray, values: pd.Index) -> OfAssets:
    """The label of each asset, where none has several.

    Args:
        occurs: (N, 1 + L) which labels each asset has in some row; the first column is none.
        values: the labels (L,).
    """
    N = len(occurs)
    labels = occurs[:, 1:]
    several = np.count_nonzero(labels.sum(axis=1) > 1)
    if several:
        return OfAssets(None, [f"{name} changes for {several:,} of {N:,} assets: {OF_THE_DATE}"])
    labelled = labels.any(axis=1)
    gaps = np.count_nonzero(labelled & occurs[:, 0])
    notes = []
    if gaps:
        notes.append(f"{name} is missing in some rows of {gaps:,} of {N:,} assets: {FILLED}")
    if not len(values):
        return OfAssets(UNKNOWN, notes)
    return OfAssets(np.where(labelled, values[labels.argmax(axis=1)], UNKNOWN), notes)
