"""Columns of a long table in their roles: keys, fields, groups, market asset, macro series."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from runner.data.reading.checks import PER_CENT
from runner.data.reading.choosing import WHERE, chosen_rows, described, places_of
from runner.data.reading.dates.columns import joined, read_dates, read_times
from runner.data.reading.parsing import (
    ALREADY,
    Coded,
    Numbers,
    read_labels,
    read_names,
    read_numbers,
)
from runner.data.reading.usual import is_of_a_later_row
from runner.errors import DataError
from runner.text import one_line

if TYPE_CHECKING:
    import pyarrow as pa

    from runner.data.notices import Reading
    from runner.data.reading.long import Long
    from runner.schema.settings import AskedFor, Texts

KEYS = ("date", "asset")
TAKEN_FOR = {
    "date": "date",
    "time": "time of day",
    "asset": "asset",
    "close": "price",
    "ret": "return",
}


def asked_columns(
    asked: Mapping[AskedFor, Sequence[str]],
    names: Collection[str],
    columns: Mapping[str, str | None],
) -> dict[str, AskedFor]:
    """The columns of a table that the spec names, and no setting of its data: how each is read.

    The keys of the table are read as such, and prices and returns only where the spec says so:
    they choose the rows.

    Args:
        names: of the columns of the table.
        columns: name here -> column, of the settings and of what is usual.

    Raises:
        DataError: columns that are named as numbers and as labels, one line each.
    """
    keys = {columns.get(key) for key in (*KEYS, "time")}
    free = [name for name in names if name not in (*columns, *TAKEN_FOR, *keys)]
    chosen: dict[str, AskedFor] = {}
    mistakes = []
    for name in free:
        uses = [taken_for for taken_for in READERS if name in asked.get(taken_for, ())]
        if uses[:2] == ["number", "label"]:
            mistakes.append(
                f"data.columns.{name}: the spec names this column as a number and as a label; "
                f"data.columns.{name}={name} reads the numbers, data.groups.NAME={name} the labels"
            )
        elif uses:
            chosen[name] = uses[0]
    if mistakes:
        raise DataError(mistakes)
    return chosen


def _read_either(column: pa.ChunkedArray) -> Numbers | Coded:
    """The column as numbers or, where it holds anything else, as labels."""
    try:
        return read_numbers(column)
    except ValueError:
        return read_labels(column)


# how a column is read that the spec names elsewhere; of several uses the first counts
READERS: Mapping[AskedFor, Callable[[pa.ChunkedArray], Numbers | Coded]] = {
    "number": read_numbers,
    "label": read_labels,
    "either": _read_either,
}


class Marks(NamedTuple):
    """What the numbers of a column had beside their digits: words for people, per cent signs."""

    words: str
    per_cent: bool


class Met(NamedTuple):
    """What was met while a table was read.

    Attributes:
        rows_of_file, rows_chosen: all rows, and those that `where` chooses.
        dates: how they were recognised, in words.
        marks: name of a field -> what its numbers had beside their digits.
    """

    rows_of_file: int
    rows_chosen: int
    dates: str
    marks: Mapping[str, Marks]


def _parsed(
    table: pa.Table,
    wanted: Mapping[str, tuple[str, str]],
    readers: Mapping[str, Callable[[pa.ChunkedArray], Any]],
) -> dict[str, Any]:
    """Every wanted column as its reader reads it; no column is held twice for long.

    Args:
        wanted: name here -> place in the spec and column.

    Raises:
        DataError: columns that cannot be read, a line each.
    """
    import pyarrow as pa

    parts: dict[str, Any] = {}
    mistakes = []
    uses = Counter(column for _, column in wanted.values())
    for name, (where, column) in wanted.items():
        try:
            parts[name] = readers[name](table[column])
        except pa.ArrowException as error:
            mistakes.append(f"{where}: column {column!r} cannot be read: {one_line(error)}")
        except ValueError as error:
            mistakes.append(f"{where}: column {column!r} {error}")
        uses[column] -= 1
        if not uses[column]:
            table = table.drop_columns([column])
    if mistakes:
        raise DataError(mistakes)
    return parts


@dataclass(frozen=True)
class Roles:
    """Which column is what, with a row per date and asset.

    Attributes:
        columns: name here -> column; null is not read.
        market: the market asset; its dates are the calendar.
        macro: name here -> asset, series shared by all assets.
        groups: name here -> column that groups assets.
        time_zone: stamps with a zone are turned into local time of this one.
        percent: whether the returns are in per cent; they are divided by 100.
        guessed: names here whose column the spec leaves open.
        date_format: of the dates; null recognises it.
        asked: columns under their own names that the spec names elsewhere, and how each is read.
        where: column -> what the rows that are read have in it.
        called: name here -> what people call its column, where that has another name in the files.
    """

    columns: Mapping[str, str | None]
    market: str | None
    macro: Mapping[str, str]
    groups: Mapping[str, str]
    time_zone: str | None
    percent: bool = False
    guessed: Collection[str] = ()
    date_format: str | None = None
    asked: Mapping[str, AskedFor] = field(default_factory=dict)
    where: Mapping[str, Texts] = field(default_factory=dict)
    called: Mapping[str, str] = field(default_factory=dict)

    def long(self, source: str, read: Callable[[Mapping[str, str], set[str]], pa.Table]) -> Long:
        """The table with its columns in their roles.

        Args:
            source: what the data is, in words.
            read: gives the table with the wanted columns (place in the spec -> column), those in
                the second argument as text.

        Raises:
            DataError: columns that do not suffice, values that are not dates or numbers.
        """
        from runner.data.reading.long import Long

        columns = self.given()
        readers = self.readers(columns)
        wanted = self.wanted(columns)
        table = read(self.read_of(wanted), self.text_of(wanted, readers))
        rows_of_file = len(table)
        if self.where:
            table = chosen_rows(WHERE, table, self.where)
        rows_chosen = len(table)
        parts = _parsed(table, wanted, readers)
        labels = [name for name in self.asked if isinstance(parts[name], Coded)]
        groups = {name: parts.pop(name) for name in (*self.groups, *labels)}
        asset = parts.pop("asset")
        date = parts.pop("date")
        words = date.words
        if "time" in parts:
            date = joined(date, parts.pop("time"))
        fields = {name: part.numbers for name, part in parts.items()}
        marks = {name: Marks(part.words, part.per_cent) for name, part in parts.items()}
        if self.percent:
            fields["ret"] = fields["ret"] / PER_CENT
        codes = {name: part.codes for name, part in parts.items() if part.codes is not None}
        return Long(
            source=source,
            date=date,
            asset=asset,
            fields=fields,
            groups=groups,
            market=self.market,
            macro=self.macro,
            codes=codes,
            readings=self.readings(source, columns, labels),
            percent=self.percent,
            notes=self.notes(columns, Met(rows_of_file, rows_chosen, words, marks)),
        )

    def given(self) -> dict[str, str]:
        """Name here -> column, of those that are read.

        Raises:
            DataError: they do not suffice, one line for each mistake.
        """
        columns = {}
        for name, column in self.columns.items():
            if column is not None:
                columns[name] = column.strip()
        self._check(columns)
        return columns

    def read_of(self, wanted: Mapping[str, tuple[str, str]]) -> dict[str, str]:
        """Place in the spec -> column, of the wanted columns and those that choose rows."""
        return {**dict(wanted.values()), **places_of(WHERE, self.where)}

    def text_of(
        self,
        wanted: Mapping[str, tuple[str, str]],
        readers: Mapping[str, Callable[[pa.ChunkedArray], Any]],
    ) -> set[str]:
        """The columns that are read as text."""
        as_numbers = (read_numbers, _read_either)
        text = {column for name, (_, column) in wanted.items() if readers[name] not in as_numbers}
        return text.union(self.where)

    def notes(self, columns: Mapping[str, str], met: Met) -> tuple[str, ...]:
        """The sentences on rows that were chosen, on dates, on numbers and on returns.

        Args:
            columns: name here -> column.

        Raises:
            DataError: returns with per cent signs, which the spec says to divide by 100 once more.
        """
        notes: list[str] = []
        if self.where:
            chosen = f"{met.rows_chosen:,} of {met.rows_of_file:,}"
            notes.append(f"Rows with {described(self.where)} ({WHERE}): {chosen}.")
        if met.dates:
            notes.append(f"Dates: {met.dates}.")
        wanted = self.wanted(columns)
        for name, marks in met.marks.items():
            if marks.words:
                notes.append(f"{wanted[name][0]}: {marks.words}.")
        if self.percent:
            if met.marks["ret"].per_cent:
                raise DataError(f"data.percent: {ALREADY}")
            notes.append(f"Returns ({columns['ret']}) are divided by 100 (data.percent=true).")
        return (*notes, *_on_lead(columns))

    def readings(
        self, table: str, columns: Mapping[str, str], labels: Sequence[str]
    ) -> tuple[Reading, ...]:
        """What each column is taken for; prices of single assets are the market's, or series.

        Args:
            labels: columns that are labels, of those that the spec names elsewhere.
        """
        from runner.data.notices import Reading

        readings = []
        for name, column in columns.items():
            role = TAKEN_FOR.get(name, "field")
            shown = self.called.get(name, column)
            readings.append(Reading(table, shown, name, role, name in self.guessed))
        for name, column in self.groups.items():
            readings.append(Reading(table, column.strip(), name, "group"))
        for name in self.asked:
            role = "group" if name in labels else "field"
            readings.append(Reading(table, name, name, role, asked=True))
        for column in self.where:
            readings.append(Reading(table, column, column, "choice of rows"))
        values = columns.get("close") or columns["ret"]
        if self.market:
            column = f"{values} of {self.market}"
            readings.append(Reading(table, column, "market", "market asset"))
        for name, asset in self.macro.items():
            readings.append(Reading(table, f"{values} of {asset}", name, "series"))
        return tuple(readings)

    def readers(self, columns: Mapping[str, str]) -> dict[str, Callable[[pa.ChunkedArray], Any]]:
        """How each column is read, by its name here."""
        readers: dict[str, Callable[[pa.ChunkedArray], Any]] = dict.fromkeys(columns, read_numbers)
        readers["date"] = partial(read_dates, zone=self.time_zone, date_format=self.date_format)
        readers["asset"] = read_names
        readers |= dict.fromkeys(self.groups, read_labels)
        if "time" in columns:
            readers["time"] = read_times
        readers |= {name: READERS[taken_for] for name, taken_for in self.asked.items()}
        return readers

    def wanted(self, columns: Mapping[str, str]) -> dict[str, tuple[str, str]]:
        """Name here -> place in the spec and column in the file."""
        wanted = {}
        for name, column in columns.items():
            wanted[name] = (f"data.columns.{name}", column)
        for name, column in self.groups.items():
            wanted[name] = (f"data.groups.{name}", column.strip())
        for name in self.asked:
            wanted[name] = (f"data.columns.{name}", name)
        return wanted

    def _check(self, columns: Mapping[str, str]) -> None:
        """Whether the columns suffice for the market, and no name is given twice.

        Raises:
            DataError: one line for each mistake.
        """
        mistakes = []
        for key in KEYS:
            if key not in columns:
                mistakes.append(f"data.columns.{key}: needed, the column that holds it")
        if not {"close", "ret"} & set(columns):
            mistakes.append("data.columns: needs close (a price) or ret (a decimal return)")
        elif columns.get("close") == columns.get("ret"):
            mistakes.append(
                f"data.columns.close: {columns['close']!r} is data.columns.ret too; allowed: a "
                "price; of returns alone data.columns.close=null"
            )
        if self.percent and "ret" not in columns:
            mistakes.append("data.percent: given without returns; allowed: with data.columns.ret")
        for name in self.groups:
            if name in columns:
                mistakes.append(f"data.groups.{name}: also in data.columns; allowed: another name")
        if mistakes:
            raise DataError(mistakes)


def _on_lead(columns: Mapping[str, str]) -> tuple[str, ...]:
    """The sentence on returns that are those of a later row by the name of their column."""
    column = columns.get("ret", "")
    if not is_of_a_later_row(column):
        return ()
    return (
        f"data.columns.ret: {column!r} is the return of a later row by its name: "
        "it is taken as that of its own row, and features made of returns then look ahead.",
    )
