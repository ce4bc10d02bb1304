"""Columns of a long table in their roles: keys, fields, groups, market asset, macro series."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from runner.data.reading.dates.columns import joined, read_dates, read_times
from runner.data.reading.parsing import (
    ALREADY,
    Coded,
    Numbers,
    as_text,
    read_labels,
    read_names,
    read_numbers,
)
from runner.data.reading.usual import is_of_a_later_row
from runner.errors import DataError, listed
from runner.text import number, one_line

if TYPE_CHECKING:
    import pyarrow as pa

    from runner.data.notices import Reading
    from runner.data.reading.long import Long
    from runner.schema.settings import AskedFor, Texts

KEYS = ("date", "asset")
WHERE = "data.where"  # the choice of rows of the table of assets
PER_CENT = 100.0
SMALL_PER_CENT = 0.1  # median size of returns in per cent below which they may be decimals
WHOLE = re.compile(r"(-?\d+)\.0+")
MOST_SHOWN = 12  # texts of a column in a refusal
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


def _on_per_cent(returns: np.ndarray) -> tuple[str, ...]:
    """The sentence on returns (n,) that are small for per cent, as decimals would be."""
    known = np.abs(returns[np.isfinite(returns)])
    if not len(known):
        return ()
    middle = float(np.median(known))
    if middle >= SMALL_PER_CENT:
        return ()
    return (
        f"data.percent=true: the median size of ret in the file is {number(middle, 3)}, small for "
        "per cent; were they decimals (data.percent=false)?",
    )


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

        given = {name: column for name, column in self.columns.items() if column is not None}
        columns = {name: column.strip() for name, column in given.items()}
        self._check(columns)
        readers = self._readers(columns)
        wanted = self._wanted(columns)
        as_numbers = (read_numbers, _read_either)
        text = {column for name, (_, column) in wanted.items() if readers[name] not in as_numbers}
        choosing = _places_of(WHERE, self.where)
        table = read({**dict(wanted.values()), **choosing}, text.union(self.where))
        rows_of_file = len(table)
        if self.where:
            table = _chosen_rows(WHERE, table, self.where)
        rows_chosen = len(table)
        parts = _parsed(table, wanted, readers)
        labels = [name for name in self.asked if isinstance(parts[name], Coded)]
        groups = {name: parts.pop(name) for name in (*self.groups, *labels)}
        asset = parts.pop("asset")
        date = parts.pop("date")
        notes: tuple[str, ...] = ()
        if self.where:
            chosen = f"{rows_chosen:,} of {rows_of_file:,}"
            notes = (f"Rows with {_described(self.where)} ({WHERE}): {chosen}.",)
        if date.words:
            notes += (f"Dates: {date.words}.",)
        if "time" in parts:
            date = joined(date, parts.pop("time"))
        fields = {name: part.numbers for name, part in parts.items()}
        notes += (*self._on_numbers(parts, wanted), *_on_lead(columns))
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
            readings=self._readings(source, columns, labels),
            notes=notes,
        )

    def _on_numbers(
        self, parts: Mapping[str, Numbers], wanted: Mapping[str, tuple[str, str]]
    ) -> tuple[str, ...]:
        """The sentences on numbers with marks, and on returns in per cent.

        Raises:
            DataError: returns with per cent signs, which the spec says to divide by 100 once more.
        """
        marked = {name: part.words for name, part in parts.items() if part.words}
        notes = tuple(f"{wanted[name][0]}: {words}." for name, words in marked.items())
        if not self.percent:
            return notes
        if parts["ret"].per_cent:
            raise DataError(f"data.percent: {ALREADY}")
        divided = f"Returns ({wanted['ret'][1]}) are divided by 100 (data.percent=true)."
        return (*notes, divided, *_on_per_cent(parts["ret"].numbers))

    def _readings(
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
            readings.append(Reading(table, column, name, role, name in self.guessed))
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

    def _readers(self, columns: Mapping[str, str]) -> dict[str, Callable[[pa.ChunkedArray], Any]]:
        """How each column is read, by its name here."""
        readers: dict[str, Callable[[pa.ChunkedArray], Any]] = dict.fromkeys(columns, read_numbers)
        readers["date"] = partial(read_dates, zone=self.time_zone, date_format=self.date_format)
        readers["asset"] = read_names
        readers |= dict.fromkeys(self.groups, read_labels)
        if "time" in columns:
            readers["time"] = read_times
        readers |= {name: READERS[taken_for] for name, taken_for in self.asked.items()}
        return readers

    def _wanted(self, columns: Mapping[str, str]) -> dict[str, tuple[str, str]]:
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


def _places_of(where: str, rows: Mapping[str, Texts]) -> dict[str, str]:
    """Place in the spec -> column, of the columns that choose rows."""
    return {f"{where}.{column}": column for column in rows}


def _chosen_rows(where: str, table: pa.Table, rows: Mapping[str, Texts]) -> pa.Table:
    """The rows of a table with one of the given texts in each of these columns.

    Args:
        where: place of the choice in the spec, such as `data.where`.

    Raises:
        DataError: a text that no row has, one line per column; no row that has all.
    """
    chosen = np.ones(len(table), dtype=bool)
    mistakes = []
    for place, column in _places_of(where, rows).items():
        if column not in table.column_names:
            mistakes.append(
                f"{place}: {column!r} is no column; allowed: with a row per date and asset"
            )
            continue
        try:
            chosen &= has_text(place, read_labels(table[column]), rows[column])
        except DataError as error:
            mistakes += error.mistakes
    if mistakes:
        raise DataError(mistakes)
    if not chosen.any():
        raise DataError(f"{where}: no row has {_described(rows)} together")
    return table.filter(chosen)


def has_text(where: str, column: Coded, texts: Texts) -> np.ndarray:
    """Mask (n,) of the rows of a column with one of these texts.

    Raises:
        DataError: a text that no row has.
    """
    wanted = _words(texts)
    present = [_whole(str(value)) for value in column.values]
    absent = [repr(word) for word in wanted if word not in present]
    if absent:
        allowed = ", ".join(present[:MOST_SHOWN])
        if len(present) > MOST_SHOWN:
            allowed += ", ..."
        raise DataError(f"{where}: no row has {listed(absent)}; allowed: {allowed}")
    chosen = [word in wanted for word in present]
    return np.append(chosen, False)[column.codes]  # the last is of rows without a text


def _described(rows: Mapping[str, Texts]) -> str:
    """What the rows have, in words: shrcd 10 or 11, exchcd 1."""
    return ", ".join(f"{column} {' or '.join(_words(texts))}" for column, texts in rows.items())


def _words(texts: Texts) -> Sequence[str]:
    """The texts as they are read: 10 of 10.0."""
    several = texts if isinstance(texts, list) else [texts]
    return [_whole(str(as_text(text))) for text in several]


def _whole(text: str) -> str:
    """10 of 10.0, which a gap in the column made of it."""
    number = WHOLE.fullmatch(text)
    return number[1] if number else text
