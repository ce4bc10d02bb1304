"""Dates and assets of every row of a table that is read in pieces, and where each row goes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from runner.data.reading.choosing import Choice
from runner.data.reading.dates.columns import joined
from runner.data.reading.parsing import Coded
from runner.data.reading.roles import Roles
from runner.data.stored.folder import Draft, write
from runner.data.stored.numbers import Numbers
from runner.data.stored.pieces import Distinct, FilesInPieces
from runner.errors import DataError
from runner.progress import counted
from runner.text import one_line

if TYPE_CHECKING:
    import pyarrow as pa

DATE = "rows-date"  # files of the draft, while it is made
ASSET = "rows-asset"
CODE = "int32"
NOT_CHOSEN = -2  # the code of rows that `where` leaves out; -1 is of no value
SHIFT = np.int64(1 << 32)


class Some(NamedTuple):
    """Keys of some consecutive rows: positions among the distinct dates and assets as written."""

    date: np.ndarray
    asset: np.ndarray


class Keys(NamedTuple):
    """Dates and assets of n rows.

    Attributes:
        date, asset: the distinct ones as written, with their positions among those that they are;
            codes (D,) and (A,).
        dates, assets: (n,) on disk, positions among those as written, see `NOT_CHOSEN`.
        chosen: rows that `where` chooses.
    """

    date: Coded
    asset: Coded
    dates: Numbers
    assets: Numbers
    chosen: int

    def parts(self) -> Iterator[Some]:
        """The keys of all rows in order, some at a time."""
        for date, asset in zip(self.dates.parts(), self.assets.parts(), strict=True):
            yield Some(date, asset)

    def some(self, start: int, stop: int) -> Some:
        """The keys of the rows from one position to another."""
        return Some(self.dates.read(start, stop), self.assets.read(start, stop))

    @property
    def code_of_date(self) -> np.ndarray:
        """(D + 2,) code of each date as written; the last two are of none and of no choice."""
        return np.append(self.date.codes, [-1, -1])

    @property
    def code_of_asset(self) -> np.ndarray:
        """(A + 2,) the same of each asset."""
        return np.append(self.asset.codes, [-1, -1])


def read_keys(
    pieces: FilesInPieces, roles: Roles, columns: Mapping[str, str], draft: Draft
) -> Keys:
    """The keys of all rows; those as written go into files of the draft.

    Args:
        columns: name here -> column.

    Raises:
        DataError: values that are not dates, or a choice of rows that there are not.
    """
    import pyarrow as pa

    choice = Choice(roles.where)
    date = Moments() if "time" in columns else Distinct()
    asset = Distinct()
    of_date = [columns[name] for name in ("date", "time") if name in columns]
    names = list(dict.fromkeys([*of_date, columns["asset"], *roles.where]))
    dates = draft.file(DATE)
    assets = draft.file(ASSET)
    chosen = 0
    for piece in counted(pieces, len(pieces), "dates and assets read"):
        for table in piece.tables(names):
            mask = choice.mask(table)
            rows = table if mask.all() else table.filter(pa.array(mask))
            some = Some(_codes(date, rows, of_date), _codes(asset, rows, [columns["asset"]]))
            chosen += len(rows)
            write(dates, _in_place(some.date, mask))
            write(assets, _in_place(some.asset, mask))
    if roles.where:
        choice.check()
    readers = roles.readers(columns)
    return Keys(
        date=_dates(date, readers, columns),
        asset=readers["asset"](asset.column()),
        dates=draft.read(DATE, CODE),
        assets=draft.read(ASSET, CODE),
        chosen=chosen,
    )


class Moments:
    """Pairs of a day and a time of day, each with one code for all pieces."""

    def __init__(self) -> None:
        self.days = Distinct()
        self.times = Distinct()
        self.codes_of: dict[int, int] = {}

    def codes(self, day: pa.ChunkedArray, time: pa.ChunkedArray) -> np.ndarray:
        """Positions (n,) of the pairs of a piece among those of all, -1 where one is missing."""
        of_day = self.days.codes(day).astype(np.int64)
        of_time = self.times.codes(time)
        pair = np.where((of_day < 0) | (of_time < 0), -1, of_day * SHIFT + of_time)
        distinct, position = np.unique(pair, return_inverse=True)
        codes = [
            -1 if of_pair < 0 else self.codes_of.setdefault(of_pair, len(self.codes_of))
            for of_pair in distinct.tolist()
        ]
        return np.array(codes, dtype=np.int32)[position]

    def joined(self, day: Coded, time: Coded) -> Coded:
        """The moments of the pairs, of their distinct days and times of day."""
        pairs = np.fromiter(self.codes_of, dtype=np.int64, count=len(self.codes_of))
        of_day, of_time = np.divmod(pairs, SHIFT)
        return joined(
            day._replace(codes=day.codes[of_day]), time._replace(codes=time.codes[of_time])
        )


def _in_place(codes: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Codes (n,) of all rows of a piece, from those of the chosen ones."""
    if len(codes) == len(chosen):
        return codes
    of_all = np.full(len(chosen), NOT_CHOSEN, dtype=CODE)
    of_all[chosen] = codes
    return of_all


def _codes(values: Distinct | Moments, table: pa.Table, names: list[str]) -> np.ndarray:
    """The codes of one column of a piece, or of two together.

    Raises:
        DataError: values of one type in some pieces, of another in others.
    """
    import pyarrow as pa

    try:
        return values.codes(*(table[name] for name in names))
    except pa.ArrowException as error:
        raise DataError(f"data.path: column {names[0]!r}: {one_line(error)}") from error


def _dates(
    values: Distinct | Moments, readers: Mapping[str, Any], columns: Mapping[str, str]
) -> Coded:
    """The distinct dates as they are read.

    Raises:
        DataError: values that are not dates or times of day.
    """
    if isinstance(values, Distinct):
        return _read("date", values, readers, columns)
    day = _read("date", values.days, readers, columns)
    time = _read("time", values.times, readers, columns)
    return values.joined(day, time)._replace(words=day.words)


def _read(
    name: str, values: Distinct, readers: Mapping[str, Any], columns: Mapping[str, str]
) -> Coded:
    import pyarrow as pa

    where = f"data.columns.{name}: column {columns[name]!r}"
    try:
        return readers[name](values.column())
    except pa.ArrowException as error:
        raise DataError(f"{where} cannot be read: {one_line(error)}") from error
    except ValueError as error:
        # rows are counted among the distinct values
        raise DataError(f"{where} {error}".replace(" in row ", " in distinct value ")) from error


@dataclass(frozen=True, eq=False)
class Used:
    """Which dates and assets have a row, and how many rows have no date or no asset.

    Attributes:
        dates, assets: masks over the distinct ones.
        keyless: rows without a date or an asset.
    """

    dates: np.ndarray
    assets: np.ndarray
    keyless: int


def used(keys: Keys) -> Used:
    """What occurs in rows with a date and an asset."""
    code_of_date = keys.code_of_date
    code_of_asset = keys.code_of_asset
    dates = np.zeros(len(keys.date.values) + 1, dtype=bool)
    assets = np.zeros(len(keys.asset.values) + 1, dtype=bool)
    keyed = 0
    every_key_is_one = bool((code_of_date[:-2] >= 0).all() and (code_of_asset[:-2] >= 0).all())
    for some in keys.parts():
        if every_key_is_one and (some.date >= 0).all() and (some.asset >= 0).all():
            keyed += len(some.date)
            dates[code_of_date[some.date]] = True
            assets[code_of_asset[some.asset]] = True
            continue
        date = code_of_date[some.date]
        asset = code_of_asset[some.asset]
        both = (date >= 0) & (asset >= 0)
        keyed += int(np.count_nonzero(both))
        dates[date[both]] = True
        assets[asset[both]] = True
    return Used(dates[:-1], assets[:-1], keys.chosen - keyed)


@dataclass(frozen=True, eq=False)
class Plan:
    """Where rows go: those in use, by the rank of their date, then the position of their asset.

    Attributes:
        rank: (D + 2,) of each date as written, -1 of one that is not in use; dates off the
            calendar come after it.
        position: (A + 2,) the same of each asset.
        dates: (R,) by rank.
        T: how many of them are on the calendar.
        N: assets.
        counts: (R,) rows in use on each.
        in_order: whether the rows in use come in this order, one a date and asset.
    """

    rank: np.ndarray
    position: np.ndarray
    dates: pd.DatetimeIndex
    T: int
    N: int
    counts: np.ndarray
    in_order: bool


def plan(keys: Keys, assets: list[str], chosen: np.ndarray, calendar: np.ndarray | None) -> Plan:
    """Where the rows of these assets on these dates go.

    Args:
        chosen: mask over the distinct dates of those in use.
        calendar: mask over the distinct dates of those on the calendar; None takes all in use that
            have a row.
    """
    D = len(keys.date.values)
    N = len(assets)
    line = np.full(len(keys.asset.values) + 1, -1, dtype=np.int32)
    line[keys.asset.values.get_indexer(pd.Index(assets))] = np.arange(N)
    position = line[keys.code_of_asset]
    on = chosen if calendar is None else chosen & calendar
    order = np.full(D + 1, -1, dtype=np.int32)
    off = chosen & ~on
    order[np.flatnonzero(on)] = np.arange(np.count_nonzero(on))
    order[np.flatnonzero(off)] = np.count_nonzero(on) + np.arange(np.count_nonzero(off))
    rank = order[keys.code_of_date]
    counts, in_order = _counted(keys, rank, position, int(np.count_nonzero(chosen)), N)
    dates = pd.DatetimeIndex(keys.date.values)
    by_rank = dates[np.concatenate([np.flatnonzero(on), np.flatnonzero(off)])]
    T = int(np.count_nonzero(on))
    if calendar is None:
        there = counts > 0
        new_rank = np.append(np.where(there, np.cumsum(there) - 1, -1), -1).astype(np.int32)
        rank = new_rank[rank]
        by_rank = by_rank[there]
        counts = counts[there]
        T = len(counts)
    return Plan(rank, position, by_rank, T, N, counts, in_order)


def _counted(
    keys: Keys, rank: np.ndarray, position: np.ndarray, ranks: int, N: int
) -> tuple[np.ndarray, bool]:
    """Rows in use of each rank, and whether they come in order."""
    counts = np.zeros(ranks, dtype=np.int64)
    in_order = True
    last = -1
    for some in keys.parts():
        rows = of_some(some, rank, position)
        counts += np.bincount(rows.rank, minlength=ranks)
        if in_order and len(rows.rank):
            cell = rows.rank.astype(np.int64) * N + rows.position
            in_order = bool(cell[0] > last and (cell[1:] > cell[:-1]).all())
            last = int(cell[-1])
    return counts, in_order


@dataclass(frozen=True, eq=False)
class Rows:
    """Where some rows of a table go.

    Attributes:
        kept: positions (m,) among these rows of those in use; a slice for all.
        rank, position: (m,) of their dates and assets.
    """

    kept: np.ndarray | slice
    rank: np.ndarray
    position: np.ndarray


def of_some(some: Some, rank: np.ndarray, position: np.ndarray) -> Rows:
    """Where some rows go, those in use."""
    of_date = rank[some.date]
    of_asset = position[some.asset]
    in_use = (of_date >= 0) & (of_asset >= 0)
    if in_use.all():
        return Rows(slice(None), of_date, of_asset)
    kept = np.flatnonzero(in_use)
    return Rows(kept, of_date[kept], of_asset[kept])
