"""A table of files put on disk as a market: keys, plan, values, order, and what is said of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from runner.data.columns.order import known_sizes, median
from runner.data.fields import Fields
from runner.data.labels import UNKNOWN
from runner.data.market import Market
from runner.data.notices import Dropped
from runner.data.reading.checks import choose, conflicting, in_range, on_names, on_per_cent
from runner.data.reading.long import RETURN, MacroSeries, label_of_each
from runner.data.reading.parsing import Coded
from runner.data.reading.roles import Met, Roles
from runner.data.stored import keys as keys_of_rows
from runner.data.stored.beside import Account, Beside, dropped, read_beside
from runner.data.stored.filing import Filed, Filing, Way
from runner.data.stored.folder import Draft, drafted
from runner.data.stored.keys import (
    NOT_CHOSEN,
    Keys,
    Plan,
    Used,
    of_some,
    plan,
    read_keys,
    used,
)
from runner.data.stored.market import CODE, COLUMN, FIELD, LABEL, NUMBER, Named, keep
from runner.data.stored.pieces import FilesInPieces, Piece
from runner.data.stored.values import LabelsInPieces, NumbersInPieces, are_numbers, letters_of
from runner.errors import DataError
from runner.progress import counted

if TYPE_CHECKING:
    import pyarrow as pa

NUMBERS_AT_ONCE = 1 << 22  # of the columns of a piece that are read together
RAW = "raw-{}"  # files of labels as they are written


@dataclass(frozen=True)
class Wanted:
    """What is made of a table.

    Attributes:
        source: what the data is, in words.
        assets, start, end: see `runner.data.sources.file.File`.
        unread: columns that the spec does not name.
        notes: sentences on how the table was recognised.
    """

    source: str
    assets: Sequence[str] | None
    start: str | None
    end: str | None
    unread: tuple[str, ...]
    notes: Sequence[str]


class Columns(NamedTuple):
    """The columns that are put on disk, by their names here, in order of their files."""

    fields: Mapping[str, NumbersInPieces]
    labels: Mapping[str, LabelsInPieces]
    column_of: Mapping[str, str]

    def files(self) -> dict[str, str]:
        """Name of a column -> name of its file."""
        files = {name: FIELD.format(number) for number, name in enumerate(self.fields)}
        files |= {name: RAW.format(number) for number, name in enumerate(self.labels)}
        return files


def put_on_disk(pieces: FilesInPieces, roles: Roles, wanted: Wanted, home: Path) -> None:
    """Write the market of a table to a folder.

    Raises:
        DataError: as the table is read in memory; no room on the disk; pieces of one column that
            are of different kinds; a file that changes while it is read.
    """
    given = roles.given()
    of_rows = len(given) + len(roles.groups) + len(roles.asked)
    need = pieces.rows * np.dtype(NUMBER).itemsize * of_rows
    with drafted(home, need) as draft:
        Writing(pieces, roles, wanted, given, draft).write()


class Writing:
    """One table on its way to the disk."""

    def __init__(
        self,
        pieces: FilesInPieces,
        roles: Roles,
        wanted: Wanted,
        given: Mapping[str, str],
        draft: Draft,
    ) -> None:
        """A table of which nothing is read yet; `given`: name here -> column."""
        self.pieces = pieces
        self.roles = roles
        self.wanted = wanted
        self.given = given
        self.draft = draft

    def write(self) -> None:
        """Read the table and write everything."""
        wanted = self.wanted
        keys = read_keys(self.pieces, self.roles, self.given, self.draft)
        there = used(keys)
        special = self._special()
        assets = choose(keys.asset.values[there.assets], special, wanted.assets)
        present = keys.date.values[there.dates]
        chosen = in_range(keys.date.values, present, wanted.start, wanted.end)
        columns = self._columns()
        beside = self._beside(keys, columns, chosen, list(dict.fromkeys(special.values())))
        planned = plan(keys, assets, chosen, beside.calendar() if beside else None)
        if not planned.T:
            span = "on the dates from data.start to data.end"
            raise DataError(f"data.assets: no row of theirs {span}")
        filing = self._filing(planned, columns)
        self._file_values(filing, keys, columns)
        labels = {name: column.coded() for name, column in columns.labels.items()}
        files = columns.files()
        same = {files[name]: coded.codes.__getitem__ for name, coded in labels.items()}
        filed = filing.sorted(same)
        for name in (keys_of_rows.DATE, keys_of_rows.ASSET):
            self.draft.drop(name)
        self._cut(int(filed.counts.sum()))
        self._refuse_conflicts(filed, planned, keys, assets)
        self._keep(keys, there, planned, filed, columns, labels, beside, assets)

    def _special(self) -> dict[str, str]:
        """Place in the spec -> the market asset and the assets of the series."""
        special = {}
        if self.roles.market:
            special["data.market"] = self.roles.market
        for name, ticker in self.roles.macro.items():
            special[f"data.macro.{name}"] = ticker
        return special

    def _columns(self) -> Columns:
        """The columns beside the keys, as numbers or as labels."""
        fields: dict[str, NumbersInPieces] = {}
        labels: dict[str, LabelsInPieces] = {}
        column_of = {}
        for name, (where, column) in self.roles.wanted(self.given).items():
            if name in ("date", "asset", "time"):
                continue
            column_of[name] = column
            if name in self.roles.groups or self._is_label(name, column):
                labels[name] = LabelsInPieces()
            else:
                percent = self.roles.percent and name == RETURN
                fields[name] = NumbersInPieces(where, column, percent)
        return Columns(fields, labels, column_of)

    def _is_label(self, name: str, column: str) -> bool:
        """Whether a column that the spec names outside of `data` is one of labels."""
        taken_for = self.roles.asked.get(name)
        if taken_for != "either":
            return taken_for == "label"
        for piece in self.pieces:
            for table in piece.tables([column]):
                if not are_numbers(table[column]):
                    return True
                if is_numeric(table[column]):
                    return False
        return False

    def _beside(
        self, keys: Keys, columns: Columns, chosen: np.ndarray, names: Sequence[str]
    ) -> Beside | None:
        """The rows of the market asset and of the series; None without any."""
        if not names:
            return None
        every = self.roles.wanted(self.given)
        fields = {name: every[name] for name in columns.fields}
        labels = {name: columns.column_of[name] for name in columns.labels}
        roles = self.roles
        long = read_beside(
            self.pieces, keys, fields, labels, roles.market, roles.macro, roles.percent
        )
        return Beside(long, names, chosen)

    def _filing(self, planned: Plan, columns: Columns) -> Filing:
        kinds = {}
        for name, file in columns.files().items():
            kinds[file] = NUMBER if name in columns.fields else CODE
        return Filing(self.draft, planned, COLUMN, kinds)

    def _file_values(self, filing: Filing, keys: Keys, columns: Columns) -> None:
        """Read the values of all rows, and write those in use.

        Raises:
            DataError: values that are not numbers.
        """
        start = 0
        for piece in counted(self.pieces, len(self.pieces), "rows written"):
            self._file_piece(piece, filing, keys, columns, start)
            start += piece.rows
        for column in columns.fields.values():
            column.check()

    def _file_piece(
        self, piece: Piece, filing: Filing, keys: Keys, columns: Columns, first: int
    ) -> None:
        """Write the rows of a piece, the first of which has this position among all rows."""
        files = columns.files()
        ways: list[Way] = []
        at_once = max(NUMBERS_AT_ONCE // max(piece.rows, 1), 1)
        for some_names in _chunks(list(files), at_once):
            names = list(dict.fromkeys(columns.column_of[name] for name in some_names))
            start = first
            for number, table in enumerate(piece.tables(names)):
                some = keys.some(start, start + len(table))
                start += len(table)
                if number == len(ways):
                    rows = of_some(some, filing.plan.rank, filing.plan.position)
                    ways.append(filing.way(rows))
                chosen = some.date != NOT_CHOSEN if self.roles.where else None
                for name in some_names:
                    reader = columns.fields.get(name) or columns.labels[name]
                    values = _read(reader, table[columns.column_of[name]], chosen)
                    filing.write(ways[number], files[name], values)

    def _refuse_conflicts(
        self, filed: Filed, planned: Plan, keys: Keys, assets: Sequence[str]
    ) -> None:
        """Whether there is one row per date and asset.

        Raises:
            DataError: rows of one cell with different values.
        """
        if not filed.conflicts:
            return
        row, position = filed.first
        alone = len(keys.asset.values) == 1
        date = planned.dates[row]
        unread = self.wanted.unread
        raise DataError(conflicting(filed.conflicts, assets[position], date, unread, alone))

    def _keep(
        self,
        keys: Keys,
        there: Used,
        planned: Plan,
        filed: Filed,
        columns: Columns,
        labels: Mapping[str, Coded],
        beside: Beside | None,
        assets: Sequence[str],
    ) -> None:
        """Write what the market has beside its numbers, and what is said of them."""
        dates = pd.DatetimeIndex(planned.dates[: planned.T], name="date")
        on = np.asarray(keys.date.values.isin(dates))
        series = MacroSeries(pd.DataFrame(index=dates), 0, [])
        others = Account(0, 0, {})
        price: pd.Series | None = None
        ret: pd.Series | None = None
        if beside is not None:
            series = beside.series(on)
            price, ret = beside.of_market(on)
            others = beside.account(on, assets)
        letters = self._letters(columns, others)
        of_labels = OfLabels.of(self.draft, planned, filed, labels, columns.files())
        self._finish_files(columns, of_labels)
        self._cut(int(filed.counts[: planned.T].sum()))
        usual_return = self._usual_return(columns)
        outside = int(filed.counts[planned.T :].sum()) + others.outside - series.moved
        repeated = filed.repeated + others.repeated
        rows = self._rows_left_out(there.keyless, repeated, outside)
        account = [*rows[:2], *letters, *rows[2:], *of_labels.account]
        recognised = self._recognised(keys, columns)
        names = list(dict.fromkeys([*assets, *self._special().values()]))
        said = (*on_per_cent(usual_return), *on_names(keys.asset.spaced, names))
        asked = [name for name in self.roles.asked if name in labels]
        no_rows = pd.DataFrame(np.empty((0, len(assets))), dates[:0], list(assets))
        market = Market(
            source=self.wanted.source,
            fields=Fields.of_frames({"": no_rows}),
            series=series.frame,
            groups=pd.DataFrame(of_labels.fixed, index=pd.Index(assets, name="asset")),
            dropped=dropped(account),
            notes=(*recognised, *said, *series.notes, *of_labels.notes),
            readings=self.roles.readings(self.wanted.source, self.given, asked),
            unread=self.wanted.unread,
            market_close=price,
            market_ret=ret,
        )
        pointer = np.append(0, np.cumsum(filed.counts[: planned.T]))
        keep(self.draft, market, list(columns.fields), pointer, of_labels.changing)

    def _rows_left_out(self, keyless: int, repeated: int, outside: int) -> list[Dropped]:
        """The account of rows without keys, of those that repeat another, off the calendar."""
        owner = self.roles.market or "the assets"
        return [
            Dropped("source row", "no date or no asset", keyless),
            Dropped("source row", "repeats another row", repeated),
            Dropped("source row", f"date on which {owner} did not trade", outside),
        ]

    def _recognised(self, keys: Keys, columns: Columns) -> list[str]:
        """The sentences on how files, columns and values were read, each once."""
        marks = {name: column.marks for name, column in columns.fields.items()}
        met = Met(self.pieces.rows, keys.chosen, keys.date.words, marks)
        of_rows = self.roles.notes(self.given, met)
        return list(dict.fromkeys([*self.pieces.files.notes, *self.wanted.notes, *of_rows]))

    def _usual_return(self, columns: Columns) -> float:
        """Median size of returns that were in per cent; NaN where they were not."""
        if not self.roles.percent:
            return float("nan")
        numbers = self.draft.read(columns.files()[RETURN], NUMBER)
        return median(lambda: map(known_sizes, numbers.parts()))

    def _letters(self, columns: Columns, others: Account) -> list[Dropped]:
        """The account of the values in use that are letters."""
        account = []
        files = columns.files()
        for name, column in columns.fields.items():
            letters = others.letters.get(name, 0)
            if column.letters:
                parts = self.draft.read(files[name], NUMBER).parts()
                letters += sum(letters_of(part) for part in parts)
            reason = f"{name} is a letter: a code of a missing value"
            account.append(Dropped("source value", reason, letters))
        return account

    def _finish_files(self, columns: Columns, of_labels: OfLabels) -> None:
        """Name the files of labels of the date, and remove those of others."""
        files = columns.files()
        for name in columns.labels:
            if name in of_labels.changing:
                number = list(of_labels.changing).index(name)
                self.draft.rename(files[name], LABEL.format(number))
            else:
                self.draft.drop(files[name])

    def _cut(self, rows: int) -> None:
        """Keep so many rows of every file."""
        for file in self.draft.files:
            kind = NUMBER if file.startswith(FIELD.format("")) else CODE
            self.draft.cut(file, rows * np.dtype(kind).itemsize)


def is_numeric(column: pa.ChunkedArray) -> bool:
    """Whether a column holds numbers by its type."""
    import pyarrow as pa

    return pa.types.is_floating(column.type) or pa.types.is_integer(column.type)


def _read(
    reader: NumbersInPieces | LabelsInPieces, column: pa.ChunkedArray, chosen: np.ndarray | None
) -> np.ndarray:
    """The values (n,) of a column of a piece; rows that are not chosen are not looked at."""
    import pyarrow as pa

    if chosen is None or chosen.all():
        return reader.read(column)
    some = reader.read(column.filter(pa.array(chosen)))
    values = np.zeros(len(chosen), dtype=some.dtype)
    values[chosen] = some
    return values


def _chunks(names: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """Names, so many at a time; once nothing where there is none."""
    for start in range(0, max(len(names), 1), size):
        yield names[start : start + size]


class OfLabels(NamedTuple):
    """The labels of a table on disk, for ever and of the date.

    Attributes:
        fixed: name -> labels (N,) that no asset changes.
        changing: name -> the others, whose files have positions among the labels.
        notes: sentences on both.
        account: cells without a label.
    """

    fixed: dict[str, np.ndarray | str]
    changing: dict[str, Named]
    notes: list[str]
    account: list[Dropped]

    @classmethod
    def of(
        cls,
        draft: Draft,
        planned: Plan,
        filed: Filed,
        labels: Mapping[str, Coded],
        files: Mapping[str, str],
    ) -> OfLabels:
        """The labels in files of codes of labels as written, which become those as read."""
        of_labels = cls({}, {}, [], [])
        on_calendar = int(filed.counts[: planned.T].sum())
        for name, coded in labels.items():
            occurs, had, lacking = _occurring(draft, planned, files[name], coded, on_calendar)
            of_assets = label_of_each(name, occurs, coded.values)
            of_labels.notes.extend(of_assets.notes)
            if of_assets.labels is not None:
                of_labels.fixed[name] = of_assets.labels
                continue
            words = [str(value) for value in coded.values]
            of_labels.changing[name] = Named(words, np.roll(had, -1, axis=1))
            reason = f"{name} has no label on the date: {UNKNOWN}"
            of_labels.account.append(Dropped("source value", reason, lacking))
        return of_labels


def _occurring(
    draft: Draft, planned: Plan, file: str, coded: Coded, on_calendar: int
) -> tuple[np.ndarray, np.ndarray, int]:
    """Which labels each asset has, (N, 1 + L), the first column is none: in all rows, and in those
    of the calendar; and how many of these have no label. The codes in the file become those as
    read.
    """
    shape = (planned.N, len(coded.values) + 1)
    occurs = np.zeros(shape, dtype=bool)
    had = np.zeros(shape, dtype=bool)
    lacking = 0
    start = 0
    none = list(coded.values).index(UNKNOWN) if UNKNOWN in coded.values else -1
    columns = draft.read(COLUMN, CODE).parts()
    for column, raw in zip(columns, draft.read(file, CODE).parts(), strict=True):
        codes = coded.codes[raw].astype(CODE)
        occurs[column, codes + 1] = True
        inside = max(min(on_calendar - start, len(codes)), 0)
        had[column[:inside], codes[:inside] + 1] = True
        without = (codes[:inside] == -1) | (codes[:inside] == none)
        lacking += int(np.count_nonzero(without))
        draft.put(file, codes, start)
        start += len(codes)
    return occurs, had, lacking
