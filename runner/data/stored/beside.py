"""The market asset and the series of a table on disk: few rows, read into memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from runner.data.notices import Dropped
from runner.data.reading.long import PRICE, RETURN, Long, MacroSeries
from runner.data.reading.parsing import Coded
from runner.data.stored.keys import Keys
from runner.data.stored.pieces import FilesInPieces, Piece
from runner.data.stored.values import LabelsInPieces, NumbersInPieces, letters_of
from runner.progress import counted

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, eq=False)
class Beside:
    """Rows of the market asset and of the series.

    Attributes:
        long: their rows.
        names: of the assets, each once.
        chosen: mask over the distinct dates of those in use.
    """

    long: Long
    names: Sequence[str]
    chosen: np.ndarray

    def calendar(self) -> np.ndarray | None:
        """Mask over the distinct dates of those of the market asset; None without one.

        Raises:
            DataError: it has no price and no return.
        """
        if not self.long.market:
            return None
        cells, _ = self.long.place(self.names, self.chosen)
        on, _ = self.long.calendar(cells, 0, self.names)
        return on

    def series(self, on: np.ndarray) -> MacroSeries:
        """The series on the dates of the calendar, by a mask over the distinct dates."""
        cells, _ = self.long.place(self.names, self.chosen)
        return self.long.shared(cells, on, self.names)

    def of_market(self, on: np.ndarray) -> tuple[pd.Series | None, pd.Series | None]:
        """Price and return of the market asset on the dates of the calendar."""
        cells, _ = self.long.place(self.names, self.chosen)
        price = self.long.of_market(PRICE, cells, on, self.names)
        ret = self.long.of_market(RETURN, cells, on, self.names)
        return price, ret

    def account(self, on: np.ndarray, assets: Sequence[str]) -> Account:
        """What is counted of the rows of those that are no modelled assets."""
        names = [name for name in self.names if name not in assets]
        cells, repeated = self.long.place(names, self.chosen)
        outside = int(cells.by_date(cells.N)[~on].sum())
        letters = {}
        for name, numbers in self.long.fields.items():
            letters[name] = letters_of(numbers[cells.rows])
        return Account(repeated, outside, letters)


@dataclass(frozen=True)
class Account:
    """Rows that repeat another, those off the calendar, and letters by field."""

    repeated: int
    outside: int
    letters: Mapping[str, int]


def read_beside(
    pieces: FilesInPieces,
    keys: Keys,
    fields: Mapping[str, tuple[str, str]],
    labels: Mapping[str, str],
    market: str | None,
    macro: Mapping[str, str],
    percent: bool,
) -> Long:
    """The rows of the market asset and of the series.

    Args:
        fields: name -> place in the spec and column.
        labels: name -> column, of those by which rows of one cell may differ.
        market, macro, percent: see `runner.data.reading.roles.Roles`.

    Raises:
        DataError: values that are not numbers.
    """
    code_of_date = keys.code_of_date
    code_of_asset = keys.code_of_asset
    special = keys.asset.values.get_indexer(pd.Index([*macro.values(), market]))
    is_special = np.isin(code_of_asset, special[special >= 0])
    readers: dict[str, NumbersInPieces | LabelsInPieces] = {}
    column_of = dict(labels)
    for name, (where, column) in fields.items():
        readers[name] = NumbersInPieces(where, column, percent and name == RETURN)
        column_of[name] = column
    of_labels = {name: LabelsInPieces() for name in labels}
    readers |= of_labels
    dates = []
    assets = []
    values: dict[str, list[np.ndarray]] = {name: [] for name in readers}
    start = 0
    for piece in counted(pieces, len(pieces), "series read"):
        some = keys.some(start, start + piece.rows)
        start += piece.rows
        wanted = is_special[some.asset] & (code_of_date[some.date] >= 0)
        if not wanted.any():
            continue
        dates.append(code_of_date[some.date[wanted]])
        assets.append(code_of_asset[some.asset[wanted]])
        for table in _rows_of(piece, column_of.values(), wanted):
            for name, reader in readers.items():
                values[name].append(reader.read(table[column_of[name]]))
    groups = {}
    for name, of_name in of_labels.items():
        coded = of_name.coded()
        raw = np.concatenate([np.empty(0, dtype=np.int32), *values[name]])
        groups[name] = coded._replace(codes=coded.codes[raw])
    nothing = np.empty(0, dtype=np.int32)
    return Long(
        source="",
        date=Coded(np.concatenate([nothing, *dates]), keys.date.values),
        asset=Coded(np.concatenate([nothing, *assets]), keys.asset.values, keys.asset.spaced),
        fields={name: np.concatenate([np.empty(0), *values[name]]) for name in fields},
        groups=groups,
        market=market,
        macro=macro,
    )


def _rows_of(piece: Piece, columns: Iterable[str], wanted: np.ndarray) -> Iterator[pa.Table]:
    """These columns of some rows of a piece, by their mask."""
    done = 0
    for table in piece.tables(list(dict.fromkeys(columns))):
        yield table.filter(wanted[done : done + len(table)])
        done += len(table)


def dropped(account: Sequence[Dropped]) -> tuple[Dropped, ...]:
    """The lines of an account that have rows."""
    return tuple(line for line in account if line.rows)
