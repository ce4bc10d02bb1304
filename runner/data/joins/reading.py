"""A joined table from its file: keys, dates, numbers, and an account of the rows left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from runner.data.factor_names import is_return
from runner.data.joins.forms import File, file_of
from runner.data.joins.names import Column, asset_column, chosen, date_column
from runner.data.joins.settings import RATES, FieldTable, SeriesTable
from runner.data.joins.stamps import after, stamped
from runner.data.notices import Dropped
from runner.data.reading.choosing import has_text
from runner.data.reading.content import shown
from runner.data.reading.dates.columns import read_dates
from runner.data.reading.parsing import (
    ALREADY,
    Coded,
    read_labels,
    read_names,
    read_numbers,
)
from runner.errors import DataError, listed
from runner.text import number, one_line

if TYPE_CHECKING:
    import pyarrow as pa

    from runner.schema.settings import Kind

PER_CENT = 100.0
LARGEST_MEDIAN = 0.2  # size of returns of a row in decimals
KEYS = ("date", "asset")
Reader = Callable[["pa.ChunkedArray"], Any]


@dataclass
class Rows:
    """Rows (n,) of a joined table that have a date.

    Attributes:
        where: place of the table in the spec.
        columns: what was read.
        date: the dates, as periods stamp them.
        known: the dates from which on the rows are known.
        asset: the asset of each row; None of a table by date.
        numbers: name here -> values, NaN where there is none; per cent is divided.
        words: how the table was read, in half sentences.
        notes: sentences on how its file was read.
        dropped: rows left out, and why.
    """

    where: str
    columns: Sequence[Column]
    date: np.ndarray
    known: np.ndarray
    asset: Coded | None
    numbers: dict[str, np.ndarray]
    words: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)

    def drop(self, lost: np.ndarray, reason: str) -> None:
        """Leave out the rows of a mask, and count them."""
        if not lost.any():
            return
        line = self.line(reason, int(lost.sum()))
        self.dropped.append(line)
        self.keep(~lost)

    def keep(self, keep: np.ndarray) -> None:
        """Go on with the rows of a mask."""
        self.date = self.date[keep]
        self.known = self.known[keep]
        numbers = {}
        for name, values in self.numbers.items():
            numbers[name] = values[keep]
        self.numbers = numbers
        if self.asset is not None:
            self.asset = self.asset._replace(codes=self.asset.codes[keep])

    def line(self, reason: str, rows: int) -> Dropped:
        """A line of the account of what was left out."""
        return Dropped(f"{self.where} row", reason, rows)


def numbers_of(where: str, settings: SeriesTable | FieldTable) -> Rows:
    """The rows of a table by date, or by date and asset, with the numbers of its columns.

    Raises:
        DataError: no such file or column, values that are not dates or numbers, no row.
    """
    _check_no_keys(where, settings)
    files = file_of(where, settings)
    names = files.names
    date = date_column(where, settings.date, names)
    read_in_zone = partial(read_dates, zone=settings.time_zone, date_format=settings.date_format)
    readers: dict[str, Reader] = {"date": read_in_zone}
    keys = [Column("date", f"{where}.date", date)]
    if isinstance(settings, FieldTable):
        asset = asset_column(where, settings.asset, names)
        keys.append(Column("asset", f"{where}.asset", asset))
        readers["asset"] = read_names
    if settings.available is not None:
        keys.append(Column("available", f"{where}.available", settings.available))
        readers["available"] = partial(_read_published, where, settings)
    for column in settings.where or {}:
        name = f"rows {column}"
        keys.append(Column(name, f"{where}.where.{column}", column))
        readers[name] = read_labels
    key_columns = [key.column for key in keys]
    columns = chosen(where, files.columns or settings.columns, names, key_columns)
    any_type = settings.columns is None and files.columns is None
    parts, words = _read(where, files, keys, readers, columns, any_type)
    columns = [column for column in columns if column.name in parts.numbers]
    _check_kinds(where, settings, columns)
    rows = _rows(where, settings, columns, parts.keys)
    rows.words += words
    rows.notes += [f"{where}: {note}" for note in files.notes]
    if parts.per_cent and settings.percent:
        raise DataError(f"{where}.percent: {ALREADY}")
    rows.numbers = _in_decimals(where, settings, parts.numbers, rows.words)
    joined_by = [key.column for key in keys[:2] if key.name in KEYS]
    rows.words.append(f"joined by {' and '.join(joined_by)}")
    _leave_out(rows, settings, parts.keys)
    return rows


def _check_no_keys(where: str, settings: SeriesTable) -> None:
    """Whether the columns of numbers have no key of the table among them.

    Raises:
        DataError: they have, where its own setting names it.
    """
    columns = settings.columns if isinstance(settings.columns, Mapping) else {}
    lines = []
    for key in KEYS if isinstance(settings, FieldTable) else KEYS[:1]:
        if columns.get(key) is not None:
            given = f"{where}.columns.{key}: the {key} is no number"
            lines.append(f"{given}; {where}.{key}={columns[key]} names its column")
    if lines:
        raise DataError(lines)


def _read_published(where: str, settings: SeriesTable, column: pa.ChunkedArray) -> Coded:
    """The dates of publication, in their own format where the spec gives one.

    Raises:
        ValueError: values that are not dates, or that can be read in two ways.
    """
    date_format = settings.available_format or settings.date_format
    try:
        return read_dates(column, zone=settings.time_zone, date_format=date_format)
    except ValueError as error:
        line = str(error).replace("data.date_format", f"{where}.available_format")
        raise ValueError(line) from None


@dataclass(frozen=True)
class Parts:
    """The columns of a table by their names here: keys as codes, the others as numbers."""

    keys: Mapping[str, Any]
    numbers: dict[str, np.ndarray]
    per_cent: bool  # some written with per cent signs, and divided by 100


def _read(
    where: str,
    files: File,
    keys: Sequence[Column],
    readers: Mapping[str, Reader],
    columns: Sequence[Column],
    any_type: bool,
) -> tuple[Parts, list[str]]:
    """Keys and numbers of the file, and the columns that hold no numbers.

    Args:
        any_type: whether columns without numbers are left out; else they are a mistake.

    Raises:
        DataError: values that are not what their column is for, one line each.
    """
    wanted = {column.where: column.column for column in (*keys, *columns)}
    table = files.load(wanted, {key.column for key in keys})
    key_parts: dict[str, Any] = {}
    numbers: dict[str, np.ndarray] = {}
    mistakes: list[str] = []
    others: list[str] = []
    marked: list[str] = []
    per_cent = False
    for key in keys:
        read_key = readers[key.name]
        key_parts[key.name] = parsed(key, table, read_key, mistakes)
    for column in columns:
        unread: list[str] = []
        part = parsed(column, table, read_numbers, unread)
        if part is not None:
            numbers[column.name] = np.asarray(part.numbers, dtype=float)
            marked += [f"{column.column}: {part.words}"] if part.words else []
            per_cent |= part.per_cent
        elif any_type:
            others.append(column.column)
        else:
            mistakes += unread
    if not numbers and not mistakes:
        mistakes.append(f"{where}.columns: no column of numbers (in {files.shown})")
    if mistakes:
        raise DataError(mistakes)
    words = marked
    if others:
        words.append(f"without {listed(others)}, which hold other than numbers")
    return Parts(key_parts, numbers, per_cent), words


def parsed(column: Column, table: pa.Table, reader: Reader, mistakes: list[str]) -> Any:
    """What a reader makes of the column; None, and a line, where it cannot."""
    import pyarrow as pa

    try:
        return reader(table[column.column])
    except pa.ArrowException as error:
        reason = f"cannot be read: {one_line(error)}"
    except ValueError as error:
        reason = str(error)
    mistakes.append(f"{column.where}: column {column.column!r} {reason}")
    return None


def _rows(
    where: str, settings: SeriesTable, columns: Sequence[Column], keys: Mapping[str, Any]
) -> Rows:
    """The rows with their dates, NaT where there is none."""
    date = keys["date"]
    rule = settings.stamp or "as_is"
    words = []
    if date.words:
        words.append(date.words)
    if rule != "as_is":
        words.append(f"dates moved to the {rule} of their period")
    distinct = stamped(where, pd.DatetimeIndex(date.values), rule)
    known = distinct
    if settings.lag is not None:
        known = after(distinct, settings.lag)
    dates = _spread(distinct, date.codes)
    if "available" in keys:
        # a month without a day is dated by its end, when its rows are published
        published = keys["available"]
        stamps = _spread(pd.DatetimeIndex(published.values), published.codes)
    else:
        stamps = _spread(known, date.codes)
    return Rows(where, columns, dates, stamps, keys.get("asset"), {}, words)


def _spread(distinct: pd.DatetimeIndex, codes: np.ndarray) -> np.ndarray:
    """The dates (n,) of codes into distinct ones, NaT where the code is -1."""
    stamps = distinct.as_unit("us")
    values = stamps.to_numpy()
    return np.append(values, np.datetime64("NaT", "us"))[codes]


def _leave_out(rows: Rows, settings: SeriesTable, keys: Mapping[str, Any]) -> None:
    """Take away rows that were not asked for, and count those without a key.

    Raises:
        DataError: none is left.
    """
    asked_for = np.ones(len(rows.date), dtype=bool)
    for column, texts in (settings.where or {}).items():
        asked_for &= has_text(f"{rows.where}.where.{column}", keys[f"rows {column}"], texts)
    rows.keep(asked_for)
    lost = np.isnat(rows.date)
    reason = "no date"
    if rows.asset is not None:
        lost |= rows.asset.codes < 0
        reason = "no date or no asset"
    rows.drop(lost, reason)
    rows.drop(np.isnat(rows.known), "no date of publication")
    if not len(rows.date):
        raise DataError(f"{rows.where}: no row of {shown(settings.path)!r} has its keys")


def _check_kinds(where: str, settings: SeriesTable, columns: Sequence[Column]) -> None:
    """Whether every kind is of a column that is read.

    Raises:
        DataError: kinds of others.
    """
    if not isinstance(settings.kind, Mapping):
        return
    names = [column.name for column in columns]
    strange = [name for name in settings.kind if name not in names]
    if strange:
        allowed = listed(names)
        raise DataError(
            [f"{where}.kind.{name}: no such column; allowed: {allowed}" for name in strange]
        )


def _check_decimals(where: str, settings: SeriesTable, numbers: Mapping[str, np.ndarray]) -> None:
    """Whether no column of returns looks like per cent.

    Raises:
        DataError: the median size of one is above that of any decimal return.
    """
    for name, values in numbers.items():
        kind = settings.kind_of(name)
        known = np.abs(values[~np.isnan(values)])
        judged = kind == "return" or (kind is None and is_return(name))
        if judged and len(known) and np.median(known) > LARGEST_MEDIAN:
            median = float(np.median(known))
            size = f"the median absolute value of {name} is {number(median, 3)} per row"
            remedy = f"{where}.percent=true divides by 100, percent=false takes them as they are"
            raise DataError(f"{where}: {size}, too large for decimal returns; {remedy}")


def _in_decimals(
    where: str, settings: SeriesTable, numbers: Mapping[str, np.ndarray], words: list[str]
) -> dict[str, np.ndarray]:
    """The numbers, per cent divided by 100.

    Raises:
        DataError: returns too large for decimals, where nothing is said of per cent.
    """
    if settings.percent is None:
        _check_decimals(where, settings, numbers)
    if not settings.percent:
        return dict(numbers)
    divided = {}
    names = []
    for name, values in numbers.items():
        kind: Kind | None = settings.kind_of(name)
        in_per_cent = kind is None or kind in RATES
        divided[name] = values / PER_CENT if in_per_cent else values
        if in_per_cent:
            names.append(name)
    which = "all" if len(names) == len(numbers) else listed(names)
    words.append(f"{which} divided by {PER_CENT:g} (per cent)")
    return divided
